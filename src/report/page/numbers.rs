//! The sections about numbers: those without a contact, and what the rules do to all of them.

use crate::report::figures::Figures;
use crate::report::figures::coverage::Coverage;
use crate::report::summary::{amount, grouped};

use super::Moment;
use super::look::shown;
use super::sections::width;

/// Digits of a number that is shown at most.
const LONGEST: usize = 60;

/// A number without a contact.
#[derive(Debug)]
pub(super) struct NumberRow {
    pub(super) number: String,
    pub(super) width: String,
    pub(super) calls: String,
    pub(super) last: String,
}

/// The rules of one side.
#[derive(Debug)]
pub(super) struct SideView {
    pub(super) title: &'static str,
    pub(super) lead: String,
    pub(super) rows: Vec<RuleRow>,
}

/// One of them, or what none touches.
#[derive(Debug)]
pub(super) struct RuleRow {
    pub(super) name: String,
    pub(super) line: Option<usize>,
    pub(super) none: bool,
    pub(super) width: String,
    pub(super) numbers: String,
    pub(super) calls: String,
    pub(super) example: String,
}

/// Which numbers these are.
pub(super) fn unmatched_lead(figures: &Figures) -> String {
    let unmatched = &figures.unmatched_numbers;
    let shown = unmatched.top.len() as u64;
    let numbers = amount(unmatched.numbers, "number");
    match (unmatched.count_may_lack, unmatched.numbers > shown) {
        (0, false) => format!("{numbers}. Add the contacts, or mend the rules."),
        (0, true) => format!(
            "{numbers}; here are the {shown} with the most calls. Add the contacts, or mend the rules."
        ),
        (lacking, _) => format!(
            "More than {numbers}; here are the {shown} with the most calls, counts up to {} too low. Add the contacts, or mend the rules.",
            grouped(lacking)
        ),
    }
}

/// The numbers with the most calls.
pub(super) fn unmatched(figures: &Figures, moment: Moment) -> Vec<NumberRow> {
    let top = &figures.unmatched_numbers.top;
    let most = top.iter().map(|number| number.calls).max().unwrap_or(0);
    top.iter()
        .map(|number| NumberRow {
            number: cut(&number.number),
            width: width(number.calls, most),
            calls: grouped(number.calls),
            last: number
                .last
                .map_or_else(|| "?".to_owned(), |at| moment.minute(at)),
        })
        .collect()
}

/// What the rules of either side do.
pub(super) fn sides(figures: &Figures) -> Vec<SideView> {
    let destination = side("Numbers called", &figures.rules.destination);
    let source = figures.rules.source.as_ref();
    std::iter::once(destination)
        .chain(source.map(|coverage| side("Callers", coverage)))
        .collect()
}

fn side(title: &'static str, coverage: &Coverage) -> SideView {
    let one_in = coverage.one_number_in;
    let about = if one_in > 1 { "about " } else { "" };
    let scaled = |n: u64| format!("{about}{}", grouped(n.saturating_mul(one_in)));
    let most = coverage
        .rules
        .iter()
        .map(|rule| rule.numbers)
        .chain([coverage.untouched.numbers])
        .max()
        .unwrap_or(0);
    let mut rows: Vec<RuleRow> = coverage
        .rules
        .iter()
        .map(|rule| RuleRow {
            name: shown(&rule.rule),
            line: Some(rule.line),
            none: false,
            width: width(rule.numbers, most),
            numbers: scaled(rule.numbers),
            calls: scaled(rule.calls),
            example: rule.example.as_ref().map_or_else(
                || "no number of this window".to_owned(),
                |(before, after)| format!("{} → {}", cut(before), cut(after)),
            ),
        })
        .collect();
    let examples: Vec<String> = coverage.untouched.examples.iter().map(|n| cut(n)).collect();
    rows.push(RuleRow {
        name: "no rule".to_owned(),
        line: None,
        none: true,
        width: width(coverage.untouched.numbers, most),
        numbers: scaled(coverage.untouched.numbers),
        calls: scaled(coverage.untouched.calls),
        example: examples.join(", "),
    });
    let lead = match (coverage.numbers, one_in) {
        (0, _) => "No number of this window is in the ledger.".to_owned(),
        (_, 1) => format!(
            "{} different numbers of the window, taken through the rules as they are today. A number can go through several.",
            grouped(coverage.numbers)
        ),
        (_, n) => format!(
            "One in {} of the window's numbers, {} in all, taken through the rules as they are today. A number can go through several.",
            grouped(n),
            grouped(coverage.numbers)
        ),
    };
    SideView { title, lead, rows }
}

/// What the ledger cannot show, because it was left out.
pub(super) fn left_out(figures: &Figures, moment: Moment) -> Option<String> {
    let left_out = figures.left_out.as_ref()?;
    let mut reasons: Vec<String> = left_out
        .skipped
        .iter()
        .map(|(reason, n)| {
            let words = match reason.as_str() {
                "short_destination" => "with a short destination",
                "no_source" => "without a caller's number",
                "disposition" => "with another disposition",
                "excluded" => "excluded",
                "dropped_by_rule" => "dropped by a rule",
                "invalid" => "invalid",
                other => return format!("{} {}", grouped(*n), shown(other)),
            };
            format!("{} {words}", grouped(*n))
        })
        .collect();
    if left_out.merged > 0 {
        reasons.push(format!(
            "{} folded into another row of the same call",
            grouped(left_out.merged)
        ));
    }
    let reasons = if reasons.is_empty() {
        "left out none".to_owned()
    } else {
        format!("left out: {}", reasons.join(", "))
    };
    Some(format!(
        "What is left out is in no figure above: the last full run ({}) read {} and {reasons}.",
        moment.minute(left_out.run_ended),
        amount(left_out.read, "row")
    ))
}

/// A number, shortened where it is none.
pub(super) fn cut(number: &str) -> String {
    let shown = shown(number);
    if shown.chars().count() <= LONGEST {
        return shown;
    }
    let mut short: String = shown.chars().take(LONGEST).collect();
    short.push('…');
    short
}
