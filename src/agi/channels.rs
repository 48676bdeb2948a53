//! The channels that were told while they happened: rows of theirs are passed over.

use std::collections::HashSet;
use std::io;

use super::spool::{Spool, digest};
use crate::call::Call;

/// Those that the ledger has, and the spool, in which more appear at any time.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    recorded: HashSet<String>,
    spool: Option<Spool>,
}

/// The channels as they were at one moment.
#[derive(Debug)]
pub struct Moment<'a> {
    recorded: &'a HashSet<String>,
    open: HashSet<String>,
}

impl Channels {
    /// None, whatever is told.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of the ledger (`recorded`) and of the spool.
    #[must_use]
    pub fn new(recorded: HashSet<String>, spool: Spool) -> Self {
        Self {
            recorded,
            spool: Some(spool),
        }
    }

    /// As they are now. Asterisk writes a call's row when the call is over, and its file is there before that: so whoever
    /// looks after reading a row misses none.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn now(&self) -> io::Result<Moment<'_>> {
        let open = match &self.spool {
            Some(spool) => spool.channels()?,
            None => HashSet::new(),
        };
        Ok(Moment {
            recorded: &self.recorded,
            open,
        })
    }
}

impl Moment<'_> {
    /// Whether this call was told, going by the channel of its row.
    #[must_use]
    pub fn has(&self, call: &Call) -> bool {
        let Some(channel) = call.origin.uniqueid.as_deref() else {
            return false;
        };
        self.recorded.contains(channel)
            || (!self.open.is_empty() && self.open.contains(&digest(channel)))
    }
}
