//! The jobs together meet every point that stands in the source text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::scenarios::ALL;

/// Points that no undisturbed job passes, and where they are met instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("signal.heard", "tests/fault_points/signals.rs"),
    ("agi.before_ask", "tests/fault_points/keyless.rs"),
    ("agi.asked", "tests/fault_points/keyless.rs"),
    ("agi.before_conclusion", "tests/fault_points/keyless.rs"),
    ("agi.concluded", "tests/fault_points/keyless.rs"),
    ("agi.before_removal", "tests/fault_points/keyless.rs"),
];

#[test]
fn every_point_of_the_source_is_met_and_there_are_many() {
    let met: BTreeSet<String> = ALL
        .iter()
        .flat_map(|scenario| scenario.passages.iter())
        .map(|passage| passage.point.clone())
        .chain(ELSEWHERE.iter().map(|(point, _)| (*point).to_owned()))
        .collect();
    let written = written();
    let never: Vec<_> = written.difference(&met).collect();
    let unknown: Vec<_> = met.difference(&written).collect();
    assert!(
        never.is_empty() && unknown.is_empty(),
        "never met: {never:?}; not in the source: {unknown:?}"
    );
    assert!(written.len() >= 40, "{} points", written.len());
    println!("{} points", written.len());
    for (point, file) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(point), "{file} has {point} no more");
    }
}

/// The names in the source text; a step stands for the three moments of its transaction.
fn written() -> BTreeSet<String> {
    let named =
        regex::Regex::new(r#"fault::(point|moment|step)!\(\s*"([a-z_.]+)""#).expect("a pattern");
    let mut names = BTreeSet::new();
    for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        for found in named.captures_iter(&text) {
            let name = &found[2];
            if &found[1] == "step" {
                let moments = ["before", "before_commit", "after_commit"];
                names.extend(moments.map(|moment| format!("{name}.{moment}")));
            } else {
                assert!(names.insert(name.to_owned()), "two points are {name}");
            }
        }
    }
    names
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
