//! A job in the state before the run that is disturbed, as often as it is needed, and what must be true afterwards.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use serde_json::Value;

use super::crm::{Book, Crm, Key};
use super::golden::Golden;
use super::ledger::Held;
use super::program::{Program, Ran, check_sums};
use super::scene::{same, write_bytes};

/// Stands in a configuration for the CRM's address.
pub(crate) const CRM: &str = "http://crm.invalid";

/// What a disturbed run is for, which decides what its exit 0 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Sync,
    Delete,
    Rebuild,
    Init,
}

/// A job, ready to be run.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) job: Job,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) config: String,
    pub(crate) book: Book,
    /// The command that is disturbed, and how it ends when it is not.
    pub(crate) command: Vec<String>,
    pub(crate) code: i32,
    /// What a person runs afterwards, and how that may end.
    pub(crate) afterwards: Vec<(Vec<String>, Vec<i32>)>,
    /// What the CRM holds in the end.
    pub(crate) golden: Golden,
    /// What the ledger holds in the end.
    pub(crate) settled: BTreeMap<Key, &'static str>,
    /// What the CRM held before a rebuild, and holds still where none was begun.
    pub(crate) untouched: Option<Golden>,
    /// The dates on the wire that a deletion leaves nothing of.
    pub(crate) deleted: Vec<String>,
    /// The points that an undisturbed run passes, in order.
    pub(crate) passages: Vec<Passage>,
}

/// One line of the program's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) point: String,
    /// A step that can fail, and not a mere moment.
    pub(crate) can_fail: bool,
}

/// How a disturbed run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ran: Ran,
    pub(crate) signal: Option<i32>,
    /// The points it passed.
    pub(crate) passages: Vec<Passage>,
}

/// A scenario's own copy of everything.
pub(crate) struct Stage<'a> {
    scenario: &'a Scenario,
    pub(crate) program: Program,
    pub(crate) crm: Crm,
}

impl Scenario {
    /// A copy of it, with a CRM of its own.
    pub(crate) fn stage(&self) -> Stage<'_> {
        let crm = Crm::start(self.book.clone());
        Stage {
            program: self.program(&crm.url()),
            scenario: self,
            crm,
        }
    }

    /// The program with the files of this scenario, pointed at a CRM.
    pub(crate) fn program(&self, crm: &str) -> Program {
        let program = Program::new(&self.config.replace(CRM, crm));
        for (name, bytes) in &self.files {
            write_bytes(&program.path(name), bytes);
        }
        program
    }

    /// Runs it undisturbed, to know its points.
    pub(crate) fn walk(&mut self) {
        let stage = self.stage();
        let ended = stage.disturb("");
        assert_eq!(ended.ran.code, self.code, "{}: {ended:?}", self.name);
        stage.check_report(&ended);
        stage.settle();
        let passages = ended.passages;
        drop(stage);
        self.passages = passages;
    }

    /// Runs it with a fault, checks how it ended, and that everything is there after undisturbed runs. Gives whether
    /// the fault was met at all: which point the n-th passage leads through may differ between two runs.
    pub(crate) fn survives(&self, fault: &str) -> bool {
        let stage = self.stage();
        let ended = stage.disturb(fault);
        // The output of a test is shown where it fails.
        println!("{}, {fault}: {ended:?}", self.name);
        let hit = hit(&ended, fault);
        stage.check_code(&ended, fault, hit.as_ref());
        stage.check_report(&ended);
        stage.settle();
        hit.is_some()
    }
}

