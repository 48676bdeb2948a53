//! The reference script to the letter: what key it gave to a call, and how today's settings compare. Pure.

use crate::call::{PhoneNumber, WireForm};
use crate::cdr::clock::Clock;
use crate::config::InitiatedAs;
use crate::intake::{Candidate, Today};

/// How many calls with another key are shown.
const EXAMPLES: usize = 3;

/// Characters that the script put into its address as they are, where they mean something else (RFC 3986, section 2.2).
const MANGLED: [char; 4] = ['+', '&', '#', '%'];

/// What became of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Letter {
    /// Calls of the window that would be sent.
    pub(super) calls: u64,
    /// Of them, calls that would get another key than the script's: the CRM would hold each of them twice.
    pub(super) other: u64,
    /// Of the rest, calls that the script sent under a mangled source: they cannot be found under it.
    pub(super) mangled: u64,
    /// Some of the others.
    pub(super) examples: Vec<Example>,
}

/// A call with another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    /// The script's key.
    pub(super) script: String,
    /// Today's.
    pub(super) today: String,
}

impl Letter {
    /// Compares one call. Calls that a rule drops are sent to nobody, and so not twice.
    pub(super) fn compare(&mut self, candidate: &Candidate, clock: &Clock) {
        let Today::Wire(today) = &candidate.today else {
            return;
        };
        self.calls += 1;
        let call = &candidate.call;
        let raw = call.identity.source.as_str();
        let script = WireForm {
            initiated: clock.render(call.identity.start, call.instant, InitiatedAs::LocalZ),
            source: PhoneNumber(raw.to_owned()),
            destination: PhoneNumber(converted(call.identity.destination.as_str())),
            ..today.clone()
        };
        if !script.same_key(today) {
            self.other += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(Example {
                    script: key(&script),
                    today: key(today),
                });
            }
        } else if raw.contains(MANGLED) {
            self.mangled += 1;
        }
    }
}

fn key(form: &WireForm) -> String {
    format!(
        "{} {} -> {}",
        form.initiated, form.source.0, form.destination.0
    )
}

/// The script's `convertDestination`: a leading 9 goes, and `0212` comes before what then has seven characters.
fn converted(destination: &str) -> String {
    match destination.strip_prefix('9') {
        Some(rest) if rest.chars().count() == 7 => format!("0212{rest}"),
        Some(rest) => rest.to_owned(),
        None => destination.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_the_scripts() {
        for (raw, expected) in [
            ("92853348", "02122853348"),
            ("902122853348", "02122853348"),
            ("2853348", "2853348"),
            ("02122853348", "02122853348"),
            ("999", "99"),
            ("9", ""),
            ("", ""),
        ] {
            assert_eq!(converted(raw), expected, "{raw}");
        }
    }
}
