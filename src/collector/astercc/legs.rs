//! The events of one asterCC call, sorted by the legs that they are about.

use std::collections::BTreeSet;

use crate::collector::event::{Event, Received};
use crate::collector::moment::{Moment, Reader, seconds};

/// Whose side of a call an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// CALLER (who called in) and CALLEE (who was called).
    Customer,
    /// AGENT.
    Agent,
    /// CONSULT: whom an agent asked while the customer waited.
    Consult,
    /// CONVERSATION: all of it.
    All,
    /// Anything else; it is kept, and says nothing.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moved {
    Incoming,
    Ringing,
    Answer,
    Join,
    OnHold,
    Resume,
    Hangup,
    Unknown,
}

/// One event, read.
#[derive(Debug, Clone)]
struct Seen<'e> {
    side: Side,
    moved: Moved,
    /// As the message says.
    time: Option<Moment>,
    /// When the message came.
    came: Moment,
    /// The server's own counting.
    eventid: Option<u64>,
    event: &'e Event,
}

/// What one phone did in a call.
#[derive(Debug)]
pub(super) struct Leg<'e> {
    side: Side,
    events: Vec<Seen<'e>>,
}

/// All legs of a call.
#[derive(Debug)]
pub(super) struct Legs<'e> {
    legs: Vec<Leg<'e>>,
    /// Every event, by time and the server's counting.
    events: Vec<Seen<'e>>,
}

impl<'e> Legs<'e> {
    /// Sorts the events. Their order is that of the server's counting where two of one second have one, then that of
    /// a call: it rings before it is answered. So it does not depend on how the messages came.
    pub(super) fn read(received: &[&'e Received], reader: &Reader) -> Self {
        // A phone rings before anything else happens. That decides between the two instants that a reading of an hour
        // that occurs twice can mean: nothing in a call was before it.
        let begins = |one: &&&Received| {
            matches!(
                moved(one.event.get("event")),
                Moved::Ringing | Moved::Incoming
            )
        };
        let first = received
            .iter()
            .filter(begins)
            .filter_map(|one| reader.read(one.event.get("eventTime"), None))
            .min();
        let not_before = first.map(|moment| moment.instant);
        let mut events: Vec<Seen<'e>> = received
            .iter()
            .map(|one| Seen::read(one, reader, not_before))
            .collect();
        events.sort_by(|one, other| one.order().cmp(&other.order()));
        let mut legs: Vec<Leg<'e>> = Vec::new();
        for seen in &events {
            if matches!(seen.side, Side::All | Side::Unknown) {
                continue;
            }
            let same = |leg: &&mut Leg<'_>| leg.side == seen.side && leg.id() == seen.id();
            match legs.iter_mut().find(same) {
                Some(leg) => leg.events.push(seen.clone()),
                None => legs.push(Leg {
                    side: seen.side,
                    events: vec![seen.clone()],
                }),
            }
        }
        Self { legs, events }
    }

    /// Whether the conversation is over: it says so itself, or the customer and everybody else has hung up.
    pub(super) fn ended(&self) -> bool {
        let said = |seen: &Seen<'_>| seen.side == Side::All && seen.moved == Moved::Hangup;
        let customer_was_there = self.of(Side::Customer).next().is_some();
        self.events.iter().any(said) || (customer_was_there && self.legs.iter().all(Leg::is_over))
    }

    /// Whether an agent called out. Who is CALLEE was called; else the message says.
    pub(super) fn outbound(&self) -> bool {
        let has = |source: &str| {
            self.events
                .iter()
                .any(|seen| seen.event.get("source").eq_ignore_ascii_case(source))
        };
        if has("CALLEE") != has("CALLER") {
            return has("CALLEE");
        }
        let says = |word: &str| {
            let of = |key: &str| self.events.iter().any(|seen| seen.event.get(key) == word);
            of("from") || of("calltype")
        };
        says("dialout") && !says("dialin")
    }

    pub(super) fn of(&self, side: Side) -> impl Iterator<Item = &Leg<'e>> {
        self.legs.iter().filter(move |leg| leg.side == side)
    }

    /// When something first happened on a side, as far as messages say when.
    pub(super) fn first(&self, side: Side, moved: Moved) -> Option<Moment> {
        self.times(|seen| seen.side == side && seen.moved == moved)
            .min()
    }

    /// When anything first happened on a side, as far as messages say when.
    pub(super) fn first_of(&self, side: Side) -> Option<Moment> {
        self.times(|seen| seen.side == side).min()
    }

