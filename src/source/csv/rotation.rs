//! Which files hold the records: the one that is written now, and those that it was before it was rotated.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::source::SourceError;

/// The files of one log, as they stood at one moment.
#[derive(Debug)]
pub(super) struct Log {
    /// Oldest first by the time they were last written; the one that is written now is the last.
    pub(super) files: Vec<LogFile>,
    /// Rotated and compressed in another way than by gzip, and so not read; oldest first.
    pub(super) compressed: Vec<LogFile>,
}

/// One file of a log, known by its inode, because its name may change at any time.
#[derive(Debug)]
pub(super) struct LogFile {
    /// Its name when it was found.
    pub(super) path: PathBuf,
    /// When it was last written, Unix seconds.
    pub(super) written: i64,
    /// Whether it has to be unpacked (gzip).
    pub(super) packed: bool,
    inode: (u64, u64),
}

impl Log {
    /// Looks for the log at `path`.
    ///
    /// Its rotated siblings stand in the same directory and are named `PATH.N`, `PATH-DATE` or `PATH.DATE` (logrotate,
    /// and FreeSWITCH's own rotation: digits, `-` and `_` behind the separator, nothing else), so that the copies which
    /// Asterisk keeps per account (`ACCOUNT.csv`) are never read. `path` itself may be missing if a sibling is there:
    /// Asterisk creates it with the next call.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if `path` is no regular file, or may not be read; [`SourceError::Unreachable`] if it is
    /// missing, or the directory cannot be listed.
    pub(super) fn find(path: &Path) -> Result<Self, SourceError> {
        // logrotate renames beside the file that a link points to.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let current = match fs::metadata(path) {
            Ok(found) if found.is_file() => Some(LogFile::new(path.clone(), &found)),
            Ok(_) => {
                let what = format!(
                    "`{}` is no regular file; name the file itself in source.url, such as \
                     csv:/var/log/asterisk/cdr-csv/Master.csv",
                    path.display()
                );
                return Err(SourceError::Unusable(what));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(path, error)),
        };
        let mut log = Self {
            files: Vec::new(),
            compressed: Vec::new(),
        };
        if let Err(error) = log.add_siblings(path) {
            // Without the right to list its directory, the file itself may still be readable.
            if current.is_none() {
                return Err(if error.kind() == io::ErrorKind::NotFound {
                    missing(path)
                } else {
                    unreadable(path, error)
                });
            }
            tracing::warn!(%error, file = %path.display(), "rotated files cannot be looked for");
        }
        // gzip keeps the original until it is done.
        let plain: Vec<PathBuf> = log
            .files
            .iter()
            .filter(|file| !file.packed)
            .map(|file| file.path.clone())
            .collect();
        let original_is_there = |file: &LogFile| plain.contains(&file.path.with_extension(""));
        log.files
            .retain(|file| !file.packed || !original_is_there(file));
        log.compressed.retain(|file| !original_is_there(file));
        if let Some(current) = &current {
            log.files.retain(|file| file.inode != current.inode);
        } else if log.files.is_empty() {
            return Err(missing(path));
        }
        // A directory that changes while it is listed may show a file under both of its names.
        let mut seen = HashSet::new();
        log.files.retain(|file| seen.insert(file.inode));
        log.files
            .sort_by(|a, b| (a.written, &a.path).cmp(&(b.written, &b.path)));
        log.compressed
            .sort_by(|a, b| (a.written, &a.path).cmp(&(b.written, &b.path)));
        log.files.extend(current);
        Ok(log)
    }

    /// Checks that nothing was rotated since this list was made: that no file written since `since` stands beside the one
    /// at `path` that was not on it. What was copied or compressed meanwhile, or moved while the directory was listed,
    /// may hold calls that were read nowhere.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] where there is one; those of [`Log::find`].
    pub(super) fn still_complete(&self, path: &Path, since: i64) -> Result<(), SourceError> {
        let known: HashSet<_> = self.files.iter().map(|file| file.inode).collect();
        let current = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let now = Self::find(path)?;
        let moved = now.files.iter().find(|file| {
            file.path != current && file.written >= since && !known.contains(&file.inode)
        });
        match moved {
            None => Ok(()),
            Some(file) => Err(SourceError::Unreachable {
                what: format!(
                    "`{}` appeared while the log was read, which was being rotated; run again",
                    file.path.display()
                ),
                source: None,
            }),
        }
    }

    fn add_siblings(&mut self, path: &Path) -> io::Result<()> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(kind) = sibling(name.as_encoded_bytes(), file_name.as_encoded_bytes()) else {
                continue;
            };
            // It may have been renamed since it was listed; then it is found by its new name, or by the next run.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_file() {
                let file = LogFile::new(entry.path(), &found);
                match kind {
                    Sibling::Plain => self.files.push(file),
                    Sibling::Gzip => self.files.push(LogFile {
                        packed: true,
                        ..file
                    }),
                    Sibling::Compressed => self.compressed.push(file),
                }
            }
        }
        Ok(())
    }
}

