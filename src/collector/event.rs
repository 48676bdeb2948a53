//! What a phone system said about a call: its own words, kept as they came.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The pairs of an event, in the order of the alphabet, so that equal events are equal texts.
pub type Fields = BTreeMap<String, String>;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// asterCC's call events.
    Astercc,
    /// The requests and notices of `cti_bridge` (`mod_cti`, on FreeSWITCH).
    CtiBridge,
    /// What FreeSWITCH's `mod_json_cdr` posts at the end of a call.
    Freeswitch,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Astercc, Self::CtiBridge, Self::Freeswitch];

    /// Its name in paths, settings and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Astercc => "astercc",
            Self::CtiBridge => "cti_bridge",
            Self::Freeswitch => "freeswitch",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Who gives the calls their ids: `cti_bridge` runs inside FreeSWITCH, so both speak of one call by one id.
    fn switch(self) -> &'static str {
        match self {
            Self::Astercc => "astercc",
            Self::CtiBridge | Self::Freeswitch => "freeswitch",
        }
    }
}

/// Most characters of a call's id: FreeSWITCH's have 36, asterCC's 32.
pub const LONGEST_ID: usize = 128;

/// Most pairs of an event.
pub const MOST_FIELDS: usize = 256;

/// Which call of which switch: `astercc/efeb7b37…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(String);

impl CallKey {
    /// The key of the call that `dialect` calls `id`.
    ///
    /// # Errors
    /// [`BadEvent::Id`] where no switch would have made such an id: it is empty, too long, or not all visible ASCII.
    pub fn new(dialect: Dialect, id: &str) -> Result<Self, BadEvent> {
        let fits =
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(format!("{}/{id}", dialect.switch())))
        } else {
            Err(BadEvent::Id)
        }
    }

    /// What a store gave back.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id alone, as the switch has it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, id)| id)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who said it.
    pub dialect: Dialect,
    /// About which call.
    pub call: CallKey,
    /// What was said, unknown keys included.
    pub fields: Fields,
}

impl Event {
    /// A pair's value; empty where there is none. Blanks around it mean nothing: asterCC writes `channel= `.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", |value| value.trim())
    }

    /// The text that a store keeps of the pairs.
    #[must_use]
    pub fn body(&self) -> String {
        // A map of texts always has a JSON form.
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// Equal for events that say the same: half of a SHA-256, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.dialect.as_str());
        for (key, value) in &self.fields {
            for part in [key, value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let mut text = String::with_capacity(32);
        for byte in &hash.finalize()[..16] {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// An event, and when it first came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What was said.
    pub event: Event,
    /// When, in milliseconds since 1970 (UTC), by the collector's clock.
    pub at: i64,
}

/// Why a message is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// Nothing says which call it is about.
    #[error("the message has no `{0}`, so nothing says which call it is about")]
    NoCall(&'static str),
    /// No switch makes such ids.
    #[error("the call's id must be 1 to 128 visible ASCII characters")]
    Id,
    /// Something that every message has is missing.
    #[error("the message has no `{0}`")]
    Lacks(&'static str),
    /// More pairs than any message has.
    #[error("the message has more than 256 pairs")]
    TooMany,
    /// Not in the form that was announced.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &[(&str, &str)]) -> Event {
        Event {
            dialect: Dialect::Astercc,
            call: CallKey::new(Dialect::Astercc, "1").expect("an id"),
            fields: fields
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    #[test]
    fn the_order_of_pairs_makes_no_other_event_and_every_value_does() {
        let one = event(&[("a", "1"), ("b", "2")]);
        assert_eq!(
            one.fingerprint(),
            event(&[("b", "2"), ("a", "1")]).fingerprint()
        );
        assert_ne!(
            one.fingerprint(),
            event(&[("a", "1"), ("b", "3")]).fingerprint()
        );
        assert_ne!(
            event(&[("a", "1b")]).fingerprint(),
            event(&[("a1", "b")]).fingerprint()
        );
    }

    #[test]
    fn ids_that_no_switch_makes_are_refused() {
        for id in ["", "a b", "a\n", "ü", &"x".repeat(129)] {
            assert_eq!(
                CallKey::new(Dialect::Freeswitch, id),
                Err(BadEvent::Id),
                "{id:?}"
            );
        }
        let key = CallKey::new(Dialect::CtiBridge, "u/1").expect("an id");
        assert_eq!((key.as_str(), key.id()), ("freeswitch/u/1", "u/1"));
    }
}
