//! The list of known keys against what is really read.

use std::collections::BTreeSet;

use super::super::keys::{KEYS, KeyDefault};
use super::*;

const BASE: &str = "\
[source]
url = \"csv:Master.csv\"
timezone = \"UTC\"
[target]
url = \"http://127.0.0.1\"
initiated_as = \"utc\"
";

fn env(name: &str) -> Option<String> {
    match name {
        "CDRELAY_TARGET_TOKEN" => Some("t".to_owned()),
        "STATE_DIRECTORY" => Some("/state".to_owned()),
        _ => None,
    }
}

fn parsed(text: &str) -> (Result<Config, Reported>, Vec<Problem>, BTreeSet<String>) {
    let file = ConfigFile {
        text: text.to_owned(),
        mode: 0o600,
    };
    let report = Report::new(text);
    let config = parse(
        &file,
        &report,
        Path::new("/etc/cdrelay.toml"),
        &env,
        sections,
    );
    let asked = report.asked();
    (config, report.into_problems(), asked)
}

#[test]
fn the_list_of_keys_is_what_the_reader_asks_for() {
    let rules = "[[rules]]\nadd_prefix = \"0\"\n[[rules]]\nregex = \"9\"\nreplace = \"\"\n[[rule_tests]]\nnumber = \"1\"\nbecomes = \"2\"\n\
        [collector]\ntimezone = \"UTC\"\n[[collector.cti_bridge.routes]]\nmatch = \"_X.\"\ngateway = \"gw\"\n";
    let (config, problems, asked) = parsed(&format!("{BASE}{rules}"));
    assert_eq!(problems, []);
    assert!(config.is_ok());
    let known: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(known.len(), KEYS.len(), "a key is listed twice");
    let sections = [
        "source",
        "source.columns",
        "select",
        "rules",
        "rule_tests",
        "target",
        "agi",
        "ledger",
        "monitor",
        "collector",
        "collector.astercc",
        "collector.freeswitch",
        "collector.cti_bridge",
        "collector.cti_bridge.routes",
        "collector.cti_bridge.fallback",
    ];
    let asked: BTreeSet<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|key| !sections.contains(key))
        .collect();
    assert_eq!(asked, known);
}

#[test]
fn defaults_written_out_change_nothing() {
    let mut text = BASE.to_owned();
    for section in ["source", "target", "select", "agi", "ledger", "monitor"] {
        let header = format!("[{section}]\n");
        let mut lines = String::new();
        for key in KEYS {
            let inside = key
                .path
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'));
            if let (Some(name), KeyDefault::Value(value)) = (inside, key.default) {
                lines.push_str(&format!("{name} = {value}\n"));
            }
        }
        if text.contains(&header) {
            text = text.replace(&header, &format!("{header}{lines}"));
        } else {
            text.push_str(&format!("{header}{lines}"));
        }
    }
    let (written, problems, _) = parsed(&text);
    assert_eq!(problems, [], "{text}");
    let (left_out, _, _) = parsed(BASE);
    assert_eq!(format!("{written:#?}"), format!("{left_out:#?}"));
}

#[test]
fn required_keys_are_those_without_which_nothing_loads() {
    for key in KEYS {
        let KeyDefault::Required = key.default else {
            continue;
        };
        let (section, name) = key.path.split_once('.').unwrap();
        let Some((before, after)) = BASE.split_once(&format!("[{section}]\n")) else {
            assert_eq!(section, "rule_tests");
            continue;
        };
        let start = format!("{name} =");
        let line = after.lines().find(|line| line.starts_with(&start)).unwrap();
        let text = format!("{before}[{section}]\n{}", after.replacen(line, "", 1));
        let (config, problems, _) = parsed(&text);
        assert!(config.is_err(), "{}", key.path);
        assert!(
            problems.iter().any(|problem| problem.key == key.path),
            "{problems:?}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_and_nothing_overflows() {
    let deep = |n: usize| format!("a{} = 1\n", ".a".repeat(n));
    for n in [60, 199, 201, 60_000, 100_000] {
        let (config, problems, _) = parsed(&deep(n));
        assert!(config.is_err());
        assert!(!problems.is_empty());
    }
    let inline = format!("a{} = {{\n", ".a".repeat(199)).repeat(200);
    let (config, problems, _) = parsed(&inline);
    assert!(config.is_err());
    assert!(!problems.is_empty());
    for open in ["[", "{a=", "[{a="] {
        let (config, problems, _) = parsed(&format!("a = {}", open.repeat(50_000)));
        assert!(config.is_err());
        assert!(!problems.is_empty());
    }
}
