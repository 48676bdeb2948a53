//! Notices that the ledger was taken away while it is open.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{LedgerError, missing};
use super::lock::beside;

/// Notices that the ledger's file, or its log, was removed or replaced while it is open.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    file: (u64, u64),
    log: Option<(u64, u64)>,
}

impl Watch {
    pub(super) fn new(path: &Path) -> Result<Self, LedgerError> {
        let file = inode(path)?.ok_or_else(|| missing(path, "is missing"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            log: None,
        })
    }

    /// Called before and after each commit. From the first commit on the log is watched too: SQLite keeps one and the
    /// same as long as a connection is open, and until it is copied into the ledger it alone holds the last commits.
    pub(super) fn check(&mut self, after_commit: bool) -> Result<(), LedgerError> {
        let vanished = |file: &Path| {
            LedgerError::unusable(format!(
                "`{}` was removed or replaced while the ledger was open; find out by whom, and put it back before the next run",
                file.display()
            ))
        };
        if inode(&self.path)? != Some(self.file) {
            return Err(vanished(&self.path));
        }
        let log = beside(&self.path, "-wal");
        match (self.log, inode(&log)?) {
            (Some(known), found) if found != Some(known) => Err(vanished(&log)),
            (None, found) if after_commit => {
                self.log = found;
                Ok(())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }
}

fn inode(path: &Path) -> Result<Option<(u64, u64)>, LedgerError> {
    match std::fs::metadata(path) {
        Ok(data) => Ok(Some((data.dev(), data.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::io("read", path, error)),
    }
}
