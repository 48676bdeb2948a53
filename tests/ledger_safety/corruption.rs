//! A ledger with one flipped byte, one zeroed page, or a part of it: it works to golden, or it is refused untouched, or
//! the damage is found while it is in use; and never does `check` or a full run end with 0 on a file that SQLite's own
//! check calls damaged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::golden::Golden;
use super::prompt::prompt;
use super::scene::{Scene, held, pass_on, same, sandbox, with, write_bytes};
use super::soak;
use super::unruly::{Reply, Unruly};

/// Calls of the ledger, most of them delivered, the rest pending.
const ROWS: usize = 2_400;

/// What is done to the bytes.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// This byte, changed by these bits.
    Flip(usize, u8),
    /// This page of 4096 bytes, filled with zeros.
    Zero(usize),
    /// All from here on cut off.
    Cut(usize),
}

impl Damage {
    fn apply(self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match self {
            Self::Flip(at, bits) => bytes[at] ^= bits,
            Self::Zero(page) => bytes[page * 4096..(page + 1) * 4096].fill(0),
            Self::Cut(length) => bytes.truncate(length),
        }
        bytes
    }
}

/// A scene in which most calls are delivered and some are due, with what the CRM held then.
struct Stage {
    scene: Scene,
    good: Vec<u8>,
    before: Golden,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let scene = Scene::generated(ROWS, seed);
        let crm = sandbox();
        let addr = crm.addr;
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        let front = Unruly::start(move |_, line| {
            if is_down.load(Ordering::SeqCst) {
                Reply::Json(503, String::new())
            } else {
                pass_on(addr, line)
            }
        });
        scene.point_at_with(&front.url(), |config| {
            with(config, "target", "timeout = \"5s\"")
        });
        let most = super::golden::stamp(scene.rows[ROWS - 150].wall, ' ');
        scene.program.sync(&["--full", "--until", &most], 0);
        let before = held(&crm);
        down.store(true, Ordering::SeqCst);
        let ran = prompt(&scene.program, &["sync", "--full", "--max-runtime", "1s"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        let states = scene.states();
        assert_eq!(states.len(), 2, "delivered and pending: {states:?}");
        let good = std::fs::read(scene.program.path("ledger.db")).unwrap();
        Self {
            scene,
            good,
            before,
        }
    }

    /// One in which every call is delivered, so that a full run has nothing to write.
    fn settled(seed: u64) -> Self {
        let scene = Scene::generated(ROWS, seed);
        let crm = sandbox();
        scene.point_at(crm.url.as_str());
        scene.program.sync(&["--full"], 0);
        let good = std::fs::read(scene.program.path("ledger.db")).unwrap();
        Self {
            scene,
            good,
            before: held(&crm),
        }
    }

    fn place(&self, bytes: &[u8]) {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(self.scene.program.path(&format!("ledger.db{suffix}")));
        }
        write_bytes(&self.scene.program.path("ledger.db"), bytes);
    }

    /// One case, to its end; gives how it turned out.
    #[track_caller]
    fn case(&self, damage: Damage) -> &'static str {
        let program = &self.scene.program;
        let golden = self.scene.golden();
        let path = program.path("ledger.db");
        let bad = damage.apply(&self.good);
        self.place(&bad);
        let damaged = !is_sound(&path, program.dir.path());
        assert_eq!(std::fs::read(&path).unwrap(), bad);
        let crm = sandbox();
        self.scene.point_at(crm.url.as_str());

