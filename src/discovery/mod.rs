//! What a machine says about its phone system: where Asterisk and FreePBX keep their calls, which zone the clock is set
//! to, which lines of cron run what.
//!
//! It reads files of others and believes nothing of them: regular files up to a limit, values without control
//! characters, and whatever cannot be read is passed over. It never connects, never writes, and never shows a password.

use std::io::Read as _;
use std::path::{Path, PathBuf};

mod asterisk;
pub mod cron;
mod freepbx;
mod ini;
mod php;
mod server;
pub mod users;
mod zone;

pub use server::Found;
pub use zone::{ZoneFound, zone};

/// Most bytes that a settings file may have; longer ones are none.
const LONGEST: u64 = 256 * 1024;

/// Where the files of one machine are.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    asterisk: PathBuf,
}

impl Machine {
    /// `root` stands for `/`, `asterisk` for `/etc/asterisk`.
    #[must_use]
    pub fn new(root: Option<&Path>, asterisk: Option<&Path>) -> Self {
        let root = root.unwrap_or(Path::new("/")).to_owned();
        let asterisk = asterisk.map_or_else(|| root.join("etc/asterisk"), Path::to_owned);
        Self { root, asterisk }
    }

    /// Where a file lies that calls itself `/etc/…`.
    #[must_use]
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// A file of Asterisk's configuration; `None` where there is none that can be read.
    fn asterisk_file(&self, name: &str) -> Option<String> {
        text(&self.asterisk.join(name))
    }

    /// Where a file of Asterisk's configuration lies, for messages.
    fn asterisk_path(&self, name: &str) -> String {
        self.asterisk.join(name).display().to_string()
    }
}

/// Every place where this machine seems to keep its calls, the likeliest first. The same place is named once.
#[must_use]
pub fn sources(machine: &Machine) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let found = freepbx::source(machine)
        .into_iter()
        .chain(asterisk::sources(machine));
    for one in found {
        match all
            .iter_mut()
            .find(|known| known.url == one.url && known.table == one.table)
        {
            None => all.push(one),
            // The first that names it may lack what another says: FreePBX's file has no word about the zone.
            Some(known) => known.complete(one),
        }
    }
    all
}

/// The text of a regular file that is not too long; bytes that are no UTF-8 are replaced.
fn text(path: &Path) -> Option<String> {
    // Asked before opening: opening a pipe would wait for a writer.
    let seen = path.metadata().ok()?;
    if !seen.is_file() || seen.len() > LONGEST {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LONGEST).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
