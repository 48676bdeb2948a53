//! Which lines of cron run a script: crontab(5), Debian's folders of scripts, and the users' own tables.

use std::path::{Path, PathBuf};

use super::{Machine, text};

/// Tables with a user in the sixth field.
const TABLES: [&str; 1] = ["/etc/crontab"];
const TABLE_FOLDERS: [&str; 1] = ["/etc/cron.d"];

/// Tables of users, named like them: Debian's folder, and that of Red Hat's cronie.
const USER_FOLDERS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// Folders of scripts that are run as a whole.
const SCRIPT_FOLDERS: [&str; 2] = ["/etc/cron.hourly", "/etc/cron.daily"];

/// Most files of a folder that are looked at.
const MOST_FILES: usize = 1000;

/// A line that runs the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronLine {
    /// The table, or the script in one of the folders.
    pub file: PathBuf,
    /// Which line; 0 for a script as a whole.
    pub line: usize,
    /// The line itself. Hostile text.
    pub text: String,
    /// Whether a user's name stands before the command.
    pub names_user: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct CronLines {
    /// In the order of the files.
    pub lines: Vec<CronLine>,
    /// Tables and folders that may not be read.
    pub unreadable: Vec<PathBuf>,
}

/// Every line that runs a program called `script` (with any ending), or a file that itself names it.
#[must_use]
pub fn lines_running(machine: &Machine, script: &str) -> CronLines {
    let mut found = CronLines::default();
    for table in TABLES {
        found.table(machine, &machine.path(table), script, true);
    }
    for folder in TABLE_FOLDERS {
        for file in found.files(&machine.path(folder)) {
            found.table(machine, &file, script, true);
        }
    }
    for folder in USER_FOLDERS {
        for file in found.files(&machine.path(folder)) {
            found.table(machine, &file, script, false);
        }
    }
    for folder in SCRIPT_FOLDERS {
        for file in found.files(&machine.path(folder)) {
            let named = file
                .file_name()
                .is_some_and(|name| is_script(&name.to_string_lossy(), script));
            if named || text(&file).is_some_and(|text| mentions(&text, script)) {
                let line = format!("run as a whole by {folder}");
                found.lines.push(CronLine {
                    file,
                    line: 0,
                    text: line,
                    names_user: false,
                });
            }
        }
    }
    found
}

impl CronLines {
    fn table(&mut self, machine: &Machine, file: &Path, script: &str, names_user: bool) {
        if !file.is_file() {
            return;
        }
        let Some(text) = text(file) else {
            self.unreadable.push(file.to_owned());
            return;
        };
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') && runs(machine, line, script) {
                self.lines.push(CronLine {
                    file: file.to_owned(),
                    line: n + 1,
                    text: line.to_owned(),
                    names_user,
                });
            }
        }
    }

    /// The regular files of a folder, sorted.
    fn files(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.unreadable.push(folder.to_owned());
                }
                return Vec::new();
            }
        };
        let mut files: Vec<PathBuf> = entries
            .take(MOST_FILES)
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files
    }
}

/// Whether one of a line's words is the script, or a file that names it: the script's own page tells to run it from
/// another one, which chooses between the hourly and the nightly run.
fn runs(machine: &Machine, line: &str, script: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "'\";&|()<>`".contains(c);
    line.split(ends)
        .filter(|word| !word.is_empty())
        .any(|word| {
            let name = word.rsplit('/').next().unwrap_or(word);
            is_script(name, script)
                || (word.starts_with('/')
                    && text(&machine.path(word)).is_some_and(|text| mentions(&text, script)))
        })
}

/// `phonecalls`, `phonecalls.pl`
fn is_script(name: &str, script: &str) -> bool {
    name.strip_prefix(script)
        .is_some_and(|ending| ending.is_empty() || ending.starts_with('.'))
}

fn mentions(text: &str, script: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "'\";&|()<>`/".contains(c);
    text.split(ends).any(|word| is_script(word, script))
}
