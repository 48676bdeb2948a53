//! The lock beside the ledger, which is also the witness that there was a ledger.
//!
//! `LEDGER.lock` is locked by the kernel, so the lock dies with its holder. Its content is the id of the ledger, written
//! once a ledger is in place; the file is written in place, never replaced and never removed, because whoever locks a
//! replaced file locks alone.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::LedgerError;
use crate::fault;

/// How often a waiting run looks again.
const POLL: Duration = Duration::from_millis(100);

/// The right to write the ledger; given back when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub struct LedgerLock {
    /// Open and locked.
    _file: File,
}

impl LedgerLock {
    /// Takes the lock of the ledger at `path`, waiting for it at most `wait` (`None`: not at all). Creates the lock
    /// file (0600) and its directory (0700) where they are missing. Needs a Tokio runtime with a clock.
    ///
    /// # Errors
    /// [`LedgerError::Held`] when somebody else has it, [`LedgerError::Unusable`] when the file cannot be opened.
    pub async fn acquire(path: &Path, wait: Option<Duration>) -> Result<Self, LedgerError> {
        let deadline = wait.and_then(|wait| tokio::time::Instant::now().checked_add(wait));
        loop {
            match Self::try_acquire(path) {
                Err(LedgerError::Held { lock }) => {
                    // A wait too long for the clock has no deadline and is a wait for ever.
                    let patient = match deadline {
                        Some(deadline) => tokio::time::Instant::now() < deadline,
                        None => wait.is_some(),
                    };
                    if !patient {
                        return Err(LedgerError::Held { lock });
                    }
                }
                decided => return decided,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Takes the lock now or never.
    ///
    /// # Errors
    /// As [`LedgerLock::acquire`].
    pub fn try_acquire(path: &Path) -> Result<Self, LedgerError> {
        let lock = lock_path(path);
        create_directory(&lock)?;
        loop {
            fault::point!("ledger.lock.before_open", |error| LedgerError::io(
                "open", &lock, error
            ));
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&lock)
                .map_err(|error| LedgerError::io("open", &lock, error))?;
            fault::point!("ledger.lock.opened", |error| LedgerError::io(
                "lock", &lock, error
            ));
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LedgerError::Held { lock }),
                Err(TryLockError::Error(error)) => {
                    return Err(LedgerError::io("lock", &lock, error));
                }
            }
            fault::point!("ledger.lock.locked", |error| LedgerError::io(
                "read", &lock, error
            ));
            // Somebody may have removed the file between opening and locking; the lock of a file without a name
            // excludes nobody.
            let ours = file
                .metadata()
                .map_err(|error| LedgerError::io("read", &lock, error))?;
            match std::fs::metadata(&lock) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Self { _file: file });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LedgerError::io("read", &lock, error)),
            }
        }
    }
}

/// The lock file of the ledger at `path`.
#[must_use]
pub fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// What the lock file says about the ledger beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Witness {
    /// No lock file, or an empty one: there never was a ledger, or the lock file was lost.
    Silent,
    /// There is a ledger with this id.
    Id(String),
    /// Something else stands there, such as half an id after a crash: there was a ledger, of unknown id.
    Garbled,
}

impl Witness {
    /// Reads the lock file of the ledger at `path`, at most as much as matters.
    pub(super) fn read(path: &Path) -> Result<Self, LedgerError> {
        let lock = lock_path(path);
        fault::point!("ledger.witness.read", |error| LedgerError::io(
            "read", &lock, error
        ));
        let file = match File::open(&lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Silent),
            Err(error) => return Err(LedgerError::io("read", &lock, error)),
        };
        let mut bytes = Vec::new();
        file.take(64)
            .read_to_end(&mut bytes)
            .map_err(|error| LedgerError::io("read", &lock, error))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_ascii();
        Ok(if text.is_empty() {
            Self::Silent
        } else if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Self::Id(text.to_ascii_lowercase())
        } else {
            Self::Garbled
        })
    }

    /// Writes the id into the lock file, in place and durably.
    pub(super) fn write(path: &Path, id: &str) -> Result<(), LedgerError> {
        let lock = lock_path(path);
        let line = format!("{id}\n");
        let write = || -> io::Result<()> {
            fault::point!("ledger.witness.before_write");
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&lock)?;
            file.write_all_at(line.as_bytes(), 0)?;
            fault::point!("ledger.witness.written");
            file.set_len(line.len() as u64)?;
            file.sync_all()?;
            fault::point!("ledger.witness.synced");
            Ok(())
        };
        write().map_err(|error| LedgerError::io("write", &lock, error))
    }
}

/// `path` with `suffix` after its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates the directory of a file for its owner alone, where it is missing.
pub(super) fn create_directory(file: &Path) -> Result<(), LedgerError> {
    let Some(directory) = file.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    fault::point!("ledger.directory", |error| LedgerError::io(
        "create the directory",
        directory,
        error
    ));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| LedgerError::io("create the directory", directory, error))
}
