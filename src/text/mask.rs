//! Numbers of people, hidden but for their last three digits, so that a listing can be mailed and a log line kept.
//!
//! Three digits tell the calls of one listing apart and lead nobody to a person. [`Masked`] is for a text that is a number
//! and nothing else, [`mask_text`] for words in which one may stand, such as what a CRM answered. Whoever shows both
//! forms asks [`Privacy`].

use std::borrow::Cow;
use std::fmt;

/// Digits that stay.
const SHOWN: usize = 3;

/// What stands in the place of a character that is hidden. No digit, no feature code such as `*72`, no beginning of a
/// formula, and nothing that a shell expands where it is pasted.
const HIDDEN: char = 'x';

/// Fewest digits in a row that are taken for a number in a text: codes, dates' parts and counts are shorter.
const FEWEST: usize = 6;

/// Fewest characters of hexadecimal that are taken for a digest or an id: no number is as long.
const SHORTEST_DIGEST: usize = 32;

/// Most characters between two digits of one number in a text, as in `(0212) 285-33-48`.
const WIDEST_GAP: usize = 2;

/// Shows a number with its last three digits only. Every other character is replaced by one `x`, whatever it is: what a
/// PBX holds as a number may be a name or an address (`sip:ana@example.com`). Of three digits or fewer, which no public
/// number has, none is hidden. The result is safe to show as it is.
///
/// ```
/// use cdrelay::text::mask::Masked;
/// assert_eq!(Masked("+582122853348").to_string(), "xxxxxxxxxx348");
/// assert_eq!(Masked("104").to_string(), "104");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Masked<'a>(pub &'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        let mut left = digits.saturating_sub(SHOWN);
        for c in self.0.chars() {
            let shown = c.is_ascii_digit() && left == 0;
            left = left.saturating_sub(usize::from(c.is_ascii_digit()));
            f.write_char(if shown { c } else { HIDDEN })?;
        }
        Ok(())
    }
}

/// The same text, and of each number in it the last three digits only. A number is six digits or more of any script, with
/// blanks, dashes, dots, slashes and brackets between them. What is plainly something else stays: a date such as
/// `2026-11-20`, the address of a socket such as `127.0.0.1:8080`, a digest or an id in hexadecimal. Not escaped.
///
/// ```
/// use cdrelay::text::mask::mask_text;
/// assert_eq!(mask_text("no contact has (0212) 285-33-48"), "no contact has (xxxx) xxx-x3-48");
/// assert_eq!(mask_text("HTTP 503, twice"), "HTTP 503, twice");
/// ```
#[must_use]
pub fn mask_text(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let begins = at == 0 || !chars[at - 1].is_alphanumeric();
        let harmless = match begins {
            true if is_behind_id_word(&chars[..at]) => run(&chars[at..]),
            true => no_number(&chars[at..]),
            false => 0,
        };
        if harmless > 0 {
            masked.extend(&chars[at..at + harmless]);
            at += harmless;
            continue;
        }
        let (end, digits) = number(&chars[at..]);
        if digits == 0 {
            masked.push(chars[at]);
            at += 1;
            continue;
        }
        let mut hidden = if digits >= FEWEST { digits - SHOWN } else { 0 };
        for c in &chars[at..at + end] {
            if c.is_numeric() && hidden > 0 {
                hidden -= 1;
                masked.push(HIDDEN);
            } else {
                masked.push(*c);
            }
        }
        at += end;
    }
    masked
}

/// Behind this word stands the CRM's own id of a call, by which its administrator finds it.
const ID_WORD: &str = "phonecallId ";

/// Whether the text so far ends with [`ID_WORD`].
fn is_behind_id_word(before: &[char]) -> bool {
    ID_WORD
        .chars()
        .rev()
        .eq(before.iter().rev().copied().take(ID_WORD.len()))
}

/// How many letters and digits there are in a row.
fn run(text: &[char]) -> usize {
    text.iter()
        .position(|c| !c.is_alphanumeric())
        .unwrap_or(text.len())
}

/// How many characters something takes at the beginning of `text` that has digits and is nobody's number; 0 where nothing
/// of the kind stands there.
fn no_number(text: &[char]) -> usize {
    match hexadecimal(text) {
        0 => date(text).max(socket(text)).max(uniqueid(text)),
        digest => digest,
    }
}

