//! The nouns of the trade: what a call is, how it is known, and what the CRM gets of it.
//!
//! Nothing here does I/O. A [`RawNumber`] is what the PBX wrote; a [`PhoneNumber`] is what the rules made of it; the two
//! never mix, so a number cannot reach the CRM without having gone through the rule chain.

use std::fmt;

use sha2::{Digest, Sha256};

/// A position on the time column's own clock, in whole seconds since `1970-01-01 00:00:00` as that column counts.
///
/// For a column that holds local time ([`TimeKind::Wall`]) this is the wall clock read as if it were UTC; for one that
/// holds instants ([`TimeKind::Instant`]) it is Unix time. Fractions of a second are cut off. Slices, identities and the
/// ledger's order are all counted on this clock, so that none of them changes when the configured zone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnTime(pub i64);

/// What the values of a time column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeKind {
    /// Local wall clock without offset (`DATETIME`, `timestamp`, text): needs `source.timezone`.
    Wall,
    /// Instants (`TIMESTAMP`, `timestamptz`, epoch numbers): `source.timezone` is not applied.
    Instant,
}

/// Which of two equal wall times is meant where an hour occurs twice: 0 the first, 1 the second. Otherwise 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fold(pub u8);

/// A number exactly as the PBX's column holds it. Hostile text: an extension, a SIP URI, a name, anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawNumber(pub String);

/// A number as the rule chain left it: what the CRM gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(pub String);

impl RawNumber {
    /// The text of the column.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PhoneNumber {
    /// The text the CRM gets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a call is known, for ever: by what the source holds, never by what rules or zones make of it.
///
/// The order of the fields is the ledger's clustering order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Start as the column holds it.
    pub start: ColumnTime,
    /// Which of two equal starts, where an hour occurs twice.
    pub fold: Fold,
    /// `src` as the column holds it.
    pub source: RawNumber,
    /// `dst` as the column holds it.
    pub destination: RawNumber,
}

impl AsRef<Self> for Identity {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// How a call ended, as Asterisk's `cdr.h` numbers and names it.
///
/// Numbers: 0 and 1 NO ANSWER, 2 FAILED, 4 BUSY, 8 ANSWERED, 16 CONGESTION, 32 CANCEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Somebody or something picked up; says nothing about `billsec`.
    Answered,
    /// Rang out, or was given up by the caller.
    NoAnswer,
    /// The called party was busy.
    Busy,
    /// Could not be placed.
    Failed,
    /// No circuit (Asterisk with `congestion=yes`).
    Congestion,
    /// Given up by the caller (Asterisk with `canceldispositionenabled=yes`).
    Cancel,
    /// Anything else a column holds, an empty one included.
    Other(String),
}

impl Disposition {
    /// Reads a column's text or number. Case, `-`, `_` and blanks do not matter (`NOANSWER`, `no answer`); FreeSWITCH's
    /// and asterCC's `ANSWER` counts as answered.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // As Asterisk writes them, and so nearly every row.
        match text {
            "ANSWERED" => return Self::Answered,
            "NO ANSWER" => return Self::NoAnswer,
            "BUSY" => return Self::Busy,
            "FAILED" => return Self::Failed,
            _ => {}
        }
        let plain: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_'))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        match plain.as_str() {
            "ANSWERED" | "ANSWER" | "8" => Self::Answered,
            "NOANSWER" | "0" | "1" => Self::NoAnswer,
            "BUSY" | "4" => Self::Busy,
            "FAILED" | "2" => Self::Failed,
            "CONGESTION" | "16" => Self::Congestion,
            "CANCEL" | "32" => Self::Cancel,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Asterisk's own word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "ANSWERED",
            Self::NoAnswer => "NO ANSWER",
            Self::Busy => "BUSY",
            Self::Failed => "FAILED",
            Self::Congestion => "CONGESTION",
            Self::Cancel => "CANCEL",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a call's row came from: enough to find it again in the PBX.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// `epoch.counter`, or `systemname-epoch.counter`, or any string (Asterisk channel ids).
    pub uniqueid: Option<String>,
    /// `uniqueid` of the oldest channel of the bridge tree.
    pub linkedid: Option<String>,
    /// Asterisk's process-wide row counter.
    pub sequence: Option<i64>,
}