impl Stage<'_> {
    /// Runs the scenario's command with these orders for the points.
    pub(crate) fn disturb(&self, fault: &str) -> Ended {
        let args: Vec<&str> = self.scenario.command.iter().map(String::as_str).collect();
        disturb(&self.program, &args, fault)
    }

    /// The ledger as it lies there.
    pub(crate) fn ledger(&self) -> Held {
        Held::read(&self.program.path("ledger.db"))
    }

    /// The exit code is one that the interface has for this fault.
    #[track_caller]
    fn check_code(&self, ended: &Ended, fault: &str, hit: Option<&Passage>) {
        let usual = self.scenario.code;
        let Some(hit) = hit else {
            let signalled = fault.contains(":term") && ended.ran.code == 143;
            assert!(
                signalled || ended.ran.code == usual,
                "the fault was not met"
            );
            return;
        };
        let place = hit.point.split('.').next().expect("a name");
        let (_, shot) = fault.rsplit_once(':').expect("a fault");
        if shot == "kill" {
            assert_eq!(ended.signal, Some(9));
            return;
        }
        let allowed = match (shot, place, hit.point.as_str()) {
            // A signal that comes when everything is done changes nothing any more.
            ("term", ..) => vec![143, usual],
            _ if !hit.can_fail => vec![usual],
            (_, "ledger", _) => vec![12],
            // What was read is not read again, because the disk stays full.
            (_, "source", point) if point.starts_with("source.spool.") => vec![5],
            (_, "source", _) if fault.contains('+') => vec![5],
            (_, "source", _) => vec![usual, 5],
            (_, "target", _) if fault.contains('+') => vec![4],
            (_, "target", _) => vec![usual, 4],
            (_, "stdout", _) => vec![1],
            (_, other, _) => panic!("a point in {other}"),
        };
        assert!(allowed.contains(&ended.ran.code), "{allowed:?}");
        // Whatever else was logged, the last word says why.
        let last = ended.ran.stderr.lines().last().unwrap_or_default();
        assert!(
            ended.ran.code == 0 || last.starts_with("cdrelay: "),
            "{last}"
        );
    }

    /// What was printed is what ledger and CRM hold, and 0 means that nothing is missing.
    #[track_caller]
    fn check_report(&self, ended: &Ended) {
        let held = self.ledger();
        let book = self.crm.book();
        let code = ended.ran.code;
        assert!(
            held.delivered
                .iter()
                .all(|(key, call)| book.held.get(key) == Some(call) || !self.settles(key)),
            "delivered in the ledger, and not at the CRM"
        );
        if ended.signal.is_some() {
            assert_eq!(ended.ran.stdout, "", "a report before the end");
            return;
        }
        match self.scenario.job {
            Job::Sync => {
                let reported = matches!(code, 0 | 3 | 4 | 5 | 6 | 130 | 143);
                assert_eq!(
                    ended.ran.stdout.is_empty(),
                    !reported || code == 143 && held.ended.is_empty()
                );
                if let Ok(report) = serde_json::from_str::<Value>(&ended.ran.stdout) {
                    self.check_figures(&report, &held, code);
                }
                if matches!(code, 0 | 3) {
                    same(&book.held, &self.scenario.golden);
                    assert_eq!(held.calls, self.scenario.settled);
                }
            }
            Job::Delete if code == 0 => {
                let of_days = |key: &Key| {
                    let days = &self.scenario.deleted;
                    days.iter().any(|day| key.0.starts_with(day))
                };
                assert!(!book.held.keys().any(of_days), "deleted");
                let due = |(key, state): (&Key, &&str)| !of_days(key) || *state == "pending";
                assert!(held.calls.iter().all(due), "{held:?}");
                assert_eq!(held.open_deletions, 0);
            }
            Job::Rebuild if code == 0 => {
                same(&book.held, &self.scenario.golden);
                assert_eq!(held.calls, self.scenario.settled);
                assert_eq!(held.open_deletions, 0);
            }
            Job::Init if code == 0 => {
                assert!(self.program.path("ledger.db").exists());
            }
            Job::Delete | Job::Rebuild | Job::Init => {}
        }
    }

    /// A printed report against the ledger.
    #[track_caller]
    fn check_figures(&self, report: &Value, held: &Held, code: i32) {
        check_sums(report);
        assert_eq!(report["exit"]["code"], code);
        let figure = |name: &str| report["calls"][name].as_u64().expect("a count");
        let answered =
            figure("created") + figure("existing") + figure("unmatched") + figure("rejected");
        let settled = self.count(held, &["delivered", "unmatched", "rejected"]);
        let due = self.count(held, &["pending", "in_flight"]);
        if matches!(code, 0 | 3 | 4) {
            assert_eq!(figure("unchanged") + answered, settled, "{report}");
            assert!(figure("pending") >= due, "{report}");
            // What was folded for its key under older rules is one call until it is rebuilt.
            if self.scenario.untouched.is_none() || code == 0 {
                // Rows that are gone, or that a rule drops now, are no calls of the window.
                let there = |state: &&&str| !matches!(**state, "pending" | "withdrawn");
                let all = self.scenario.settled.values().filter(there).count() as u64;
                assert_eq!(figure("total"), all, "{report}");
            }
        } else {
            // Not every row was read, so what was settled earlier need not be counted.
            assert!(figure("unchanged") + answered <= settled, "{report}");
        }
        // A rebuild that was taken up has a run and a code of its own.
        let taken_up = report["rebuilds"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if !taken_up {
            assert_eq!(held.ended.last().map(|code| i32::from(*code)), Some(code));
        }
    }

    /// How many calls of the job are in these states.
    fn count(&self, held: &Held, states: &[&str]) -> u64 {
        let calls = held.calls.iter();
        let found = calls.filter(|(key, state)| {
            let before = self.scenario.untouched.as_ref();
            let known = match self.scenario.settled.get(*key) {
                Some(end) => *end != "pending",
                None => before.is_some_and(|before| before.contains_key(*key)),
            };
            known && states.contains(state)
        });
        found.count() as u64
    }

    /// Whether the ledger still knows this call in the end.
    fn settles(&self, key: &Key) -> bool {
        self.scenario.settled.contains_key(key)
    }

    /// Undisturbed runs bring the CRM to hold every call exactly once, and the ledger says so.
    #[track_caller]
    pub(crate) fn settle(&self) {
        if let Some(untouched) = &self.scenario.untouched
            && self.ledger().open_deletions == 0
            && self.crm.book().held == *untouched
        {
            // Nothing was begun, so nothing is gone on with; a person asks again.
            let ran = self.program.run(&["sync"]);
            assert_eq!(ran.code, 0, "{ran:?}");
            same(&self.crm.book().held, untouched);
            let ended = self.disturb("");
            if self.scenario.job == Job::Rebuild {
                assert_eq!(ended.ran.code, 0, "{ended:?}");
            }
        }
        for (args, codes) in &self.scenario.afterwards {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let ran = self.program.run(&args);
            assert!(codes.contains(&ran.code), "{args:?}: {ran:?}");
        }
        let book = self.crm.book();
        same(&book.held, &self.scenario.golden);
        let held = self.ledger();
        assert_eq!(held.calls, self.scenario.settled, "the ledger");
        assert!(
            held.delivered
                .iter()
                .all(|(key, call)| self.scenario.golden.get(key) == Some(call)),
            "{held:?}"
        );
        assert_eq!(held.open_deletions, 0);
        for (key, lines) in &book.asked {
            assert!(
                lines.iter().all(|line| *line == lines[0]),
                "{key:?}: {lines:?}"
            );
        }
        let left: Vec<String> = names(self.program.dir.path());
        assert!(
            !left.iter().any(|name| name.contains(".new")),
            "half a ledger is left: {left:?}"
        );
    }
}

