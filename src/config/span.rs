//! Spans of time as a person writes them: `200h`, `360d`, `30s`, `1h 30m`.

use std::time::Duration;

/// Longest span that is accepted: a hundred years of 365 days, so that adding one to any clock stays in range.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * DAY);

const DAY: u64 = 86_400;

/// Reads a span: numbers with units (`ms`, `s`, `m`, `h`, `d`, `w`, and their longer names), added up.
///
/// # Errors
/// A sentence for the user where the text is no span, is nothing at all, or is longer than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, String> {
    // Longer runs of digits can only be mistakes, and they are where sums of units could leave the range of u64.
    let longest_digits = text
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max()
        .unwrap_or(0);
    if longest_digits > 9 || text.len() > 64 {
        return Err("is too long a span; the longest is 36500d".to_owned());
    }
    match humantime::parse_duration(text) {
        Ok(span) if span > LONGEST => Err(format!(
            "is {}, too long a span; the longest is 36500d",
            render(span)
        )),
        Ok(span) => Ok(span),
        Err(_) => Err(
            "is no span of time; write a number with a unit, such as \"30s\", \"90m\", \"200h\" or \"360d\""
                .to_owned(),
        ),
    }
}

/// Writes a span the way [`parse`] reads it, in the largest unit that divides it: `360d`, `200h`, `90m`, `30s`, `250ms`.
///
/// What is no whole number of a unit goes to the next smaller one; anything finer than a millisecond is cut off.
#[must_use]
pub fn render(span: Duration) -> String {
    if span.subsec_millis() != 0 {
        return format!("{}ms", span.as_millis());
    }
    let seconds = span.as_secs();
    for (unit, name) in [(DAY, "d"), (3600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, seconds: f64, rendered: &str) {
        let span = parse(text).unwrap();
        assert_eq!(span, Duration::from_secs_f64(seconds), "{text}");
        assert_eq!(render(span), rendered, "{text}");
        assert_eq!(parse(rendered).unwrap(), span, "{text}");
    }

    #[test]
    fn spans_read_and_print_as_people_write_them() {
        reads("200h", 720_000.0, "200h");
        reads("360d", 31_104_000.0, "360d");
        reads("30s", 30.0, "30s");
        reads("1h 30m", 5400.0, "90m");
        reads("1h30m", 5400.0, "90m");
        reads("24h", 86_400.0, "1d");
        reads("2 weeks", 1_209_600.0, "14d");
        reads("250ms", 0.25, "250ms");
        reads("1.5h", 5400.0, "90m");
        reads("0s", 0.0, "0s");
        reads("36500d", 3_153_600_000.0, "36500d");
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(parse(text).unwrap_err(), message, "{text}");
    }

    #[test]
    fn what_is_no_span_is_refused_with_the_mend() {
        let no_span = "is no span of time; write a number with a unit, such as \"30s\", \"90m\", \"200h\" or \"360d\"";
        for text in [
            "",
            " ",
            "200",
            "h",
            "-5h",
            "5 parsecs",
            "1h,30m",
            "١h",
            "1e3s",
        ] {
            refuses(text, no_span);
        }
        refuses("9999999999s", "is too long a span; the longest is 36500d");
        refuses(
            "36501d",
            "is 36501d, too long a span; the longest is 36500d",
        );
        // Sums of units that would overflow the clock inside the parser.
        refuses(
            "584542046090y 1000000000ns",
            "is too long a span; the longest is 36500d",
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-zµ. ]{0,70}") {
            let _ = parse(&text);
        }
    }
}
