//! Where the problems of one document are collected, and what was asked of it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::problem::Problem;

/// The problem is in the report already: whoever gets this has nothing to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported;

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// Where problems are collected, for one document.
#[derive(Debug)]
pub(super) struct Report {
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
    secrets: RefCell<Vec<Found<String>>>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            line_starts,
            problems: RefCell::default(),
            asked: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// The line, from 1, that a byte of the document stands on.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= byte)
    }

    pub(super) fn add(
        &self,
        line: Option<usize>,
        key: &str,
        message: impl Into<String>,
    ) -> Reported {
        self.problems.borrow_mut().push(Problem {
            line,
            key: key.to_owned(),
            message: message.into(),
        });
        Reported
    }

    /// Notes that a secret itself stands in the document, so that its file must be its owner's alone.
    pub(super) fn holds_secret(&self, line: usize, key: &str) {
        self.secrets.borrow_mut().push(Found {
            value: key.to_owned(),
            line,
        });
    }

    pub(super) fn first_secret(&self) -> Option<Found<String>> {
        let secrets = self.secrets.borrow();
        secrets.iter().min_by_key(|found| found.line).cloned()
    }

    /// Notes that a key was asked for.
    pub(super) fn ask(&self, key: String) {
        self.asked.borrow_mut().insert(key);
    }

    /// Every key that was asked for, as [`super::known_keys`] spells them.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
