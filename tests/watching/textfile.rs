//! `monitor.textfile`: what a run leaves for the node exporter.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use cdrelay::ledger::{LedgerLock, State};
use cdrelay::report::metrics;
use serde_json::Value;

use super::exposition::{self, Family};
use super::program::Ran;
use super::scene::{Scene, now, sandbox, with};
use super::unruly::{Reply, Unruly};

/// The figures of one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures(BTreeMap<String, Family>);

impl Figures {
    #[track_caller]
    pub fn read(scene: &Scene) -> Self {
        Self::of(&std::fs::read_to_string(scene.program.path("cdrelay.prom")).unwrap())
    }

    #[track_caller]
    pub fn of(text: &str) -> Self {
        let families = exposition::parse(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        let mut names: Vec<&str> = families.keys().map(String::as_str).collect();
        let mut all = metrics::names().to_vec();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
        Self(families)
    }

    /// The value with these labels beside `job="cdrelay"`; `None`: no such sample.
    pub fn get(&self, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
        let labels = std::iter::once(("job", "cdrelay")).chain(label);
        let labels = labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        self.0[&format!("cdrelay_{name}")]
            .samples
            .get(&labels)
            .copied()
    }

    #[track_caller]
    pub fn one(&self, name: &str) -> f64 {
        self.get(name, None).unwrap_or_else(|| panic!("no {name}"))
    }

    fn calls(&self, state: State) -> f64 {
        self.get("calls", Some(("state", state.as_str()))).unwrap()
    }

    /// Everything but how and when the last run ended, and how long it took.
    fn of_the_ledger(&self) -> BTreeMap<String, Family> {
        let mut families = self.0.clone();
        families.retain(|name, _| !name.contains("_last_run_"));
        families
    }
}

pub fn watched(config: &str) -> String {
    with(config, "monitor", "textfile = \"cdrelay.prom\"")
}

#[track_caller]
fn run(scene: &Scene, args: &[&str], code: i32) -> Ran {
    let ran = scene.program.run(args);
    assert_eq!(ran.code, code, "{ran:?}");
    ran
}

fn status(scene: &Scene) -> Value {
    let ran = run(scene, &["status", "--output", "json"], 0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_run_leaves_what_the_ledger_holds_readable_for_everybody() {
    let scene = Scene::generated(60, 90);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    let before = now();
    // As systemd starts it, with `UMask=0077`.
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_cdrelay"))
        .args(["--config", "cdrelay.toml", "sync", "--output", "json"])
        .current_dir(scene.program.dir.path())
        .output()
        .unwrap();
    let ran = Ran::of(output);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let path = scene.program.path("cdrelay.prom");
    assert_eq!(
        path.metadata().unwrap().permissions().mode() & 0o7777,
        0o644
    );
    let figures = Figures::read(&scene);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let span = before as f64..=now() as f64;
    assert!(span.contains(&figures.one("last_success_timestamp_seconds")));
    assert!(span.contains(&figures.one("last_run_timestamp_seconds")));
    assert_eq!(figures.one("last_run_exit_code"), 0.0);
    let took = figures.get("last_run_duration_seconds", Some(("mode", "incremental")));
    assert!((0.0..60.0).contains(&took.unwrap()), "{took:?}");
    assert_eq!(
        figures.get("last_run_duration_seconds", Some(("mode", "full"))),
        None
    );
    #[expect(clippy::cast_precision_loss, reason = "some calls")]
    let held = scene.golden().len() as f64;
    for state in State::ALL {
        let expected = if state == State::Delivered { held } else { 0.0 };
        assert_eq!(figures.calls(state), expected, "{state:?}");
    }
    assert_eq!(figures.get("oldest_pending_timestamp_seconds", None), None);
    assert_eq!(
        Some(figures.one("requests_total")),
        report["requests"]["sent"].as_f64()
    );
    assert_eq!(figures.one("retries_total"), 0.0);
    // Nothing else is left beside it.
    let names: Vec<_> = std::fs::read_dir(scene.program.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("prom"))
        .collect();
    assert_eq!(names, ["cdrelay.prom"]);
}

#[test]
fn figures_of_failed_runs_are_true_and_counters_only_grow() {
    let scene = Scene::generated(60, 91);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync"], 0);
    let first = Figures::read(&scene);
    // The CRM is down: 4.
    let away = super::overdue::down();
    scene.point_at_with(&away.url(), watched);
    run(&scene, &["sync", "--resend"], 4);
    let down = Figures::read(&scene);
    assert_eq!(down.one("last_run_exit_code"), 4.0);
    assert_eq!(
        down.one("last_success_timestamp_seconds"),
        first.one("last_success_timestamp_seconds")
    );
    let pending = status(&scene)["calls"]["pending"].as_f64();
    assert_eq!(Some(down.calls(State::Pending)), pending);
    let oldest = status(&scene)["oldest_pending"]
        .as_str()
        .unwrap()
        .to_owned();
    let oldest = chrono::DateTime::parse_from_rfc3339(&oldest)
        .unwrap()
        .timestamp();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let oldest = oldest as f64;
    assert_eq!(down.one("oldest_pending_timestamp_seconds"), oldest);
    // It answers and fails: requests leave, and some are repeated.
    let failing = Unruly::always(Reply::Json(503, String::new()));
    scene.point_at_with(&failing.url(), watched);
    run(&scene, &["sync", "--resend"], 4);
    let failed = Figures::read(&scene);
    #[expect(clippy::cast_precision_loss, reason = "some requests")]
    let sent = failing.seen().len() as f64;
    assert_eq!(
        failed.one("requests_total"),
        down.one("requests_total") + sent
    );
    assert!(failed.one("retries_total") > 0.0);
    // It refuses the token: 6.
    scene.program.write("crm.token", "other\n");
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync", "--full"], 6);
    let refused = Figures::read(&scene);
    assert_eq!(refused.one("last_run_exit_code"), 6.0);
    assert!(refused.one("requests_total") > failed.one("requests_total"));
    assert!(
        refused
            .get("last_run_duration_seconds", Some(("mode", "full")))
            .is_some()
    );
    // The source is not there: 5.
    let (db, aside) = (scene.program.path("cdr.db"), scene.program.path("aside.db"));
    std::fs::rename(&db, &aside).unwrap();
    run(&scene, &["sync"], 5);
    let unread = Figures::read(&scene);
    assert_eq!(unread.one("last_run_exit_code"), 5.0);
    assert_eq!(unread.of_the_ledger(), refused.of_the_ledger());
    std::fs::rename(&aside, &db).unwrap();
    // All is well again.
    scene.program.write("crm.token", "sandbox\n");
    scene.settles_at(&crm, watched);
    let well = Figures::read(&scene);
    assert_eq!(well.one("last_run_exit_code"), 0.0);
    assert_eq!(well.get("oldest_pending_timestamp_seconds", None), None);
    assert!(well.one("requests_total") >= unread.one("requests_total"));
}

#[test]
fn what_the_ledger_cannot_say_keeps_its_last_good_value() {
    let scene = Scene::generated(60, 92);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync"], 0);
    let good = Figures::read(&scene);
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(scene.program.path(name));
    }
    let ledger = scene.program.path("ledger.db");
    let whole = std::fs::read(&ledger).unwrap();
    // It is gone: 10.
    std::fs::remove_file(&ledger).unwrap();
    run(&scene, &["sync"], 10);
    let gone = Figures::read(&scene);
    assert_eq!(gone.one("last_run_exit_code"), 10.0);
    assert_eq!(gone.of_the_ledger(), good.of_the_ledger());
    // It is no ledger: 12.
    std::fs::write(&ledger, b"something else".repeat(1000)).unwrap();
    run(&scene, &["sync"], 12);
    let broken = Figures::read(&scene);
    assert_eq!(broken.one("last_run_exit_code"), 12.0);
    assert_eq!(broken.of_the_ledger(), good.of_the_ledger());
    // Nothing is known, and nothing is made up.
    std::fs::remove_file(scene.program.path("cdrelay.prom")).unwrap();
    run(&scene, &["sync", "--full"], 12);
    let unknown = Figures::read(&scene);
    assert_eq!(unknown.one("last_run_exit_code"), 12.0);
    assert!(
        unknown
            .of_the_ledger()
            .values()
            .all(|family| family.samples.is_empty())
    );
    // A textfile of somebody else's is no memory.
    std::fs::write(scene.program.path("cdrelay.prom"), b"\xff\x00 nonsense {\n").unwrap();
    run(&scene, &["sync", "--full"], 12);
    assert_eq!(
        Figures::read(&scene).of_the_ledger(),
        unknown.of_the_ledger()
    );
    std::fs::write(&ledger, whole).unwrap();
    scene.settles_at(&crm, watched);
    assert!(Figures::read(&scene).one("requests_total") >= good.one("requests_total"));
}

#[test]
fn readers_see_the_old_file_or_the_new_one() {
    use std::io::Read as _;
    let scene = Scene::generated(20, 93);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync"], 0);
    let path = scene.program.path("cdrelay.prom");
    let before = std::fs::read_to_string(&path).unwrap();
    let mut open = std::fs::File::open(&path).unwrap();
    // What a kill in mid-write left behind is in nobody's way, even if it is a link to something else.
    let beside = scene.program.path(".cdrelay.prom.new");
    std::fs::write(scene.program.path("precious"), "kept").unwrap();
    std::os::unix::fs::symlink("precious", &beside).unwrap();
    run(&scene, &["sync", "--resend"], 0);
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, before, "the open file is not written to");
    assert_ne!(
        open.metadata().unwrap().ino(),
        path.metadata().unwrap().ino()
    );
    assert_ne!(std::fs::read_to_string(&path).unwrap(), before);
    assert_eq!(
        std::fs::read_to_string(scene.program.path("precious")).unwrap(),
        "kept"
    );
    assert!(!beside.exists());
}

#[test]
fn only_a_run_that_holds_the_lock_writes() {
    let scene = Scene::generated(20, 94);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync", "--dry-run"], 0);
    assert!(!scene.program.path("cdrelay.prom").exists());
    run(&scene, &["sync"], 0);
    let text = || std::fs::read_to_string(scene.program.path("cdrelay.prom")).unwrap();
    let before = text();
    run(&scene, &["sync", "--dry-run", "--resend"], 0);
    let lock = LedgerLock::try_acquire(&scene.program.path("ledger.db")).unwrap();
    run(&scene, &["sync", "--full"], 11);
    drop(lock);
    assert_eq!(text(), before);
}

#[test]
fn a_deletion_shows_in_the_figures() {
    let scene = Scene::generated(40, 95);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), watched);
    run(&scene, &["sync"], 0);
    let before = Figures::read(&scene);
    let day = chrono::DateTime::from_timestamp(now() - 3 * 86_400, 0).unwrap();
    let day = day.format("%Y-%m-%d").to_string();
    run(
        &scene,
        &["delete", "--from", &day, "--to", &day, "--yes"],
        0,
    );
    let after = Figures::read(&scene);
    assert!(after.calls(State::Pending) > 0.0);
    assert!(after.calls(State::Delivered) < before.calls(State::Delivered));
    assert_eq!(
        after.one("last_run_timestamp_seconds"),
        before.one("last_run_timestamp_seconds"),
        "a deletion is no run"
    );
    run(&scene, &["sync"], 0);
    assert_eq!(Figures::read(&scene).calls(State::Pending), 0.0);
}

