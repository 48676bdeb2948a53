//! The files around the program: units, cron file, scripts, licences. What they say has to be true of the program.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking, and one that leaves something out says that"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/command_line.rs"]
mod command_line;

/// Minutes after which an incremental run ends by itself: the default of `--max-runtime`.
const LONGEST_INCREMENTAL: u32 = 50;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Every file below `contrib`, by its path from there.
fn contrib() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root().join("contrib")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root().join("contrib")).unwrap();
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                found.insert(name.to_str().unwrap().to_owned(), text);
            }
        }
    }
    found
}

fn units(ending: &str) -> BTreeMap<String, Unit> {
    let files = contrib().into_iter();
    files
        .filter_map(|(path, text)| {
            let name = path.strip_prefix("systemd/")?.strip_suffix(ending)?;
            Some((name.to_owned(), Unit::parse(&path, &text)))
        })
        .collect()
}

/// A unit file: section, key, value.
#[derive(Debug)]
struct Unit(BTreeMap<(String, String), String>);

impl Unit {
    fn parse(path: &str, text: &str) -> Self {
        let mut entries = BTreeMap::new();
        let mut sections = BTreeSet::new();
        let mut section = None;
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert_eq!(line, line.trim(), "{path}");
            assert!(!line.ends_with('\\'), "{path}: {line}");
            if line.starts_with('#') {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                let known = ["Unit", "Service", "Timer", "Install"];
                assert!(known.contains(&name), "{path}: {line}");
                assert!(sections.insert(name), "{path}: {line} twice");
                section = Some(name);
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .unwrap_or_else(|| panic!("{path}: {line}"));
            assert!(
                key.chars().all(|c| c.is_ascii_alphanumeric()),
                "{path}: {line}"
            );
            let section = section.unwrap_or_else(|| panic!("{path}: {line} before any section"));
            let before = entries.insert((section.to_owned(), key.to_owned()), value.to_owned());
            assert!(before.is_none(), "{path}: {key} twice");
        }
        Self(entries)
    }

    #[track_caller]
    fn get(&self, section: &str, key: &str) -> &str {
        let key = (section.to_owned(), key.to_owned());
        self.0
            .get(&key)
            .unwrap_or_else(|| panic!("{key:?} is missing"))
    }
}

/// A line of a cron file in `/etc/cron.d`.
struct CronJob {
    minute: String,
    hour: String,
    days: [String; 3],
    user: String,
    command: String,
}

fn cron_jobs() -> Vec<CronJob> {
    let text = read("contrib/cron/cdrelay");
    let is_setting = |line: &str| {
        line.split_once('=')
            .is_some_and(|(name, _)| !name.contains(' '))
    };
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !is_setting(line))
        .map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let [minute, hour, day, month, weekday, user, command @ ..] = &words[..] else {
                panic!("{line}");
            };
            CronJob {
                minute: minute.clone(),
                hour: hour.clone(),
                days: [day.clone(), month.clone(), weekday.clone()],
                user: user.clone(),
                command: command.join(" "),
            }
        })
        .collect()
}

/// `22`, `0-22`, or systemd's `00..22`: first and last.
fn span(text: &str) -> (u32, u32) {
    let (first, last) = text
        .split_once("..")
        .or_else(|| text.split_once('-'))
        .unwrap_or((text, text));
    (first.parse().unwrap(), last.parse().unwrap())
}

/// First and last hour, and the minute, of a timer that fires each day.
fn calendar(timer: &Unit) -> ((u32, u32), u32) {
    let text = timer.get("Timer", "OnCalendar");
    let time = text
        .strip_prefix("*-*-* ")
        .unwrap_or_else(|| panic!("{text}"));
    let [hours, minute, "00"] = time.split(':').collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    (span(hours), span(minute).0)
}

fn minutes(text: &str) -> u32 {
    text.strip_suffix("min").unwrap().parse().unwrap()
}

/// Asserts that the program takes a command line.
#[track_caller]
fn understood(command_line: &str) {
    if let Err(why) = command_line::taken(command_line) {
        panic!("{why}");
    }
}

