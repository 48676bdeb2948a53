//! Who is told about a run: a Prometheus textfile at its end, and an address that is called when it begins and ends.
//!
//! Nothing here ever fails a run, nor holds it up for longer than some seconds: what goes wrong is a warning. It decides
//! nothing about calls, and hands out figures, never numbers of people.

use std::time::Duration;

use crate::config::Config;
use crate::report::exit::Exit;

mod ping;
mod textfile;

use ping::Ping;
pub use textfile::{refresh, try_writing};

/// Longest that any one of the steps here may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a run ended that held the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd<'a> {
    /// Unix seconds.
    pub ended: i64,
    /// What the shell will see.
    pub exit_code: u8,
    /// `incremental` or `full`.
    pub mode: &'a str,
    /// From the lock to the end.
    pub took: Duration,
}

/// Those who are told about one run.
#[derive(Debug)]
pub struct Monitor<'a> {
    /// `None`: nobody is told.
    config: Option<&'a Config>,
    ping: Option<Ping>,
}

impl<'a> Monitor<'a> {
    /// Those that the configuration names.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        Self {
            config: Some(config),
            ping: Ping::new(&config.monitor),
        }
    }

    /// Nobody: for a dry run, which is none.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            config: None,
            ping: None,
        }
    }

    /// The lock is taken and work begins. Does not wait for anybody.
    pub fn begins(&self) {
        if let Some(ping) = &self.ping {
            ping.begins();
        }
    }

    /// The run is over, and the lock still held, so that no later run's figures are overwritten by these.
    pub async fn ended(&self, run: RunEnd<'_>) {
        if let Some(config) = self.config {
            textfile::write(config, run).await;
        }
    }

    /// What the run ends with, once it is known whether a person has to act.
    pub async fn tell(&self, exit: &Exit) {
        if let Some(ping) = &self.ping {
            ping.ended(exit).await;
        }
    }
}
