//! What README, help texts and examples say has to be true of the program.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use cdrelay::cli::Cli;
use cdrelay::config::{self, KeyDefault, known_keys};
use cdrelay::intake::Settings;
use cdrelay::ledger::State;
use cdrelay::report::exit::Code;
use clap::CommandFactory as _;

#[path = "support/command_line.rs"]
mod command_line;
#[path = "support/shown.rs"]
mod shown;

use shown::{blocks, printed_as_shown};

/// A configuration that lacks nothing and has no rules, for pieces of one to be added to.
const BASE: &str = r#"[source]
url = "sqlite:cdr.sqlite"
timezone = "America/Caracas"
[target]
url = "http://127.0.0.1:8099"
token_file = "nimbox.token"
initiated_as = "utc"
[ledger]
path = "ledger.db"
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

fn readme() -> String {
    read("README.md")
}

/// The text without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands between single backticks.
fn quoted(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// What stands below a heading, up to the next one of its level or above.
#[track_caller]
fn section(text: &str, heading: &str) -> String {
    let level = heading.split(' ').next().unwrap();
    let (_, after) = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no `{heading}`"));
    let end = after.find(&format!("\n{level} ")).unwrap_or(after.len());
    after[..end].to_owned()
}

/// The cells of the first table with these many columns; its head is left out.
#[track_caller]
fn table(text: &str, columns: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let Some(inside) = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'))
        else {
            if rows.is_empty() {
                continue;
            }
            break;
        };
        let cells: Vec<String> = inside
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        if inside.starts_with("---") {
            rows.clear();
            continue;
        }
        assert_eq!(cells.len(), columns, "{line}");
        rows.push(cells);
    }
    assert!(!rows.is_empty(), "there is no table");
    rows
}

/// What a cell quotes, without the backticks.
fn bare(cell: &str) -> &str {
    cell.trim_matches('`')
}

fn verbs() -> Vec<String> {
    let command = Cli::command();
    command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

/// Long flags of a verb, those that every verb takes left out.
fn flags(verb: &clap::Command) -> BTreeSet<String> {
    verb.get_arguments()
        .filter(|argument| !argument.is_global_set())
        .filter_map(|argument| argument.get_long())
        .filter(|flag| !matches!(*flag, "help" | "version"))
        .map(|flag| format!("--{flag}"))
        .collect()
}

/// Loads a configuration with its secret files beside it, and builds its rules, which checks its examples.
#[track_caller]
fn accepted(name: &str, text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    for secret in [
        "db.password",
        "nimbox.token",
        "nimbox.password",
        "bgcrm.password",
    ] {
        write(secret, "secret\n");
    }
    let path = write("cdrelay.toml", text);
    let home = directory.path().to_str().unwrap().to_owned();
    let environment = move |name: &str| (name == "HOME").then(|| home.clone());
    let config = config::load(&path, &environment).unwrap_or_else(|why| panic!("{name}: {why}"));
    if let Err(why) = Settings::new(&config) {
        panic!("{name}: {why:#}");
    }
}

/// Command lines in shell blocks: `$ cdrelay …`, `sudo -u cdrelay cdrelay …`, `sudo cdrelay …`, `cargo run --release -- …`.
fn commands_in_blocks(text: &str) -> Vec<String> {
    let blocks = ["sh", "console"].map(|language| blocks(text, language));
    let lines = blocks.iter().flatten().flat_map(|block| block.lines());
    lines
        .filter_map(|line| {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            if let Some(arguments) = line.strip_prefix("cargo run --release -- ") {
                return Some(format!("cdrelay {arguments}"));
            }
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            let line = line.strip_prefix("-u cdrelay ").unwrap_or(line);
            line.starts_with("cdrelay ").then(|| line.to_owned())
        })
        .collect()
}

/// Quoted text that calls the program: `cdrelay …`, or a verb with flags.
fn commands_in_quotes(text: &str) -> Vec<String> {
    let verbs = verbs();
    quoted(text)
        .into_iter()
        .filter_map(|text| {
            let first = text.split_whitespace().next()?;
            if first == "cdrelay" && text != "cdrelay" {
                return Some(text);
            }
            let calls = verbs.iter().any(|verb| verb == first) && text.contains(" --");
            calls.then(|| format!("cdrelay {text}"))
        })
        .collect()
}

#[track_caller]
fn all_taken(commands: &[String], at_least: usize) {
    let wrong: Vec<String> = commands
        .iter()
        .filter_map(|line| command_line::taken(line).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        commands.len() >= at_least,
        "only {}: {commands:?}",
        commands.len()
    );
}

#[test]
fn every_command_line_in_readme_and_changelog_is_one_that_the_program_takes() {
    let readme = readme();
    all_taken(&commands_in_blocks(&readme), 10);
    all_taken(&commands_in_quotes(&readme), 15);
    all_taken(&commands_in_quotes(&read("CHANGELOG.md")), 3);
}

#[test]
fn every_command_that_the_program_or_an_example_points_to_exists() {
    let mut directories = vec![root().join("src"), root().join("examples")];
    let mut commands = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let quotes = text
                .lines()
                .flat_map(|line| line.split('`').skip(1).step_by(2));
            commands.extend(
                quotes
                    .filter(|quoted| quoted.starts_with("cdrelay "))
                    .map(str::to_owned),
            );
        }
    }
    all_taken(&commands, 10);
}

