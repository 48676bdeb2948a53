//! Each of `[select]`'s filters by itself: what [`super::select::classify`] decides, told one by one.

use super::select::{Skip, classify, is_withheld, objecting, unusable};
use crate::call::Disposition;
use crate::config::SelectConfig;
use crate::source::CdrRow;

/// What one filter says about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// What it looks at, in one word.
    pub filter: &'static str,
    /// Whether the row passes.
    pub passes: bool,
    /// Why, with the setting that decides. May repeat what the row holds; safe to show.
    pub why: String,
}

/// Every filter's word about a row, in the order in which they decide. `extra_roles` names the values of [`CdrRow::extra`].
#[must_use]
pub fn examine(
    row: &CdrRow,
    select: &SelectConfig,
    empty_source: Option<&str>,
    extra_roles: &[String],
) -> Vec<Filtered> {
    let told = |filter, passes, why| Filtered {
        filter,
        passes,
        why,
    };
    let broken = unusable(row);
    let length = row.destination.chars().count();
    let excluding = select
        .exclude
        .iter()
        .find(|pattern| pattern.is_match(&row.destination));
    let objecting = objecting(row, select, extra_roles);
    let alone = SelectConfig {
        min_destination_length: 0,
        exclude: Vec::new(),
        filters: Vec::new(),
        ..select.clone()
    };
    let unwanted =
        broken.is_none() && classify(row, &alone, Some(""), extra_roles) == Some(Skip::Disposition);
    let withheld = is_withheld(&row.source, select);
    vec![
        told(
            "row",
            broken.is_none(),
            broken.unwrap_or_else(|| "its start, duration and numbers can be used".to_owned()),
        ),
        told(
            "length",
            length >= select.min_destination_length,
            format!(
                "{} in the destination, select.min_destination_length is {}",
                crate::text::count(length as u64, "character"),
                select.min_destination_length
            ),
        ),
        told(
            "exclude",
            excluding.is_none() && objecting.is_none(),
            match (excluding, objecting) {
                (Some(pattern), _) => format!(
                    "`{}` of select.exclude matches the destination",
                    crate::text::Shown(&pattern.to_string())
                ),
                (None, Some((filter, value))) => filter.objection(value),
                (None, None) if select.exclude.is_empty() => "select.exclude is empty".to_owned(),
                (None, None) => "no pattern of select.exclude matches the destination".to_owned(),
            },
        ),
        told(
            "disposition",
            !unwanted,
            format!(
                "{}, select.dispositions takes {}",
                ended(&row.disposition),
                if select.dispositions.is_empty() {
                    "any".to_owned()
                } else {
                    let all: Vec<String> = select.dispositions.iter().map(ended).collect();
                    all.join(", ")
                }
            ),
        ),
        told(
            "caller",
            !withheld || empty_source.is_some(),
            match (withheld, empty_source) {
                (false, _) => "has a number".to_owned(),
                (true, Some(_)) => "withheld, and target.empty_source stands in".to_owned(),
                (true, None) => "withheld, and target.empty_source is not set".to_owned(),
            },
        ),
    ]
}

fn ended(disposition: &Disposition) -> String {
    match disposition.as_str() {
        "" => "no disposition".to_owned(),
        word => crate::text::Shown(word).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::call::{ColumnTime, Origin};
    use crate::number::dialplan::Pattern;
    use crate::source::{DurationCell, StartCell};

    /// The filter that [`classify`] names.
    fn named(skip: &Skip) -> &'static str {
        match skip {
            Skip::Invalid(_) => "row",
            Skip::ShortDestination => "length",
            Skip::Excluded => "exclude",
            Skip::Disposition => "disposition",
            Skip::NoSource => "caller",
        }
    }

    proptest! {
        #[test]
        fn the_first_filter_that_fails_is_the_one_that_decides(
            destination in "(\\*[0-9]{0,8}|[0-9]{0,9})",
            source in "( {0,2}|anonymous|[0-9]{1,4})",
            disposition in prop_oneof![Just("ANSWERED"), Just("BUSY"), Just("odd"), Just("")],
            start in prop_oneof![Just(StartCell::At(ColumnTime(1_700_000_000))), Just(StartCell::Missing)],
            duration in prop_oneof![Just(DurationCell::Seconds(3)), Just(DurationCell::Unreadable("x".to_owned()))],
            shortest in 0..9_usize,
            takes in prop_oneof![Just(vec![]), Just(vec!["ANSWERED"]), Just(vec!["BUSY", "ODD"])],
            stand_in in prop_oneof![Just(None), Just(Some("0"))],
        ) {
            let row = CdrRow {
                start,
                source,
                destination,
                duration,
                disposition: Disposition::parse(disposition),
                origin: Origin::default(),
                extra: Vec::new(),
            };
            let select = SelectConfig {
                lookback: Duration::ZERO,
                full_lookback: Duration::ZERO,
                min_destination_length: shortest,
                dispositions: takes.into_iter().map(Disposition::parse).collect(),
                exclude: vec![Pattern::parse("_*.").expect("a pattern")],
                filters: Vec::new(),
                withheld: vec!["Anonymous".to_owned()],
                recheck_unmatched: Duration::ZERO,
                full_at: chrono::NaiveTime::MIN,
            };
            let told = examine(&row, &select, stand_in, &[]);
            let first = told.iter().find(|one| !one.passes).map(|one| one.filter);
            let decided = classify(&row, &select, stand_in, &[]);
            prop_assert_eq!(first, decided.as_ref().map(named), "{:?}", told);
        }
    }
}