        let check = prompt(program, &["check"]);
        assert!(
            matches!(check.code, 0 | 10 | 12),
            "{damage:?}: check: {check:?}"
        );
        assert!(
            !(damaged && check.code == 0),
            "{damage:?}: SQLite calls it damaged: {check:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bad, "{damage:?}: check");
        let probes = crm.stats().requests;

        let run = prompt(program, &["sync", "--full"]);
        assert!(matches!(run.code, 0 | 10 | 12), "{damage:?}: {run:?}");
        let mut reached = self.before.clone();
        reached.extend(held(&crm));
        for (key, call) in &reached {
            assert_eq!(golden.get(key), Some(call), "{damage:?}: {key:?} is wrong");
        }
        if run.code == 0 {
            same(&reached, &golden);
            assert!(
                is_sound(&path, program.dir.path()),
                "{damage:?}: a full run ended with 0 on a damaged file"
            );
            return if check.code == 0 {
                "harmless"
            } else {
                "mended by the run"
            };
        }
        let says_untouched = !run.stderr.contains("while it was in use");
        let sent = crm.stats().requests > probes;
        if says_untouched {
            assert!(!sent, "{damage:?}: {run:?}");
            assert_eq!(std::fs::read(&path).unwrap(), bad, "{damage:?}: {run:?}");
        }
        assert_ne!(check.code, 0, "{damage:?}: {run:?}");
        // A backup is put back.
        self.place(&self.good);
        let report = program.sync(&["--full"], 0);
        assert!(report["calls"]["pending"] == 0, "{report}");
        reached.extend(held(&crm));
        same(&reached, &golden);
        if says_untouched {
            "refused untouched"
        } else if sent {
            "found in use, after requests"
        } else {
            "found in use, before any request"
        }
    }
}

/// Whether SQLite's own full check finds nothing, on a copy.
fn is_sound(path: &Path, dir: &Path) -> bool {
    let copy = dir.join("copy.db");
    std::fs::copy(path, &copy).unwrap();
    let verdict = rusqlite::Connection::open(&copy)
        .and_then(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("copy.db{suffix}")));
    }
    verdict.is_ok_and(|word| word == "ok")
}

#[track_caller]
fn sweep(name: &str, stage: &Stage, cases: &[Damage]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for damage in cases {
        *counts.entry(stage.case(*damage)).or_default() += 1;
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(what, n)| format!("{what}: {n}"))
        .collect();
    soak::note(name, cases.len(), &words.join(", "));
    assert!(
        counts.keys().any(|what| *what != "harmless"),
        "not one case was noticed"
    );
}

/// So many places, evenly spread over `length`, none of them on a round number only.
fn spread(length: usize, n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| (i * length / n + i * 37 % 4096) % length)
}

#[test]
fn one_flipped_byte_never_loses_a_call() {
    let stage = Stage::new(400);
    let n = soak::count(26, 3_000);
    let mut cases: Vec<Damage> = spread(stage.good.len(), n)
        .enumerate()
        .map(|(i, at)| Damage::Flip(at, 1 << (i % 8)))
        .collect();
    // The header, every field of it.
    let step = if n > 100 { 1 } else { 11 };
    cases.extend((0..108).step_by(step).map(|at| Damage::Flip(at, 0x41)));
    sweep("ledger with one flipped byte", &stage, &cases);
}

#[test]
fn one_flipped_byte_is_found_by_a_run_that_has_nothing_to_write() {
    let stage = Stage::settled(402);
    let n = soak::count(16, 1_500);
    let cases: Vec<Damage> = spread(stage.good.len(), n)
        .enumerate()
        .map(|(i, at)| Damage::Flip(at, 1 << (i % 8)))
        .collect();
    sweep("settled ledger with one flipped byte", &stage, &cases);
}

#[test]
fn a_zeroed_page_or_a_cut_never_loses_a_call() {
    let stage = Stage::new(401);
    let pages = stage.good.len() / 4096;
    let zeroed: Vec<Damage> = spread(pages, soak::count(10, pages))
        .map(Damage::Zero)
        .collect();
    sweep("ledger with one zeroed page", &stage, &zeroed);
    let cut: Vec<Damage> = spread(stage.good.len(), soak::count(9, 500))
        .map(Damage::Cut)
        .collect();
    sweep("ledger cut short", &stage, &cut);
}
