//! Reading `WWW-Authenticate` and its like: RFC 9110, section 11.6.1, where one header may hold several challenges and
//! commas separate challenges and parameters alike.

/// One challenge: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Such as `Digest`, as the server spells it.
    pub(crate) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Compares the scheme, without regard to case.
    pub(crate) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The first parameter of this name, given in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// All challenges of a header. Total: what is no challenge is passed over.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(first) = rest.chars().next() else {
            return challenges;
        };
        let (name, after) = token(rest);
        if name.is_empty() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, after) = value_of(value.trim_start());
                // Of a name given twice the first counts; a parameter before any scheme belongs to nobody.
                if let Some(challenge) = challenges.last_mut() {
                    challenge
                        .parameters
                        .push((name.to_ascii_lowercase(), value));
                }
                rest = after;
            }
            None => {
                challenges.push(Challenge {
                    scheme: name.to_owned(),
                    parameters: Vec::new(),
                });
                rest = after;
            }
        }
    }
}

/// A token at the start, perhaps empty, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A parameter's value, quoted or not, and what follows it. An unclosed quote ends with the header.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A challenge and how a server writes it: values bare or quoted, with any blanks around.
    fn written() -> impl Strategy<Value = (Challenge, String)> {
        let parameter = ("[a-z]{1,8}", "[A-Za-z0-9 ,=\"\\\\é🦀/.]{0,12}", " {0,2}");
        (
            "[A-Za-z][A-Za-z0-9-]{0,8}",
            proptest::collection::vec(parameter, 0..5),
        )
            .prop_map(|(scheme, parameters)| {
                let mut text = format!("{scheme} ");
                let shown: Vec<String> = parameters
                    .iter()
                    .map(|(name, value, blanks)| {
                        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                        format!("{name}{blanks}={blanks}\"{value}\"")
                    })
                    .collect();
                text.push_str(&shown.join(", "));
                let parameters = parameters.into_iter().map(|(n, v, _)| (n, v)).collect();
                (Challenge { scheme, parameters }, text)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_server_writes_is_what_is_read(written in proptest::collection::vec(written(), 0..4)) {
            let (challenges, texts): (Vec<Challenge>, Vec<String>) = written.into_iter().unzip();
            prop_assert_eq!(parse(&texts.join(", ")), challenges);
        }

        #[test]
        fn any_header_is_read_to_its_end(header in "(\\PC|[\\x00-\\x20=,\"\\\\]){0,60}") {
            for challenge in parse(&header) {
                prop_assert!(!challenge.scheme.is_empty() && header.contains(&challenge.scheme));
                prop_assert!(challenge.parameters.len() <= header.len());
            }
        }
    }

    #[track_caller]
    fn check(header: &str, expected: &[(&str, &[(&str, &str)])]) {
        let expected: Vec<Challenge> = expected
            .iter()
            .map(|(scheme, parameters)| Challenge {
                scheme: (*scheme).to_owned(),
                parameters: parameters
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            })
            .collect();
        assert_eq!(parse(header), expected, "{header}");
    }

    #[test]
    fn several_challenges_in_one_header_are_told_apart() {
        check("", &[]);
        check(
            r#"Basic realm="NiMbox""#,
            &[("Basic", &[("realm", "NiMbox")])],
        );
        check(
            r#"Digest realm="a, Basic b", nonce="x\"y", qop="auth,auth-int", algorithm=MD5, Basic realm="c""#,
            &[
                (
                    "Digest",
                    &[
                        ("realm", "a, Basic b"),
                        ("nonce", "x\"y"),
                        ("qop", "auth,auth-int"),
                        ("algorithm", "MD5"),
                    ],
                ),
                ("Basic", &[("realm", "c")]),
            ],
        );
        check(
            "Negotiate, NTLM ,basic REALM = bare",
            &[
                ("Negotiate", &[]),
                ("NTLM", &[]),
                ("basic", &[("realm", "bare")]),
            ],
        );
    }

    #[test]
    fn nonsense_neither_panics_nor_hides_what_follows() {
        check(
            "\u{e9}\u{1f980}=\"\u{e9}\", , ;Digest realm=\"\u{1f980}",
            &[("Digest", &[("realm", "\u{1f980}")])],
        );
        check("Digest realm=\"tail\\", &[("Digest", &[("realm", "tail")])]);
    }
}
