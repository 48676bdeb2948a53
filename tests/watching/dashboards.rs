//! The dashboard and the alerts of `contrib` use the figures that there are, and all of them.

use std::collections::BTreeSet;
use std::path::Path;

use cdrelay::ledger::State;
use cdrelay::report::metrics;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Names of figures in a text.
fn named(text: &str) -> BTreeSet<String> {
    regex::Regex::new(r"cdrelay_[a-z_]+")
        .unwrap()
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

fn all() -> BTreeSet<String> {
    metrics::names().map(str::to_owned).into()
}

/// Parentheses, braces, brackets and quotes are closed in turn.
#[track_caller]
fn balanced(expression: &str) {
    let mut open = Vec::new();
    let mut quoted = false;
    for c in expression.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => open.push(')'),
            '{' => open.push('}'),
            '[' => open.push(']'),
            ')' | '}' | ']' => assert_eq!(open.pop(), Some(c), "{expression}"),
            _ => {}
        }
    }
    assert!(open.is_empty() && !quoted, "{expression}");
}

/// States that an expression asks for are states.
#[track_caller]
fn real_states(expression: &str) {
    let asked = regex::Regex::new("state!?=~?\"([^\"]*)\"").unwrap();
    for found in asked.captures_iter(expression) {
        for state in found[1].split('|') {
            assert!(State::parse(state).is_some(), "{expression}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_figure_and_no_other() {
    let board: Value = serde_json::from_str(&read("contrib/grafana/cdrelay.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut used = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        assert!(!panel["description"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            balanced(expression);
            real_states(expression);
            assert_eq!(
                expression.matches("job=~\"$job\"").count(),
                expression.matches("cdrelay_").count(),
                "each is asked for the chosen jobs: {expression}"
            );
            used.extend(named(expression));
        }
    }
    assert_eq!(used, all());
    for variable in board["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].to_string();
        assert!(named(&query).is_subset(&all()), "{query}");
    }
}

#[test]
fn alerts_parse_and_use_figures_that_there_are() {
    let rules = YamlLoader::load_from_str(&read("contrib/prometheus/cdrelay.rules.yml")).unwrap();
    let [document] = &rules[..] else {
        panic!("{} documents", rules.len());
    };
    let groups = document["groups"].as_vec().unwrap();
    assert_eq!(groups.len(), 1);
    let mut names = BTreeSet::new();
    let mut used = BTreeSet::new();
    for rule in groups[0]["rules"].as_vec().unwrap() {
        let text = |yaml: &Yaml| {
            yaml.as_str()
                .unwrap_or_else(|| panic!("{rule:?}"))
                .to_owned()
        };
        assert!(names.insert(text(&rule["alert"])), "{rule:?}");
        let expression = text(&rule["expr"]);
        balanced(&expression);
        real_states(&expression);
        let figures = named(&expression);
        assert!(
            !figures.is_empty() && figures.is_subset(&all()),
            "{expression}"
        );
        used.extend(figures);
        let severity = text(&rule["labels"]["severity"]);
        assert!(
            ["warning", "critical"].contains(&severity.as_str()),
            "{severity}"
        );
        let summary = text(&rule["annotations"]["summary"]);
        assert!(summary.starts_with("cdrelay {{ or $labels.exported_job $labels.job }}: "));
        assert!(!text(&rule["annotations"]["description"]).is_empty());
        let known = ["alert", "expr", "for", "labels", "annotations"];
        for key in rule.as_hash().unwrap().keys() {
            assert!(known.contains(&key.as_str().unwrap()), "{key:?}");
        }
    }
    for figure in [
        "last_success_timestamp_seconds",
        "last_run_exit_code",
        "calls",
    ] {
        assert!(used.contains(&format!("cdrelay_{figure}")), "{figure}");
    }
}

#[test]
fn readme_explains_every_figure() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Watching it\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let stated: Vec<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `cdrelay_"))
        .map(|line| format!("cdrelay_{}", line.split(['`', '{']).next().unwrap()))
        .collect();
    assert_eq!(stated, metrics::names());
}
