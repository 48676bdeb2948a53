//! Reading a query without a regular expression and, where nothing is encoded, without a copy.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query, decoded as an HTML form's: `+` is a blank. Of a name given twice the last one counts, as
/// in PHP. Names are compared as they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self(query)
    }

    /// The values of `names`, in that order, in one pass; empty where missing.
    pub(super) fn values<const N: usize>(self, names: [&str; N]) -> [Cow<'a, str>; N] {
        let mut raw = [""; N];
        for pair in self.0.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(at) = names.iter().position(|wanted| *wanted == name) {
                raw[at] = value;
            }
        }
        raw.map(decoded)
    }
}

fn decoded(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    if !raw.contains('+') {
        return percent_decode_str(raw).decode_utf8_lossy();
    }
    let spaced = raw.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: [&str; 2]) {
        assert_eq!(Query::new(query).values(["a", "b"]), expected, "{query}");
    }

    #[test]
    fn values_are_decoded_like_a_form() {
        check("", ["", ""]);
        check("a=1&b=2", ["1", "2"]);
        check("b=2&c=3&a=%2B58+212%26", ["+58 212&", "2"]);
        check("a=1&a=2&b", ["2", ""]);
        check("a=%zz%4&b=%ff", ["%zz%4", "\u{fffd}"]);
        check("a=x=y&&=&b=", ["x=y", ""]);
        check("A=1", ["", ""]);
    }
}