/// One call: the rows of one identity folded into one.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// How it is known.
    pub identity: Identity,
    /// Start as an instant, Unix seconds, by the zone rule of [`crate::cdr::clock`].
    pub instant: i64,
    /// Column `duration` of the representing row, in seconds; never `billsec`.
    pub duration: u64,
    /// Outcome of the representing row.
    pub disposition: Disposition,
    /// The representing row.
    pub origin: Origin,
    /// Values of [`crate::source::SourceProfile::extra`], of the representing row (for `recordingfile`: of the first row
    /// of the call that has one).
    pub extra: Vec<Option<String>>,
    /// Number of rows folded into this call, at least 1.
    pub rows: u32,
}

/// What the CRM gets, byte for byte; frozen in the ledger with a call's first intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireForm {
    /// Start, rendered as `target.initiated_as` says.
    pub initiated: String,
    /// The caller.
    pub source: PhoneNumber,
    /// The number called.
    pub destination: PhoneNumber,
    /// Seconds.
    pub duration: u64,
    /// Link to the recording.
    pub url: Option<String>,
    /// What a CRM that runs a class gets instead of all these, form-encoded and without credentials; see
    /// [`crate::cdr::form::CallForm`]. `None` for a CRM that takes calls as such.
    pub form: Option<String>,
}

impl AsRef<Self> for WireForm {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The parts of a [`WireForm`], wherever they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireParts<'a> {
    /// See [`WireForm::initiated`].
    pub initiated: &'a str,
    /// See [`WireForm::source`].
    pub source: &'a str,
    /// See [`WireForm::destination`].
    pub destination: &'a str,
    /// See [`WireForm::duration`].
    pub duration: u64,
    /// See [`WireForm::url`].
    pub url: Option<&'a str>,
    /// See [`WireForm::form`].
    pub form: Option<&'a str>,
}

impl WireParts<'_> {
    /// See [`WireForm::key_hash`].
    #[must_use]
    pub fn key_hash(&self) -> i64 {
        digest([
            self.initiated.as_bytes(),
            self.source.as_bytes(),
            self.destination.as_bytes(),
        ])
    }

    /// See [`WireForm::content_hash`].
    #[must_use]
    pub fn content_hash(&self) -> i64 {
        // Where there is a form, it alone goes over the wire: another duration is no other call to its CRM.
        if let Some(form) = self.form {
            return digest([form.as_bytes()]);
        }
        let mut digits = [0; 20];
        digest([
            self.initiated.as_bytes(),
            self.source.as_bytes(),
            self.destination.as_bytes(),
            decimal(self.duration, &mut digits),
            self.url.unwrap_or("").as_bytes(),
        ])
    }
}

impl WireForm {
    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> WireParts<'_> {
        WireParts {
            initiated: &self.initiated,
            source: self.source.as_str(),
            destination: self.destination.as_str(),
            duration: self.duration,
            url: self.url.as_deref(),
            form: self.form.as_deref(),
        }
    }

    /// First eight bytes of a SHA-256 over the three texts that a NiMbox-style CRM keys a call by. An index, not a
    /// proof: whoever finds two calls with equal hashes compares the texts.
    #[must_use]
    pub fn key_hash(&self) -> i64 {
        self.parts().key_hash()
    }

    /// The same over everything the CRM gets: differs when a rule, the zone, the rendering or the row changed.
    #[must_use]
    pub fn content_hash(&self) -> i64 {
        self.parts().content_hash()
    }

    /// Whether both give one key on a CRM that keys calls by start, source and destination.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.initiated == other.initiated
            && self.source == other.source
            && self.destination == other.destination
    }
}

/// A number as text, without room of its own.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// First eight bytes of a SHA-256 over length-prefixed parts, as a signed number that SQLite can index.
#[must_use]
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    // One piece where it is short, as it mostly is: the hash takes it in whole blocks.
    let mut piece = [0; 256];
    let mut filled = 0;
    let mut hash = Sha256::new();
    for part in parts {
        let length = (part.len() as u64).to_le_bytes();
        for bytes in [&length[..], part] {
            if filled + bytes.len() > piece.len() {
                hash.update(&piece[..filled]);
                filled = 0;
            }
            if bytes.len() > piece.len() {
                hash.update(bytes);
            } else {
                piece[filled..filled + bytes.len()].copy_from_slice(bytes);
                filled += bytes.len();
            }
        }
    }
    hash.update(&piece[..filled]);
    let bytes: [u8; 32] = hash.finalize().into();
    i64::from_le_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ])
}