/// A digest, or an id as long as one.
fn hexadecimal(text: &[char]) -> usize {
    let end = run(text);
    let fits = end >= SHORTEST_DIGEST && text[..end].iter().all(char::is_ascii_hexdigit);
    if fits { end } else { 0 }
}

/// Asterisk's id of a channel, `1795818232.1472`: an epoch of these decades, a dot, a counter (main/channel.c).
fn uniqueid(text: &[char]) -> usize {
    let digits = |from: usize| {
        text.iter()
            .skip(from)
            .take_while(|c| c.is_ascii_digit())
            .count()
    };
    let counter = digits(11);
    let ends = !text
        .get(11 + counter)
        .is_some_and(|c| c.is_alphanumeric() || *c == '-');
    let fits = digits(0) == 10 && text[0] == '1' && text.get(10) == Some(&'.') && counter > 0;
    if fits && ends { 11 + counter } else { 0 }
}

/// A date of these centuries, `2026-11-20`, with the time of day that may follow.
fn date(text: &[char]) -> usize {
    let Some(date) = text.get(..10) else { return 0 };
    let number = |from: usize, to: usize| digits(&date[from..to]);
    let fits = matches!(number(0, 4), Some(1900..=2199))
        && matches!(number(5, 7), Some(1..=12))
        && matches!(number(8, 10), Some(1..=31))
        && date[4] == '-'
        && date[7] == '-'
        // More digits would make another number of it.
        && !text.get(10).is_some_and(|c| c.is_numeric() || *c == '-');
    if fits { 10 + clock(&text[10..]) } else { 0 }
}

/// A time of day behind a date, ` 09:30` or `T09:30:00`.
fn clock(text: &[char]) -> usize {
    let part = |from: usize| {
        let two = text.get(from..from + 2);
        two.is_some_and(|two| two.iter().all(char::is_ascii_digit))
            && !text.get(from + 2).is_some_and(|c| c.is_numeric())
    };
    let colon = |at: usize| text.get(at) == Some(&':');
    let minutes = matches!(text.first(), Some(' ' | 'T')) && part(1) && colon(3) && part(4);
    match (minutes, colon(6) && part(7)) {
        (false, _) => 0,
        (true, false) => 6,
        (true, true) => 9,
    }
}

/// An IPv4 address with a port behind it, or one of a private network or this machine: no country writes its numbers so.
/// Of the two only the address: the port is too short for a number.
fn socket(text: &[char]) -> usize {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit() && *c != '.')
        .unwrap_or(text.len());
    // A dot that ends a sentence is none of the address.
    let end = if end > 0 && text[end - 1] == '.' {
        end - 1
    } else {
        end
    };
    let mut parts = Vec::with_capacity(4);
    for part in text[..end].split(|c| *c == '.') {
        match digits(part) {
            Some(number @ 0..=255) if parts.len() < 4 && (part[0] != '0' || part.len() == 1) => {
                parts.push(number);
            }
            Some(_) | None => return 0,
        }
    }
    let port = text.get(end) == Some(&':') && text.get(end + 1).is_some_and(char::is_ascii_digit);
    let near = matches!(
        parts[..],
        [10 | 127, _, _, _] | [192, 168, _, _] | [172, 16..=31, _, _]
    );
    if parts.len() == 4 && (port || near) {
        end
    } else {
        0
    }
}

/// The value of one to four digits.
fn digits(text: &[char]) -> Option<u32> {
    if !(1..=4).contains(&text.len()) {
        return None;
    }
    text.iter()
        .try_fold(0, |sum, c| Some(sum * 10 + c.to_digit(10)?))
}

/// How many characters a number takes at the beginning of `text`, and how many of them are digits; 0 where there is none.
fn number(text: &[char]) -> (usize, usize) {
    let (mut end, mut digits, mut gap) = (0, 0, 0);
    for (at, c) in text.iter().enumerate() {
        // A digest behind a number, as in `SHA-256 4711…`, is no part of it.
        if gap > 0 && hexadecimal(&text[at..]) > 0 {
            break;
        }
        if c.is_numeric() {
            (end, digits, gap) = (at + 1, digits + 1, 0);
        } else if digits > 0
            && gap < WIDEST_GAP
            && matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')')
        {
            gap += 1;
        } else {
            break;
        }
    }
    (end, digits)
}

