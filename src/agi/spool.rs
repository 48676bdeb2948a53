//! The calls that were told while they happened, one file each, beside the ledger: until a `sync` takes them up.
//!
//! A run may hold the ledger for an hour, and a call waits for nobody. So what is told is recorded here: whoever has a
//! file open holds its lock (a kernel lock, which dies with its holder), and no two calls share a file. A file is a log of
//! lines, and only ever grows: what is told and that a request is about to leave, on disk before it does; then what became of
//! it. A line that a crash cut short counts for nothing. A file without an outcome and without a holder is one whose
//! holder was killed.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call::{PhoneNumber, WireForm};
use crate::fault;
use crate::target::Receipt;

/// Most bytes of a file that are read: some attempts at a call with the longest values there are.
const LONGEST: u64 = 1024 * 1024;

/// The ending of the files.
const ENDING: &str = "call";

/// A directory of calls.
#[derive(Debug, Clone)]
pub struct Spool {
    directory: PathBuf,
}

/// A call as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldCall {
    /// Start of the channel, Unix seconds.
    pub start: i64,
    /// The caller, as Asterisk has it.
    pub source: String,
    /// The number called.
    pub destination: String,
    /// The channel.
    pub uniqueid: String,
    /// What every request for it carries.
    pub wire: WireForm,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A request is about to leave, or has left.
    Asked,
    /// The CRM holds it.
    Delivered(Receipt),
    /// No contact has the number.
    Unmatched(String),
    /// Refused for good.
    Rejected(String),
    /// The CRM has not acted upon it: due.
    Pending(String),
    /// The CRM may have acted upon it.
    Held(String),
}

/// An open file, and its lock.
#[derive(Debug)]
pub struct Record {
    file: File,
    path: PathBuf,
    told: Option<(ToldCall, Standing)>,
}

impl Spool {
    /// The spool of the ledger at `path`.
    #[must_use]
    pub fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".agi");
        Self {
            directory: name.into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a call was ever told.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directory.is_dir()
    }

    /// Opens the file of a call, which is made where there is none. `None`: somebody else has it.
    ///
    /// # Errors
    /// The directory or the file cannot be made or read.
    pub fn open(&self, uniqueid: &str, source: &str) -> io::Result<Option<Record>> {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.directory)?;
        let name = format!("{}-{}.{ENDING}", digest(uniqueid), digest(source));
        let path = self.directory.join(name);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path)?;
            match Record::lock(file, &path)? {
                Locked::Ours(record) => return Ok(Some(*record)),
                Locked::Theirs => return Ok(None),
                Locked::Gone => {}
            }
        }
    }

    /// The files that are there, in no order.
    ///
    /// # Errors
    /// The directory cannot be read. One that is not there is an empty one.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push(path);
            }
        }
        Ok(files)
    }

    /// Opens a file that [`Spool::files`] named. `None`: somebody has it, or it is gone.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take(&self, path: &Path) -> io::Result<Option<Record>> {
        let file = OpenOptions::new().read(true).append(true).open(path);
        match file {
            Ok(file) => Ok(match Record::lock(file, path)? {
                Locked::Ours(record) => Some(*record),
                Locked::Theirs | Locked::Gone => None,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The channels that have a file at this moment, each by its [`digest`].
    ///
    /// # Errors
    /// As [`Spool::files`].
    pub(super) fn channels(&self) -> io::Result<HashSet<String>> {
        let files = self.files()?;
        let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
        Ok(names
            .filter_map(|name| name.split('-').next())
            .map(str::to_owned)
            .collect())
    }
}

/// What stands in the name of a file for a channel, or a number: no text of a caller reaches a file's name.
pub(super) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What became of locking a file.
enum Locked {
    Ours(Box<Record>),
    Theirs,
    /// It was removed between opening and locking: the lock of a file without a name excludes nobody.
    Gone,
}

impl Record {
    /// Locks a file and reads it.
    fn lock(mut file: File, path: &Path) -> io::Result<Locked> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Locked::Theirs),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let ours = file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {}
            Ok(_) => return Ok(Locked::Gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Locked::Gone),
            Err(error) => return Err(error),
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        (&file).take(LONGEST).read_to_end(&mut bytes)?;
        let told = read(&String::from_utf8_lossy(&bytes));
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // A crash cut the last line short: what follows begins a line of its own.
            file.write_all(b"\n")?;
        }
        Ok(Locked::Ours(Box::new(Self {
            file,
            path: path.to_owned(),
            told,
        })))
    }

    /// The call and how far it has come; `None` where it is new.
    #[must_use]
    pub fn told(&self) -> Option<&(ToldCall, Standing)> {
        self.told.as_ref()
    }

    /// Records that a request is about to leave: on disk when this returns. `told` is what it carries; for a call that is
    /// known, what is known.
    ///
    /// # Errors
    /// Nothing may be sent.
    pub fn ask(&mut self, told: ToldCall) -> io::Result<()> {
        fault::point!("agi.before_ask");
        self.append(&json!({"ask": call_json(&told)}))?;
        // The file's own name has to last as well.
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        fault::point!("agi.asked");
        self.told = Some((told, Standing::Asked));
        Ok(())
    }

    /// Records what became of it.
    ///
    /// # Errors
    /// For whoever comes next the outcome is unknown.
    pub fn conclude(&mut self, standing: Standing) -> io::Result<()> {
        fault::point!("agi.before_conclusion");
        self.append(&standing_json(&standing))?;
        fault::point!("agi.concluded");
        if let Some((_, known)) = &mut self.told {
            *known = standing;
        }
        Ok(())
    }

    /// Removes the file: the ledger has the call, or nothing was told.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(self) -> io::Result<()> {
        fault::point!("agi.before_removal");
        std::fs::remove_file(&self.path)
    }

    fn append(&mut self, line: &Value) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_all()
    }
}

