//! The exit codes: one enum, one number each, one place that ranks them.

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::text::Shown;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Everything in the window is settled.
    Settled,
    /// A bug.
    Internal,
    /// Usage, or invalid configuration.
    Usage,
    /// Finished, and a person should look.
    Look,
    /// Incomplete; the next run goes on.
    Incomplete,
    /// The source could not be read.
    Source,
    /// The CRM does not speak as agreed.
    Crm,
    /// The ledger is missing or empty where there was one.
    LedgerMissing,
    /// Another run holds the lock.
    Locked,
    /// The ledger is unusable.
    LedgerUnusable,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Code {
    /// Every code, by its number.
    pub const ALL: [Self; 12] = [
        Self::Settled,
        Self::Internal,
        Self::Usage,
        Self::Look,
        Self::Incomplete,
        Self::Source,
        Self::Crm,
        Self::LedgerMissing,
        Self::Locked,
        Self::LedgerUnusable,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Settled => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Look => 3,
            Self::Incomplete => 4,
            Self::Source => 5,
            Self::Crm => 6,
            Self::LedgerMissing => 10,
            Self::Locked => 11,
            Self::LedgerUnusable => 12,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Where several apply, the highest wins: signals, then what needs a person at once (1, 2, 6, 10, 12, and 11, which
    /// never meets another), then 5, 4, 3, 0.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Settled => 0,
            Self::Look => 1,
            Self::Incomplete => 2,
            Self::Source => 3,
            Self::Locked => 4,
            Self::Usage => 5,
            Self::Crm => 6,
            Self::LedgerMissing => 7,
            Self::LedgerUnusable => 8,
            Self::Internal => 9,
            Self::Interrupted | Self::Terminated => 10,
        }
    }

    /// Whether the next run mends it by itself, so that `--quiet` has nothing to say for a while.
    #[must_use]
    pub fn heals_by_itself(self) -> bool {
        match self {
            Self::Settled
            | Self::Incomplete
            | Self::Locked
            | Self::Interrupted
            | Self::Terminated => true,
            Self::Internal
            | Self::Usage
            | Self::Look
            | Self::Source
            | Self::Crm
            | Self::LedgerMissing
            | Self::LedgerUnusable => false,
        }
    }
}

/// An exit code with the sentence that explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The code.
    pub code: Code,
    /// What happened, and what to do where there is something to do. Holds nothing invisible but the line feeds of
    /// [`Exit::listing`].
    pub reason: String,
    /// Whether a person has to know, even with `--quiet`.
    pub alert: bool,
    /// The process's exit status where it is not the code's own: what a monitor asked for.
    pub status: Option<u8>,
}

impl Exit {
    /// A code and its sentence, on one line: what in it came from outside cannot begin another.
    #[must_use]
    pub fn new(code: Code, reason: impl AsRef<str>) -> Self {
        Self {
            code,
            reason: Shown(reason.as_ref()).to_string(),
            alert: !code.heals_by_itself(),
            status: None,
        }
    }

    /// A code and a list of problems, one a line.
    #[must_use]
    pub fn listing<T: AsRef<str>>(code: Code, problems: &[T]) -> Self {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| Shown(problem.as_ref()).to_string())
            .collect();
        Self {
            code,
            reason: lines.join("\n"),
            alert: !code.heals_by_itself(),
            status: None,
        }
    }

    /// The same, but what heals by itself has not healed for too long: a person has to know.
    #[must_use]
    pub fn overdue(self, since: &str) -> Self {
        Self {
            reason: format!("{}; {since}", self.reason),
            alert: true,
            ..self
        }
    }

    /// The same, with another exit status than the code's own.
    #[must_use]
    pub fn with_status(self, status: u8) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// What the shell sees.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.status.unwrap_or_else(|| self.code.number())
    }

    /// The one that ranks higher; the first of equals.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.code.rank() > self.code.rank() {
            other
        } else {
            self
        }
    }
}

impl Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Exit", 2)?;
        object.serialize_field("code", &self.code.number())?;
        object.serialize_field("reason", &self.reason)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranking_is_the_interfaces() {
        let order = [
            Code::Terminated,
            Code::LedgerUnusable,
            Code::Source,
            Code::Incomplete,
            Code::Look,
            Code::Settled,
        ];
        for pair in order.windows(2) {
            let high = Exit::new(pair[0], "high");
            let low = Exit::new(pair[1], "low");
            assert_eq!(high.clone().worse(low.clone()).code, pair[0]);
            assert_eq!(low.worse(high).code, pair[0]);
        }
        for code in [
            Code::Internal,
            Code::Usage,
            Code::Crm,
            Code::LedgerMissing,
            Code::LedgerUnusable,
        ] {
            assert!(code.rank() > Code::Source.rank());
        }
    }
}
