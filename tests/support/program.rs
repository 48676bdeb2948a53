//! Runs the real program, with nothing of the developer's environment.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A directory with a configuration, and the program to run on it.
#[derive(Debug)]
pub struct Program {
    pub dir: tempfile::TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// A configuration file of this text, with mode 0600, beside a token file for the sandbox's.
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let program = Self { dir };
        program.write("crm.token", "sandbox\n");
        program.configure(config);
        program
    }

    pub fn configure(&self, config: &str) {
        self.write("cdrelay.toml", config);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that only its owner can read.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        private(&path);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(&["--config", "cdrelay.toml"]);
        command.args(args);
        command
    }

    /// The same, without naming a configuration.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdrelay"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the program starts"))
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Runs with `--output json` and gives the object; the exit code must be the expected one and the one printed.
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let mut args = args.to_vec();
        args.extend(["--output", "json"]);
        let ran = self.run(&args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        let value: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(value["exit"]["code"], code, "{value}");
        value
    }

    /// A `sync` whose figures must add up as the interface says.
    #[track_caller]
    pub fn sync(&self, args: &[&str], code: i32) -> Value {
        let mut all = vec!["sync"];
        all.extend(args);
        let report = self.json(&all, code);
        check_sums(&report);
        report
    }
}

impl Ran {
    /// Runs a command with this on its stdin.
    #[track_caller]
    pub fn fed(command: &mut Command, input: &[u8]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Self::of(child.wait_with_output().unwrap())
    }

    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `rows.read = sum(skipped) + merged + calls.total`, and `calls.total` is the sum of its parts.
#[track_caller]
pub fn check_sums(report: &Value) {
    let sum = |object: &Value| -> u64 {
        object
            .as_object()
            .expect("an object")
            .iter()
            .filter(|(key, _)| *key != "total")
            .map(|(_, n)| n.as_u64().expect("a count"))
            .sum()
    };
    let rows = &report["rows"];
    let calls = &report["calls"];
    assert_eq!(calls["total"].as_u64(), Some(sum(calls)), "{report}");
    assert_eq!(
        rows["read"].as_u64(),
        Some(
            sum(&rows["skipped"])
                + rows["merged"].as_u64().expect("a count")
                + calls["total"].as_u64().expect("a count")
        ),
        "{report}"
    );
}

/// Makes a file readable by its owner alone.
pub fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
}
