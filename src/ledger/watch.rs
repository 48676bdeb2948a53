//! Notices that the ledger was taken away while it is open.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{LedgerError, missing};
use super::place::beside;

/// Notices that the ledger's file, its log, the log's index or the lock was removed, replaced or cut short while it is open.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    file: Known,
    /// [`BESIDE`].
    beside: [Option<Known>; 3],
}

/// The log, its index, and the lock: whoever removes that one lets two runs overlap.
const BESIDE: [&str; 3] = ["-wal", "-shm", ".lock"];

/// A file as it was seen last.
#[derive(Debug, Clone, Copy)]
struct Known {
    inode: (u64, u64),
    length: u64,
}

/// What is wrong with the files of an open ledger.
#[derive(Debug)]
pub(super) enum Loss {
    /// One has another inode, or none.
    Gone(LedgerError),
    /// The log has another inode, or none; this program has it open still.
    LogGone(LedgerError),
    /// The ledger is shorter than it was; it never gets shorter by itself.
    Cut(LedgerError),
    /// The log is shorter than it was. That is a loss only where it holds what the ledger does not have yet.
    LogCut(LedgerError),
}

/// When a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before a transaction, and before its commit.
    Before,
    /// After a commit.
    After,
}

impl Watch {
    pub(super) fn new(path: &Path) -> Result<Self, LedgerError> {
        let file = look(path)?.ok_or_else(|| missing(path, "is missing"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            beside: [None; 3],
        })
    }

    /// Takes the files as they are now, shorter ones too; they must still be the same.
    pub(super) fn renew(&mut self) -> Result<(), LedgerError> {
        match look(&self.path)? {
            Some(found) if found.inode == self.file.inode => self.file = found,
            Some(_) | None => return Err(vanished(&self.path)),
        }
        for (known, suffix) in self.beside.iter_mut().zip(BESIDE) {
            let file = beside(&self.path, suffix);
            match (*known, look(&file)?) {
                (Some(before), Some(now)) if before.inode == now.inode => *known = Some(now),
                (Some(_), _) => return Err(vanished(&file)),
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// From the first commit on the log is watched too: SQLite keeps one and the same as long as a connection is open,
    /// and until it is copied into the ledger it alone holds the last commits. Its index decides what readers see of it.
    pub(super) fn check(&mut self, moment: Moment) -> Result<(), Loss> {
        match look(&self.path).map_err(Loss::Gone)? {
            Some(found) if found.inode == self.file.inode => {
                if found.length < self.file.length {
                    return Err(Loss::Cut(cut(&self.path)));
                }
                self.file = found;
            }
            Some(_) | None => return Err(Loss::Gone(vanished(&self.path))),
        }
        for (known, suffix) in self.beside.iter_mut().zip(BESIDE) {
            let file = beside(&self.path, suffix);
            let found = look(&file).map_err(Loss::Gone)?;
            match (*known, found) {
                (Some(before), Some(now)) if before.inode == now.inode => {
                    *known = found;
                    if now.length < before.length && suffix == BESIDE[0] {
                        return Err(Loss::LogCut(cut(&file)));
                    }
                }
                (Some(_), _) if suffix == BESIDE[0] => {
                    return Err(Loss::LogGone(vanished(&file)));
                }
                (Some(_), _) => return Err(Loss::Gone(vanished(&file))),
                (None, _) if moment == Moment::After => *known = found,
                (None, _) => {}
            }
        }
        Ok(())
    }
}

fn vanished(file: &Path) -> LedgerError {
    LedgerError::unusable(format!(
        "`{}` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run",
        file.display()
    ))
}

fn cut(file: &Path) -> LedgerError {
    LedgerError::unusable(format!(
        "`{}` was cut short while the ledger was open; find out by whom, and put a backup of the ledger in its place before the next run",
        file.display()
    ))
}

fn look(path: &Path) -> Result<Option<Known>, LedgerError> {
    match std::fs::metadata(path) {
        Ok(data) => Ok(Some(Known {
            inode: (data.dev(), data.ino()),
            length: data.len(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::io("read", path, error)),
    }
}