#[test]
fn the_command_table_has_every_verb_and_every_flag() {
    let readme = readme();
    let rows = table(&section(&readme, "## Commands"), 3);
    let listed: Vec<&str> = rows.iter().map(|row| bare(&row[0])).collect();
    let command = Cli::command();
    let verbs = verbs();
    assert_eq!(listed, verbs);
    for (row, verb) in rows.iter().zip(command.get_subcommands()) {
        let listed: BTreeSet<String> = row[1]
            .split_whitespace()
            .map(|flag| bare(flag).to_owned())
            .collect();
        assert_eq!(listed, flags(verb), "{}", verb.get_name());
    }
    for argument in command.get_arguments() {
        let flag = format!("`--{}`", argument.get_long().unwrap());
        assert!(section(&readme, "## Commands").contains(&flag), "{flag}");
    }
}

#[test]
fn every_flag_that_readme_names_exists() {
    let mut command = Cli::command();
    command.build();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for verb in command.get_subcommands() {
        let long = verb
            .get_arguments()
            .filter_map(|argument| argument.get_long());
        known.extend(long.map(|flag| format!("--{flag}")));
    }
    let mut seen = 0;
    for text in quoted(&readme())
        .iter()
        .filter(|text| text.starts_with("--"))
    {
        let flag = text.split_whitespace().next().unwrap();
        assert!(known.contains(flag), "{text}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn every_help_fits_a_screen_and_its_examples_work() {
    let command = Cli::command();
    let mut pages = vec![(vec!["--help"], false)];
    for verb in command.get_subcommands() {
        let own = verb.get_arguments().next().is_some();
        pages.push((vec![verb.get_name(), "--help"], own));
    }
    for (arguments, own) in pages {
        let output = Command::new(env!("CARGO_BIN_EXE_cdrelay"))
            .args(&arguments)
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let name = arguments[0];
        // The page that lists every verb may be somewhat longer.
        let most = if name == "--help" { 48 } else { 40 };
        assert!(
            text.lines().count() <= most,
            "{name} has {} lines",
            text.lines().count()
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        let examples: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("cdrelay "))
            // What an example is for stands behind it, after more than one blank.
            .map(|line| line.split("  ").next().unwrap().to_owned())
            .collect();
        if own {
            assert!(!examples.is_empty(), "{name} has arguments and no example");
        }
        all_taken(&examples, 0);
    }
}

#[test]
fn the_reference_is_the_list_of_keys_with_their_defaults() {
    let rows = table(&section(&readme(), "## Configuration reference"), 3);
    let stated: Vec<(String, String)> = rows
        .iter()
        .map(|row| (bare(&row[0]).to_owned(), row[1].clone()))
        .collect();
    let known: Vec<(String, String)> = known_keys()
        .iter()
        .map(|key| {
            let default = match key.default {
                KeyDefault::Required => "**required**".to_owned(),
                KeyDefault::Value(value) => format!("`{value}`"),
                KeyDefault::Words(words) => words.to_owned(),
            };
            (key.path.to_owned(), default)
        })
        .collect();
    assert_eq!(stated, known);
    let link = regex::Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    for (row, key) in rows.iter().zip(known_keys()) {
        assert!(!key.meaning.is_empty(), "{} says nothing", row[0]);
        // A manual page has no links.
        assert_eq!(link.replace_all(&row[2], "$1"), key.meaning, "{}", row[0]);
    }
}

#[test]
fn the_configurations_in_readme_are_the_files_and_load() {
    let readme = readme();
    let blocks = blocks(&readme, "toml");
    for name in ["quickstart-freepbx", "quickstart-asterisk"] {
        let file = read(&format!("examples/{name}.toml"));
        assert!(
            blocks.contains(&file),
            "README shows another text than examples/{name}.toml"
        );
    }
    for block in &blocks {
        let whole = if block.contains("[source]") {
            block.clone()
        } else {
            format!("{BASE}{block}")
        };
        accepted(block.lines().next().unwrap(), &whole);
    }
    assert_eq!(blocks.len(), 3);
}

#[test]
fn every_example_configuration_loads_and_fulfils_its_own_examples() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            accepted(&name, &fs::read_to_string(&path).unwrap());
            seen.insert(name);
        }
    }
    let expected = [
        "bgcrm.toml",
        "callback-agi.toml",
        "quickstart-asterisk.toml",
        "quickstart-collector.toml",
        "quickstart-freepbx.toml",
        "reference-keys.toml",
    ];
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn the_rules_of_the_table_do_what_it_says() {
    let rows = table(&section(&readme(), "## Numbers"), 3);
    assert!(rows.len() >= 5, "{}", rows.len());
    for row in rows {
        let settings: Vec<&str> = row[0].split('`').skip(1).step_by(2).collect();
        let verdict = match row[2].as_str() {
            "not sent" => "drop = true".to_owned(),
            sent => format!("becomes = '{}'", bare(sent)),
        };
        let text = format!(
            "{BASE}\n[[rules]]\n{}\n[[rule_tests]]\nnumber = '{}'\n{verdict}\n",
            settings.join("\n"),
            bare(&row[1])
        );
        accepted(&row[0], &text);
    }
}

