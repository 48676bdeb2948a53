//! `table`: a CSV file of two columns, number and replacement, for numbers that no pattern describes.
//!
//! ```text
//! number,becomes
//! 600,02122853348
//! 7222,02122857222
//! ```
//!
//! The first line may be the header `number,becomes`. Fields may be quoted (RFC 4180), space around them and empty lines
//! do not count, nor does a byte-order mark. A number is compared as text, as a whole; one that the table does not have
//! passes. The file is read once, when the chain is built.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{NumberRule, Step};
use crate::call::digest;

/// Puts another number in the place of each that a table has.
#[derive(Debug, Clone)]
pub struct Table {
    numbers: BTreeMap<Box<str>, Box<str>>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not there, or not readable.
    #[error("cannot read the table `{}`: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("the table `{}` is no regular file; name a CSV file of two columns, number and replacement", .0.display())]
    NotAFile(PathBuf),
    /// Bigger than [`Table::MAX_BYTES`].
    #[error("the table `{}` is bigger than {} MiB; describe its numbers by patterns instead", .0.display(), Table::MAX_BYTES >> 20)]
    TooBig(PathBuf),
    /// A line that is none of a table.
    #[error("the table `{}` is wrong in line {line}: {reason}", .path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// One number, two replacements.
    #[error("the table `{}` has `{}` in line {first} and in line {second} with different replacements; keep one", .path.display(), crate::text::Shown(.number))]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The number.
        number: String,
        /// The earlier line, counted from 1.
        first: u64,
        /// The later line.
        second: u64,
    },
}

impl Table {
    /// Biggest file that is read: some 500,000 numbers.
    pub const MAX_BYTES: u64 = 16 << 20;

    /// Reads a table from a file; a relative path is relative to the working directory, so the caller resolves it first.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn load(path: &Path) -> Result<Self, TableError> {
        let unreadable = |reason| TableError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        // Asked before it is opened: to open a pipe that nobody writes to would wait for ever.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(TableError::NotAFile(path.to_owned()));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(Self::MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(TableError::TooBig(path.to_owned()));
        }
        Self::parse(&bytes, path)
    }

    /// Reads the bytes of a table; `path` is for messages.
    ///
    /// # Errors
    /// [`TableError::BadLine`] and [`TableError::Contradiction`]
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, TableError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut found: BTreeMap<Box<str>, (Box<str>, u64)> = BTreeMap::new();
        let mut record = csv::ByteRecord::new();
        let mut lines = LineCounter::new(bytes);
        let mut first_record = true;
        loop {
            let from = reader.position().byte();
            let bad = |line, reason: &str| TableError::BadLine {
                path: path.to_owned(),
                line,
                reason: reason.to_owned(),
            };
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(bad(lines.line_of(from), &error.to_string())),
            }
            let line = lines.line_of(record.position().map_or(from, csv::Position::byte));
            let is_first = std::mem::replace(&mut first_record, false);
            let fields: Option<Vec<&str>> = record
                .iter()
                .map(|field| std::str::from_utf8(field).ok().map(str::trim))
                .collect();
            match fields.as_deref() {
                None => return Err(bad(line, "it is not UTF-8 text; save the file as UTF-8")),
                Some(["number", "becomes"]) if is_first => {}
                // A line of nothing but space.
                Some([""]) => {}
                Some(["", _]) => return Err(bad(line, "the number is empty; remove the line")),
                Some([_, ""]) => {
                    return Err(bad(
                        line,
                        "the replacement is empty; to leave such calls out, write a rule with `drop = true`",
                    ));
                }
                Some([number, becomes]) => match found.get(*number) {
                    None => {
                        found.insert((*number).into(), ((*becomes).into(), line));
                    }
                    Some((earlier, _)) if **earlier == **becomes => {}
                    Some((_, first)) => {
                        return Err(TableError::Contradiction {
                            path: path.to_owned(),
                            number: (*number).to_owned(),
                            first: *first,
                            second: line,
                        });
                    }
                },
                Some(fields) => {
                    return Err(bad(
                        line,
                        &format!(
                            "it has {}; write number and replacement, with one comma between them",
                            crate::text::count(fields.len() as u64, "field")
                        ),
                    ));
                }
            }
        }
        let numbers = found
            .into_iter()
            .map(|(number, (becomes, _))| (number, becomes))
            .collect();
        Ok(Self { numbers })
    }
}

impl NumberRule for Table {
    fn apply(&self, number: &str) -> Step {
        self.numbers
            .get(number)
            .map_or(Step::Pass, |becomes| Step::Next(becomes.to_string()))
    }

    /// Speaks of the content, not of the file: a table that is moved is the same, one that is edited is another.
    fn describe(&self) -> String {
        let content = digest(
            self.numbers
                .iter()
                .flat_map(|(number, becomes)| [number.as_bytes(), becomes.as_bytes()]),
        );
        format!(
            "table of {}, content {content:016x}",
            crate::text::count(self.numbers.len() as u64, "number")
        )
    }
}

