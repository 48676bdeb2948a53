//! Who may come in: the secret, and the connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::config::secret::Secret;

/// Compares a secret in a time that does not depend on how much of it is right.
#[derive(Clone)]
pub struct Gate(Option<[u8; 32]>);

impl Gate {
    /// A gate that opens to `secret`, or to everybody.
    #[must_use]
    pub fn new(secret: Option<&Secret>) -> Self {
        Self(secret.map(|secret| Sha256::digest(secret.expose()).into()))
    }

    /// Whether one of the things that were shown is the secret. Digests of one length are compared, to the last byte, so
    /// that neither the time nor the length tells anything.
    #[must_use]
    pub fn opens_to(&self, shown: &[&[u8]]) -> bool {
        let Some(expected) = &self.0 else {
            return true;
        };
        let mut opens = false;
        for shown in shown {
            let digest: [u8; 32] = Sha256::digest(shown).into();
            let differs = digest
                .iter()
                .zip(expected)
                .fold(0, |differs, (one, other)| differs | (one ^ other));
            opens |= std::hint::black_box(differs) == 0;
        }
        opens
    }
}

/// One connection, as the house sees it.
#[derive(Debug, Default)]
pub struct Visit {
    /// A whole request has come and its answer has not gone.
    served: AtomicBool,
    leave: Notify,
}

impl Visit {
    /// Waits until the house asks it to leave.
    pub async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether a whole request is being answered.
    pub fn is_served(&self, served: bool) {
        self.served.store(served, Ordering::Relaxed);
    }
}

/// The open connections, up to a bound. The longest unfinished one makes room for a new one, so that clients who say
/// nothing, or say it slowly, keep nobody out.
#[derive(Debug)]
pub struct House {
    most: usize,
    open: Mutex<Guests>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    /// By when they came, or last had an answer.
    by_age: BTreeMap<u64, Arc<Visit>>,
}

/// A place in the house. Dropping it frees it.
#[derive(Debug)]
pub struct Place {
    house: Arc<House>,
    age: Mutex<u64>,
    /// The connection.
    pub visit: Arc<Visit>,
}

impl House {
    /// A house for so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: Mutex::default(),
            left: Notify::new(),
        }
    }

    /// Lets a connection in; at the bound, after the longest unfinished one was asked to leave. `None` where everybody is
    /// being served: then wait for [`House::somebody_left`]. The second value says whether one had to leave.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut guests = self.guests();
        let full = guests.by_age.len() >= self.most;
        if full {
            let oldest = guests
                .by_age
                .iter()
                .find(|(_, visit)| !visit.served.load(Ordering::Relaxed));
            let age = oldest.map(|(age, _)| *age)?;
            if let Some(visit) = guests.by_age.remove(&age) {
                visit.leave.notify_one();
            }
        }
        let age = guests.next;
        guests.next += 1;
        let visit = Arc::new(Visit::default());
        guests.by_age.insert(age, Arc::clone(&visit));
        let place = Place {
            house: Arc::clone(self),
            age: Mutex::new(age),
            visit,
        };
        Some((place, full))
    }

    /// Waits until a connection has ended.
    pub async fn somebody_left(&self) {
        self.left.notified().await;
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// An answer has gone: what it waits for from now on is another request.
    pub fn begins_anew(&self) {
        self.visit.is_served(false);
        let mut guests = self.house.guests();
        let mut age = self.age.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was asked to leave has no place any more.
        if let Some(visit) = guests.by_age.remove(&age) {
            *age = guests.next;
            guests.next += 1;
            guests.by_age.insert(*age, visit);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let age = *self.age.lock().unwrap_or_else(PoisonError::into_inner);
        self.house.guests().by_age.remove(&age);
        self.house.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_opens_to_the_secret_and_to_nothing_else() {
        let secret = Secret::new("open sesame".to_owned()).expect("a secret");
        let gate = Gate::new(Some(&secret));
        assert!(gate.opens_to(&[b"", b"open sesame"]));
        for shown in [&b""[..], b"open", b"open sesame ", b"OPEN SESAME"] {
            assert!(!gate.opens_to(&[shown]));
        }
        assert!(!gate.opens_to(&[]));
        assert!(Gate::new(None).opens_to(&[]));
    }

    #[test]
    fn the_longest_unfinished_connection_makes_room() {
        let house = Arc::new(House::new(2));
        let (first, displaced) = house.enter().expect("room");
        assert!(!displaced);
        let (second, _) = house.enter().expect("room");
        first.visit.is_served(true);
        let (third, displaced) = house.enter().expect("the second leaves");
        assert!(displaced);
        first.begins_anew();
        // The second has no place to begin anew in.
        second.begins_anew();
        drop(second);
        third.visit.is_served(true);
        let (fourth, displaced) = house.enter().expect("the first leaves");
        assert!(displaced);
        fourth.visit.is_served(true);
        assert!(house.enter().is_none(), "everybody is being served");
        drop(third);
        assert!(house.enter().is_some_and(|(_, displaced)| !displaced));
    }
}
