//! When the telephone is used: office hours with a dip at lunch, thin weekends.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};

use super::random::Random;

/// How the calls of a working day spread over its hours, from midnight.
const WORKING_DAY: [u32; 24] = [
    0, 0, 0, 0, 0, 0, 0, 2, 9, 14, 15, 13, 6, 4, 11, 13, 12, 8, 3, 1, 0, 0, 0, 0,
];
/// The same for Saturdays and Sundays.
const WEEKEND: [u32; 24] = [
    0, 0, 0, 0, 0, 0, 0, 0, 2, 6, 7, 5, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
];

/// When calls are placed on `day`, in order.
pub(super) fn starts(day: NaiveDate, random: &mut Random) -> Vec<NaiveDateTime> {
    let (usual, hours) = match day.weekday() {
        Weekday::Mon => (132, WORKING_DAY),
        Weekday::Tue | Weekday::Wed | Weekday::Thu => (122, WORKING_DAY),
        Weekday::Fri => (112, WORKING_DAY),
        Weekday::Sat => (24, WEEKEND),
        Weekday::Sun => (7, WEEKEND),
    };
    let count = random.between(usual * 9 / 10, usual * 11 / 10);
    let mut starts: Vec<NaiveDateTime> = (0..count)
        .map(|_| {
            let hour = random.weighted(hours.iter().copied()) as i64;
            let second = hour * 3600 + i64::from(random.below(3600));
            day.and_time(NaiveTime::MIN) + TimeDelta::seconds(second)
        })
        .collect();
    starts.sort_unstable();
    starts
}
