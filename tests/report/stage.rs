//! Ledgers filled as runs would fill them, for the real program to report on.

use cdrelay::call::{
    ColumnTime, Disposition, Fold, Identity, Origin, PhoneNumber, RawNumber, WireForm,
};
use cdrelay::ledger::{
    Access, Intent, Ledger, LedgerLock, Missing, Recorded, RunId, RunRecord, RunStart,
};
use cdrelay::target::Receipt;

use super::program::Program;

/// Caracas has been at UTC-4 since 2016-05-01.
pub(crate) const OFFSET: i64 = 4 * 3600;

/// What a call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Unmatched,
    Rejected(String),
    /// So many runs without a verdict.
    Pending(u32, String),
    Held(String),
    InFlight,
}

/// A call to put into the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Unix seconds.
    pub(crate) instant: i64,
    pub(crate) source: String,
    pub(crate) destination: String,
    /// As sent.
    pub(crate) sent: String,
    pub(crate) duration: u64,
    pub(crate) fate: Fate,
    pub(crate) drift: bool,
    pub(crate) missing: Missing,
}

impl Entry {
    pub(crate) fn delivered(instant: i64, destination: &str) -> Self {
        Self {
            instant,
            source: "7034".to_owned(),
            destination: destination.to_owned(),
            sent: destination.trim_start_matches('9').to_owned(),
            duration: 60,
            fate: Fate::Delivered,
            drift: false,
            missing: Missing::Nothing,
        }
    }

    pub(crate) fn with(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }

    fn identity(&self) -> Identity {
        Identity {
            start: ColumnTime(self.instant - OFFSET),
            fold: Fold(0),
            source: RawNumber(self.source.clone()),
            destination: RawNumber(self.destination.clone()),
        }
    }

    fn intent(&self) -> Intent {
        Intent {
            identity: self.identity(),
            wire: Some(WireForm {
                initiated: self.instant.to_string(),
                source: PhoneNumber(self.source.clone()),
                destination: PhoneNumber(self.sent.clone()),
                duration: self.duration,
                url: None,
                form: None,
            }),
            instant: self.instant,
            origin: Origin::default(),
            disposition: Disposition::Answered,
        }
    }

    fn outcome(&self) -> Option<Recorded> {
        Some(match &self.fate {
            Fate::Delivered => Recorded::Delivered(Receipt::default()),
            Fate::Unmatched => Recorded::Unmatched {
                reason: "no contact".to_owned(),
            },
            Fate::Rejected(reason) => Recorded::Rejected {
                reason: reason.clone(),
            },
            Fate::Pending(_, reason) => Recorded::Pending {
                reason: reason.clone(),
            },
            Fate::Held(reason) => Recorded::Held {
                reason: reason.clone(),
            },
            Fate::InFlight => return None,
        })
    }
}

/// A run to put on record: start, and exit code with its reason; without one it was killed.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) started: i64,
    pub(crate) mode: &'static str,
    pub(crate) end: Option<(u8, String)>,
}

impl Ran {
    pub(crate) fn ended(started: i64, code: u8) -> Self {
        Self {
            started,
            mode: "incremental",
            end: Some((code, format!("ended with {code}"))),
        }
    }
}

/// A configuration whose ledger can be filled without a source or a CRM.
pub(crate) fn program() -> Program {
    Program::new(&super::golden::config(
        "url = \"sqlite:cdr.db\"",
        "http://127.0.0.1:9",
    ))
}

/// Fills the program's ledger.
pub(crate) fn fill(program: &Program, runs: &[Ran], entries: &[Entry]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let path = program.path("ledger.db");
        let _lock = LedgerLock::try_acquire(&path).expect("locked");
        let (ledger, _) = Ledger::open(&path, "cdrelay", Access::ReadWrite, 0)
            .await
            .expect("opened");
        let mut first = None;
        for run in runs {
            let id = begin(&ledger, run).await;
            first = first.or(Some(id));
            if let Some((exit_code, reason)) = &run.end {
                let record = RunRecord {
                    ended: run.started + 30,
                    exit_code: *exit_code,
                    reason: reason.clone(),
                    counts: "{\"rows\":{\"read\":1200,\"merged\":15,\"skipped\":{\"short_destination\":300,\"invalid\":0}}}"
                        .to_owned(),
                    requests_sent: 7,
                    requests_retried: 0,
                };
                ledger.finish_run(id, record).await.expect("recorded");
            }
        }
        if let Some(run) = first {
            for block in entries.chunks(2_000) {
                record(&ledger, run, block).await;
            }
        }
        ledger.close().await.expect("closed");
    });
}

async fn begin(ledger: &Ledger, run: &Ran) -> RunId {
    let start = RunStart {
        mode: run.mode.to_owned(),
        window: 0..1,
        settings: "settings".to_owned(),
        started: run.started,
    };
    ledger.start_run(start).await.expect("recorded")
}

async fn record(ledger: &Ledger, run: RunId, entries: &[Entry]) {
    let rounds = entries.iter().map(|entry| match entry.fate {
        Fate::Pending(runs, _) => runs,
        _ => 1,
    });
    for round in 0..rounds.max().unwrap_or(0) {
        let due: Vec<&Entry> = entries
            .iter()
            .filter(|entry| match entry.fate {
                Fate::Pending(runs, _) => round < runs,
                _ => round == 0,
            })
            .collect();
        let intents = due.iter().map(|entry| entry.intent()).collect();
        ledger.record_intents(run, intents).await.expect("recorded");
        let outcomes = due
            .iter()
            .filter_map(|entry| Some((entry.identity(), entry.outcome()?)))
            .collect();
        let at = due.iter().map(|entry| entry.instant).max().unwrap_or(0) + 600;
        ledger
            .record_outcomes(run, at, outcomes)
            .await
            .expect("recorded");
    }
    let drift = entries.iter().filter(|entry| entry.drift);
    let drift = drift.map(|entry| (entry.identity(), true)).collect();
    ledger.record_drift(drift).await.expect("recorded");
    let missing = entries
        .iter()
        .filter(|entry| entry.missing != Missing::Nothing);
    let missing = missing
        .map(|entry| (entry.identity(), entry.missing))
        .collect();
    ledger.record_missing(missing).await.expect("recorded");
}

/// Now, Unix seconds.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

/// Text of every kind that would be something else in HTML, SVG, an attribute, a style or a script.
pub(crate) const HOSTILE: [&str; 9] = [
    "<script>document.title='owned'</script>",
    "</text></svg><script>document.title='owned'</script>",
    "\" onmouseover=\"document.title='owned'",
    "' onload='document.title=\"owned\"'",
    "<img src=x onerror=\"document.title='owned'\">",
    "</style><style>*{display:none}</style>",
    "<!-- {{ 7*7 }} {% raw %} ]]> &lt; &amp; &#60;",
    "javascript:document.title='owned'",
    "\u{1b}[2J\r\n\u{202e}\u{2066}\u{200b}\u{feff}\u{0}\u{9b}FORGED",
];
