//! Folding the rows of one identity into one call.
//!
//! A dial to several phones leaves a row for each of them, with equal start, source and destination (Asterisk
//! include/asterisk/cdr.h), and a CRM that keys calls by these three keeps one. In the sample of 218 rows from
//! fafeitsch/cdrcsv-report-generator the unanswered leg stands first in 31 of the 35 answered calls with two rows, so
//! taking the first would report answered calls as missed.

use std::cmp::{Ordering, Reverse};

use crate::call::{Call, Disposition};

/// Folds calls of equal identity, gives the rest as they are, and sorts by identity.
///
/// What represents a call is the first in the order of [`preference`]. Where `recordingfile` (an index into
/// [`Call::extra`]) is given, its value comes from the first in that order that has one, because any leg may be the one
/// that was recorded. The result does not depend on the order of the input.
#[must_use]
pub fn merge(mut calls: Vec<Call>, recordingfile: Option<usize>) -> Vec<Call> {
    calls.sort_unstable_by(|a, b| a.identity.cmp(&b.identity).then_with(|| preference(a, b)));
    let mut merged: Vec<Call> = Vec::with_capacity(calls.len());
    for call in calls {
        match merged.last_mut() {
            Some(kept) if kept.identity == call.identity => fold(kept, call, recordingfile),
            Some(_) | None => merged.push(call),
        }
    }
    merged
}

/// Which of two represents them both: less is better. ANSWERED first, then the longest duration, the lowest sequence
/// (none last), the lowest uniqueid as text (none last); then whatever else differs, so that equal means alike.
#[must_use]
pub fn preference(a: &Call, b: &Call) -> Ordering {
    let first = |call: &Call| {
        (
            call.disposition != Disposition::Answered,
            Reverse(call.duration),
            call.origin.sequence.is_none(),
            call.origin.sequence,
        )
    };
    let last = |call: &Call| call.origin.uniqueid.is_none();
    first(a)
        .cmp(&first(b))
        .then_with(|| last(a).cmp(&last(b)))
        .then_with(|| a.origin.uniqueid.cmp(&b.origin.uniqueid))
        .then_with(|| a.instant.cmp(&b.instant))
        .then_with(|| a.origin.linkedid.cmp(&b.origin.linkedid))
        .then_with(|| a.disposition.as_str().cmp(b.disposition.as_str()))
        .then_with(|| a.extra.cmp(&b.extra))
}