#[test]
fn a_textfile_that_cannot_be_written_is_a_warning_and_fails_no_run() {
    let scene = Scene::generated(20, 96);
    let crm = sandbox();
    let cases = [
        (
            "nowhere/cdrelay.prom",
            "monitor.textfile `DIR/nowhere/cdrelay.prom` cannot be written: its directory is not there; make it, or name another file; the run itself is not affected",
        ),
        (
            "taken",
            "monitor.textfile `DIR/taken` cannot be written: it is a directory; name a file in it, such as cdrelay.prom; the run itself is not affected",
        ),
    ];
    std::fs::create_dir(scene.program.path("taken")).unwrap();
    for (name, warning) in cases {
        scene.point_at_with(crm.url.as_str(), |config| {
            with(config, "monitor", &format!("textfile = \"{name}\""))
        });
        let ran = run(&scene, &["sync"], 0);
        let said = ran
            .stderr
            .replace(&scene.program.dir.path().display().to_string(), "DIR");
        let (at, said) = said.split_once(' ').unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
        assert_eq!(said, format!(" WARN {warning}\n"));
        let quiet = run(&scene, &["sync", "--quiet"], 0);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    }
    // `check` says it beforehand, and what else would keep the node exporter from it.
    let checked = |name: &str| {
        scene.point_at_with(crm.url.as_str(), |config| {
            with(config, "monitor", &format!("textfile = \"{name}\""))
        });
        let ran = run(&scene, &["check"], 0);
        let line = ran.stdout.lines().find(|line| line.contains(" textfile "));
        line.unwrap()
            .replace(&scene.program.dir.path().display().to_string(), "DIR")
    };
    assert_eq!(
        checked("cdrelay.prom"),
        "  ok       textfile       DIR/cdrelay.prom"
    );
    assert_eq!(
        checked("nowhere/x.prom"),
        "  warning  textfile       DIR/nowhere/x.prom cannot be written: its directory is not there; make it, or name another file"
    );
    assert_eq!(
        checked("taken"),
        "  warning  textfile       DIR/taken is a directory; name a file in it, such as cdrelay.prom"
    );
    assert_eq!(
        checked("cdrelay.txt"),
        "  warning  textfile       DIR/cdrelay.txt does not end in .prom, and the node exporter passes over other files"
    );
}

#[test]
fn several_jobs_have_a_file_each_and_their_own_figures() {
    let scene = Scene::generated(40, 97);
    let (one, two) = (sandbox(), sandbox());
    let config = |job: &str, crm: &str| {
        let config = scene
            .config(crm)
            .replace("[source]", &format!("job = \"{job}\"\n[source]"));
        with(&config, "monitor", &format!("textfile = \"{job}.prom\""))
    };
    for (job, crm, args) in [
        ("north", &one, &["sync"][..]),
        ("south.2", &two, &["sync"]),
        ("south.2", &two, &["sync", "--resend"]),
    ] {
        scene.program.configure(&config(job, crm.url.as_str()));
        run(&scene, args, 0);
    }
    let requests = |job: &str| {
        let text = std::fs::read_to_string(scene.program.path(&format!("{job}.prom"))).unwrap();
        let families = exposition::parse(&text).unwrap();
        for (name, family) in &families {
            assert!(
                family.samples.keys().all(|labels| labels["job"] == job),
                "{name}"
            );
        }
        families["cdrelay_requests_total"]
            .samples
            .values()
            .copied()
            .sum::<f64>()
    };
    assert_eq!(requests("south.2"), 2.0 * requests("north"));
}
