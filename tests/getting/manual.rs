//! What is made from the command line: manual pages and shell completions, read by the programs that they are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cdrelay::cli::Cli;
use cdrelay::config::known_keys;
use clap::CommandFactory as _;

use super::here;

/// Every shell that clap_complete knows.
const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn cdrelay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cdrelay"))
        .args(arguments)
        .output()
        .unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = cdrelay(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn manual() -> (tempfile::TempDir, BTreeSet<String>) {
    let directory = tempfile::tempdir().unwrap();
    let names = printed(&["man", "--dir", directory.path().to_str().unwrap()]);
    (directory, names.lines().map(str::to_owned).collect())
}

/// A page as a reader on a terminal sees it, and what the formatter complained about.
fn formatted(page: &Path, groff: &Path) -> (String, String) {
    let output = Command::new(groff)
        .args(["-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=100n"])
        .arg(page)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn there_is_a_page_for_every_command_and_one_for_the_configuration() {
    let (directory, names) = manual();
    let mut expected: BTreeSet<String> = Cli::command()
        .get_subcommands()
        .map(|verb| format!("cdrelay-{}.1", verb.get_name()))
        .collect();
    expected.insert("cdrelay.1".to_owned());
    expected.insert("cdrelay.toml.5".to_owned());
    assert_eq!(names, expected);
    let written: BTreeSet<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(written, expected);
    let first = fs::read_to_string(directory.path().join("cdrelay.1")).unwrap();
    assert_eq!(printed(&["man"]), first, "without --dir it goes to stdout");
}

#[test]
fn every_page_names_every_flag_and_every_key() {
    let (directory, _) = manual();
    let command = Cli::command();
    for verb in command.get_subcommands() {
        let name = format!("cdrelay-{}.1", verb.get_name());
        // troff writes a hyphen that is not a dash with a backslash.
        let page = fs::read_to_string(directory.path().join(&name))
            .unwrap()
            .replace("\\-", "-");
        for flag in verb
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
            .filter_map(|argument| argument.get_long())
        {
            assert!(page.contains(&format!("--{flag}")), "{name}: --{flag}");
        }
        for heading in [
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH \"EXIT STATUS\"",
            ".SH FILES",
        ] {
            assert!(page.contains(heading), "{name}: {heading}\n{page}");
        }
    }
    let page = fs::read_to_string(directory.path().join("cdrelay.toml.5")).unwrap();
    for key in known_keys() {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(page.contains(&format!("\\fB{name}\\fR")), "{}", key.path);
    }
}

#[test]
fn every_page_is_read_without_a_complaint() {
    let (directory, names) = manual();
    for name in &names {
        let text = fs::read(directory.path().join(name)).unwrap();
        assert!(text.is_ascii(), "{name} needs a charset");
    }
    if let Some(groff) = here("groff") {
        for name in &names {
            let (shown, complaints) = formatted(&directory.path().join(name), &groff);
            assert_eq!(complaints, "", "{name}");
            assert!(shown.lines().count() > 20, "{name}:\n{shown}");
        }
        let (shown, _) = formatted(&directory.path().join("cdrelay-sync.1"), &groff);
        assert!(
            shown.contains("cdrelay sync --full                   nightly"),
            "{shown}"
        );
        assert!(shown.contains("the next run goes on"), "{shown}");
        let (shown, _) = formatted(&directory.path().join("cdrelay.toml.5"), &groff);
        assert!(shown.contains("\"200h\""), "{shown}");
    }
    if let Some(mandoc) = here("mandoc") {
        for name in &names {
            let output = Command::new(&mandoc)
                .args(["-T", "lint", "-W", "error"])
                .arg(directory.path().join(name))
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {output:?}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let wanted = directory.path().join("file/below");
    let output = cdrelay(&["man", "--dir", wanted.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "cdrelay: cannot write {}: Not a directory (os error 20); give another --dir\n",
            wanted.display()
        )
    );
}

#[test]
fn every_shell_gets_a_script_that_names_every_command() {
    for shell in SHELLS {
        let script = printed(&["completions", shell]);
        for verb in Cli::command().get_subcommands() {
            assert!(
                script.contains(verb.get_name()),
                "{shell}: {}",
                verb.get_name()
            );
        }
        // What would be invisible on a terminal is shown escaped, which a shell would not understand.
        assert!(!script.contains("\\u{"), "{shell}");
        assert!(!script.contains("\\t") || shell != "bash", "{shell}");
    }
    let refused = cdrelay(&["completions", "tcsh"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// What bash offers for the last of these words.
fn offered(words: &str) -> BTreeSet<String> {
    let script = printed(&["completions", "bash"]);
    let mut bash = Command::new("bash")
        .args(["--norc", "--noprofile", "-s", "--", words])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = format!(
        "{script}\n\
         COMP_WORDS=($1)\n\
         case \"$1\" in *' ') COMP_WORDS+=('') ;; esac\n\
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
         _cdrelay cdrelay \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    std::io::Write::write_all(bash.stdin.as_mut().unwrap(), asked.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_real_bash_completes_commands_and_flags() {
    if here("bash").is_none() {
        return;
    }
    let script = printed(&["completions", "bash"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cdrelay.bash");
    fs::write(&file, script).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&file).output().unwrap();
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );

    let one = |word: &str| BTreeSet::from([word.to_owned()]);
    assert_eq!(offered("cdrelay sy"), one("sync"));
    assert_eq!(offered("cdrelay sync --dry"), one("--dry-run"));
    assert_eq!(offered("cdrelay sync --no-such"), one(""));
    let verbs: BTreeSet<String> = Cli::command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    assert!(offered("cdrelay ").is_superset(&verbs));
}
