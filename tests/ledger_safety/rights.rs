//! A ledger, a lock or a directory that the user may not write, and a file system that is read-only.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::Ran;
use super::prompt::ended;
use super::scene::{Scene, said, sandbox};

/// The number of the user `nobody` on every common system.
const NOBODY: u32 = 65_534;

/// A scene whose calls are all delivered, of a user who is not root, and a command that runs the program as that user.
struct Unprivileged {
    scene: Scene,
    /// As root: the program, where that user can run it.
    copy: Option<PathBuf>,
}

impl Unprivileged {
    fn new(crm: &str) -> Self {
        let scene = Scene::generated(30, 90);
        scene.point_at(crm);
        scene.program.sync(&["--full"], 0);
        let dir = scene.program.dir.path().to_owned();
        let id = Command::new("id").arg("-u").output().unwrap();
        let root = String::from_utf8_lossy(&id.stdout).trim() == "0";
        let copy = root.then(|| {
            let copy = dir.join("program");
            let real = env!("CARGO_BIN_EXE_cdrelay");
            if std::fs::hard_link(real, &copy).is_err() {
                // Not by this process: the child that another test starts in this moment would have the file open for
                // writing for a while, and such a file cannot be executed.
                let copied = Command::new("cp").arg(real).arg(&copy).status().unwrap();
                assert!(copied.success());
            }
            for entry in std::fs::read_dir(&dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name() != "program" {
                    chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
                }
            }
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
            copy
        });
        Self { scene, copy }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let dir = self.scene.program.dir.path();
        let mut command = match &self.copy {
            Some(copy) => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                    .arg(copy);
                command
            }
            None => Command::new(env!("CARGO_BIN_EXE_cdrelay")),
        };
        command
            .env_clear()
            .env("HOME", dir)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(dir)
            .args(["--config", "cdrelay.toml"])
            .args(args)
            .stdin(Stdio::null());
        ended(command, &format!("{args:?}"))
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// With these modes, `sync` and `check` end with 12 and this text; with `None` they work.
#[track_caller]
fn refused(modes: &[(&str, u32)], sync: &str, check: &str) {
    let crm = sandbox();
    let user = Unprivileged::new(crm.url.as_str());
    assert_eq!(user.run(&["sync", "--full"]).code, 0, "as it should be");
    let before = crm.stats().requests;
    let dir = user.scene.program.dir.path().to_owned();
    for (name, bits) in modes {
        mode(&dir.join(name), *bits);
    }
    let ran = user.run(&["sync"]);
    said(&user.scene.program, &ran, 12, "", sync);
    let ran = user.run(&["check", "--output", "json"]);
    assert_eq!(ran.code, 12, "{ran:?}");
    let text = ran.stdout.replace(&dir.display().to_string(), "DIR");
    assert!(text.contains(check), "{text}");
    assert!(
        crm.stats().requests <= before + 1,
        "check alone asks the CRM"
    );
    for (name, _) in modes {
        let bits = if name.is_empty() { 0o700 } else { 0o600 };
        mode(&dir.join(name), bits);
    }
    assert_eq!(user.run(&["sync", "--full"]).code, 0);
    assert_eq!(crm.calls().len(), user.scene.golden().len());
}

#[test]
fn a_ledger_that_this_user_may_not_read_or_write_is_refused() {
    refused(
        &[("ledger.db", 0o400)],
        "cdrelay: the ledger `DIR/ledger.db` is not writable; run as the user who owns it: Permission denied (os error 13)\n",
        "the ledger `DIR/ledger.db` is not writable; run as the user who owns it: Permission denied (os error 13)",
    );
    refused(
        &[("ledger.db", 0o000)],
        "cdrelay: cannot read `DIR/ledger.db`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)\n",
        "the ledger `DIR/ledger.db` is not writable; run as the user who owns it: Permission denied (os error 13)",
    );
}

#[test]
fn a_lock_that_this_user_may_not_write_is_refused() {
    refused(
        &[("ledger.db.lock", 0o400)],
        "cdrelay: cannot open `DIR/ledger.db.lock`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)\n",
        "cannot open `DIR/ledger.db.lock`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)",
    );
}

#[test]
fn a_directory_that_this_user_may_not_write_is_refused() {
    refused(
        &[("", 0o500)],
        "cdrelay: the ledger `DIR/ledger.db` cannot be opened for writing; run as the user who owns it, let that user write its directory, and see that its disk has room for another file: attempt to write a readonly database: Error code 1544: attempt to write a readonly database\n",
        "cannot create a file in `DIR`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)",
    );
}

#[test]
fn a_first_run_in_a_directory_that_this_user_may_not_write_is_refused() {
    let crm = sandbox();
    let user = Unprivileged::new(crm.url.as_str());
    let before = crm.stats().requests;
    let program = &user.scene.program;
    for name in ["ledger.db", "ledger.db.lock"] {
        std::fs::remove_file(program.path(name)).unwrap();
    }
    mode(program.dir.path(), 0o500);
    said(
        program,
        &user.run(&["sync"]),
        12,
        "",
        "cdrelay: cannot open `DIR/ledger.db.lock`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)\n",
    );
    let ran = user.run(&["check", "--output", "json"]);
    assert_eq!(ran.code, 12, "{ran:?}");
    let text = ran
        .stdout
        .replace(&program.dir.path().display().to_string(), "DIR");
    assert!(
        text.contains("cannot create a file in `DIR`: no permission; run as the user who owns the ledger, or set `ledger.path`: Permission denied (os error 13)"),
        "{text}"
    );
    assert!(crm.stats().requests <= before + 1);
    mode(program.dir.path(), 0o700);
    assert_eq!(user.run(&["sync", "--full"]).code, 0);
    assert_eq!(crm.calls().len(), user.scene.golden().len());
}
