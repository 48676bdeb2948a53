//! The section about calls that somebody should look at, each kind with what it means and what to do.

use super::numbers::cut;
use super::{Moment, Piece, pieces};
use crate::report::figures::{Figures, Found};
use crate::report::summary::amount;
use crate::text::Shown;

/// A kind of call to look at.
#[derive(Debug)]
pub(super) struct LookView {
    pub(super) title: String,
    pub(super) text: Vec<Piece>,
    pub(super) examples: Vec<ExampleRow>,
}

/// A call.
#[derive(Debug)]
pub(super) struct ExampleRow {
    pub(super) start: String,
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) words: String,
}

/// A text from outside as it is shown: nothing in it is invisible. The template escapes the rest.
pub(super) fn shown(text: &str) -> String {
    Shown(text).to_string()
}

/// The kinds of which there are any.
pub(super) fn looks(figures: &Figures, moment: Moment) -> Vec<LookView> {
    let look = &figures.look;
    let same_key = Found {
        calls: look.same_key,
        examples: Vec::new(),
    };
    [
        (
            &look.rejected,
            "refused",
            "The CRM refused them for good; `cdrelay sync --full` asks again. All: `cdrelay calls --state rejected`.",
        ),
        (
            &look.held,
            "held",
            "Sent without a verdict, on a CRM that does not know a call by its key: a person looks there and decides. All: \
             `cdrelay calls --state held`.",
        ),
        (
            &look.stuck,
            "stuck",
            "Due, and without a verdict in three runs or more; they go last in each run. Look in the CRM's own log why it fails \
             on them. All: `cdrelay calls --state pending`.",
        ),
        (
            &look.drift,
            "drifting",
            "Sent under older rules, zone or rows than today's. What was sent stays until its days are rebuilt: \
             `cdrelay rebuild --from DAY --to DAY`.",
        ),
        (
            &look.row_gone,
            "without a row",
            "Due, and the PBX does not hold their rows any more: never sent, unless the rows come back. All: \
             `cdrelay calls --state pending`.",
        ),
        (
            &look.row_left_out,
            "left out now",
            "Due, and `[select]` leaves their rows out now. All: `cdrelay calls --state pending`.",
        ),
        (
            &same_key,
            "with the key of another",
            "Start, source and destination are those of another call, of which the CRM can keep one. All: `cdrelay calls`.",
        ),
    ]
    .into_iter()
    .filter(|(found, ..)| found.calls > 0)
    .map(|(found, what, text)| LookView {
        title: format!("{} {what}", amount(found.calls, "call")),
        text: pieces(text),
        examples: found
            .examples
            .iter()
            .rev()
            .map(|call| ExampleRow {
                start: moment.minute(call.start),
                source: cut(&call.source),
                destination: cut(&call.destination),
                words: call.words.as_deref().map(shown).unwrap_or_default(),
            })
            .collect(),
    })
    .collect()
}