#[test]
fn the_tables_of_exit_codes_and_states_are_complete() {
    let readme = readme();
    let stated: Vec<String> = table(&section(&readme, "## Exit codes"), 3)
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(stated, Code::ALL.map(|code| code.number().to_string()));
    let (_, states) = readme.split_once("\nStates of a call:\n").unwrap();
    let stated: Vec<String> = table(states, 3)
        .into_iter()
        .map(|row| bare(&row[0]).to_owned())
        .collect();
    assert_eq!(stated, State::ALL.map(|state| state.as_str().to_owned()));
}

#[test]
fn the_table_of_crates_is_the_manifests() {
    let rows = table(&section(&readme(), "## Crates, and why"), 2);
    let stated: BTreeSet<String> = rows.iter().map(|row| bare(&row[0]).to_owned()).collect();
    assert_eq!(stated.len(), rows.len(), "a crate stands there twice");
    let manifest = read("Cargo.toml");
    let needed: BTreeSet<String> = ["[dependencies]", "[dev-dependencies]"]
        .iter()
        .flat_map(|heading| {
            let (_, after) = manifest.split_once(&format!("\n{heading}\n")).unwrap();
            after.lines().take_while(|line| !line.starts_with('['))
        })
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
        .collect();
    assert_eq!(stated, needed);
}

/// The name of every test in a file of Rust, as the text has them.
fn tests_in(file: &str) -> BTreeSet<String> {
    let text = read(file);
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = line.split_once("fn ").map(|(_, rest)| rest) {
            if is_test {
                let end = name.find(['(', '<']).unwrap_or(name.len());
                found.insert(name[..end].to_owned());
            }
            is_test = false;
        }
    }
    found
}

