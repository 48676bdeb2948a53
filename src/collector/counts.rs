//! What the collector counts, and its Prometheus text.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::event::Dialect;

/// Counters since the start. All of them are read and written without a lock.
#[derive(Debug, Default)]
pub struct Counts {
    events: [PerDialect; 3],
    /// Rows of calls that had none.
    pub rows_new: AtomicU64,
    /// Rows that were corrected.
    pub rows_again: AtomicU64,
    /// Rows of calls whose end was never heard of.
    pub unfinished: AtomicU64,
    /// Calls that made no row.
    pub no_row: AtomicU64,
    /// Transactions that failed.
    pub store_failures: AtomicU64,
    /// Whether the last one did.
    pub store_down: AtomicBool,
    /// Transactions that kept events.
    pub commits: AtomicU64,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections closed to make room for another.
    pub displaced: AtomicU64,
    /// Requests without the secret.
    pub strangers: AtomicU64,
    /// Instructions of `cti_bridge` that were the fallback.
    pub fallbacks: AtomicU64,
    /// When an event was last kept, Unix seconds.
    pub last_event: AtomicI64,
}

/// What became of the events of one dialect.
#[derive(Debug, Default)]
pub struct PerDialect {
    /// Acknowledged, repeated ones included.
    pub taken: AtomicU64,
    /// No event, or not in a form that can be read.
    pub refused: AtomicU64,
    /// Not acknowledged, because they could not be kept.
    pub unkept: AtomicU64,
}

impl Counts {
    /// Of one dialect.
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> &PerDialect {
        match dialect {
            Dialect::Astercc => &self.events[0],
            Dialect::CtiBridge => &self.events[1],
            Dialect::Freeswitch => &self.events[2],
        }
    }

    /// As Prometheus reads them; `job` is in every line.
    #[must_use]
    pub fn exposition(&self, job: &str) -> String {
        let mut text = String::new();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let name = "cdrelay_collector_events_total";
        head(
            &mut text,
            name,
            "counter",
            "Events received, by what became of them",
        );
        for dialect in Dialect::ALL {
            let of = self.of(dialect);
            for (outcome, counter) in [
                ("taken", &of.taken),
                ("refused", &of.refused),
                ("unkept", &of.unkept),
            ] {
                let dialect = dialect.as_str();
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "{name}{{job=\"{job}\",dialect=\"{dialect}\",outcome=\"{outcome}\"}} {}",
                    read(counter)
                );
            }
        }
        let name = "cdrelay_collector_calls_total";
        head(
            &mut text,
            name,
            "counter",
            "Calls assembled, by what was written",
        );
        for (outcome, counter) in [
            ("row", &self.rows_new),
            ("corrected", &self.rows_again),
            ("unfinished", &self.unfinished),
            ("no_row", &self.no_row),
        ] {
            let value = read(counter);
            let _ = writeln!(
                text,
                "{name}{{job=\"{job}\",outcome=\"{outcome}\"}} {value}"
            );
        }
        for (name, help, counter) in [
            (
                "cdrelay_collector_commits_total",
                "Transactions that kept events",
                &self.commits,
            ),
            (
                "cdrelay_collector_store_failures_total",
                "Transactions of the store that failed",
                &self.store_failures,
            ),
            (
                "cdrelay_collector_connections_total",
                "Connections accepted",
                &self.connections,
            ),
            (
                "cdrelay_collector_connections_displaced_total",
                "Unfinished connections closed to make room",
                &self.displaced,
            ),
            (
                "cdrelay_collector_unauthorized_total",
                "Requests without the secret",
                &self.strangers,
            ),
            (
                "cdrelay_collector_fallbacks_total",
                "Dial instructions that were the fallback",
                &self.fallbacks,
            ),
        ] {
            head(&mut text, name, "counter", help);
            let _ = writeln!(text, "{name}{{job=\"{job}\"}} {}", read(counter));
        }
        let name = "cdrelay_collector_last_event_timestamp_seconds";
        head(&mut text, name, "gauge", "When an event was last kept");
        let last = self.last_event.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name}{{job=\"{job}\"}} {last}");
        text
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_carries_the_job_and_has_a_type() {
        let counts = Counts::default();
        count(&counts.of(Dialect::CtiBridge).taken);
        let text = counts.exposition("pbx-1");
        assert!(text.contains(
            "cdrelay_collector_events_total{job=\"pbx-1\",dialect=\"cti_bridge\",outcome=\"taken\"} 1\n"
        ));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("{job=\"pbx-1\""), "{line}");
            let name = line.split('{').next().expect("a name");
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