/// Adds a call of the same identity to the one that represents it.
fn fold(kept: &mut Call, mut other: Call, recordingfile: Option<usize>) {
    kept.rows = kept.rows.saturating_add(other.rows);
    let Some(index) = recordingfile else { return };
    if let (Some(mine), Some(theirs)) = (kept.extra.get_mut(index), other.extra.get_mut(index)) {
        let missing = mine.as_deref().unwrap_or_default().is_empty();
        if missing {
            *mine = theirs.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::{ColumnTime, Fold, Identity, Origin, RawNumber};

    /// A row of a call to 02125551234: disposition, duration, sequence, uniqueid, recordingfile.
    type Leg = (
        &'static str,
        u64,
        Option<i64>,
        Option<&'static str>,
        Option<&'static str>,
    );

    fn call(destination: &str, leg: Leg) -> Call {
        let (disposition, duration, sequence, uniqueid, recordingfile) = leg;
        Call {
            identity: Identity {
                start: ColumnTime(1_345_724_433),
                fold: Fold(0),
                source: RawNumber("104".to_owned()),
                destination: RawNumber(destination.to_owned()),
            },
            instant: 1_345_740_633,
            duration,
            disposition: Disposition::parse(disposition),
            origin: Origin {
                uniqueid: uniqueid.map(str::to_owned),
                linkedid: None,
                sequence,
            },
            extra: vec![
                Some(disposition.to_owned()),
                recordingfile.map(str::to_owned),
            ],
            rows: 1,
        }
    }

    /// The first leg must represent all, in whatever order they come; with the file that is named.
    #[track_caller]
    fn first_represents(legs: &[Leg], recordingfile: Option<&str>) {
        let mut expected = call("02125551234", legs[0]);
        expected.rows = u32::try_from(legs.len()).expect("few");
        expected.extra[1] = recordingfile.map(str::to_owned);
        for turn in 0..legs.len() {
            let mut turned: Vec<Call> = legs.iter().map(|leg| call("02125551234", *leg)).collect();
            turned.rotate_left(turn);
            assert_eq!(merge(turned.clone(), Some(1)), [expected.clone()]);
            turned.reverse();
            assert_eq!(merge(turned, Some(1)), [expected.clone()]);
        }
    }

    #[test]
    fn an_answered_leg_stands_for_the_call_though_the_unanswered_one_was_written_first() {
        // A dial to two phones: the loser has the lower sequence.
        first_represents(
            &[
                ("ANSWERED", 35, Some(8), Some("1498559343.3"), None),
                ("NO ANSWER", 35, Some(7), Some("1498559343.3"), None),
            ],
            None,
        );
        first_represents(
            &[
                ("8", 1, Some(8), None, None),
                ("0", 60, Some(7), None, None),
            ],
            None,
        );
    }

    #[test]
    fn legs_are_preferred_by_outcome_then_duration_then_sequence_then_uniqueid() {
        first_represents(
            &[
                ("ANSWERED", 90, Some(3), None, None),
                ("ANSWERED", 12, Some(1), None, None),
            ],
            None,
        );
        first_represents(
            &[
                ("BUSY", 5, Some(2), None, None),
                ("NO ANSWER", 5, Some(3), None, None),
                ("FAILED", 5, None, Some("1.1"), None),
            ],
            None,
        );
        first_represents(
            &[
                ("BUSY", 5, None, Some("a.1"), None),
                ("BUSY", 5, None, Some("a.2"), None),
                ("BUSY", 5, None, None, None),
            ],
            None,
        );
        first_represents(
            &[
                ("BUSY", 5, Some(-1), Some("b"), None),
                ("BUSY", 5, Some(0), Some("a"), None),
            ],
            None,
        );
    }

    #[test]
    fn the_recording_comes_from_the_first_leg_that_has_one() {
        first_represents(
            &[
                ("ANSWERED", 90, Some(1), None, None),
                ("ANSWERED", 80, Some(2), None, Some("b.wav")),
                ("NO ANSWER", 99, Some(3), None, Some("c.wav")),
            ],
            Some("b.wav"),
        );
        first_represents(
            &[
                ("ANSWERED", 90, Some(1), None, Some("a.wav")),
                ("ANSWERED", 80, Some(2), None, Some("b.wav")),
            ],
            Some("a.wav"),
        );
    }

    #[test]
    fn other_extras_come_from_the_representing_leg_alone() {
        let legs = [
            call("1", ("ANSWERED", 9, None, None, None)),
            call("1", ("BUSY", 9, None, None, Some("b.wav"))),
        ];
        let merged = merge(legs.to_vec(), None);
        assert_eq!(merged[0].extra, [Some("ANSWERED".to_owned()), None]);
    }

    #[test]
    fn the_two_readings_of_an_hour_that_occurs_twice_stay_two_calls() {
        let first = call("1", ("ANSWERED", 9, None, None, None));
        let mut second = first.clone();
        second.identity.fold = Fold(1);
        let merged = merge(vec![second.clone(), first.clone()], None);
        assert_eq!(merged, [first, second]);
    }

    fn any_leg() -> impl Strategy<Value = Call> {
        let dispositions = prop_oneof![
            Just("ANSWERED"),
            Just("NO ANSWER"),
            Just("BUSY"),
            Just("odd")
        ];
        let uniqueids = prop_oneof![Just(None), Just(Some("1.1")), Just(Some("1.2"))];
        let files = prop_oneof![Just(None), Just(Some("")), Just(Some("a")), Just(Some("b"))];
        let sequences = prop_oneof![Just(None), (0..2_i64).prop_map(Some)];
        (
            0..3_u8,
            dispositions,
            0..3_u64,
            sequences,
            uniqueids,
            files,
            0..2_i64,
        )
            .prop_map(
                |(to, disposition, duration, sequence, uniqueid, file, shift)| {
                    let mut call = call(
                        &to.to_string(),
                        (disposition, duration, sequence, uniqueid, file),
                    );
                    call.instant += shift * 3600;
                    call
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_order_of_rows_changes_nothing(
            (legs, shuffled) in proptest::collection::vec(any_leg(), 0..12)
                .prop_flat_map(|legs| (Just(legs.clone()), Just(legs).prop_shuffle())),
        ) {
            let merged = merge(legs.clone(), Some(1));
            prop_assert_eq!(&merged, &merge(shuffled, Some(1)));
            prop_assert!(merged.windows(2).all(|pair| pair[0].identity < pair[1].identity));
            let rows: u32 = merged.iter().map(|call| call.rows).sum();
            prop_assert_eq!(rows as usize, legs.len());
        }

        #[test]
        fn folding_again_changes_nothing(legs in proptest::collection::vec(any_leg(), 0..12)) {
            for recordingfile in [None, Some(1)] {
                let merged = merge(legs.clone(), recordingfile);
                prop_assert_eq!(&merge(merged.clone(), recordingfile), &merged);
            }
        }

        #[test]
        fn slices_fold_alone_as_they_would_together(legs in proptest::collection::vec(any_leg(), 0..12), edge in 0..4_u8) {
            // A slice is a closed set: no identity stands in two.
            let of = |leg: &Call| leg.identity.destination.as_str() < edge.to_string().as_str();
            let (before, behind): (Vec<Call>, Vec<Call>) = legs.iter().cloned().partition(of);
            let apart = [merge(before, Some(1)), merge(behind, Some(1))].concat();
            let mut together = merge(legs, Some(1));
            together.sort_by_key(|call| !of(call));
            prop_assert_eq!(apart, together);
        }

        #[test]
        fn legs_that_come_in_parts_are_represented_by_the_same_one(
            legs in proptest::collection::vec(any_leg(), 0..12), cut in 0..12_usize,
        ) {
            let cut = cut.min(legs.len());
            let parts = [merge(legs[..cut].to_vec(), None), merge(legs[cut..].to_vec(), None)].concat();
            prop_assert_eq!(merge(parts, None), merge(legs, None));
        }
    }
}
