//! A file judged by its first bytes, read by hand, before SQLite may touch it: what is refused stays untouched, its log
//! included. Offsets are those of the SQLite database file format, section 1.3.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{LedgerError, damaged, newer, not_a_database};
use super::place::{beside, length};
use super::schema;

/// `PRAGMA application_id` of every ledger: the bytes `cdrL`.
pub const APPLICATION_ID: i32 = 0x6364_724C;

/// What the header of a ledger holds from its creation on, at these offsets. SQLite does what they say, and reads the
/// file otherwise than it was written where one of them is wrong: without its log, or in another encoding.
const SETTLED: &[(usize, &[u8])] = &[
    // Pages of 4096 bytes; write-ahead log for writing and reading; no reserved bytes; payload fractions.
    (16, &[0x10, 0x00, 2, 2, 0, 64, 32, 32]),
    // Schema format 4.
    (44, &[0, 0, 0, 4]),
    // No auto-vacuum; UTF-8.
    (52, &[0, 0, 0, 0, 0, 0, 0, 1]),
    // No incremental vacuum.
    (64, &[0, 0, 0, 0]),
];

/// What stands at the ledger's path, by its first bytes.
pub(super) enum Found {
    Absent,
    Empty(&'static str),
    /// As far as the header tells.
    Healthy,
}

pub(super) fn judge(path: &Path) -> Result<Found, LedgerError> {
    let failed = |error| LedgerError::io("read", path, error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(failed(error)),
    };
    let data = file.metadata().map_err(failed)?;
    if !data.is_file() {
        return Err(LedgerError::unusable(format!(
            "`{}` is not a file; set `ledger.path` to a file",
            path.display()
        )));
    }
    if data.len() == 0 {
        return Ok(Found::Empty("is empty"));
    }
    let mut head = Vec::with_capacity(108);
    (&mut file)
        .take(108)
        .read_to_end(&mut head)
        .map_err(failed)?;
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(LedgerError::unusable(not_a_database(path)));
    }
    if head.len() < 108 || data.len() < 512 {
        return Err(LedgerError::unusable(damaged(path)));
    }
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    // The schema table's own page: a leaf without cells describes no table.
    if head[100] == 0x0d && head[103] == 0 && head[104] == 0 {
        return Ok(Found::Empty("holds no tables"));
    }
    if number(68) != APPLICATION_ID.cast_unsigned() {
        return Err(LedgerError::unusable(format!(
            "`{}` is a database of another program; it was left as it is: set `ledger.path` to a file of its own",
            path.display()
        )));
    }
    if let Some(other) = SETTLED
        .iter()
        .find(|(at, bytes)| head[*at..*at + bytes.len()] != **bytes)
    {
        tracing::debug!("the header of the ledger differs at offset {}", other.0);
        return Err(LedgerError::unusable(damaged(path)));
    }
    let version = number(60);
    if version == 0 {
        return Err(LedgerError::unusable(damaged(path)));
    }
    if version as usize > schema::LATEST as usize {
        return Err(newer(path, i64::from(version), schema::LATEST));
    }
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65536,
        size => u64::from(size),
    };
    // With a log beside it the file may rightly be shorter: the rest was on its way when the power went.
    let shorter = data.len() < page * u64::from(number(28));
    if shorter && number(24) == number(92) && length(&beside(path, "-wal"))? == 0 {
        return Err(LedgerError::unusable(damaged(path)));
    }
    Ok(Found::Healthy)
}