impl LogFile {
    fn new(path: PathBuf, found: &fs::Metadata) -> Self {
        Self {
            path,
            written: found.mtime(),
            packed: false,
            inode: (found.dev(), found.ino()),
        }
    }

    /// Opens it for reading, under its new name if it was renamed since it was found.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] if it is gone, [`SourceError::Unusable`] if it may not be read.
    pub(super) fn open(&self) -> Result<File, SourceError> {
        match self.open_as(&self.path) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&self.path, error)),
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let same = entry
                .metadata()
                .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
            if let (true, Ok(Some(file))) = (same, self.open_as(&entry.path())) {
                return Ok(file);
            }
        }
        Err(SourceError::Unreachable {
            what: format!(
                "`{}` was removed or compressed while it was to be read; run again, and let logrotate delay compression \
                 (delaycompress)",
                self.path.display()
            ),
            source: None,
        })
    }

    /// The file of that name, if it is this one.
    fn open_as(&self, path: &Path) -> io::Result<Option<File>> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        Ok(((found.dev(), found.ino()) == self.inode).then_some(file))
    }
}

/// An error of reading `path`, with the mend.
pub(super) fn unreadable(path: &Path, error: io::Error) -> SourceError {
    // What flate2 says of bytes that are no gzip, or end too early.
    let damaged = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    );
    if damaged {
        return SourceError::Unusable(format!(
            "`{}` is damaged: {error}; unpack what can be saved, or move it away",
            path.display()
        ));
    }
    if matches!(error.get_ref(), Some(inner) if inner.is::<Truncated>()) {
        return SourceError::Unreachable {
            what: format!(
                "`{}` was truncated while it was read, as logrotate's copytruncate does; run again",
                path.display()
            ),
            source: None,
        };
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return SourceError::Unusable(format!(
            "`{}` may not be read by this user; let the user that runs cdrelay join the file's group",
            path.display()
        ));
    }
    SourceError::Unreachable {
        what: format!(
            "`{}` cannot be read; see that its file system is there and whole",
            path.display()
        ),
        source: Some(error.into()),
    }
}

/// A file ended before the length that it had when it was opened.
#[derive(Debug, thiserror::Error)]
#[error("it was truncated while it was read")]
pub(super) struct Truncated;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sibling {
    Plain,
    Gzip,
    Compressed,
}

fn sibling(name: &[u8], other: &[u8]) -> Option<Sibling> {
    let suffix = match other.strip_prefix(name)? {
        [b'.' | b'-', suffix @ ..] => suffix,
        _ => return None,
    };
    let digits = |text: &[u8]| {
        text.first().is_some_and(u8::is_ascii_digit)
            && text
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    if digits(suffix) {
        return Some(Sibling::Plain);
    }
    let dot = suffix.iter().position(|&byte| byte == b'.')?;
    let (stem, extension) = suffix.split_at(dot);
    let others: [&[u8]; 6] = [b".bz2", b".xz", b".zst", b".lz4", b".Z", b".zip"];
    if !digits(stem) {
        None
    } else if extension == b".gz" {
        Some(Sibling::Gzip)
    } else {
        others.contains(&extension).then_some(Sibling::Compressed)
    }
}

fn missing(path: &Path) -> SourceError {
    SourceError::Unreachable {
        what: format!(
            "`{}` does not exist; name the file in source.url, and see that Asterisk writes it (`cdr show status` lists \
             csv)",
            path.display()
        ),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(other: &str, expected: Option<Sibling>) {
        assert_eq!(
            sibling(b"Master.csv", other.as_bytes()),
            expected,
            "{other}"
        );
    }

    #[test]
    fn rotated_files_are_told_from_copies_per_account() {
        is("Master.csv.1", Some(Sibling::Plain));
        is("Master.csv-20260101", Some(Sibling::Plain));
        is("Master.csv-20260101-1735689600", Some(Sibling::Plain));
        is("Master.csv.2026-01-01-10-00-00", Some(Sibling::Plain));
        is("Master.csv.2.gz", Some(Sibling::Gzip));
        is("Master.csv.3.bz2", Some(Sibling::Compressed));
        is("Master.csv-20260101.xz", Some(Sibling::Compressed));
        for other in [
            "Master.csv",
            "Master.csv.",
            "Master.csv-",
            "Master.csv.bak",
            "Master.csv.1.bak",
            "Master.csv.1~",
            "Master.csv--1",
            "Master.csv1",
            "1001.csv",
            "1001.csv.1",
            "Master.csv.gz",
        ] {
            is(other, None);
        }
    }

    #[test]
    fn a_file_renamed_after_it_was_found_is_opened_by_its_new_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Master.csv");
        fs::write(&path, "old").unwrap();
        let log = Log::find(&path).unwrap();
        fs::rename(&path, directory.path().join("Master.csv.1")).unwrap();
        fs::write(&path, "new").unwrap();
        let text = io::read_to_string(log.files[0].open().unwrap()).unwrap();
        assert_eq!(text, "old");
        fs::remove_file(directory.path().join("Master.csv.1")).unwrap();
        let error = log.files[0].open().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("was removed or compressed while it was to be read")
        );
    }
}