/// Tells the line of a byte in a file, for bytes asked about in rising order.
///
/// The reader's own count is of no use for messages: it leaves out empty lines before a record.
struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
        }
    }

    /// The line of the first byte at or after `byte` that is no line break.
    fn line_of(&mut self, byte: u64) -> u64 {
        let target = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(&found) = self.bytes.get(self.at) {
            if self.at >= target && found != b'\n' && found != b'\r' {
                break;
            }
            if found == b'\n' {
                self.line += 1;
            }
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Table, TableError> {
        Table::parse(text.as_bytes(), Path::new("numbers.csv"))
    }

    #[track_caller]
    fn refused(text: &str, error: &str) {
        assert_eq!(read(text).unwrap_err().to_string(), error);
    }

    #[test]
    fn numbers_of_the_table_are_replaced_and_others_pass() {
        let table = read(
            "\u{feff}number,becomes\r\n600, 02122853348\r\n\r\n\"7,1\",\"a \"\"b\"\"\"\n601,1",
        )
        .unwrap();
        assert_eq!(table.apply("600"), Step::Next("02122853348".into()));
        assert_eq!(table.apply("7,1"), Step::Next("a \"b\"".into()));
        assert_eq!(table.apply("601"), Step::Next("1".into()));
        for other in ["number", "60", "6000", ""] {
            assert_eq!(table.apply(other), Step::Pass, "{other}");
        }
    }

    #[test]
    fn a_header_is_optional_and_only_the_first_line_can_be_one() {
        assert_eq!(
            read("600,1\n").unwrap().apply("600"),
            Step::Next("1".into())
        );
        let table = read("600,1\nnumber,becomes\n").unwrap();
        assert_eq!(table.apply("number"), Step::Next("becomes".into()));
        assert_eq!(
            read("").unwrap().describe(),
            read("number,becomes").unwrap().describe()
        );
    }

    #[test]
    fn two_replacements_of_one_number_are_refused_with_both_lines() {
        refused(
            "number,becomes\n\n600,1\n601,2\r\n\r\n600,3\n",
            "the table `numbers.csv` has `600` in line 3 and in line 6 with different replacements; keep one",
        );
        assert!(read("600,1\n600,1\n").is_ok());
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_its_number() {
        refused(
            "\n600\n",
            "the table `numbers.csv` is wrong in line 2: it has 1 field; write number and replacement, with one comma between them",
        );
        refused(
            "600,1\n601,2,3\n",
            "the table `numbers.csv` is wrong in line 2: it has 3 fields; write number and replacement, with one comma between them",
        );
        refused(
            "\"6\n00\",1\n,1",
            "the table `numbers.csv` is wrong in line 3: the number is empty; remove the line",
        );
        refused(
            "600, ",
            "the table `numbers.csv` is wrong in line 1: the replacement is empty; to leave such calls out, write a rule with `drop = true`",
        );
        assert_eq!(
            Table::parse(b"600,1\n\xff,2\n", Path::new("t"))
                .unwrap_err()
                .to_string(),
            "the table `t` is wrong in line 2: it is not UTF-8 text; save the file as UTF-8"
        );
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Table::load(&directory.path().join("none.csv")).unwrap_err();
        assert!(
            missing.to_string().starts_with("cannot read the table `"),
            "{missing}"
        );
        assert!(matches!(
            Table::load(directory.path()).unwrap_err(),
            TableError::NotAFile(_)
        ));
        let big = directory.path().join("big.csv");
        File::create(&big)
            .unwrap()
            .set_len(Table::MAX_BYTES + 1)
            .unwrap();
        assert!(
            Table::load(&big)
                .unwrap_err()
                .to_string()
                .ends_with("is bigger than 16 MiB; describe its numbers by patterns instead")
        );
        let good = directory.path().join("good.csv");
        std::fs::write(&good, "600,1\n").unwrap();
        assert_eq!(
            Table::load(&good).unwrap().apply("600"),
            Step::Next("1".into())
        );
    }

    #[test]
    fn the_description_follows_the_content_only() {
        let described = |text| read(text).unwrap().describe();
        assert_eq!(
            described("600,1\n601,2\n"),
            described("number,becomes\n601,2\n600,1")
        );
        assert_ne!(described("600,1\n601,2\n"), described("600,1\n601,3\n"));
        assert_ne!(described("600,1\n"), described("6001,\u{31}\u{31}\n"));
        assert!(described("600,1").starts_with("table of 1 number, content "));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = Table::parse(&bytes, Path::new("t"));
        }

        #[test]
        fn what_was_written_is_found(numbers in proptest::collection::btree_map("[0-9*#]{1,8}", "[0-9+]{1,12}", 0..20)) {
            let text: String = numbers.iter().map(|(number, becomes)| format!("{number},{becomes}\n")).collect();
            let table = read(&text).unwrap();
            for (number, becomes) in &numbers {
                prop_assert_eq!(table.apply(number), Step::Next(becomes.clone()));
            }
        }
    }
}
