//! Arguments and configurations come from people, and from scripts that got them elsewhere.

use super::scene::{Scene, sandbox};
use super::{HOSTILE, MARKS, Program, every_way};

#[test]
fn numbers_to_explain_are_shown_escaped() {
    let crm = sandbox();
    let scene = Scene::generated(5, 42);
    scene.point_at_with(crm.url.as_str(), |text| {
        text.replace(
            "name = \"outside line\"",
            &format!("name = \"outside{MARKS}\""),
        )
        .replace(
            "[target]",
            &format!("[[rules]]\nmatch = \"_{MARKS}.\"\ndrop = true\n[target]"),
        )
    });
    let number = format!("9555{HOSTILE}");
    for args in [
        &["explain", HOSTILE, &number][..],
        &["explain", "--source", HOSTILE],
    ] {
        let printed = every_way(&scene.program, args);
        assert!(printed.contains("\\u{1b}[2J"), "{printed}");
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_shown_escaped() {
    let crm = sandbox();
    let scene = Scene::generated(5, 43);
    scene.point_at(crm.url.as_str());
    let flag = format!("--{HOSTILE}");
    for args in [
        &["sync", HOSTILE][..],
        &["sync", &flag],
        &[HOSTILE],
        &["sync", "--since", HOSTILE],
        &["sync", "--until", HOSTILE],
        &["sync", "--max-runtime", HOSTILE],
        &["calls", "--state", HOSTILE],
        &["calls", "--since", HOSTILE],
        &["delete", "--from", HOSTILE, "--to", HOSTILE],
        &["sandbox", "--listen", HOSTILE],
        &["sandbox", "--contacts", HOSTILE],
        &["sandbox", "--token-file", HOSTILE],
        &["sync", "--output", HOSTILE],
    ] {
        let output = scene.program.command(args).output().unwrap();
        super::clean(&format!("{args:?}"), &output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let named = format!("no{}", HOSTILE.replace('/', ""));
    let output = scene
        .program
        .bare(&["check", "--config", &named])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    super::clean("a configuration that is not there", &output);
}

#[test]
fn a_hostile_configuration_is_refused_in_lines_of_our_own() {
    // What JSON escapes, TOML reads alike.
    let toml = serde_json::to_string(HOSTILE).unwrap();
    let crm = sandbox();
    for (section, key) in [
        ("source", "url"),
        ("source", "timezone"),
        ("source", "table"),
        ("source", "tls"),
        ("source.columns", "source"),
        ("select", "lookback"),
        ("target", "url"),
        ("target", "kind"),
        ("target", "initiated_as"),
        ("target", "recording_url"),
        ("target", "token_file"),
        ("monitor", "ping_url"),
    ] {
        for value in [&toml, &format!("\"x{MARKS}\"")] {
            let program = Program::new(&format!(
                "{MARKS} = 1\n[{section}]\n{key} = {value}\n\"{MARKS}\" = 2\n"
            ));
            let printed = every_way(&program, &["check"]);
            assert!(!printed.is_empty(), "{section}.{key}");
        }
    }
    // A rule that fails its example.
    let scene = Scene::generated(5, 44);
    scene.point_at_with(crm.url.as_str(), |text| {
        format!("{text}\n[[rule_tests]]\nnumber = \"9{MARKS}\"\nbecomes = \"{MARKS}\"\n[[rule_tests]]\nnumber = \"95550142\"\nbecomes = \"1\"\n")
    });
    let printed = every_way(&scene.program, &["sync"]);
    assert!(
        printed
            .lines()
            .filter(|line| line.contains("cdrelay.toml:"))
            .count()
            >= 2,
        "{printed}"
    );
}

#[test]
fn a_folder_for_the_demonstration_is_shown_escaped() {
    let program = Program::new("");
    let folder = format!("demo{}", HOSTILE.replace('/', ""));
    let output = program
        .command(&["demo", "--dir", &folder])
        .output()
        .unwrap();
    super::clean("demo", &output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
