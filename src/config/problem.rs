//! What is wrong with a configuration: all of it, with the lines where it stands.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use crate::text::Shown;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Line in the file, counted from 1; `None` where the problem stands on no line.
    pub line: Option<usize>,
    /// The setting concerned, such as `source.timezone` or `rules[2].regex`; empty where it is the file as a whole.
    pub key: String,
    /// What is wrong and what to do: one sentence, free of secrets.
    pub message: String,
}

/// Everything that is wrong with one configuration file.
///
/// `Display` gives one line a problem, `FILE:LINE: message`, sorted by line; those without a line come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, as it was named.
    pub path: PathBuf,
    /// At least one problem, sorted by line.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Sorts the problems by line and leaves out repeated ones.
    #[must_use]
    pub fn new(path: PathBuf, problems: Vec<Problem>) -> Self {
        let mut once: Vec<Problem> = Vec::with_capacity(problems.len());
        let mut seen = HashSet::new();
        for problem in problems {
            if seen.insert(problem.clone()) {
                once.push(problem);
            }
        }
        once.sort_by_key(|problem| problem.line);
        Self {
            path,
            problems: once,
        }
    }
}

impl ConfigErrors {
    /// One line a problem, in the order of the file; nothing in them can begin a line of its own.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let file = self.path.display().to_string();
        self.problems
            .iter()
            .map(|problem| {
                let (file, message) = (Shown(&file), Shown(&problem.message));
                match problem.line {
                    Some(line) => format!("{file}:{line}: {message}"),
                    None => format!("{file}: {message}"),
                }
            })
            .collect()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}
