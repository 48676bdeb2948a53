//! What can go wrong with the ledger. Policy, the exit code, stands in one match; messages say what to do.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else holds the lock.
    #[error("another run holds the lock `{}`; try again later, or wait for it with `--wait`", .lock.display())]
    Held {
        /// The lock file.
        lock: PathBuf,
    },
    /// There was a ledger here, and it is gone or empty.
    #[error("the ledger `{}` {what}, but there was one; look for it or for a backup, and if it is lost, run `cdrelay init --ledger`: all calls of the window are then sent again, with today's settings", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// `is missing`, or how it is empty.
        what: &'static str,
    },
    /// There is a file, and it cannot or must not be used. It was left as it is.
    #[error("{what}")]
    Unusable {
        /// What is wrong, with which file, and what to do.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<anyhow::Error>,
    },
    /// A fault of the program.
    #[error("the ledger was used wrongly: {what}; please report it")]
    Internal {
        /// What happened.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<anyhow::Error>,
    },
}

impl LedgerError {
    /// The exit code of a run that ends with it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            // A person has to look before calls are sent again.
            Self::Missing { .. } => 10,
            // Later is soon enough.
            Self::Held { .. } => 11,
            // Nothing may be sent whose result cannot be recorded.
            Self::Unusable { .. } => 12,
            Self::Internal { .. } => 1,
        }
    }

    pub(super) fn unusable(what: String) -> Self {
        Self::Unusable { what, source: None }
    }

    pub(super) fn internal(what: impl Into<String>) -> Self {
        Self::Internal {
            what: what.into(),
            source: None,
        }
    }

    /// A failure of the operating system, while doing something (`create`, `read`) to a file.
    pub(super) fn io(verb: &str, path: &Path, error: io::Error) -> Self {
        let shown = path.display();
        let what = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("cannot {verb} `{shown}`: its disk is full; free some space and run again")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
                "cannot {verb} `{shown}`: no permission; run as the user who owns the ledger, or set `ledger.path`"
            ),
            _ => format!("cannot {verb} `{shown}`; check the disk and `ledger.path`"),
        };
        Self::Unusable {
            what,
            source: Some(error.into()),
        }
    }

    /// A failure of SQLite while the ledger at `path` is opened. Nothing depends on the caller yet, so what SQLite cannot
    /// make sense of is the file.
    pub(super) fn opening(path: &Path, error: rusqlite::Error) -> Self {
        match Self::sql(path, damaged, error) {
            Self::Internal { source, .. } => Self::Unusable {
                what: damaged(path),
                source,
            },
            known @ (Self::Unusable { .. } | Self::Held { .. } | Self::Missing { .. }) => known,
        }
    }

    /// A failure of SQLite on the ledger at `path`; `damaged` words that it does not hold together.
    pub(super) fn sql(path: &Path, damaged: Damaged, error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sql;
        let shown = path.display();
        let what = match &error {
            Sql::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => full(path),
                ErrorCode::DatabaseCorrupt => damaged(path),
                ErrorCode::NotADatabase => not_a_database(path),
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
                    format!(
                        "the ledger `{shown}` cannot be opened for writing; run as the user who owns it, let that user write its directory, and see that its disk has room for another file"
                    )
                }
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed => format!(
                    "the ledger `{shown}` is locked by another program; close whatever has it open and run again"
                ),
                // The log's index could not grow: of all that may be the cause, a full disk is the one that is met.
                ErrorCode::SystemIoFailure if failure.extended_code == IOERR_SHMSIZE => full(path),
                ErrorCode::SystemIoFailure => {
                    format!("the ledger `{shown}` cannot be read or written; check its disk")
                }
                _ => {
                    return Self::Internal {
                        what: "a statement failed".into(),
                        source: Some(error.into()),
                    };
                }
            },
            // A value of a type or range that cdrelay never writes.
            Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::Utf8Error(..)
            | Sql::InvalidColumnType(..) => damaged(path),
            _ => {
                return Self::Internal {
                    what: "a statement failed".into(),
                    source: Some(error.into()),
                };
            }
        };
        Self::Unusable {
            what,
            source: Some(error.into()),
        }
    }
}

/// `SQLITE_IOERR_SHMSIZE` (https://www.sqlite.org/rescode.html).
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);

fn full(path: &Path) -> String {
    format!(
        "the disk of the ledger `{}` is full; free some space and run again: nothing that was recorded is lost",
        path.display()
    )
}

/// For a file whose inside was found not to hold together by a run that had written to it.
pub(super) fn damaged_in_use(path: &Path) -> String {
    format!(
        "the ledger `{}` is damaged, as was found while it was in use; from then on nothing was sent: put a backup in its place, or move it away and run `cdrelay init --ledger`",
        path.display()
    )
}

/// For a file whose inside does not hold together.
pub(super) fn damaged(path: &Path) -> String {
    format!(
        "the ledger `{}` is damaged; it was left as it is: put a backup in its place, or move it away and run `cdrelay init --ledger`",
        path.display()
    )
}

/// For a file that SQLite did not write.
pub(super) fn not_a_database(path: &Path) -> String {
    format!(
        "`{}` is not a ledger (no SQLite database); it was left as it is: check `ledger.path`, or put a backup in its place",
        path.display()
    )
}

pub(super) fn missing(path: &Path, what: &'static str) -> LedgerError {
    LedgerError::Missing {
        path: path.to_owned(),
        what,
    }
}

pub(super) fn newer(path: &Path, version: i64, latest: i64) -> LedgerError {
    LedgerError::unusable(format!(
        "the ledger `{}` was written by a newer cdrelay (schema {version}, this one knows {}); it was left as it is: run that version",
        path.display(),
        latest
    ))
}

/// [`damaged`] or [`damaged_in_use`].
pub(super) type Damaged = fn(&Path) -> String;

/// What the statements of this room fail with; [`LedgerError`] adds the path.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite's own.
    Sql(rusqlite::Error),
    /// The file holds what cdrelay does not write.
    Damaged,
    /// The caller asked for what must not be.
    Wrong(String),
    /// Complete already.
    Ledger(LedgerError),
}

impl Fault {
    /// With the path; `damaged` words that the file does not hold together.
    pub(super) fn at(self, path: &Path, damaged: Damaged) -> LedgerError {
        match self {
            Self::Sql(error) => LedgerError::sql(path, damaged, error),
            Self::Damaged => LedgerError::unusable(damaged(path)),
            Self::Wrong(what) => LedgerError::internal(what),
            Self::Ledger(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

#[cfg(feature = "fault-points")]
impl From<crate::fault::Injected> for Fault {
    fn from(injected: crate::fault::Injected) -> Self {
        Self::Sql(injected.into())
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}