#[test]
fn every_command_that_is_called_or_quoted_exists_with_its_flags() {
    let mut seen = 0;
    for job in cron_jobs() {
        understood(&job.command);
        seen += 1;
    }
    for service in units(".service").values() {
        understood(service.get("Service", "ExecStart"));
        seen += 1;
    }
    let mut texts = contrib();
    texts.insert("CHANGELOG.md".to_owned(), read("CHANGELOG.md"));
    for text in texts.values() {
        // Every second part between backticks is quoted.
        for quoted in text.split('`').skip(1).step_by(2) {
            let call = quoted.strip_prefix("sudo -u cdrelay ").unwrap_or(quoted);
            if call.starts_with("cdrelay ") {
                understood(call);
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
#[should_panic(expected = "unexpected argument '--fast'")]
fn an_unknown_flag_would_be_noticed() {
    understood("cdrelay sync --fast");
}

/// The services that a timer starts: all but the collector's and FastAGI's.
fn runs() -> BTreeMap<String, Unit> {
    let mut services = units(".service");
    services
        .retain(|name, _| !name.starts_with("cdrelay-collect") && !name.starts_with("cdrelay-agi"));
    services
}

#[test]
fn unit_files_parse_and_each_service_has_its_timer() {
    let (services, timers) = (runs(), units(".timer"));
    let names: Vec<&String> = services.keys().collect();
    assert_eq!(names, timers.keys().collect::<Vec<_>>());
    assert_eq!(
        names,
        ["cdrelay", "cdrelay-full", "cdrelay-full@", "cdrelay@"]
    );
    for (name, timer) in &timers {
        assert_eq!(timer.get("Install", "WantedBy"), "timers.target");
        let persistent = if name.contains("full") { "yes" } else { "no" };
        assert_eq!(timer.get("Timer", "Persistent"), persistent, "{name}");
    }
}

#[test]
fn services_differ_in_what_they_run_and_in_nothing_else() {
    let mut services = runs();
    let mut commands = BTreeMap::new();
    for (name, service) in &mut services {
        for key in ["Description", "ExecStart", "TimeoutStartSec"] {
            let section = if key == "Description" {
                "Unit"
            } else {
                "Service"
            };
            let value = service
                .0
                .remove(&(section.to_owned(), key.to_owned()))
                .unwrap();
            if key == "ExecStart" {
                commands.insert(name.clone(), value);
            }
        }
    }
    let first = &services["cdrelay"];
    for (name, service) in &services {
        assert_eq!(service.0, first.0, "{name}");
    }
    assert_eq!(first.get("Service", "User"), "cdrelay");
    assert_eq!(first.get("Service", "Type"), "oneshot");
    // Finished with rejected calls; incomplete; another run at work; stopped: none of these needs a person at once.
    assert_eq!(first.get("Service", "SuccessExitStatus"), "3 4 11 143");
    let commands: Vec<&str> = commands.values().map(String::as_str).collect();
    assert_eq!(
        commands,
        [
            "cdrelay sync",
            "cdrelay sync --full --wait 30m",
            "cdrelay sync --full --wait 30m --config /etc/cdrelay/%i.toml",
            "cdrelay sync --config /etc/cdrelay/%i.toml",
        ]
    );
}

#[test]
fn services_that_listen_stay_up_and_are_shut_in_like_the_runs() {
    let services = units(".service");
    let run = &services["cdrelay"];
    for (name, command) in [
        ("cdrelay-agi", "cdrelay agi --listen 127.0.0.1:4573"),
        ("cdrelay-collect", "cdrelay collect"),
        (
            "cdrelay-collect@",
            "cdrelay collect --config /etc/cdrelay/%i.toml",
        ),
    ] {
        let service = &services[name];
        for (key, value) in [
            ("Type", "exec"),
            ("ExecStart", command),
            ("Restart", "always"),
            // An invalid configuration is the one thing that starting again does not mend.
            ("RestartPreventExitStatus", "2"),
        ] {
            assert_eq!(service.get("Service", key), value, "{name}");
        }
        assert_eq!(service.get("Install", "WantedBy"), "multi-user.target");
        // What a run may not do, it may not do either.
        let of_runs_alone = ["Type", "ExecStart", "SuccessExitStatus", "TimeoutStartSec"];
        for ((section, key), value) in &run.0 {
            if section == "Service" && !of_runs_alone.contains(&key.as_str()) {
                assert_eq!(service.get(section, key), value, "{name}: {key}");
            }
        }
    }
}

#[test]
fn the_last_hourly_run_is_over_before_the_nightly_one_starts() {
    let timers = units(".timer");
    for (hourly, nightly) in [("cdrelay", "cdrelay-full"), ("cdrelay@", "cdrelay-full@")] {
        let ((first, last), minute) = calendar(&timers[hourly]);
        let ((hour, same), nightly_minute) = calendar(&timers[nightly]);
        assert_eq!((first, hour), (0, same), "{hourly}");
        assert_ne!(minute, nightly_minute, "{hourly}");
        let delay = minutes(timers[hourly].get("Timer", "RandomizedDelaySec"));
        let over = last * 60 + minute + delay + LONGEST_INCREMENTAL;
        assert!(
            over <= hour * 60 + nightly_minute,
            "{hourly}: over at minute {over}"
        );
    }
    // The two lines that cron's file offers instead of its one.
    let (hourly, nightly) = ("7 0-22 * * *", "17 23 * * *");
    let text = read("contrib/cron/cdrelay");
    assert!(text.contains(&format!("#   {hourly}  cdrelay  cdrelay sync --quiet\n")));
    assert!(text.contains(&format!(
        "#   {nightly}   cdrelay  cdrelay sync --full --quiet --wait 30m\n"
    )));
    let over = 22 * 60 + 7 + LONGEST_INCREMENTAL;
    assert!(over <= 23 * 60 + 17, "{over}");
}

/// systemd's own reader finds nothing to say about the units.
#[test]
fn systemd_finds_no_fault_with_the_units() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    for (path, text) in contrib() {
        if let Some(name) = path.strip_prefix("systemd/") {
            // The program is not where it will be; this one is.
            let program = format!("ExecStart={}", env!("CARGO_BIN_EXE_cdrelay"));
            let unit = directory.path().join(name);
            fs::write(
                &unit,
                text.replace("\nExecStart=cdrelay", &format!("\n{program}")),
            )
            .unwrap();
            command.arg(unit);
        }
    }
    let spoiled = directory.path().join("spoiled.service");
    fs::write(&spoiled, "[Service]\nExecStart=/bin/true\nSpeed=fast\n").unwrap();
    let said = |command: &mut Command| {
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // Other units of this machine are none of this test's business.
        let ours = text
            .lines()
            .filter(|line| line.contains(directory.path().to_str().unwrap()));
        Some((
            output.status.success(),
            ours.map(str::to_owned).collect::<Vec<_>>(),
        ))
    };
    let mut probe = Command::new("systemd-analyze");
    probe.args(["verify", "--man=no"]).arg(&spoiled);
    match said(&mut probe) {
        Some((_, lines)) if lines.iter().any(|line| line.contains("Speed")) => {}
        other => {
            // Said in the output of the test, which shows it with --nocapture.
            println!("left out: there is no systemd-analyze here that reads units ({other:?})");
            return;
        }
    }
    assert_eq!(said(&mut command), Some((true, Vec::new())));
}

#[test]
fn cron_runs_quietly_as_its_own_user_and_needs_nothing_of_the_shell() {
    let text = read("contrib/cron/cdrelay");
    assert!(
        text.ends_with('\n'),
        "cron ignores a last line without an end"
    );
    for setting in [
        "SHELL=/bin/sh",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "MAILTO=root",
    ] {
        assert!(text.lines().any(|line| line == setting), "{setting}");
    }
    let jobs = cron_jobs();
    for job in &jobs {
        assert_eq!(job.user, "cdrelay");
        assert_eq!(job.days, ["*", "*", "*"], "{}", job.command);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./ ".contains(c);
        assert!(job.command.chars().all(plain), "{}", job.command);
    }
    let lines: Vec<String> = jobs
        .iter()
        .map(|job| format!("{} {} {}", job.minute, job.hour, job.command))
        .collect();
    assert_eq!(lines, ["7 * cdrelay run --auto --quiet"]);
}

#[test]
fn scripts_are_executable_and_bash_can_read_them() {
    for script in [
        "contrib/test",
        "contrib/pictures/make",
        "contrib/bench",
        "contrib/break",
        "contrib/soak",
        "contrib/packaging/deb",
        "contrib/packaging/stage",
        ".ci/run",
    ] {
        let path = root().join(script);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
        assert!(
            read(script).starts_with("#!/usr/bin/env bash\n"),
            "{script}"
        );
        let output = Command::new("bash").arg("-n").arg(&path).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Runs a script with a `cargo` that notes its arguments and fails where they begin with one of `failing`, and with
/// servers and a compiler that are merely there, so that nothing is ever installed.
fn with_noting_cargo(script: &str, arguments: &[&str], failing: &str) -> (Output, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let notes = directory.path().join("notes");
    let program = |name: &str, text: &str| {
        let path: PathBuf = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program(
        "cargo",
        "#!/bin/sh\necho \"$*\" >>\"$NOTES\"\ncase \"$*\" in $FAILING*) exit 101;; esac\n\
         case \"$*\" in *--message-format=json*) cat \"$BUILT\";; esac\n",
    );
    program(
        "built-bench",
        "#!/bin/sh\necho \"bench $* of $(basename \"$CDRELAY_BENCH_PROGRAM\")\" >>\"$NOTES\"\nexit 7\n",
    );
    let artifact = |kind: &str, path: &Path| {
        serde_json::json!({
            "reason": "compiler-artifact",
            "target": {"kind": [kind]},
            "executable": path,
        })
        .to_string()
    };
    let bench = directory.path().join("built-bench");
    let built = [
        artifact("lib", Path::new("")),
        artifact("bin", &directory.path().join("cargo")),
        artifact("bench", &bench),
    ];
    fs::write(directory.path().join("built"), built.join("\n") + "\n").unwrap();
    for name in [
        "cc", "mariadbd", "mariadb", "postgres", "nginx", "wrk", "chromium",
    ] {
        program(name, "#!/bin/sh\nexit 1\n");
    }
    fs::write(directory.path().join("ngx_nchan_module.so"), "").unwrap();
    let path = format!(
        "{}:{}",
        directory.path().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new(root().join(script))
        .args(arguments)
        .current_dir("/")
        .env("PATH", path)
        .env("NGINX_MODULES", directory.path())
        .env("NOTES", &notes)
        .env("FAILING", failing)
        .env("BUILT", directory.path().join("built"))
        .output()
        .unwrap();
    let notes = fs::read_to_string(notes).unwrap_or_default();
    (output, notes.lines().map(str::to_owned).collect())
}

const DOC_TESTS: &str = "test --locked --workspace --doc";
const TESTS: &str = "test --locked --workspace --no-fail-fast --all-targets";
const FAULT_POINTS: &str =
    "test --locked --no-fail-fast --features fault-points --test fault_points";
const SOME_TESTS: &str = "test --locked --workspace --no-fail-fast --test around -- cron";

#[test]
fn the_test_command_runs_everything_from_any_directory_and_passes_arguments_on() {
    let (output, calls) = with_noting_cargo("contrib/test", &[], "none");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(calls, [DOC_TESTS, TESTS, FAULT_POINTS]);
    let (output, calls) =
        with_noting_cargo("contrib/test", &["--test", "around", "--", "cron"], "none");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(calls, [SOME_TESTS]);
}

#[test]
fn the_test_command_fails_when_any_part_fails_and_still_runs_the_others() {
    for failing in [DOC_TESTS, TESTS, FAULT_POINTS] {
        let (output, calls) = with_noting_cargo("contrib/test", &[], failing);
        assert_eq!(output.status.code(), Some(101), "{failing}: {output:?}");
        assert_eq!(calls, [DOC_TESTS, TESTS, FAULT_POINTS], "{failing}");
    }
}

#[test]
fn the_benchmark_measures_the_program_as_users_get_it_and_ends_as_the_measurement_does() {
    let program = "build --locked --release --message-format=json-render-diagnostics";
    let benchmark =
        "bench --locked --no-run --bench whole_program --message-format=json-render-diagnostics";
    let (output, calls) = with_noting_cargo("contrib/bench", &["--check", "--only", "crm"], "none");
    let measured = "bench --bench --check --only crm of cdrelay";
    assert_eq!(calls, [program, benchmark, measured]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let (output, calls) = with_noting_cargo("contrib/bench", &[], program);
    assert_eq!(calls, [program]);
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let (output, calls) = with_noting_cargo("contrib/bench", &["--pure", "rules"], "none");
    assert_eq!(calls, ["bench --locked --bench pure_parts -- rules"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn ci_fails_when_any_step_fails_names_it_and_runs_the_others() {
    let steps = [
        ("format", "fmt --check"),
        (
            "lint",
            "clippy --locked --workspace --all-targets -- -D warnings",
        ),
        (
            "supply chain",
            "deny --locked --config .deny.toml check bans licenses sources",
        ),
        (
            "lint of the fault points",
            "clippy --locked --workspace --all-targets --features fault-points -- -D warnings",
        ),
        ("tests", DOC_TESTS),
        ("tests", TESTS),
        ("tests", FAULT_POINTS),
        ("documentation", "doc --no-deps --locked --workspace"),
        ("demonstration", "run --release --locked -- demo"),
    ];
    let mut all: Vec<&str> = steps.iter().map(|(_, call)| *call).collect();
    all.insert(2, "deny --version");
    let (output, calls) = with_noting_cargo(".ci/run", &[], "none");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(calls, all);
    for (name, call) in steps {
        let (output, calls) = with_noting_cargo(".ci/run", &[], call);
        assert_eq!(output.status.code(), Some(1), "{call}: {output:?}");
        assert_eq!(calls, all, "{call}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.ends_with(&format!("==> failed: {name}\n")), "{said}");
    }
}

#[test]
fn ci_says_what_it_leaves_out_where_cargo_deny_is_not_installed() {
    let (output, calls) = with_noting_cargo(".ci/run", &[], "deny");
    assert!(output.status.success(), "{output:?}");
    let asked: Vec<&String> = calls
        .iter()
        .filter(|call| call.starts_with("deny"))
        .collect();
    assert_eq!(asked, ["deny --version"]);
    let said = String::from_utf8_lossy(&output.stdout);
    let left_out = "==> supply chain: left out, cargo-deny is not installed; tests/supply_chain.rs checks the lock file\n";
    assert!(said.contains(left_out), "{said}");
}

#[test]
fn every_file_around_is_explained() {
    let readme = read("contrib/README.md");
    for path in contrib().keys().filter(|path| *path != "README.md") {
        let in_a_listed_one = path
            .match_indices('/')
            .any(|(at, _)| readme.contains(&format!("`{}/`", &path[..at])));
        let listed = in_a_listed_one || readme.contains(&format!("`{path}`"));
        assert!(listed, "contrib/README.md does not name {path}");
    }
    for name in readme
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains("systemd/"))
    {
        assert!(
            root().join("contrib").join(name).exists(),
            "{name} is named and not there"
        );
    }
}

#[test]
fn licences_are_the_ones_that_cargo_names() {
    assert!(read("Cargo.toml").contains("\nlicense = \"MIT OR Apache-2.0\"\n"));
    assert!(read("LICENSE").contains("\nSPDX-License-Identifier: MIT OR Apache-2.0\n"));
    for file in ["LICENSE", "LICENSE-MIT"] {
        assert!(
            read(file).contains("Copyright (c) 2026 The cdrelay authors\n"),
            "{file}"
        );
    }
    let apache = read("LICENSE-APACHE");
    assert!(apache.contains("Version 2.0, January 2004\n"));
    assert!(apache.contains("END OF TERMS AND CONDITIONS\n"));
    assert_eq!(
        apache.len(),
        11_358,
        "not the text as the Apache Software Foundation publishes it"
    );
}

#[test]
fn the_changelog_knows_this_version() {
    let heading = format!("\n## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").contains(&heading), "{heading}");
}