fn call_json(told: &ToldCall) -> Value {
    json!({
        "start": told.start,
        "source": told.source,
        "destination": told.destination,
        "uniqueid": told.uniqueid,
        "wire": {
            "initiated": told.wire.initiated,
            "source": told.wire.source.as_str(),
            "destination": told.wire.destination.as_str(),
            "duration": told.wire.duration,
            "url": told.wire.url,
            "form": told.wire.form,
        },
    })
}

fn standing_json(standing: &Standing) -> Value {
    match standing {
        Standing::Asked => json!({"state": "asked"}),
        Standing::Delivered(receipt) => json!({
            "state": "delivered",
            "existing": receipt.existing,
            "contact_id": receipt.contact_id,
            "call_id": receipt.call_id,
        }),
        Standing::Unmatched(words) => json!({"state": "unmatched", "words": words}),
        Standing::Rejected(words) => json!({"state": "rejected", "words": words}),
        Standing::Pending(words) => json!({"state": "pending", "words": words}),
        Standing::Held(words) => json!({"state": "held", "words": words}),
    }
}

/// What the whole lines of a file come to.
fn read(text: &str) -> Option<(ToldCall, Standing)> {
    let mut told: Option<(ToldCall, Standing)> = None;
    for line in text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        match (&mut told, value.get("ask").map(call)) {
            (None, Some(Some(call))) => told = Some((call, Standing::Asked)),
            // The bytes of the first one stand, whatever follows.
            (Some((_, standing)), Some(_)) => *standing = Standing::Asked,
            (Some((_, standing)), None) => {
                if let Some(read) = outcome(&value) {
                    *standing = read;
                }
            }
            (None, Some(None) | None) => {}
        }
    }
    told
}

fn call(value: &Value) -> Option<ToldCall> {
    let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let wire = value.get("wire")?;
    Some(ToldCall {
        start: value.get("start")?.as_i64()?,
        source: text(value, "source")?,
        destination: text(value, "destination")?,
        uniqueid: text(value, "uniqueid")?,
        wire: WireForm {
            initiated: text(wire, "initiated")?,
            source: PhoneNumber(text(wire, "source")?),
            destination: PhoneNumber(text(wire, "destination")?),
            duration: wire.get("duration")?.as_u64()?,
            url: text(wire, "url"),
            form: text(wire, "form"),
        },
    })
}