/// Runs the program with these orders for its points.
pub(crate) fn disturb(program: &Program, args: &[&str], fault: &str) -> Ended {
    let log = program.path("passages");
    let _ = std::fs::remove_file(&log);
    let output = program
        .command(args)
        .env("CDRELAY_FAULT", fault)
        .env("CDRELAY_FAULT_LOG", &log)
        .output()
        .expect("the program starts");
    let list = std::fs::read_to_string(&log).unwrap_or_default();
    std::fs::remove_file(&log).expect("points were passed: the program was built with the feature");
    Ended {
        signal: output.status.signal(),
        ran: Ran::of(output),
        passages: list.lines().map(Passage::read).collect(),
    }
}

impl Passage {
    pub(crate) fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, point, kind] = words[..] else {
            panic!("{line}")
        };
        Self {
            point: point.to_owned(),
            can_fail: kind == "step",
        }
    }
}

/// The passage that a fault meant, the last of several, where the run came that far.
fn hit(ended: &Ended, fault: &str) -> Option<Passage> {
    let last = fault.split(',').next_back()?;
    let (place, _) = last.rsplit_once(':')?;
    let place = place.trim_end_matches('+');
    let nth = |n: &str| n.parse::<usize>().expect("a number") - 1;
    match place.split_once('#') {
        Some((point, n)) => {
            let mut here = ended.passages.iter().filter(|p| p.point == point);
            here.nth(nth(n)).cloned()
        }
        None => ended.passages.get(nth(place)).cloned(),
    }
}

fn names(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("UTF-8")
        })
        .collect()
}
