//! Where the ledger lies: links followed, what is no file refused before anything opens it, files beside it named.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::LedgerError;

/// Links that are followed from one name to the next: as many as Linux follows itself (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The path from the root, so that no name is special to SQLite, and of the file itself where the name is a symbolic
/// link: SQLite keeps its log beside the file, and so must the lock be, or two names of one ledger had two locks. The
/// file need not exist; whatever stands there and is no file is refused, because opening a pipe would wait for ever.
///
/// # Errors
/// [`LedgerError::Unusable`]
pub(super) fn resolve(path: &Path) -> Result<PathBuf, LedgerError> {
    let named = std::path::absolute(path).map_err(|error| LedgerError::io("find", path, error))?;
    let mut found = named.clone();
    for _ in 0..=MOST_LINKS {
        let data = match std::fs::symlink_metadata(&found) {
            Ok(data) => data,
            Err(error) if is_absent(&error) => {
                lost_directory(&named, &found)?;
                return Ok(found);
            }
            Err(error) => return Err(LedgerError::io("read", &found, error)),
        };
        if data.is_file() {
            return Ok(found);
        }
        if !data.is_symlink() {
            return Err(LedgerError::unusable(format!(
                "`{}` is not a file; set `ledger.path` to a file",
                named.display()
            )));
        }
        let target =
            std::fs::read_link(&found).map_err(|error| LedgerError::io("read", &found, error))?;
        found = match found.parent() {
            Some(directory) => directory.join(target),
            None => target,
        };
    }
    Err(LedgerError::unusable(format!(
        "`{}` is a symbolic link that leads back to itself; set `ledger.path` to a file",
        named.display()
    )))
}

/// Whether a file can be read or made here, as far as its kind tells: something else under a name that is ours is
/// refused, a symbolic link too, because what is written there must not land elsewhere.
///
/// # Errors
/// [`LedgerError::Unusable`]
pub(super) fn file_or_nothing(path: &Path) -> Result<bool, LedgerError> {
    match std::fs::symlink_metadata(path) {
        Ok(data) if data.is_file() => Ok(true),
        Ok(_) => Err(LedgerError::unusable(format!(
            "`{}` is not a file, and a file of this name belongs to the ledger; move it away",
            path.display()
        ))),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(LedgerError::io("read", path, error)),
    }
}

/// `path` with `suffix` after its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Length of a file; 0 where there is none.
pub(super) fn length(path: &Path) -> Result<u64, LedgerError> {
    match std::fs::metadata(path) {
        Ok(data) => Ok(data.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(LedgerError::io("read", path, error)),
    }
}

/// Creates the directory of a file for its owner alone, where it is missing.
pub(super) fn create_directory(file: &Path) -> Result<(), LedgerError> {
    let Some(directory) = file.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| LedgerError::io("create the directory", directory, error))
}

/// Whether files could be made beside `path`: makes one and removes it again, in the nearest directory that exists.
///
/// # Errors
/// [`LedgerError::Unusable`], as a run would fail.
pub(super) fn try_directory(path: &Path) -> Result<(), LedgerError> {
    let directory = path
        .ancestors()
        .skip(1)
        .find(|directory| directory.symlink_metadata().is_ok())
        .unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(LedgerError::io("create the directory", directory, error));
    }
    let trial = directory.join(format!(".cdrelay-check-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&trial)
        .and_then(|_| std::fs::remove_file(&trial))
        .map_err(|error| LedgerError::io("create a file in", directory, error))
}

fn is_absent(error: &io::Error) -> bool {
    // Beneath a file there is nothing either; making the directory says so.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A link into a directory that is not there was set for a disk that is not mounted: a new ledger under the mount point
/// would be hidden again when it is.
fn lost_directory(named: &Path, found: &Path) -> Result<(), LedgerError> {
    let there = found.parent().is_none_or(Path::is_dir);
    if named == found || there {
        return Ok(());
    }
    Err(LedgerError::unusable(format!(
        "`{}` is a symbolic link to `{}`, whose directory is missing; mount its disk, or set `ledger.path` to another file",
        named.display(),
        found.display()
    )))
}