/// The tests that a document names by file and name are there, and so are the files.
#[track_caller]
fn names_real_tests(document: &str, at_least: usize) {
    let text = read(document);
    let names: Vec<String> = quoted(&text)
        .into_iter()
        .filter(|word| word.contains(".rs::"))
        .collect();
    assert!(
        names.len() >= at_least,
        "only {} tests are named",
        names.len()
    );
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| {
            let (file, test) = name.split_once("::").unwrap();
            let path = root().join(file);
            !path.exists() || !tests_in(file).contains(test)
        })
        .collect();
    assert!(missing.is_empty(), "{document} names {missing:#?}");
    for path in quoted(&text)
        .iter()
        .filter(|word| word.starts_with("src/") && !word.contains("::"))
    {
        assert!(root().join(path).exists(), "{document} names {path}");
    }
}

#[test]
fn every_test_that_security_md_names_is_there() {
    names_real_tests("SECURITY.md", 30);
}

#[test]
fn every_promise_has_a_test_that_is_there() {
    names_real_tests("tests/PROMISES.md", 30);
    let text = read("tests/PROMISES.md");
    for promise in 1..=19 {
        assert!(text.contains(&format!("\n| P{promise} |")), "P{promise}");
    }
}

/// A patch that breaks a promise on purpose says what it breaks and by which test that is noticed, and what it takes away
/// is still there.
#[test]
fn what_is_broken_on_purpose_is_still_there_to_break() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("tests/broken")).unwrap() {
        let path = entry.unwrap().path();
        let patch = fs::read_to_string(&path).unwrap();
        let name = path.display();
        count += 1;
        let (head, hunks) = patch.split_once("diff --git").expect("a patch");
        let test = head
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("Test: "));
        assert!(test.is_some(), "{name} names no test");
        let file = hunks
            .lines()
            .find_map(|line| line.strip_prefix("--- a/"))
            .expect("a file");
        let source = read(file);
        for hunk in hunks.split("\n@@").skip(1) {
            let before: String = hunk
                .lines()
                .skip(1)
                .filter(|line| !line.starts_with('+'))
                .map(|line| format!("{}\n", line.get(1..).unwrap_or_default()))
                .collect();
            assert!(
                source.contains(&before),
                "{name}: {file} has changed:\n{before}"
            );
        }
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn every_link_of_readme_leads_somewhere() {
    let readme = readme();
    let text = prose(&readme);
    let headings: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            let words = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-");
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == '-')
                .collect()
        })
        .collect();
    let mut seen = 0;
    for link in text.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        match link.strip_prefix('#') {
            Some(heading) => assert!(headings.contains(heading), "{link}"),
            None => assert!(root().join(link).exists(), "{link}"),
        }
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
    for path in quoted(&readme) {
        if ["src/", "examples/", "contrib/", "tests/"]
            .iter()
            .any(|start| path.starts_with(start))
        {
            assert!(root().join(&path).exists(), "{path}");
        }
    }
}

#[test]
fn the_demonstration_prints_what_readme_shows() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cdrelay"))
            .args(arguments)
            .current_dir(directory.path())
            .env_remove("CDRELAY_CONFIG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let readme = readme();
    let shown = blocks(&readme, "console");
    let [demo, explain] = &shown[..] else {
        panic!("{} blocks", shown.len());
    };
    let printed = run(&["demo", "--dir", "demo"]);
    printed_as_shown(demo.split_once('\n').unwrap().1, &printed);
    let [first, second, shown] = explain.splitn(3, '\n').collect::<Vec<_>>()[..] else {
        panic!("{explain}");
    };
    assert_eq!(first, "$ cargo run --release -- demo --dir demo");
    let words: Vec<&str> = second
        .strip_prefix("$ cdrelay ")
        .unwrap()
        .split(' ')
        .collect();
    assert_eq!(run(&words).trim_end(), shown.trim_end());
}

#[test]
#[should_panic(expected = "the program does not print")]
fn a_line_that_is_not_printed_would_be_noticed() {
    printed_as_shown("[…]\ncalls 12: 12 created", "calls 7: 7 unchanged\n");
}

#[test]
#[should_panic(expected = "unexpected argument '--fast'")]
fn a_flag_that_does_not_exist_would_be_noticed() {
    all_taken(&commands_in_quotes("Run `sync --fast` now."), 1);
}
