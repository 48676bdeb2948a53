//! The rooms of the program, and what each has never heard of: asserted over the source text.

mod code;

use std::sync::LazyLock;

use code::SourceFile;

/// What does input or output, or asks for the time.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "tokio",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "sqlx",
    "rusqlite",
    "indicatif",
    "tracing",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "std::time::SystemTime",
    "std::time::Instant",
];

/// The concrete sources and targets, which their registries and `command` alone may name.
const CONCRETE: &[&str] = &[
    "crate::source::mysql",
    "crate::source::postgres",
    "crate::source::sqlite",
    "crate::source::csv",
    "crate::target::nimbox",
    "crate::target::bgcrm",
    "crate::target::dry_run",
];

/// Longest file, in lines of code before its tests.
const LONGEST: usize = 400;

/// Files that may be longer, how long, and why.
const LONGER: &[(&str, usize, &str)] = &[
    (
        "src/config/keys.rs",
        650,
        "one list of every key, in the order of the documentation",
    ),
    (
        "src/source/mysql.rs",
        600,
        "one server's protocol, types and statements: its own noun",
    ),
    (
        "src/source/postgres.rs",
        500,
        "one server's protocol, types and statements: its own noun",
    ),
    (
        "src/source/keyset.rs",
        500,
        "the one way in which all three databases are read slice by slice",
    ),
];

static SOURCE: LazyLock<Vec<SourceFile>> = LazyLock::new(code::files);

#[track_caller]
fn files(prefixes: &[&str]) -> Vec<&'static SourceFile> {
    let all = &*SOURCE;
    for prefix in prefixes {
        assert!(
            all.iter().any(|file| file.path.starts_with(prefix)),
            "{prefix} is empty: has it moved?"
        );
    }
    let wanted = |path: &str| prefixes.iter().any(|prefix| path.starts_with(prefix));
    all.iter().filter(|file| wanted(&file.path)).collect()
}

