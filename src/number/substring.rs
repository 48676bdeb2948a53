//! Asterisk's `${EXTEN:offset:length}`, in a template of literal text.
//!
//! The semantics are those of Asterisk main/pbx_variables.c (`parse_variable_name`, `substring`), checked by vectors
//! that were computed with it. A negative offset counts from the end; a negative length leaves that much off the end;
//! offset and length are counted in bytes.
//!
//! # Where Asterisk itself is odd
//!
//! Asterisk reads both figures with one `sscanf("%d:%d")`, which stops at the first thing that is no figure. So
//! `${EXTEN::3}` and `${EXTEN:abc}` are the whole number, not its first three digits or an error, and `${EXTEN:1:2:3}` is
//! `${EXTEN:1:2}`. It is done in the same way here, so that a line can be carried over from a dialplan;
//! [`Template::hint`] points such spellings out.
//!
//! Where an offset or a length falls into the middle of a character of more than one byte, Asterisk gives broken text.
//! Here such a character is left out as a whole: the result is always valid text and always a part of the number.
//! Figures beyond 64 bits are taken as the largest there are.

use std::fmt;

/// Text with `${EXTEN}`, `${EXTEN:offset}` and `${EXTEN:offset:length}` in it, any number of times.
///
/// ```
/// use cdrelay::number::substring::Template;
/// let template = Template::parse("0212${EXTEN:1}")?;
/// assert_eq!(template.apply("92853348"), "02122853348");
/// # Ok::<(), cdrelay::number::substring::TemplateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// Why a text is no usable template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Every number would be lost.
    #[error(
        "the template is empty and would leave nothing of a number; to leave calls out write `drop = true`"
    )]
    Empty,
    /// `${` without `}`.
    #[error("the template `{0}` has a `${{` without `}}`; close it, as in `${{EXTEN:1}}`")]
    Unclosed(String),
    /// A variable that is not known here.
    #[error(
        "the template `{template}` uses `${{{variable}}}`; only `${{EXTEN}}`, `${{EXTEN:offset}}` and `${{EXTEN:offset:length}}` are known here"
    )]
    UnknownVariable {
        /// The whole text.
        template: String,
        /// What stands between the braces.
        variable: String,
    },
    /// `$[...]`, which Asterisk would calculate.
    #[error(
        "the template `{0}` has an expression `$[...]`, which is not calculated here; use a `regex` rule, or several rules"
    )]
    Expression(String),
}

impl Template {
    /// Reads a template. A `$` that begins neither `${` nor `$[` stands for itself.
    ///
    /// # Errors
    /// [`TemplateError`]
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from_dollar) = rest.split_at(at);
            literal.push_str(before);
            if from_dollar.starts_with("$[") {
                return Err(TemplateError::Expression(text.to_owned()));
            }
            let Some(inside) = from_dollar.strip_prefix("${") else {
                literal.push('$');
                rest = &from_dollar[1..];
                continue;
            };
            let Some((variable, after)) = inside.split_once('}') else {
                return Err(TemplateError::Unclosed(text.to_owned()));
            };
            let cut = Cut::parse(variable).ok_or_else(|| TemplateError::UnknownVariable {
                template: text.to_owned(),
                variable: variable.to_owned(),
            })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Exten(cut));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The template with `number` in the place of `EXTEN`.
    #[must_use]
    pub fn apply(&self, number: &str) -> String {
        let mut result = String::with_capacity(self.text.len() + number.len());
        for part in &self.parts {
            result.push_str(match part {
                Part::Literal(text) => text,
                Part::Exten(cut) => cut.of(number),
            });
        }
        result
    }

    /// What a person should look at, although Asterisk accepts it: figures that Asterisk does not read as they look.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.parts.iter().find_map(|part| match part {
            Part::Literal(_) => None,
            Part::Exten(cut) => cut.misread.as_ref().map(|variable| {
                let read_as = cut.to_string();
                format!("Asterisk, and so cdrelay, reads `${{{variable}}}` as `{read_as}`; write what you mean, such as `${{EXTEN:0:3}}` for the first three digits")
            }),
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Exten(Cut),
}

/// A part of a number.
#[derive(Debug, Clone)]
struct Cut {
    offset: i64,
    /// `None`: to the end.
    length: Option<i64>,
    /// What stands between the braces, where it holds more than the figures that were read.
    misread: Option<String>,
}

impl Cut {
    /// Reads what stands between the braces; `None` where it is not `EXTEN`.
    fn parse(variable: &str) -> Option<Self> {
        let figures = match variable.strip_prefix("EXTEN")? {
            "" => "",
            rest => rest.strip_prefix(':')?,
        };
        if figures.contains("${") {
            return None;
        }
        let mut cut = Self {
            offset: 0,
            length: None,
            misread: None,
        };
        let mut unread = figures;
        if let Some((offset, rest)) = read_figure(figures) {
            cut.offset = offset;
            unread = rest;
            if let Some((length, rest)) = rest.strip_prefix(':').and_then(read_figure) {
                cut.length = Some(length);
                unread = rest;
            }
        }
        cut.misread = (!unread.is_empty()).then(|| variable.to_owned());
        Some(cut)
    }

    fn of<'a>(&self, number: &'a str) -> &'a str {
        let size = i64::try_from(number.len()).unwrap_or(i64::MAX);
        let start = if self.offset < 0 {
            size.saturating_add(self.offset).max(0)
        } else {
            self.offset.min(size)
        };
        let end = match self.length {
            None => size,
            Some(length) if length < 0 => size.saturating_add(length).max(start),
            Some(length) => start.saturating_add(length).min(size),
        };
        whole_characters(number, start, end)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.offset, self.length) {
            (0, None) => f.write_str("${EXTEN}"),
            (offset, None) => write!(f, "${{EXTEN:{offset}}}"),
            (offset, Some(length)) => write!(f, "${{EXTEN:{offset}:{length}}}"),
        }
    }
}

