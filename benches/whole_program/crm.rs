//! The practice CRM as its users start it: `cdrelay sandbox`, a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use super::announced::{announced, fetched};
use super::support::{Daemon, fresh_name};

/// A practice CRM that holds nothing yet. Dropping it ends it.
pub(crate) struct Crm {
    _daemon: Daemon,
    /// Base address, without a slash at its end.
    pub(crate) url: String,
    address: SocketAddr,
}

impl Crm {
    /// Starts one on a free port of 127.0.0.1. `latency` is how long it takes for an answer.
    pub(crate) fn start(
        program: &Path,
        work: &Path,
        latency: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let directory = work.join(fresh_name("crm"));
        std::fs::create_dir(&directory)?;
        let log = directory.join("log");
        let mut command: Vec<String> = vec![program.display().to_string()];
        command
            .extend(["sandbox", "--listen", "127.0.0.1:0", "--output", "json"].map(str::to_owned));
        if let Some(latency) = latency {
            command.extend(["--latency".to_owned(), format!("{}ms", latency.as_millis())]);
        }
        // It keeps nothing that an orderly end would save.
        let daemon = Daemon::start(&command, "KILL", &directory, &log);
        let (url, address) = announced(&daemon, "the practice CRM", &log)?;
        Ok(Self {
            _daemon: daemon,
            url,
            address,
        })
    }

    /// How many calls it created.
    ///
    /// # Errors
    /// It was asked for something else, too: then what was measured is not what was meant.
    pub(crate) fn created(&self) -> anyhow::Result<u64> {
        let stats = self.stats()?;
        let count = |name: &str| stats[name].as_u64().unwrap_or(0);
        for name in ["existing", "unmatched", "refused", "deletes"] {
            ensure!(count(name) == 0, "the practice CRM counts {stats}");
        }
        Ok(count("created"))
    }

    fn stats(&self) -> anyhow::Result<Value> {
        let body = fetched(self.address, "/stats")?;
        Ok(serde_json::from_str(&body)?)
    }
}