    /// When something last happened on a side, as far as messages say when.
    pub(super) fn last(&self, side: Side, moved: Moved) -> Option<Moment> {
        self.times(|seen| seen.side == side && seen.moved == moved)
            .max()
    }

    /// When the first message came that says so.
    pub(super) fn came(&self, side: Side, moved: Moved) -> Option<Moment> {
        let of = self
            .events
            .iter()
            .filter(|seen| seen.side == side && seen.moved == moved);
        of.map(|seen| seen.came).min()
    }

    /// The first time that any message says; else when the first one came.
    pub(super) fn first_at_all(&self) -> Option<Moment> {
        let came = || self.events.iter().map(|seen| seen.came).min();
        self.times(|_| true).min().or_else(came)
    }

    /// The last time that any message says; else when the last one came.
    pub(super) fn last_at_all(&self) -> Option<Moment> {
        let came = || self.events.iter().map(|seen| seen.came).max();
        self.times(|_| true).max().or_else(came)
    }

    fn times(&self, wanted: impl Fn(&Seen<'_>) -> bool) -> impl Iterator<Item = Moment> {
        let those = self.events.iter().filter(move |seen| wanted(seen));
        those.filter_map(|seen| seen.time)
    }

    /// The agent whose call it is: who first answered, else whose phone first rang.
    pub(super) fn agent(&self) -> Option<&Leg<'e>> {
        let by = |moved: Moved| {
            let legs = self.of(Side::Agent).filter(move |leg| leg.did(moved));
            legs.min_by_key(move |leg| leg.when(moved))
        };
        by(Moved::Answer)
            .or_else(|| by(Moved::Join))
            .or_else(|| by(Moved::Ringing))
            .or_else(|| self.of(Side::Agent).next())
    }

    /// The customer's number: what was said while it rang, else by anybody, as long as it is not the agent's own.
    pub(super) fn customer_number(&self, agent: &str) -> String {
        let ringing = |seen: &&Seen<'_>| matches!(seen.moved, Moved::Ringing | Moved::Incoming);
        let of_side = |side: Side| self.events.iter().filter(move |seen| seen.side == side);
        let mut candidates: Vec<&str> = Vec::new();
        for side in [Side::Customer, Side::Agent, Side::All] {
            let rang = of_side(side).filter(ringing);
            candidates.extend(rang.map(|seen| seen.event.get("calleridnum")));
        }
        for side in [Side::All, Side::Customer, Side::Agent] {
            candidates.extend(of_side(side).map(|seen| seen.event.get("calleridnum")));
        }
        candidates.extend(of_side(Side::Customer).map(|seen| seen.event.get("activenum")));
        candidates.extend(of_side(Side::Customer).map(|seen| number_in_channel(seen.event)));
        let fits = |number: &&str| !number.is_empty() && *number != agent;
        let number = candidates.iter().copied().find(fits);
        // Who calls his own number gets it.
        let own = || candidates.iter().copied().find(|number| !number.is_empty());
        number.or_else(own).unwrap_or_default().to_owned()
    }

    /// The number that an outside caller dialled.
    pub(super) fn did(&self) -> &'e str {
        self.said("didnumber")
    }

    /// A channel of a side.
    pub(super) fn channel(&self, side: Side) -> &'e str {
        let mut channels = self.of(side).map(Leg::channel);
        channels.find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The first value that any message gives for `key`.
    pub(super) fn said(&self, key: &str) -> &'e str {
        let mut values = self.events.iter().map(|seen| seen.event.get(key));
        values.find(|value| !value.is_empty()).unwrap_or_default()
    }

    /// The numbers on one side that answered or joined, in order, each once; without any, those that rang are not named.
    pub(super) fn numbers_of_those_who_took_part(&self, side: Side) -> Vec<&'e str> {
        let mut seen = BTreeSet::new();
        let mut there: Vec<&Leg<'e>> = self
            .of(side)
            .filter(|leg| leg.did(Moved::Answer) || leg.did(Moved::Join))
            .collect();
        there.sort_by_key(|leg| {
            if leg.did(Moved::Answer) {
                leg.when(Moved::Answer)
            } else {
                leg.when(Moved::Join)
            }
        });
        let numbers = there.into_iter().map(Leg::number);
        numbers
            .filter(|number| !number.is_empty() && seen.insert(*number))
            .collect()
    }

    /// Seconds on hold, over all legs, up to `end`.
    pub(super) fn hold(&self, end: Moment) -> u32 {
        let mut total: u32 = 0;
        let mut since: Option<Moment> = None;
        for seen in &self.events {
            match (seen.moved, seen.time) {
                (Moved::OnHold, Some(time)) => since = since.or(Some(time)),
                (Moved::Resume, Some(time)) => {
                    if let Some(begun) = since.take() {
                        total = total.saturating_add(seconds(begun.instant, time.instant));
                    }
                }
                _ => {}
            }
        }
        let open = since.map_or(0, |begun| seconds(begun.instant, end.instant));
        total.saturating_add(open)
    }
}