fn outcome(value: &Value) -> Option<Standing> {
    let words = value
        .get("words")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let number = |key: &str| value.get(key).and_then(Value::as_i64);
    Some(match value.get("state")?.as_str()? {
        "asked" => Standing::Asked,
        "delivered" => Standing::Delivered(Receipt {
            existing: value.get("existing")?.as_bool()?,
            contact_id: number("contact_id"),
            call_id: number("call_id"),
        }),
        "unmatched" => Standing::Unmatched(words),
        "rejected" => Standing::Rejected(words),
        "pending" => Standing::Pending(words),
        "held" => Standing::Held(words),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(number: &str) -> ToldCall {
        ToldCall {
            start: 1_763_190_000,
            source: number.to_owned(),
            destination: "999".to_owned(),
            uniqueid: "1763190000.42".to_owned(),
            wire: WireForm {
                initiated: "2025-11-15T07:00:00Z".to_owned(),
                source: PhoneNumber(number.to_owned()),
                destination: PhoneNumber("999".to_owned()),
                duration: 0,
                url: None,
                form: Some("class=C&aon=1".to_owned()),
            },
        }
    }

    fn spool(directory: &tempfile::TempDir) -> Spool {
        Spool::beside(&directory.path().join("ledger.db"))
    }

    #[test]
    fn what_is_told_is_there_for_whoever_opens_it_next_and_for_one_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = spool(&directory);
        let open = || spool.open("1763190000.42", "1").expect("readable");
        let mut first = open().expect("ours");
        assert_eq!(first.told(), None);
        first.ask(told("1")).expect("written");
        assert!(open().is_none(), "it is locked");
        let files = spool.files().expect("readable");
        assert_eq!(files.len(), 1);
        assert!(spool.take(&files[0]).expect("readable").is_none());
        let channels = spool.channels().expect("readable");
        assert_eq!(channels, HashSet::from([digest("1763190000.42")]));
        drop(first);
        let mut second = open().expect("ours");
        assert_eq!(second.told(), Some(&(told("1"), Standing::Asked)));
        for standing in [
            Standing::Pending("a\nb".to_owned()),
            Standing::Held("x".to_owned()),
            Standing::Rejected(String::new()),
            Standing::Unmatched("y".to_owned()),
            Standing::Delivered(Receipt {
                existing: true,
                contact_id: Some(3),
                call_id: None,
            }),
        ] {
            second.conclude(standing.clone()).expect("written");
            drop(second);
            second = open().expect("ours");
            assert_eq!(second.told(), Some(&(told("1"), standing)));
        }
        let other = spool.open("1763190000.43", "1").expect("readable");
        assert_eq!(other.expect("ours").told(), None);
        second.remove().expect("removed");
        assert_eq!(open().expect("ours").told(), None);
    }

    #[test]
    fn a_line_that_was_cut_short_counts_for_nothing_and_spoils_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = spool(&directory);
        let mut record = spool.open("u", "1").expect("readable").expect("ours");
        record.ask(told("1")).expect("written");
        record
            .conclude(Standing::Pending("later".to_owned()))
            .expect("written");
        drop(record);
        let path = spool.files().expect("readable").remove(0);
        let whole = std::fs::read(&path).expect("readable");
        let first = whole
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a line");
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let mut record = spool.take(&path).expect("readable").expect("ours");
            let expected = match length {
                n if n <= first => None,
                n if n < whole.len() => Some(Standing::Asked),
                _ => Some(Standing::Pending("later".to_owned())),
            };
            let found = record.told().map(|(_, standing)| standing.clone());
            assert_eq!(found, expected, "{length}");
            record.ask(told("1")).expect("written");
            record
                .conclude(Standing::Held(String::new()))
                .expect("written");
            drop(record);
            let record = spool.take(&path).expect("readable").expect("ours");
            let held = Standing::Held(String::new());
            assert_eq!(record.told(), Some(&(told("1"), held)), "{length}");
        }
    }
}
