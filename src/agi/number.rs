//! Who calls: the first text that is a number.

/// Fewest digits of a number.
const FEWEST_DIGITS: usize = 3;

/// Most characters of one: as in a `cdr` table.
const LONGEST: usize = 80;

/// The caller's number: of the arguments, of the caller's number, of the caller's name, the first that is one. A name that
/// was handed over in place of a number (`${CALLERID(name)}`) is so passed over, unless the PBX put the number there.
///
/// `"Jane" <02125550142>` and `sip:02125550142@host` are read for what stands in them. `unknown`, `anonymous` and the like
/// are no numbers.
#[must_use]
pub fn choose<'a>(candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates.into_iter().find_map(number)
}

/// The number in a text, without blanks; `None` where it is something else.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = match (text.rfind('<'), text.rfind('>')) {
        (Some(from), Some(to)) if from < to => &text[from + 1..to],
        _ => text,
    };
    let inner = ["sip:", "sips:", "tel:"]
        .iter()
        .find_map(|scheme| inner.strip_prefix(scheme))
        .unwrap_or(inner);
    let user = inner.split(['@', ';']).next().unwrap_or_default();
    let plain: String = user.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    let fits = plain.chars().count() <= LONGEST
        && digits >= FEWEST_DIGITS
        && plain.bytes().all(|b| {
            b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#' | b'-' | b'.' | b'(' | b')' | b'/')
        });
    fits.then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(candidates: &[&str], expected: Option<&str>) {
        assert_eq!(choose(candidates.iter().copied()).as_deref(), expected);
    }

    #[test]
    fn a_number_goes_before_a_name() {
        is(&["02125550142", "02125550143"], Some("02125550142"));
        is(
            &["Jane Doe", "02125550142", "Jane Doe"],
            Some("02125550142"),
        );
        is(&["", "unknown", "02125550142"], Some("02125550142"));
        is(&["\"Doe, Jane\" <+58 212 5550142>"], Some("+582125550142"));
        is(
            &["sip:02125550142@pbx.example.com;user=phone"],
            Some("02125550142"),
        );
        is(&["104"], Some("104"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "unknown",
            "anonymous",
            "Anonymous",
            "anonymous@anonymous.invalid",
            "Restricted",
            "unavailable",
            "asterisk",
            "s",
            "12",
            "Room 101a",
            "1;DROP TABLE",
            "\u{202e}02125550142",
            "--listen",
        ] {
            is(&[text], None);
        }
        is(&["0".repeat(81).as_str()], None);
        is(&[], None);
    }
}
