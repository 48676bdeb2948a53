//! Calls at telling times of every day, and what the CRM must hold of them under any zone and rendering.

use super::golden::{Golden, Row, stamp};
use super::program::Ran;
use super::scene::{self, Scene, now};

/// Times of day at which some zone's or reading's day begins or ends: local midnight, UTC midnight in Caracas and in
/// Shanghai, that of +08:00 and -05:00 seen from there.
const TIMES: [i64; 13] = [
    0, 1, 3_600, 14_399, 14_400, 28_800, 43_199, 43_201, 46_800, 57_600, 72_000, 82_800, 86_399,
];

/// Calls of `DAYS` days, the first of them so many days ago.
const FIRST: i64 = 20;
const DAYS: i64 = 12;

/// Where the PBX is: its zone, and its offset in seconds, which has not changed there for years.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub zone: &'static str,
    pub offset: i64,
    pub suffix: &'static str,
}

pub const CARACAS: Place = Place {
    zone: "America/Caracas",
    offset: -4 * 3600,
    suffix: "-04:00",
};
pub const SHANGHAI: Place = Place {
    zone: "Asia/Shanghai",
    offset: 8 * 3600,
    suffix: "+08:00",
};

/// A scene with calls at telling times; the days that are deleted are the sixth to the eighth.
pub fn scene() -> Scene {
    let midnight = (today() - FIRST) * 86_400;
    let mut rows = Vec::new();
    for day in 0..DAYS {
        for time in TIMES {
            let sequence = rows.len() as u64 + 1;
            rows.push(Row {
                wall: midnight + day * 86_400 + time,
                src: "7001".to_owned(),
                dst: format!("9021255{sequence:05}"),
                duration: sequence,
                disposition: "ANSWERED",
                uniqueid: format!("call-{sequence}"),
                sequence,
                recordingfile: String::new(),
            });
        }
    }
    Scene::of(rows)
}

/// The day so many days after the first, as a person writes it.
pub fn day(n: i64) -> String {
    stamp((today() - FIRST + n) * 86_400, ' ')[..10].to_owned()
}

/// Days since the epoch, the same for the whole test even where midnight passes.
fn today() -> i64 {
    static TODAY: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *TODAY.get_or_init(|| now() / 86_400)
}

/// How a run ended and what it said, in full; the days as `DAY5` and the like.
#[track_caller]
pub fn said(scene: &Scene, ran: &Ran, code: i32, stdout: &str, stderr: &str) {
    let dated = |text: &str| {
        (0..DAYS).fold(text.to_owned(), |text, n| {
            text.replace(&day(n), &format!("DAY{n}"))
        })
    };
    let ran = Ran {
        code: ran.code,
        stdout: dated(&ran.stdout),
        stderr: dated(&ran.stderr),
    };
    scene::said(&scene.program, &ran, code, stdout, stderr);
}

/// What becomes of the calls of the named days.
pub const AGAIN: &str = "the next run that covers them sends them again";
pub const FOR_GOOD: &str = "they stay out until `sync --resend`";

/// What the source says about them.
pub const HELD: &str = "holds all of them still";

/// What a deletion shows before it asks, as [`said`] sees it.
pub fn shown(fate: &str, verify: usize, source: &str) -> String {
    format!(
        "Delete all calls of DAY5 to DAY7, both days included, from http://127.0.0.1:PORT/.

  request   from=DAY4 to=DAY8: both dates are exclusive on the wire
  ledger    39 calls of these days delivered; {fate}
            {verify} calls on either side will be verified: sent again, harmless where they still exist
  source    {source}
  warning   the CRM deletes everybody's calls of these days: other PBXs', other configurations', hand-made ones.
            Every other configuration for this CRM has to run afterwards:
            cdrelay --config OTHER sync --resend --since DAY3 --until DAY10

"
    )
}

/// The first and the last day that are deleted.
pub fn range() -> [String; 2] {
    [day(5), day(7)]
}

/// The arguments that delete them.
pub fn arguments<'a>(range: &'a [String; 2], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["delete", "--from", &range[0], "--to", &range[1]];
    args.extend(more);
    args
}

/// How many calls there are a day.
pub fn per_day() -> usize {
    TIMES.len()
}

/// The configuration for a place and a rendering.
pub fn configured(config: &str, place: Place, rendering: &str) -> String {
    config.replace("America/Caracas", place.zone).replace(
        "initiated_as = \"utc\"",
        &format!("initiated_as = \"{rendering}\""),
    )
}

/// What the CRM must hold under a rendering.
pub fn expected(scene: &Scene, place: Place, rendering: &str) -> Golden {
    scene
        .rows
        .iter()
        .map(|row| {
            let initiated = match rendering {
                "utc" => stamp(row.wall - place.offset, 'T') + "Z",
                "offset" => stamp(row.wall, 'T') + place.suffix,
                "local" => stamp(row.wall, 'T'),
                "local-z" => stamp(row.wall, 'T') + "Z",
                other => panic!("{other}"),
            };
            let key = (initiated, row.src.clone(), row.dst[1..].to_owned());
            (key, (row.duration, None))
        })
        .collect()
}
