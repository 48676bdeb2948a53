//! `multipart/form-data`, which PHP's curl sends where it is given an array, as the pairs that any other form is.
//!
//! Source: RFC 7578, and RFC 2046, 5.1, for the boundary.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// Longest boundary (RFC 2046, 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// Whether a body of this type comes in parts.
#[must_use]
pub fn comes_in_parts(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// The parts of a body as `name=value&…`, percent-encoded, in their order; `None` where it does not have the form that
/// its type says. A part without a name says nothing.
#[must_use]
pub fn as_pairs(body: &[u8], content_type: &str) -> Option<Vec<u8>> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning.
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => parted(body, delimiter.as_bytes())?.1,
    };
    let mut pairs = Vec::new();
    while !rest.starts_with(b"--") {
        // Blanks may stand behind a boundary.
        let (_, part) = parted(rest, b"\r\n")?;
        let (part, next) = parted(part, delimiter.as_bytes())?;
        rest = next;
        let (head, value) = match part.strip_prefix(b"\r\n") {
            Some(value) => (&b""[..], value),
            None => parted(part, b"\r\n\r\n")?,
        };
        if let Some(name) = name(head) {
            for piece in percent_encode(name.as_bytes(), NON_ALPHANUMERIC) {
                pairs.extend_from_slice(piece.as_bytes());
            }
            pairs.push(b'=');
            for piece in percent_encode(value, NON_ALPHANUMERIC) {
                pairs.extend_from_slice(piece.as_bytes());
            }
            pairs.push(b'&');
        }
    }
    Some(pairs)
}

/// What stands before `mark`, and what behind it.
fn parted<'b>(text: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = text.windows(mark.len()).position(|part| part == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

fn boundary(content_type: &str) -> Option<&str> {
    let value = parameter(content_type, "boundary")?;
    (1..=LONGEST_BOUNDARY)
        .contains(&value.len())
        .then_some(value)
}

/// The name that a part's head gives it.
fn name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head).into_owned();
    let disposition = head.split("\r\n").find(|line| {
        let field = line.split(':').next().unwrap_or_default();
        field.eq_ignore_ascii_case("content-disposition")
    })?;
    parameter(disposition, "name").map(str::to_owned)
}

/// A parameter of a head field, with its quotes taken off.
fn parameter<'t>(field: &'t str, wanted: &str) -> Option<&'t str> {
    field.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then_some(quoted.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"--x1\"";

    #[track_caller]
    fn reads(body: &str, expected: Option<&str>) {
        let pairs = as_pairs(body.as_bytes(), TYPE)
            .map(|pairs| String::from_utf8(pairs).unwrap_or_default());
        assert_eq!(pairs.as_deref(), expected, "{body:?}");
    }

    #[test]
    fn parts_are_the_pairs_of_a_form() {
        assert!(comes_in_parts(TYPE) && comes_in_parts("Multipart/Form-Data;boundary=a"));
        assert!(!comes_in_parts("application/x-www-form-urlencoded") && !comes_in_parts(""));
        reads(
            "----x1\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\na=1&b=2 \r\n----x1--\r\n",
            Some("message=a%3D1%26b%3D2%20&"),
        );
        reads(
            "preamble\r\n----x1 \r\ncontent-type: text/plain\r\ncontent-disposition: form-data; filename=\"f\"; name=n\r\n\r\n\
             \r\n----x1\r\n\r\nnameless\r\n----x1\r\nContent-Disposition: form-data; name=\"m\"\r\n\r\n1\r\n2\r\n----x1--",
            Some("n=&m=1%0D%0A2&"),
        );
        reads("----x1--", Some(""));
    }

    #[test]
    fn what_breaks_off_is_no_form() {
        let whole = "----x1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n----x1--";
        reads(whole, Some("a=1&"));
        for end in 0..whole.len() {
            reads(&whole[..end], None);
        }
        assert_eq!(as_pairs(whole.as_bytes(), "multipart/form-data"), None);
        assert_eq!(
            as_pairs(whole.as_bytes(), "multipart/form-data; boundary="),
            None
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut body = b"----x1\r\n".to_vec();
            body.extend(bytes);
            body.extend(b"\r\n----x1--");
            let _ = as_pairs(&body, TYPE);
        }
    }
}