/// Whether numbers are shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privacy {
    /// As they are.
    #[default]
    Whole,
    /// With their last three digits only.
    Masked,
}

impl Privacy {
    /// What a flag `--mask` asks for.
    #[must_use]
    pub fn asked(mask: bool) -> Self {
        if mask { Self::Masked } else { Self::Whole }
    }

    /// A number, as [`Masked`]. Not escaped where it is whole.
    #[must_use]
    pub fn number(self, number: &str) -> Cow<'_, str> {
        match self {
            Self::Whole => Cow::Borrowed(number),
            Self::Masked => Cow::Owned(Masked(number).to_string()),
        }
    }

    /// Words in which a number may stand, as [`mask_text`]. Not escaped.
    #[must_use]
    pub fn text(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Whole => Cow::Borrowed(text),
            Self::Masked => Cow::Owned(mask_text(text)),
        }
    }

    /// A link. The names of recordings are made of numbers, in many forms, so nothing behind the host is shown. Not
    /// escaped.
    #[must_use]
    pub fn link(self, link: &str) -> Cow<'_, str> {
        match self {
            Self::Whole => Cow::Borrowed(link),
            Self::Masked => {
                let host = link.find("://").map_or(0, |at| at + 3);
                let end = link[host..]
                    .find(['/', '?', '#'])
                    .map_or(link.len(), |at| host + at);
                // A user name before the host may be a number, too.
                let from = link[host..end].rfind('@').map_or(host, |at| host + at + 1);
                Cow::Owned(format!("{}{}/…", &link[..host], &link[from..end]))
            }
        }
    }

    /// A form-encoded text: the names of its parameters stay, and each value is taken for a number, because any may be one.
    #[must_use]
    pub fn form(self, form: &str) -> Cow<'_, str> {
        match self {
            Self::Whole => Cow::Borrowed(form),
            Self::Masked => {
                let pairs: Vec<String> = url::form_urlencoded::parse(form.as_bytes())
                    .map(|(name, value)| format!("{name}={}", Masked(&value)))
                    .collect();
                Cow::Owned(pairs.join("&"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_keeps_its_last_three_digits_and_nothing_else() {
        for (number, shown) in [
            ("02122853348", "xxxxxxxx348"),
            ("+58 212 285-33-48", "xxxxxxxxxxxxx3x48"),
            ("7034", "x034"),
            ("104", "104"),
            ("*72", "x72"),
            ("", ""),
            ("anonymous", "xxxxxxxxx"),
            ("\"Ana\" <02122853348>", "xxxxxxxxxxxxxxx348x"),
            ("sip:ana.7@example.com", "xxxxxxxx7xxxxxxxxxxxx"),
            ("٠٢١٢٢٨٥٣٣٤٨", "xxxxxxxxxxx"),
            ("1\u{1b}[2J\n2345", "xxxxxxx345"),
            ("ñ1234", "xx234"),
        ] {
            assert_eq!(Masked(number).to_string(), shown, "{number:?}");
        }
    }

    #[test]
    fn numbers_in_words_are_masked_and_codes_are_not() {
        for (text, shown) in [
            (
                "destination 02122853348 no existe",
                "destination xxxxxxxx348 no existe",
            ),
            ("+58 (212) 285.33.48!", "+xx (xxx) xxx.x3.48!"),
            ("12345 and 123456", "12345 and xxx456"),
            ("id 4711, HTTP 422", "id 4711, HTTP 422"),
            ("٠٢١٢٢٨٥٣٣٤٨", "xxxxxxxx٣٤٨"),
            ("12   3456", "12   3456"),
            ("1234567 8", "xxxxx67 8"),
            (
                "on 2026-11-20 09:00:00 to 02125550142",
                "on 2026-11-20 09:00:00 to xxxxxxxx142",
            ),
            ("2026-11-20 09:00:00 7034", "2026-11-20 09:00:00 7034"),
            ("2026-11-20 0900555", "2026-11-20 xxxx555"),
            ("2026-11-20 09:005", "2026-11-20 09:005"),
            ("2026-11-20T09:00", "2026-11-20T09:00"),
            ("(2026-11-20)", "(2026-11-20)"),
            ("2026-11-20-55", "xxxx-xx-x0-55"),
            ("2026-13-20", "xxxx-x3-20"),
            ("52026-11-20", "xxxxx-x1-20"),
            ("2026-11-201", "xxxx-xx-201"),
            ("0212 2026-11-20", "xxxx xxxx-x1-20"),
            ("refused: 127.0.0.1:8080", "refused: 127.0.0.1:8080"),
            (
                "the CRM reported phonecallId 70000007 for 3",
                "the CRM reported phonecallId 70000007 for 3",
            ),
            ("phonecallId  70000007", "phonecallId  xxxxx007"),
            (
                "SHA-256 47872b0831f232edaaaaa447fa62a62f, and",
                "SHA-256 47872b0831f232edaaaaa447fa62a62f, and",
            ),
            ("row 1795818232.1472 is odd", "row 1795818232.1472 is odd"),
            ("row 0212555014.2", "row xxxxxxxx14.2"),
            ("it points to 192.168.1.20.", "it points to 192.168.1.20."),
            ("it points to 172.15.1.20", "it points to xxx.xx.1.20"),
            ("ask 0212.28.53.34", "ask xxxx.xx.x3.34"),
            ("at http://192.168.1.98:80/x", "at http://192.168.1.98:80/x"),
            ("212.185.33.48", "xxx.xxx.x3.48"),
            ("212.285.33.48:9", "xxx.xxx.x3.48:9"),
            (
                "a0123456789012345678901234567890123456789b",
                "a0123456789012345678901234567890123456789b",
            ),
            ("a1234567890", "axxxxxxx890"),
            ("1234567 ", "xxxx567 "),
            ("", ""),
        ] {
            assert_eq!(mask_text(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_link_shows_its_host_alone() {
        for (link, shown) in [
            (
                "https://pbx.example.com/rec/out-02122853348-104.wav",
                "https://pbx.example.com/…",
            ),
            (
                "https://pbx.example.com?n=02122853348",
                "https://pbx.example.com/…",
            ),
            (
                "https://02122853348@pbx.example.com:8443/x",
                "https://pbx.example.com:8443/…",
            ),
            ("no link", "no link/…"),
        ] {
            assert_eq!(Privacy::Masked.link(link), shown);
            assert_eq!(Privacy::Whole.link(link), link);
        }
    }

    #[test]
    fn a_form_shows_the_names_of_its_parameters() {
        let form = "class=org.example.CallBack&aon=%2B58+212+285";
        assert_eq!(
            Privacy::Masked.form(form),
            "class=xxxxxxxxxxxxxxxxxxxx&aon=xxxxxxxx285"
        );
        assert_eq!(Privacy::Whole.form(form), form);
    }

    proptest! {
        #[test]
        fn three_digits_at_most_are_left_of_any_number(number in "\\PC{0,24}|[0-9+() -]{0,24}|(?s).{0,24}") {
            let masked = Masked(&number).to_string();
            prop_assert_eq!(masked.chars().count(), number.chars().count());
            prop_assert!(masked.chars().all(|c| c == HIDDEN || c.is_ascii_digit()));
            prop_assert!(masked.chars().filter(char::is_ascii_digit).count() <= SHOWN);
        }

        #[test]
        fn no_number_in_a_text_is_left_whole(before in "[a-z ,:<]{0,9}", number in "[0-9]{6,15}", after in "([a-z,:>][a-z ,:>]{0,9})?") {
            let text = format!("{before}{number}{after}");
            let masked = mask_text(&text);
            let hidden = "x".repeat(number.len() - SHOWN);
            prop_assert_eq!(masked, format!("{before}{hidden}{}{after}", &number[number.len() - SHOWN..]));
        }

        #[test]
        fn words_without_numbers_stay_as_they_are(text in "[^0-9\\p{N}]{0,30}") {
            prop_assert_eq!(mask_text(&text), text);
        }
    }
}
