//! Secrets: where they are read, and the type that keeps them from being shown.

use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most bytes a secret may have, and the file that holds it.
pub const LONGEST: usize = 4096;

/// Bits of a file's mode that let others than its owner at it.
pub const OTHERS: u32 = 0o077;

/// A token or password. `Debug` prints `Secret(***)`, there is no `Display`, and the memory is overwritten on drop: best
/// effort, since copies that other code makes are out of its reach.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` as a secret.
    ///
    /// # Errors
    /// Where it is empty, longer than [`LONGEST`] bytes, or holds a control character.
    pub fn new(text: String) -> Result<Self, SecretFault> {
        let secret = Self(text);
        if secret.0.is_empty() {
            Err(SecretFault::Empty)
        } else if secret.0.len() > LONGEST {
            Err(SecretFault::TooLong)
        } else if secret.0.starts_with('\u{feff}') {
            Err(SecretFault::ByteOrderMark)
        } else if secret.0.chars().any(char::is_control) {
            Err(SecretFault::ControlCharacter)
        } else {
            Ok(secret)
        }
    }

    /// Reads the first line of a file, without its line end.
    ///
    /// # Errors
    /// [`SecretFileError`]: the file is missing or unreadable, is no regular file, can be read or written by others than
    /// its owner, or holds no usable secret.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        let fail = |fault| SecretFileError {
            path: path.to_owned(),
            fault,
        };
        // Asked before opening: opening a pipe would wait for a writer.
        let seen = path.metadata().map_err(|e| fail(SecretFault::Io(e)))?;
        if !seen.is_file() {
            return Err(fail(SecretFault::NoFile));
        }
        let mut file = File::open(path).map_err(|e| fail(SecretFault::Io(e)))?;
        // Asked again of the open file: this is the one that is read.
        let mode = file
            .metadata()
            .map_err(|e| fail(SecretFault::Io(e)))?
            .mode();
        if mode & OTHERS != 0 {
            return Err(fail(SecretFault::OthersCanRead {
                mode: mode & 0o7777,
            }));
        }
        let mut bytes = Vec::with_capacity(LONGEST + 1);
        file.by_ref()
            .take(LONGEST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| fail(SecretFault::Io(e)))?;
        let secret = first_line(&bytes).map_err(fail);
        bytes.fill(0);
        black_box(&bytes);
        secret
    }

    /// The secret itself: only for the request or login that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Keeps the compiler from leaving out a write that nobody reads.
        black_box(&bytes);
    }
}

/// What is wrong with a secret. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    /// The file cannot be opened or read.
    #[error("cannot be read")]
    Io(#[source] std::io::Error),
    /// A directory, pipe, or device.
    #[error("is no regular file")]
    NoFile,
    /// Others than the owner have some right to it.
    #[error("can be read by others (mode {mode:04o})")]
    OthersCanRead {
        /// Permission bits.
        mode: u32,
    },
    /// Nothing on the first line.
    #[error("is empty")]
    Empty,
    /// More than [`LONGEST`] bytes.
    #[error("is longer than 4 KiB")]
    TooLong,
    /// Not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// An invisible mark that some editors put at the start of a file.
    #[error("begins with a byte-order mark")]
    ByteOrderMark,
    /// Something that cannot be typed into a login.
    #[error("holds a control character")]
    ControlCharacter,
}

/// A secret's file that cannot be used: which, why, and the mend.
#[derive(Debug, thiserror::Error)]
#[error("secret file {path} {fault}{mend}", path = path.display(), mend = self.mend())]
pub struct SecretFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: SecretFault,
}

impl SecretFileError {
    fn mend(&self) -> String {
        let path = self.path.display();
        match &self.fault {
            SecretFault::Io(error) => format!(": {}", plain_io(error)),
            SecretFault::NoFile => "; name a file whose first line is the secret".to_owned(),
            SecretFault::OthersCanRead { .. } => format!("; run `chmod 600 {path}`"),
            SecretFault::Empty => "; write the secret on its first line".to_owned(),
            SecretFault::TooLong => {
                "; it should hold nothing but the secret, on its first line".to_owned()
            }
            SecretFault::NotText | SecretFault::ByteOrderMark => {
                "; save it as plain UTF-8 text".to_owned()
            }
            SecretFault::ControlCharacter => {
                "; its first line should be the secret as it is typed".to_owned()
            }
        }
    }
}

/// The system's words for an error, without the number behind them.
pub(super) fn plain_io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied; it must belong to the user who runs cdrelay".to_owned()
        }
        _ => error.to_string(),
    }
}

fn first_line(bytes: &[u8]) -> Result<Secret, SecretFault> {
    if bytes.len() > LONGEST {
        return Err(SecretFault::TooLong);
    }
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| SecretFault::NotText)?;
    Secret::new(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[track_caller]
    fn reads(content: &[u8], secret: &str) {
        let (_dir, path) = file(content, 0o600);
        assert_eq!(Secret::read(&path).unwrap().expose(), secret);
    }

    #[test]
    fn the_first_line_is_the_secret() {
        reads(b"12345678", "12345678");
        reads(b"12345678\n", "12345678");
        reads(b"12345678\r\nsecond line\n", "12345678");
        reads(" spaces stay ".as_bytes(), " spaces stay ");
        reads("contraseña\n".as_bytes(), "contraseña");
        reads(&[b'x'; LONGEST], &"x".repeat(LONGEST));
    }

    #[track_caller]
    fn refuses(content: &[u8], mode: u32, message: &str) {
        let (_dir, path) = file(content, mode);
        let error = Secret::read(&path).unwrap_err();
        let shown = path.display().to_string();
        assert_eq!(error.to_string(), message.replace("PATH", &shown));
        assert!(!format!("{error:?}").contains("CANARY"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_its_mode_and_the_mend() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601, 0o660] {
            let text = format!(
                "secret file PATH can be read by others (mode {mode:04o}); run `chmod 600 PATH`"
            );
            refuses(b"CANARY", mode, &text);
        }
        let (_dir, path) = file(b"CANARY", 0o400);
        assert_eq!(Secret::read(&path).unwrap().expose(), "CANARY");
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        let empty = "secret file PATH is empty; write the secret on its first line";
        refuses(b"", 0o600, empty);
        refuses(b"\nCANARY", 0o600, empty);
        refuses(
            &[b'C'; LONGEST + 1],
            0o600,
            "secret file PATH is longer than 4 KiB; it should hold nothing but the secret, on its first line",
        );
        refuses(
            b"CANARY\x07",
            0o600,
            "secret file PATH holds a control character; its first line should be the secret as it is typed",
        );
        refuses(
            b"CANARY\xff",
            0o600,
            "secret file PATH is not UTF-8 text; save it as plain UTF-8 text",
        );
        refuses(
            b"\xef\xbb\xbfCANARY",
            0o600,
            "secret file PATH begins with a byte-order mark; save it as plain UTF-8 text",
        );
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().display();
        assert_eq!(
            Secret::read(&dir.path().join("none"))
                .unwrap_err()
                .to_string(),
            format!("secret file {shown}/none cannot be read: there is no such file")
        );
        assert_eq!(
            Secret::read(dir.path()).unwrap_err().to_string(),
            format!(
                "secret file {shown} is no regular file; name a file whose first line is the secret"
            )
        );
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::new("CANARY".to_owned()).unwrap();
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(***) Secret(***)");
    }
}