/// The files below `rooms`, other than `but`, name none of `forbidden`.
#[track_caller]
fn never_heard_of(rooms: &[&str], but: &[&str], forbidden: &[&str]) {
    let mut found = Vec::new();
    for file in files(rooms) {
        if but.iter().any(|but| file.path.starts_with(but)) {
            continue;
        }
        for wanted in forbidden {
            if let Some(path) = file.names(wanted) {
                found.push(format!("{} names {path}", file.path));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What a run does at a fault point is none of their business.
const NO_FAULTS: &[&str] = &["crate::fault"];

#[test]
fn pure_rooms_have_no_fault_points() {
    never_heard_of(
        &[
            "src/call.rs",
            "src/text.rs",
            "src/cdr/",
            "src/number/",
            "src/config/",
            "src/report/",
            "src/ledger/plan.rs",
            "src/target/nimbox/",
            "src/target/bgcrm/",
        ],
        &[],
        NO_FAULTS,
    );
    // They name no room but the one whose error they make.
    never_heard_of(
        &["src/fault"],
        &[],
        &[
            "crate::ledger",
            "crate::target",
            "crate::delivery",
            "crate::command",
        ],
    );
}

#[test]
fn the_ordinary_program_has_no_trace_of_the_fault_points() {
    let named = regex::Regex::new(r#"fault::(?:point|moment|step)!\(\s*"([a-z_.]+)""#).unwrap();
    let mut names: Vec<String> = SOURCE
        .iter()
        .flat_map(|file| {
            named
                .captures_iter(&file.text)
                .map(|found| found[1].to_owned())
        })
        .collect();
    assert!(names.len() >= 40, "{}", names.len());
    names.push("CDRELAY_FAULT".to_owned());
    let any: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
    let any = regex::bytes::Regex::new(&any.join("|")).unwrap();
    let program = std::fs::read(env!("CARGO_BIN_EXE_cdrelay")).unwrap();
    let found: std::collections::BTreeSet<_> = any
        .find_iter(&program)
        .map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
        .collect();
    if cfg!(feature = "fault-points") {
        assert!(
            found.len() >= 40,
            "the search finds them where they are: {found:?}"
        );
    } else {
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn pure_rooms_touch_neither_files_nor_network_nor_clock() {
    never_heard_of(
        &[
            "src/call.rs",
            "src/text.rs",
            "src/cdr/",
            "src/number/",
            "src/ledger/plan.rs",
            "src/target/nimbox/verdict.rs",
            "src/target/nimbox/strict.rs",
            "src/target/bgcrm/verdict.rs",
            "src/collector/assemble.rs",
            "src/collector/astercc",
            "src/collector/cti_bridge",
            "src/collector/event.rs",
            "src/collector/freeswitch.rs",
            "src/collector/moment.rs",
            "src/collector/pairs.rs",
            "src/collector/row.rs",
        ],
        &["src/number/table.rs"],
        EFFECTS,
    );
    // The file that a `table` rule names is read when its chain is built.
    let but_files: Vec<&str> = EFFECTS
        .iter()
        .copied()
        .filter(|effect| !matches!(*effect, "std::fs" | "std::io"))
        .collect();
    never_heard_of(&["src/number/table.rs"], &[], &but_files);
}

#[test]
fn what_delivery_decides_by_is_told_the_time_and_does_nothing() {
    never_heard_of(
        &[
            "src/delivery/pace.rs",
            "src/delivery/patience.rs",
            "src/delivery/suspicion.rs",
        ],
        &[],
        &[
            "std::fs",
            "std::io",
            "std::net",
            "Instant::now",
            "SystemTime::now",
            "Utc::now",
            "crate::target::CrmTarget",
        ],
    );
}

#[test]
fn the_source_has_never_heard_of_what_becomes_of_its_rows() {
    never_heard_of(
        &["src/source/"],
        &[],
        &[
            "crate::ledger",
            "crate::target",
            "crate::delivery",
            "crate::report",
            "crate::intake",
            "hyper",
        ],
    );
    // The spool is a temporary SQLite file; the databases of others are read through sqlx.
    never_heard_of(&["src/source/"], &["src/source/spool.rs"], &["rusqlite"]);
}

#[test]
fn the_target_has_never_heard_of_databases() {
    never_heard_of(
        &["src/target/"],
        &[],
        &[
            "sqlx",
            "rusqlite",
            "crate::source",
            "crate::ledger",
            "crate::delivery",
            "crate::intake",
            "crate::report",
        ],
    );
}

#[test]
fn the_collector_has_never_heard_of_ledger_or_crm() {
    never_heard_of(
        &["src/collector/"],
        &[],
        &[
            "crate::ledger",
            "crate::target",
            "crate::delivery",
            "crate::intake",
            "crate::report",
            "Utc::now",
            "SystemTime::now",
        ],
    );
    never_heard_of(
        &["src/collector/"],
        &["src/collector/store"],
        &["sqlx", "rusqlite"],
    );
}

#[test]
fn delivery_has_never_heard_of_source_ledger_or_terminal() {
    never_heard_of(
        &["src/delivery/"],
        &[],
        &[
            "crate::source",
            "crate::ledger",
            "crate::intake",
            "crate::report",
            "crate::progress",
            "crate::target::nimbox",
            "sqlx",
            "rusqlite",
            "hyper",
            "indicatif",
            "io::stdout",
            "io::stderr",
        ],
    );
}

#[test]
fn those_who_watch_have_never_heard_of_source_or_delivery_and_print_nothing() {
    never_heard_of(
        &["src/monitor/"],
        &[],
        &[
            "crate::source",
            "crate::intake",
            "crate::delivery",
            "crate::target::CrmTarget",
            "crate::target::nimbox",
            "sqlx",
            "rusqlite",
            "hyper",
            "io::stdout",
            "io::stderr",
        ],
    );
    // What is shown is made of figures alone, and of no file.
    never_heard_of(
        &["src/report/"],
        &[],
        &[
            "std::fs",
            "std::net",
            "tokio",
            "hyper",
            "Utc::now",
            "Instant::now",
        ],
    );
}

#[test]
fn the_intake_and_the_pure_rooms_have_never_heard_of_ledger_or_crm() {
    let later = &["crate::ledger", "crate::target", "crate::delivery"];
    never_heard_of(&["src/intake.rs", "src/cdr/", "src/number/"], &[], later);
}

#[test]
fn discovery_reads_files_and_has_never_heard_of_the_job() {
    never_heard_of(
        &["src/discovery/"],
        &[],
        &[
            "crate::source",
            "crate::ledger",
            "crate::target",
            "crate::delivery",
            "crate::intake",
            "std::env",
            "std::net::TcpStream",
            "std::process",
            "tokio",
            "sqlx",
            "hyper",
            "tracing",
        ],
    );
    // What takes texts apart touches nothing.
    let pure = &[
        "src/discovery/php.rs",
        "src/discovery/ini.rs",
        "src/command/adopt/letter.rs",
    ];
    never_heard_of(pure, &[], EFFECTS);
}

#[test]
fn nobody_reaches_back_to_the_rim() {
    let rim = &["src/command/", "src/main.rs"];
    let verbs = &["crate::command", "crate::cli", "crate::progress"];
    never_heard_of(&["src/"], rim, verbs);
    let rim_and_sandbox = &["src/command/", "src/sandbox/"];
    never_heard_of(&["src/"], rim_and_sandbox, &["crate::sandbox"]);
}

#[test]
fn one_room_knows_clap_one_file_indicatif_and_the_rim_the_terminal() {
    never_heard_of(&["src/"], &["src/cli", "src/main.rs"], &["clap"]);
    // It has to bring the trait of `Cli::try_parse` into scope, and asks for nothing else.
    let main = files(&["src/main.rs"])[0];
    let of_clap: Vec<&String> = main
        .paths
        .iter()
        .filter(|path| path.starts_with("clap"))
        .collect();
    assert_eq!(of_clap, ["clap::Parser"]);
    never_heard_of(&["src/"], &["src/progress.rs"], &["indicatif"]);
    never_heard_of(
        &["src/"],
        &["src/command/"],
        &["io::stdout", "tracing_subscriber"],
    );
}

#[test]
fn only_the_verbs_and_the_registries_name_concrete_sources_and_targets() {
    never_heard_of(
        &["src/"],
        &["src/command/", "src/source/", "src/target/"],
        CONCRETE,
    );
    for (room, registry) in [("src/source/", "mod.rs"), ("src/target/", "mod.rs")] {
        let own: Vec<&str> = CONCRETE
            .iter()
            .copied()
            .filter(|path| path.starts_with(&format!("crate::{}", &room[4..room.len() - 1])))
            .collect();
        let families: Vec<String> = own
            .iter()
            .filter_map(|path| path.rsplit("::").next())
            .map(|name| format!("{room}{name}"))
            .chain([format!("{room}{registry}")])
            .collect();
        let families: Vec<&str> = families.iter().map(String::as_str).collect();
        never_heard_of(&[room], &families, &own);
    }
}

#[test]
fn nothing_prints_or_exits_behind_the_rims_back() {
    for file in files(&["src/"]) {
        for word in [
            "println!",
            "eprintln!",
            "print!(",
            "eprint!(",
            "dbg!",
            "process::exit",
        ] {
            assert!(!file.code.contains(word), "{} has {word}", file.path);
        }
    }
}

#[test]
fn nothing_is_unsafe_or_left_to_be_done() {
    for file in files(&["src/"]) {
        for word in ["unsafe ", "todo!", "unimplemented!", ".unwrap()"] {
            assert!(!file.code.contains(word), "{} has {word}", file.path);
        }
        for mark in ["TODO", "FIXME", "XXX:"] {
            assert!(!file.text.contains(mark), "{} has {mark}", file.path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in files(&["src/"]) {
        assert!(
            file.text.starts_with("//! "),
            "{} does not begin with a `//!` sentence",
            file.path
        );
    }
}

#[test]
fn no_file_has_more_than_one_idea() {
    for file in files(&["src/"]) {
        let longer = LONGER.iter().find(|(path, ..)| *path == file.path);
        let most = longer.map_or(LONGEST, |(_, most, _)| *most);
        let lines = file.lines();
        assert!(
            lines <= most,
            "{} has {lines} lines of code, {most} at most: split it by a noun",
            file.path
        );
    }
    let all = files(&["src/"]);
    for (path, _, why) in LONGER {
        assert!(
            all.iter().any(|file| file.path == *path),
            "{path} is gone: {why}"
        );
    }
}

#[test]
fn names_say_what_a_file_is_about() {
    for file in files(&["src/"]) {
        for word in ["util", "common", "helper", "manager", "types", "misc"] {
            assert!(!file.path.contains(word), "{} says nothing", file.path);
        }
    }
}

#[track_caller]
fn resolves(text: &str, expected: &[&str]) {
    let module = ["crate", "source", "csv"].map(str::to_owned);
    let (code, _) = code::without_tests(&code::blank_out(text));
    let found = code::paths(&code, &module);
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn the_reader_of_source_text_is_not_led_astray() {
    resolves(
        "use std::{fs, io::{self, Read as _}};",
        &["std::fs", "std::io", "std::io::Read"],
    );
    resolves(
        "use super::super::ledger::State;",
        &["crate::ledger::State"],
    );
    resolves(
        "fn f() { self::rows::f(crate::target::x()) }",
        &["crate::source::csv::rows::f", "crate::target::x"],
    );
    resolves(
        "// std::fs\n/* std::fs */ const A: &str = \"std::fs \\\" std::io\";",
        &[],
    );
    resolves(
        "const A: &str = r#\"std::fs \" \"#; const B: char = '\"'; std::net::f();",
        &["std::net::f"],
    );
    resolves(
        "#[cfg(test)]\nmod tests { use std::fs; fn f() {} }\nstd::io::f();",
        &["std::io::f"],
    );
    resolves(
        "#[cfg(test)]\n#[allow(x)]\nuse std::fs;\nstd::io::f();",
        &["std::io::f"],
    );
    resolves(
        "fn f<'a>(a: &'a str) -> std::io::Result<'a, ()> {}",
        &["std::io::Result"],
    );
}
