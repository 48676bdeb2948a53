//! What a sandbox holds, and what happens to it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use chrono::NaiveDate;

use super::wire_time::WireTime;
use super::{Contacts, DayZone, DeleteReading, Duplicates, HeldCall, Stats};

/// First ids; any will do, but ids of calls and contacts should not be taken for one another.
const FIRST_CALL: i64 = 1;
const FIRST_CONTACT: i64 = 10_001;

/// A call as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewCall<'a> {
    pub(super) initiated: &'a str,
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
    pub(super) duration: Option<u64>,
    pub(super) url: Option<&'a str>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    New { call: i64, contact: i64 },
    Existing { call: i64, contact: i64 },
    UnknownNumber,
}

/// A key to the map: hashed once, compared in full.
struct Held {
    call: HeldCall,
    start: WireTime,
}

/// Everything that a sandbox knows.
pub(super) struct State {
    pub(super) token: String,
    pub(super) duplicates: Duplicates,
    contacts: Contacts,
    days: DeleteReading,
    day_zone: DayZone,
    /// Buckets by the hash of start, source and destination: no key is built to look one up.
    calls: HashMap<u64, Vec<Held>>,
    hasher: RandomState,
    contact_ids: HashMap<Box<str>, i64>,
    next_call: i64,
    in_flight: u64,
    pub(super) counts: Stats,
}

impl State {
    pub(super) fn new(
        token: String,
        contacts: Contacts,
        duplicates: Duplicates,
        days: DeleteReading,
        day_zone: DayZone,
    ) -> Self {
        Self {
            token,
            duplicates,
            contacts,
            days,
            day_zone,
            calls: HashMap::new(),
            hasher: RandomState::new(),
            contact_ids: HashMap::new(),
            next_call: FIRST_CALL,
            in_flight: 0,
            counts: Stats::default(),
        }
    }

    /// Creates a call, unless it is there or nobody has its number.
    pub(super) fn create(&mut self, new: NewCall<'_>, start: WireTime) -> Created {
        let known = match &self.contacts {
            Contacts::All => true,
            Contacts::Numbers(numbers) => numbers.contains(new.destination),
        };
        if !known {
            self.counts.unmatched += 1;
            return Created::UnknownNumber;
        }
        let hash = self
            .hasher
            .hash_one((new.initiated, new.source, new.destination));
        let bucket = self.calls.entry(hash).or_default();
        let held = bucket.iter().find(|held| {
            held.call.initiated == new.initiated
                && held.call.source == new.source
                && held.call.destination == new.destination
        });
        if let Some(held) = held {
            self.counts.existing += 1;
            return Created::Existing {
                call: held.call.phonecall_id,
                contact: held.call.contact_id,
            };
        }
        let contact = match self.contact_ids.get(new.destination) {
            Some(contact) => *contact,
            None => {
                let contact = FIRST_CONTACT + i64::try_from(self.contact_ids.len()).unwrap_or(0);
                self.contact_ids.insert(new.destination.into(), contact);
                contact
            }
        };
        let call = self.next_call;
        self.next_call += 1;
        bucket.push(Held {
            call: HeldCall {
                initiated: new.initiated.to_owned(),
                source: new.source.to_owned(),
                destination: new.destination.to_owned(),
                duration: new.duration,
                url: new.url.map(ToOwned::to_owned),
                phonecall_id: call,
                contact_id: contact,
            },
            start,
        });
        self.counts.calls += 1;
        self.counts.created += 1;
        Created::New { call, contact }
    }

    /// Deletes between two dates, both exclusive in the sense of [`DeleteReading`]; gives how many went.
    pub(super) fn delete(&mut self, from: NaiveDate, to: NaiveDate) -> u64 {
        let (days, zone) = (self.days, self.day_zone);
        let goes = |held: &Held| {
            let start = held.start.in_zone(zone);
            match days {
                DeleteReading::NamedDaysStay => from < start.date() && start.date() < to,
                DeleteReading::NamedDaysGo => {
                    let midnight = chrono::NaiveTime::MIN;
                    from.and_time(midnight) < start && start < to.and_time(midnight)
                }
            }
        };
        let mut gone = 0;
        self.calls.retain(|_, bucket| {
            let before = bucket.len();
            bucket.retain(|held| !goes(held));
            gone += (before - bucket.len()) as u64;
            !bucket.is_empty()
        });
        self.counts.calls -= gone;
        self.counts.deletes += 1;
        self.counts.deleted += gone;
        gone
    }

    /// What it holds, sorted.
    pub(super) fn calls(&self) -> Vec<HeldCall> {
        let mut calls: Vec<HeldCall> = self
            .calls
            .values()
            .flatten()
            .map(|held| held.call.clone())
            .collect();
        calls.sort_unstable();
        calls
    }

    pub(super) fn stats(&self) -> Stats {
        self.counts
    }

    /// A request begins.
    pub(super) fn enter(&mut self) {
        self.counts.requests += 1;
        self.in_flight += 1;
        self.counts.in_flight_max = self.counts.in_flight_max.max(self.in_flight);
    }

    /// A request ends, answered or given up by the client.
    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}
