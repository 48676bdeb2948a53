//! The assignments in `/etc/freepbx.conf`, which is PHP: `$amp_conf['AMPDBUSER'] = 'freepbxuser';`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Every `$amp_conf['KEY'] = value;` with a value that stands there as it is. Comments and other code are passed over; of
/// several assignments the last one counts, as in PHP.
pub(super) fn amp_conf(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        match (c, next) {
            ('#', _) | ('/', Some('/')) => {
                rest.by_ref().find(|&c| c == '\n');
            }
            ('/', Some('*')) => skip_comment(&mut rest),
            ('\'' | '"', _) => {
                let _ = quoted(&mut rest, c);
            }
            ('$', _) if word(&mut rest) == "amp_conf" => {
                if let Some((key, value)) = assignment(&mut rest) {
                    found.insert(key, value);
                }
            }
            _ => {}
        }
    }
    found
}

/// `['KEY'] = 'value';`; `None` where something else stands there, or the value has to be computed.
fn assignment(rest: &mut Peekable<Chars<'_>>) -> Option<(String, String)> {
    expect(rest, '[')?;
    let key = literal(rest)?;
    expect(rest, ']')?;
    expect(rest, '=')?;
    let value = literal(rest)?;
    expect(rest, ';')?;
    Some((key, value))
}

fn expect(rest: &mut Peekable<Chars<'_>>, wanted: char) -> Option<()> {
    blanks(rest);
    rest.next_if_eq(&wanted).map(drop)
}

/// A string in quotes, or a bare number or word.
fn literal(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    blanks(rest);
    match rest.next_if(|c| matches!(c, '\'' | '"')) {
        Some(quote) => quoted(rest, quote),
        None => Some(word(rest)).filter(|word| !word.is_empty()),
    }
}

fn blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
        word.push(c);
    }
    word
}

/// The rest of a string after its opening quote; `None` where it has no end, or names variables to put in.
///
/// In single quotes only `\\` and `\'` are escapes; in double quotes `\n`, `\t`, `\r`, `\$` besides (PHP manual, "Strings").
fn quoted(rest: &mut Peekable<Chars<'_>>, quote: char) -> Option<String> {
    let mut text = String::new();
    let mut computed = false;
    while let Some(c) = rest.next() {
        if c == quote {
            return (!computed).then_some(text);
        }
        if c != '\\' {
            computed |= quote == '"' && c == '$';
            text.push(c);
            continue;
        }
        match rest.next()? {
            escaped if escaped == '\\' || escaped == quote => text.push(escaped),
            'n' if quote == '"' => text.push('\n'),
            't' if quote == '"' => text.push('\t'),
            'r' if quote == '"' => text.push('\r'),
            '$' if quote == '"' => text.push('$'),
            other => {
                text.push('\\');
                text.push(other);
            }
        }
    }
    None
}

fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    rest.next();
    while let Some(c) = rest.next() {
        if c == '*' && rest.next_if_eq(&'/').is_some() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn holds(text: &str, expected: &[(&str, &str)]) {
        let found = amp_conf(text);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn assignments_are_read_as_php_reads_them() {
        holds(
            "<?php\n$amp_conf['AMPDBUSER'] = 'freepbxuser';\n$amp_conf[\"AMPDBPASS\"]=\"a\\\"b\\$c\";\n",
            &[("AMPDBPASS", "a\"b$c"), ("AMPDBUSER", "freepbxuser")],
        );
        holds(r"$amp_conf['A'] = 'it\'s \n \\';", &[("A", r"it's \n \")]);
        holds("$amp_conf [ 'PORT' ]\n = 3307 ;", &[("PORT", "3307")]);
        holds("$amp_conf['A'] = 'x'; $amp_conf['A'] = 'y';", &[("A", "y")]);
        holds("$amp_conf['A'] = 'ñandú';", &[("A", "ñandú")]);
    }

    #[test]
    fn what_is_no_assignment_or_has_to_be_computed_is_passed_over() {
        for text in [
            "// $amp_conf['A'] = 'x';",
            "# $amp_conf['A'] = 'x';",
            "/* $amp_conf['A'] = 'x'; */",
            "$other = \"\\$amp_conf['A'] = 'x';\";",
            "$other = '$amp_conf[\"A\"] = \"x\";';",
            "$amp_conf['A'] == 'x';",
            "$amp_conf['A'] = \"$other\";",
            "$amp_conf['A'] = 'x' . getenv('B');",
            "$amp_conf['A'] = 'x",
            "$amp_confusion['A'] = 'x';",
            "$amp_conf['A']['B'] = 'x';",
            "if ($amp_conf['A']) {",
        ] {
            holds(text, &[]);
        }
        holds(
            "$amp_conf['A'] = getenv('B'); $amp_conf['C'] = 'd';",
            &[("C", "d")],
        );
    }

    proptest! {
        #[test]
        fn no_text_stops_it(text in any::<String>(), code in "[$amp_conf\\['\"\\];= /*#\\\\\n]{0,200}") {
            let _ = amp_conf(&text);
            let _ = amp_conf(&code);
        }

        #[test]
        fn any_password_in_single_quotes_is_found(password in "[^\0]{0,40}") {
            let written = password.replace('\\', "\\\\").replace('\'', "\\'");
            let text = format!("<?php $amp_conf['AMPDBPASS'] = '{written}'; ?>");
            let found = amp_conf(&text);
            prop_assert_eq!(found.get("AMPDBPASS"), Some(&password));
        }
    }
}