impl<'e> Leg<'e> {
    /// `uniqueid`, else the number.
    fn id(&self) -> &'e str {
        self.events.first().map_or("", Seen::id)
    }

    fn did(&self, moved: Moved) -> bool {
        self.events.iter().any(|seen| seen.moved == moved)
    }

    /// When it first did so. What has a time comes before what has none.
    fn when(&self, moved: Moved) -> (bool, Option<Moment>) {
        let those = || self.events.iter().filter(|seen| seen.moved == moved);
        match those().filter_map(|seen| seen.time).min() {
            Some(time) => (false, Some(time)),
            None => (true, those().map(|seen| seen.came).min()),
        }
    }

    fn is_over(&self) -> bool {
        self.did(Moved::Hangup)
    }

    /// The number of the phone.
    pub(super) fn number(&self) -> &'e str {
        let ringing = self
            .events
            .iter()
            .filter(|seen| seen.moved == Moved::Ringing);
        let all = ringing.chain(&self.events);
        let mut numbers = all.map(|seen| seen.event.get("activenum"));
        let found = numbers.find(|number| !number.is_empty());
        let in_channel = || {
            let mut numbers = self.events.iter().map(|seen| number_in_channel(seen.event));
            numbers.find(|number| !number.is_empty())
        };
        found.or_else(in_channel).unwrap_or_default()
    }

    pub(super) fn channel(&self) -> &'e str {
        self.said("channel")
    }

    pub(super) fn said(&self, key: &str) -> &'e str {
        let mut values = self.events.iter().map(|seen| seen.event.get(key));
        values.find(|value| !value.is_empty()).unwrap_or_default()
    }
}

impl<'e> Seen<'e> {
    fn read(one: &'e Received, reader: &Reader, not_before: Option<i64>) -> Self {
        let event = &one.event;
        Self {
            side: side(event.get("source")),
            moved: moved(event.get("event")),
            time: reader.read(event.get("eventTime"), not_before),
            came: Moment::of_milliseconds(one.at),
            eventid: event.get("eventid").parse().ok(),
            event,
        }
    }

    fn id(&self) -> &'e str {
        let uniqueid = self.event.get("uniqueid");
        if uniqueid.is_empty() {
            self.event.get("activenum")
        } else {
            uniqueid
        }
    }

    /// Events without a time come first: they are the beginning of a call.
    fn order(&self) -> impl Ord {
        (
            self.time.map(|time| time.instant),
            self.eventid,
            self.moved,
            self.side,
            self.event.fingerprint(),
        )
    }
}

fn side(source: &str) -> Side {
    match source.to_ascii_uppercase().as_str() {
        "CALLER" | "CALLEE" => Side::Customer,
        "AGENT" => Side::Agent,
        "CONSULT" => Side::Consult,
        "CONVERSATION" => Side::All,
        _ => Side::Unknown,
    }
}

fn moved(event: &str) -> Moved {
    match event.to_ascii_lowercase().as_str() {
        "incoming" => Moved::Incoming,
        "ringing" => Moved::Ringing,
        "answer" => Moved::Answer,
        "join" => Moved::Join,
        "onhold" => Moved::OnHold,
        "resume" => Moved::Resume,
        "hangup" => Moved::Hangup,
        _ => Moved::Unknown,
    }
}

/// `Local/0138888888888@hosted-dialin-701a;1` is the channel to 0138888888888.
fn number_in_channel(event: &Event) -> &str {
    let channel = event.get("channel");
    let inside = channel
        .split_once('/')
        .and_then(|(_, rest)| rest.split_once('@'));
    let number = inside.map_or("", |(number, _)| number);
    let is_number = |number: &str| {
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'*' | b'#'))
    };
    if is_number(number) { number } else { "" }
}
