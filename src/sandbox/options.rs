//! What a user of the sandbox can choose.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chrono::FixedOffset;

/// What a sandbox is to be like. `default()` is a free port on 127.0.0.1, the token `sandbox`, and every number known.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where it listens: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token that it accepts.
    pub token: String,
    /// Whose numbers it knows.
    pub contacts: Contacts,
    /// How long each answer of the web service takes; `None`: at once.
    pub latency: Option<Duration>,
    /// What it answers to a call that it holds already.
    pub duplicates: Duplicates,
    /// What the bounds of a deletion exclude.
    pub days: DeleteReading,
    /// Which day a call belongs to.
    pub day_zone: DayZone,
    /// What it asks for before it answers.
    pub credentials: Credentials,
}

/// Whose numbers a sandbox knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// Every number has a contact.
    All,
    /// These, compared as they are.
    Numbers(HashSet<String>),
}

/// What a sandbox answers to a call that it holds already. Nothing is created either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// `error: true`, "la llamada ya existe".
    Exists,
    /// `error: false`, with the ids of the call that it holds.
    Silent,
}

/// What "exclusive" means for the two dates of a deletion, which NiMbox's documentation leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReading {
    /// The two named days stay: what goes lies on a day between them.
    NamedDaysStay,
    /// The dates are midnights, and only these are excluded: what goes starts after the midnight that begins the first
    /// day and before the one that begins the second.
    NamedDaysGo,
}

/// Which day a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayZone {
    /// The date as it was sent.
    WireText,
    /// The date at this offset from UTC. A start that was sent without an offset counts as sent.
    Fixed(FixedOffset),
}

/// What a sandbox asks for before it answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// HTTP Basic, realm `NiMbox`.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// HTTP Digest with `qop=auth`, realm `NiMbox`.
    Digest {
        /// User name.
        username: String,
        /// Password.
        password: String,
        /// The hash it asks for.
        algorithm: DigestAlgorithm,
        /// Requests that a nonce is good for; the next one is told that it is stale. `None`: no limit.
        nonce_uses: Option<u32>,
    },
}

/// The hashes that a sandbox can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// RFC 2617
    Md5,
    /// RFC 7616
    Sha256,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: "sandbox".to_owned(),
            contacts: Contacts::All,
            latency: None,
            duplicates: Duplicates::Exists,
            days: DeleteReading::NamedDaysStay,
            day_zone: DayZone::WireText,
            credentials: Credentials::None,
        }
    }
}

impl Contacts {
    /// Reads numbers from a text, one a line; blanks around them, empty lines, and what follows a `#` do not count.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::Numbers(
            text.lines()
                // A `#` inside a number is a key of the telephone, so only one that begins a word begins a comment.
                .map(|line| {
                    let end = line
                        .match_indices('#')
                        .map(|(at, _)| at)
                        .find(|&at| at == 0 || line[..at].ends_with([' ', '\t']));
                    line[..end.unwrap_or(line.len())].trim()
                })
                .filter(|number| !number.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
        )
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "the contacts file {} cannot be read; it must be UTF-8 text with one number a line",
                path.display()
            )
        })?;
        Ok(Self::parse(&text))
    }
}

impl fmt::Debug for SandboxOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxOptions")
            .field("listen", &self.listen)
            .field("duplicates", &self.duplicates)
            .field("days", &self.days)
            .field("day_zone", &self.day_zone)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(***)",
            Self::Digest { .. } => "Digest(***)",
        })
    }
}
