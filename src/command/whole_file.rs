//! A file that is replaced whole or not at all: readers see the old one or the new one, never half of either.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Names that are tried for the file that is not complete yet.
const TRIES: u32 = 16;

/// Writes beside `path` under another name and renames. The mode is the user's umask's, whatever the old file had; a link
/// at `path` is replaced, not followed. What is left where it fails is the old file.
///
/// # Errors
/// Whatever keeps it from being written: the directory is missing, or not the user's to write, the disk is full, a
/// directory lies at `path`.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (mut file, beside) = create_beside(path)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// A new file in the same directory, so that it can be renamed; never one that is there, nor a link.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is no name of a file"))?;
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for n in 0..TRIES {
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{n}.new", std::process::id()));
        let beside = path.with_file_name(beside);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)
        {
            Ok(file) => return Ok((file, beside)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_is_replaced_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(directory.path()), ["report.html"]);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (
            directory.path().join("report"),
            directory.path().join("other"),
        );
        std::fs::write(&other, "other").unwrap();
        symlink(&other, &path).unwrap();
        replace(&path, b"new").unwrap();
        assert!(!path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "other");
    }

    #[test]
    fn the_mode_is_that_of_any_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, plain) = (
            directory.path().join("report"),
            directory.path().join("plain"),
        );
        std::fs::write(&plain, "").unwrap();
        replace(&path, b"new").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn what_cannot_be_written_leaves_everything_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"new").is_err());
        assert!(replace(&directory.path().join("missing/report"), b"new").is_err());
        assert!(replace(Path::new("/"), b"new").is_err());
        assert_eq!(names(directory.path()), ["taken"]);
    }
}
