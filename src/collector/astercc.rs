//! asterCC's call events: what a message is, and the row that the messages of a call make.
//!
//! A message is `k=v&k=v&…`. `source` says whose side it is about (AGENT, CALLER, CALLEE, CONSULT, or CONVERSATION for
//! all of it), `event` what happened, `sessionid` in which call, `eventTime` when (the server's wall clock, whole
//! seconds). Neither time nor number need be there: a caller's `incoming` has neither. `calleridnum` is the customer's
//! number and `activenum` that of the side the message is about, but messages contradict that here and there, so numbers
//! come from where they are most reliable: what was said while it rang.
//!
//! One call is one row, however many agents took part in it. It starts when the far side first rings, is answered when
//! that side answers, and ends when the customer hangs up. An outbound call whose customer never rang is none.

use self::legs::{Leg, Legs, Moved, Side};
use super::assemble::Draft;
use super::event::{BadEvent, CallKey, Dialect, Event, Fields, Received};
use super::moment::{Moment, Reader, seconds};
use super::row::Row;
use crate::call::Disposition;

mod legs;
pub mod message;

/// The event that a message is.
///
/// # Errors
/// [`BadEvent`] where it has no `sessionid`, `source` or `event`.
pub fn event(fields: Fields) -> Result<Event, BadEvent> {
    let value = |key: &str| fields.get(key).map_or("", |value| value.trim());
    if value("sessionid").is_empty() {
        return Err(BadEvent::NoCall("sessionid"));
    }
    for key in ["source", "event"] {
        if value(key).is_empty() {
            return Err(BadEvent::Lacks(if key == "source" {
                "source"
            } else {
                "event"
            }));
        }
    }
    Ok(Event {
        dialect: Dialect::Astercc,
        call: CallKey::new(Dialect::Astercc, value("sessionid"))?,
        fields,
    })
}

/// What the events say so far.
pub(super) fn draft(events: &[&Received], reader: &Reader) -> Draft {
    let legs = Legs::read(events, reader);
    let call = Conversation::of(&legs);
    Draft {
        ended: legs.ended(),
        row: call.map(|call| call.row(&legs, events, reader)),
    }
}

/// Who talked to whom, and when.
struct Conversation<'e> {
    outbound: bool,
    agent: Option<&'e Leg<'e>>,
    start: Moment,
    answer: Option<Moment>,
    end: Moment,
}

impl<'e> Conversation<'e> {
    /// `None`: nobody outside was reached or reached us.
    fn of(legs: &'e Legs<'e>) -> Option<Self> {
        let outbound = legs.outbound();
        if outbound && legs.of(Side::Customer).next().is_none() {
            return None;
        }
        // Whom the call has to reach.
        let far = if outbound {
            Side::Customer
        } else {
            Side::Agent
        };
        // A message may have no time; then the time at which it came stands for it, but never before one that is written.
        let answer = legs
            .first(far, Moved::Answer)
            .or_else(|| legs.first(far, Moved::Join))
            .or_else(|| legs.came(far, Moved::Answer))
            .or_else(|| legs.came(far, Moved::Join));
        // A customer who leaves before an agent's phone has rung was calling all the same.
        let start = legs
            .first(far, Moved::Ringing)
            .or_else(|| legs.first(Side::Customer, Moved::Incoming))
            .or_else(|| legs.first_of(Side::Customer))
            .or_else(|| legs.first_at_all())?;
        let end = legs
            .last(Side::Customer, Moved::Hangup)
            .or_else(|| legs.last(Side::All, Moved::Hangup))
            .or_else(|| legs.last_at_all())?;
        Some(Self {
            outbound,
            agent: legs.agent(),
            start,
            answer,
            end,
        })
    }

    fn row(&self, legs: &Legs<'_>, events: &[&Received], reader: &Reader) -> Row {
        let agent = self.agent.map_or("", Leg::number);
        let customer = legs.customer_number(agent);
        let did = legs.did();
        let (src, dst) = match (self.outbound, agent) {
            (true, agent) => (agent.to_owned(), customer),
            // No agent's phone rang: what was dialled is all there is.
            (false, "") => (customer, did.to_owned()),
            (false, agent) => (customer, agent.to_owned()),
        };
        let customer_channel = legs.channel(Side::Customer);
        let agent_channel = self.agent.map_or("", Leg::channel);
        let (channel, dstchannel) = if self.outbound {
            (agent_channel, customer_channel)
        } else {
            (customer_channel, agent_channel)
        };
        let id = events
            .first()
            .map_or("", |received| received.event.call.id());
        Row {
            calldate: reader.on_table(self.start),
            src,
            dst,
            duration: seconds(self.start.instant, self.end.instant),
            billsec: self
                .answer
                .map_or(0, |answer| seconds(answer.instant, self.end.instant)),
            disposition: match self.answer {
                Some(_) => Disposition::Answered,
                None => Disposition::NoAnswer,
            },
            uniqueid: id.to_owned(),
            linkedid: id.to_owned(),
            dcontext: if self.outbound { "dialout" } else { "dialin" }.to_owned(),
            clid: String::new(),
            channel: channel.to_owned(),
            dstchannel: dstchannel.to_owned(),
            lastapp: Dialect::Astercc.as_str().to_owned(),
            lastdata: [legs.said("modeltype"), legs.said("model_id")].join("/"),
            accountcode: agent.to_owned(),
            userfield: self.userfield(legs),
            // What an outbound call carries there is the line that it goes out by.
            did: if self.outbound { "" } else { did }.to_owned(),
        }
    }

    fn userfield(&self, legs: &Legs<'_>) -> String {
        let of_agent = |key: &str| {
            let own = self.agent.map_or("", |leg| leg.said(key));
            if own.is_empty() { legs.said(key) } else { own }.to_owned()
        };
        let hold = legs.hold(self.end);
        let agents = legs.numbers_of_those_who_took_part(Side::Agent);
        let notes = [
            ("team", of_agent("AgentTeamId")),
            ("group", of_agent("AgentGroupId")),
            (
                "agents",
                if agents.len() > 1 {
                    agents.join(",")
                } else {
                    String::new()
                },
            ),
            (
                "consult",
                legs.numbers_of_those_who_took_part(Side::Consult).join(","),
            ),
            (
                "hold",
                if hold == 0 {
                    String::new()
                } else {
                    hold.to_string()
                },
            ),
        ];
        let filled = notes.iter().filter(|(_, value)| !value.is_empty());
        let notes: Vec<String> = filled
            .map(|(key, value)| format!("{key}={}", value.replace(';', ",")))
            .collect();
        notes.join(";")
    }
}

#[cfg(test)]
mod tests;