/// The characters that lie within the bytes `start..end` as a whole.
fn whole_characters(number: &str, start: i64, end: i64) -> &str {
    let index = |at: i64| usize::try_from(at).unwrap_or(0).min(number.len());
    let start = number.ceil_char_boundary(index(start));
    let end = number.floor_char_boundary(index(end));
    number.get(start..end).unwrap_or("")
}

/// A whole number as `sscanf("%d")` reads it: white space and a sign may come first. Gives it and what follows.
fn read_figure(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(length);
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some((if negative { -size } else { size }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn gives(template: &str, number: &str, result: &str) {
        assert_eq!(
            Template::parse(template).unwrap().apply(number),
            result,
            "{template} of {number}"
        );
    }

    #[track_caller]
    fn refused(template: &str, error: &str) {
        assert_eq!(Template::parse(template).unwrap_err().to_string(), error);
    }

    #[test]
    fn a_template_may_use_the_number_many_times() {
        gives("0212${EXTEN:1}", "92853348", "02122853348");
        gives("${EXTEN:-4}/${EXTEN:0:3}", "02122853348", "3348/021");
        gives("100", "92853348", "100");
        gives("a$b}${EXTEN}$", "1", "a$b}1$");
    }

    #[test]
    fn a_character_that_would_be_cut_is_left_out() {
        gives("${EXTEN:1}", "é12", "12");
        gives("${EXTEN:0:1}", "é12", "");
        gives("${EXTEN:0:3}", "1é2", "1é");
        gives("${EXTEN:0:2}", "1é2", "1");
        gives("${EXTEN:1:1}", "€1", "");
    }

    #[test]
    fn figures_beyond_all_bounds_are_taken_as_the_largest() {
        gives("${EXTEN:99999999999999999999}", "123", "");
        gives("${EXTEN:-99999999999999999999:2}", "123", "12");
        gives("${EXTEN:1:99999999999999999999}", "123", "23");
        gives("${EXTEN:1:-99999999999999999999}", "123", "");
    }

    #[test]
    fn what_asterisk_would_fill_in_otherwise_is_refused() {
        refused(
            "",
            "the template is empty and would leave nothing of a number; to leave calls out write `drop = true`",
        );
        refused(
            "9${EXTEN:1",
            "the template `9${EXTEN:1` has a `${` without `}`; close it, as in `${EXTEN:1}`",
        );
        refused(
            "${CALLERID(num):1}",
            "the template `${CALLERID(num):1}` uses `${CALLERID(num):1}`; only `${EXTEN}`, `${EXTEN:offset}` and `${EXTEN:offset:length}` are known here",
        );
        refused(
            "${exten}",
            "the template `${exten}` uses `${exten}`; only `${EXTEN}`, `${EXTEN:offset}` and `${EXTEN:offset:length}` are known here",
        );
        assert!(Template::parse("${EXTENSION}").is_err());
        assert!(Template::parse("${EXTEN:${LEN}}").is_err());
        refused(
            "$[${EXTEN}+1]",
            "the template `$[${EXTEN}+1]` has an expression `$[...]`, which is not calculated here; use a `regex` rule, or several rules",
        );
    }

    #[test]
    fn figures_that_asterisk_reads_otherwise_are_pointed_out() {
        let hint = |text| Template::parse(text).unwrap().hint();
        assert_eq!(
            hint("${EXTEN::3}").unwrap(),
            "Asterisk, and so cdrelay, reads `${EXTEN::3}` as `${EXTEN}`; write what you mean, such as `${EXTEN:0:3}` for the first three digits"
        );
        assert!(hint("${EXTEN:abc}").is_some());
        assert!(
            hint("1${EXTEN:1:2:3}")
                .unwrap()
                .contains("as `${EXTEN:1:2}`")
        );
        assert_eq!(hint("0212${EXTEN:1}${EXTEN: -3: 2}"), None);
    }

    proptest! {
        #[test]
        fn any_template_meets_any_number_without_a_panic(
            text in any::<String>(), offset in any::<i64>(), length in any::<i64>(), number in any::<String>(),
        ) {
            if let Ok(template) = Template::parse(&text) {
                let _ = (template.apply(&number), template.hint());
            }
            let cut = Template::parse(&format!("${{EXTEN:{offset}:{length}}}")).unwrap().apply(&number);
            prop_assert!(number.contains(&cut));
        }

        #[test]
        fn two_cuts_at_one_place_make_the_whole(number in "[0-9+*#]{0,16}", at in 0usize..20) {
            let template = Template::parse(&format!("${{EXTEN:0:{at}}}${{EXTEN:{at}}}")).unwrap();
            prop_assert_eq!(template.apply(&number), number);
        }

        #[test]
        fn an_offset_strips_that_many_characters(prefix in "[0-9]{0,4}", number in "[0-9]{0,12}") {
            let template = Template::parse(&format!("${{EXTEN:{}}}", prefix.len())).unwrap();
            prop_assert_eq!(template.apply(&format!("{prefix}{number}")), number);
        }

        #[test]
        fn text_around_the_number_is_kept(before in "[0-9a-z]{0,4}", after in "[0-9a-z]{0,4}", number in any::<String>()) {
            let template = Template::parse(&format!("{before}${{EXTEN}}{after}")).unwrap();
            prop_assert_eq!(template.apply(&number), format!("{before}{number}{after}"));
        }
    }
}
