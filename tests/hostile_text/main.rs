//! Nothing that a PBX, a CRM, a file name or an argument holds reaches a terminal or a log raw: every verb of the real
//! program, in text and in JSON, at full volume.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking; the support files serve several tests"
)]

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/unruly.rs"]
mod unruly;

mod arguments;
mod crm;
mod csv;
mod database;

use std::process::Output;

use program::Program;

/// Something of everything that changes what a terminal shows, or begins a line, and a line that must never be one.
pub const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\nFORGED\n\rFORGED\u{2028}FORGED\u{85}\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{8}\u{7f}\u{e0041}z";

/// The same without control characters, for places that take none, such as the values of a configuration.
pub const MARKS: &str = "\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{2028}FORGED\u{e0041}z";

/// An own opinion on what must not be shown, by Unicode's categories Cc, Cf, Zl, Zp and a few that draw nothing.
fn is_raw(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2064
            | 0x2066..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Neither stream holds anything but visible text and line feeds of our own.
#[track_caller]
pub fn clean(what: &str, output: &Output) {
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = std::str::from_utf8(bytes)
            .unwrap_or_else(|error| panic!("{what}: {name} is no UTF-8: {error}: {bytes:?}"));
        if let Some(c) = text.chars().find(|c| *c != '\n' && is_raw(*c)) {
            panic!("{what}: {name} holds {c:?}: {text:?}");
        }
        let forged = text
            .lines()
            .find(|line| line.trim_start().starts_with("FORGED"));
        assert_eq!(
            forged, None,
            "{what}: {name} has a line of somebody else's: {text}"
        );
    }
    let code = output.status.code();
    assert!(
        code.is_some() && code != Some(1) && code != Some(101),
        "{what}: {output:?}"
    );
}

/// Runs a verb as text, as JSON, at full volume and quietly; gives everything that was printed.
#[track_caller]
pub fn every_way(program: &Program, args: &[&str]) -> String {
    let mut printed = String::new();
    for more in [&["-vvv"][..], &["-vvv", "--output", "json"], &["--quiet"]] {
        let mut all = args.to_vec();
        // In front, so that they are not taken for numbers behind `--`.
        all.splice(1..1, more.iter().copied());
        let output = program.command(&all).output().unwrap();
        clean(&format!("{all:?}"), &output);
        if more.contains(&"json") && output.status.code() != Some(2) {
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap_or_else(|error| panic!("{all:?}: {error}: {line}"));
            }
        }
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    printed
}

#[test]
fn a_raw_text_would_be_noticed() {
    let output = |stdout: &[u8], stderr: &[u8]| Output {
        status: std::os::unix::process::ExitStatusExt::from_raw(0),
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
    };
    let noticed = |output: Output| std::panic::catch_unwind(|| clean("x", &output)).is_err();
    assert!(!noticed(output(b"a \\u{1b}[2J b\n", "señor\n".as_bytes())));
    for c in HOSTILE
        .chars()
        .filter(|c| !c.is_ascii_graphic() && *c != '\n')
    {
        assert!(noticed(output(c.to_string().as_bytes(), b"")), "{c:?}");
        assert!(noticed(output(b"", c.to_string().as_bytes())), "{c:?}");
    }
    assert!(noticed(output(b"x\xff", b"")));
    assert!(noticed(output(b"x\n  FORGED", b"")));
}
