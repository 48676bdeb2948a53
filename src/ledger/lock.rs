//! The lock beside the ledger, which is also the witness that there was a ledger.
//!
//! `LEDGER.lock` is locked by the kernel, so the lock dies with its holder. Its content is the id of the ledger, written
//! once a ledger is in place; the file is written in place, never replaced and never removed, because whoever locks a
//! replaced file locks alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::fault;

use super::error::LedgerError;
use super::place::{beside, create_directory, file_or_nothing, resolve, try_directory};

/// The right to write the ledger; given back when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub struct LedgerLock {
    /// Open and locked.
    file: File,
}

impl Drop for LedgerLock {
    fn drop(&mut self) {
        // Closing would not do where another thread starts a program in this moment: its process has a copy of the open
        // file until it is replaced, and with it the lock (flock(2)).
        let _ = self.file.unlock();
    }
}

/// How the lock is found by whoever only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// Nobody has it.
    Free,
    /// There is no lock file yet; one could be made.
    Absent,
    /// Another run has it.
    Held,
}

impl LedgerLock {
    /// Takes the lock of the ledger at `path`, waiting for it at most `wait` (`None`: not at all). Creates the lock
    /// file (0600) and its directory (0700) where they are missing. Needs a Tokio runtime with a clock.
    ///
    /// Those who wait get it in the order in which they came (Linux from 5.0 on queues them so).
    ///
    /// # Errors
    /// [`LedgerError::Held`] when somebody else has it, [`LedgerError::Unusable`] when the file cannot be opened.
    pub async fn acquire(path: &Path, wait: Option<Duration>) -> Result<Self, LedgerError> {
        let held = match (Self::try_acquire(path), wait) {
            (Err(held @ LedgerError::Held { .. }), Some(wait)) if !wait.is_zero() => held,
            (decided, _) => return decided,
        };
        // Waiting blocks, so a thread does it. Where nobody waits for the thread any more, it gives the lock back as
        // soon as it has it, and it does not keep the process alive.
        let (answer, taken) = oneshot::channel();
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("lock".into())
            .spawn(move || {
                let _ = answer.send(Self::take(&path, wait_for));
            })
            .map_err(|error| LedgerError::Internal {
                what: "its thread could not be started".into(),
                source: Some(error.into()),
            })?;
        let wait = wait.unwrap_or_default();
        match tokio::time::timeout(wait, taken).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(_)) => Err(LedgerError::internal("its thread ended")),
            Err(_) => Err(held),
        }
    }

    /// Takes the lock now or never.
    ///
    /// # Errors
    /// As [`LedgerLock::acquire`].
    pub fn try_acquire(path: &Path) -> Result<Self, LedgerError> {
        Self::take(path, |file, lock| match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Held {
                lock: lock.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(LedgerError::io("lock", lock, error)),
        })
    }

    /// Looks whether a run could take the lock of the ledger at `path`, and leaves nothing behind.
    ///
    /// # Errors
    /// [`LedgerError::Unusable`], as a run would fail.
    pub fn look(path: &Path) -> Result<LockState, LedgerError> {
        let resolved = resolve(path)?;
        if !file_or_nothing(&lock_path(&resolved))? {
            try_directory(&resolved)?;
            return Ok(LockState::Absent);
        }
        match Self::try_acquire(path) {
            Ok(_) => Ok(LockState::Free),
            Err(LedgerError::Held { .. }) => Ok(LockState::Held),
            Err(error) => Err(error),
        }
    }

    fn take(
        path: &Path,
        lock_file: fn(&File, &Path) -> Result<(), LedgerError>,
    ) -> Result<Self, LedgerError> {
        let lock = lock_path(&resolve(path)?);
        create_directory(&lock)?;
        loop {
            fault::point!("ledger.lock.before_open", |error| LedgerError::io(
                "open", &lock, error
            ));
            file_or_nothing(&lock)?;
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
            lock_file(&file, &lock)?;
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
                    return Ok(Self { file });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LedgerError::io("read", &lock, error)),
            }
        }
    }
}

/// Blocks until the file is locked.
fn wait_for(file: &File, lock: &Path) -> Result<(), LedgerError> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked.map_err(|error| LedgerError::io("lock", lock, error)),
        }
    }
}

/// The lock file of the ledger at `path`, which is no symbolic link.
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
        if !file_or_nothing(&lock)? {
            return Ok(Self::Silent);
        }
        let file = File::open(&lock).map_err(|error| LedgerError::io("read", &lock, error))?;
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

    /// Writes the id of the ledger that was found, where the lock file does not name it.
    pub(super) fn renew(&self, path: &Path, id: &str) -> Result<(), LedgerError> {
        match self {
            Self::Id(_) => Ok(()),
            Self::Silent | Self::Garbled => Self::write(path, id),
        }
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
