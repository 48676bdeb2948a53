//! A machine to be found out about: files below a directory that stands for `/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::{Ran, private};

pub struct Machine {
    pub root: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/asterisk")).unwrap();
        Self { root }
    }

    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.path().join(absolute.trim_start_matches('/'))
    }

    pub fn write(&self, absolute: &str, text: &str) -> PathBuf {
        let path = self.path(absolute);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        private(&path);
        path
    }

    pub fn read(&self, absolute: &str) -> String {
        fs::read_to_string(self.path(absolute)).unwrap()
    }

    /// The program, with this machine as its root where the verb asks for one.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdrelay"));
        command
            .env_clear()
            .env("HOME", self.root.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.root.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// `init` on this machine.
    pub fn init(&self, arguments: &[&str]) -> Ran {
        let root = self.root.path().to_str().unwrap();
        let mut all = vec!["init", "--root", root];
        all.extend(arguments);
        self.run(&all)
    }

    /// A verb with the configuration that `init` writes.
    pub fn cdrelay(&self, arguments: &[&str]) -> Ran {
        let config = self.path(CONFIG);
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend(arguments);
        self.run(&all)
    }

    /// What a run said, this machine's directory written as `ROOT`.
    pub fn plain(&self, text: &str) -> String {
        text.replace(self.root.path().to_str().unwrap(), "ROOT")
    }

    /// Names of everything in a directory, sorted.
    pub fn listing(&self, absolute: &str) -> Vec<String> {
        listing(&self.path(absolute))
    }
}

/// The configuration that `init` writes.
pub const CONFIG: &str = "/etc/cdrelay/cdrelay.toml";

fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
