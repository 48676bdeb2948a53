//! The lines of a check, and what they come to.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::report::exit::{Code, Exit};
use crate::text::{Shown, count};

/// How one line turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    Warning,
    Failed,
}

impl Mark {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One line.
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// The lines so far, and the code that `sync` would end with.
pub(super) struct Findings {
    pub(super) lines: Vec<Line>,
    pub(super) exit: Exit,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self {
            lines: Vec::new(),
            exit: Exit::new(Code::Settled, "everything is ready"),
        }
    }

    /// Names of columns, indexes and files stand in these texts: each is made safe to show, and stays one line.
    pub(super) fn ok(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.add(what, Mark::Ok, Shown(text.as_ref()).to_string());
    }

    pub(super) fn warn(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.add(what, Mark::Warning, Shown(text.as_ref()).to_string());
    }

    pub(super) fn fail(&mut self, what: &'static str, exit: Exit) {
        self.add(what, Mark::Failed, exit.reason.clone());
        let current = std::mem::replace(&mut self.exit, Exit::new(Code::Settled, ""));
        self.exit = current.worse(exit);
    }

    fn add(&mut self, what: &'static str, mark: Mark, text: String) {
        self.lines.push(Line { what, mark, text });
    }

    /// How many lines have this mark.
    pub(super) fn count(&self, mark: Mark) -> u64 {
        self.lines.iter().filter(|line| line.mark == mark).count() as u64
    }

    pub(super) fn headline(&self) -> String {
        match (self.count(Mark::Failed), self.count(Mark::Warning)) {
            (0, 0) => "Everything is ready.".to_owned(),
            (0, n) => format!("Ready, with {}.", count(n, "warning")),
            (n, _) => format!("Not ready: {} failed.", count(n, "check")),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.headline());
        for line in &self.lines {
            let mut parts = line.text.lines();
            let _ = writeln!(
                text,
                "  {:<8} {:<14} {}",
                line.mark.as_str(),
                line.what,
                Shown(parts.next().unwrap_or_default())
            );
            for more in parts {
                let _ = writeln!(text, "  {:<8} {:<14} {}", "", "", Shown(more));
            }
        }
        text
    }

    pub(super) fn object(&self, job: Option<&str>) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(
                |line| json!({"check": line.what, "result": line.mark.as_str(), "text": line.text}),
            )
            .collect();
        json!({"job": job, "checks": lines, "exit": self.exit})
    }
}
