//! The collector as its users start it: `cdrelay collect`, a process of its own with a store of its own.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::announced::{announced, fetched};
use super::support::{Daemon, fresh_name};

/// How long the rows may take when the last event has come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A collector that knows nothing yet. Dropping it ends it.
pub(crate) struct Collector {
    _daemon: Daemon,
    /// Base address, without a slash at its end.
    pub(crate) url: String,
    address: SocketAddr,
}

/// What `/metrics` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// Events that were acknowledged.
    pub(crate) taken: u64,
    /// Transactions that this took.
    pub(crate) commits: u64,
    /// Rows in `cdr`.
    pub(crate) rows: u64,
}

impl Collector {
    /// Starts one on a free port of 127.0.0.1. `store` is `collector.store`, or empty: a SQLite file in a folder of its
    /// own.
    pub(crate) fn start(program: &Path, work: &Path, store: &str) -> anyhow::Result<Self> {
        let directory = work.join(fresh_name("collector"));
        std::fs::create_dir(&directory)?;
        let store = if store.is_empty() {
            "sqlite:collector.db"
        } else {
            store
        };
        let config = directory.join("cdrelay.toml");
        let text = format!(
            "[collector]\nlisten = \"127.0.0.1:0\"\nstore = \"{store}\"\ntimezone = \"Asia/Shanghai\"\n"
        );
        std::fs::write(&config, text)?;
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600))?;
        let log = directory.join("log");
        let command = [
            &program.display().to_string(),
            "--config",
            &config.display().to_string(),
            "--output",
            "json",
            "collect",
        ]
        .map(str::to_owned);
        let daemon = Daemon::start(&command, "KILL", &directory, &log);
        let (url, address) = announced(&daemon, "the collector", &log)?;
        Ok(Self {
            _daemon: daemon,
            url,
            address,
        })
    }

    /// Waits until `rows` calls have their row, and gives how long that took.
    ///
    /// # Errors
    /// They never come.
    pub(crate) fn rows(&self, rows: u64) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let counted = self.counted()?;
            if counted.rows >= rows {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > PATIENCE {
                bail!("{rows} rows should be there: {counted:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn counted(&self) -> anyhow::Result<Counted> {
        let reply = fetched(self.address, "/metrics")?;
        let value = |name: &str, label: &str| -> anyhow::Result<u64> {
            let mut lines = reply.lines().filter(|line| line.starts_with(name));
            let line = lines
                .find(|line| line.contains(label))
                .with_context(|| format!("`{name}` is not in\n{reply}"))?;
            let (_, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            Ok(value.parse()?)
        };
        Ok(Counted {
            taken: value(
                "cdrelay_collector_events_total{",
                "dialect=\"astercc\",outcome=\"taken\"",
            )?,
            commits: value("cdrelay_collector_commits_total{", "")?,
            rows: value("cdrelay_collector_calls_total{", "outcome=\"row\"")?,
        })
    }
}
