//! What a time column holds that has no type of its own to say so: judged by some of its values.

use super::columns::parse_time_text;
use super::keyset::Clock;
use crate::call::TimeKind;

/// Values that decide what a column without a type of its own holds.
pub(super) const SAMPLES: usize = 21;

/// What most of some values are, the earlier of equally many; one stray value decides nothing. `None` for no value.
pub(super) fn majority(clocks: impl Iterator<Item = Clock>) -> Option<Clock> {
    let mut counts: Vec<(Clock, usize)> = Vec::new();
    for clock in clocks {
        match counts.iter_mut().find(|(known, _)| *known == clock) {
            Some((_, count)) => *count += 1,
            None => counts.push((clock, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(clock, _)| clock)
}

/// What a column of text holds, judged by one of its values; `None` where that is no time.
pub(super) fn text_clock(sample: &str) -> Option<Clock> {
    match parse_time_text(sample.as_bytes()).kind()? {
        TimeKind::Instant => Some(Clock::InstantText),
        TimeKind::Wall => Some(Clock::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stray_value_decides_nothing_and_the_earlier_of_equals_wins() {
        let of = |texts: &[&str]| majority(texts.iter().filter_map(|text| text_clock(text)));
        assert_eq!(
            of(&["1498555635", "2017-06-27 09:27:15", "2017-06-27 09:27:16"]),
            Some(Clock::Text)
        );
        assert_eq!(
            of(&["1498555635", "2017-06-27 09:27:15"]),
            Some(Clock::InstantText)
        );
        assert_eq!(of(&["junk", ""]), None);
    }
}
