//! `[select.where]`: what named columns must hold for a row to be a call to send. Pure.

use crate::text::Shown;

/// What one column must hold.
///
/// A row passes where one of the texts fits the column's value, and none of those with a `!` in front does. `*` stands
/// for anything, also for nothing; everything else stands for itself, in its own case. An empty text is an empty column,
/// or NULL.
///
/// ```
/// use cdrelay::cdr::filter::ColumnFilter;
/// let trunk = ColumnFilter::new("channel", ["PJSIP/trunk-*", "!*-0000dead"]);
/// assert!(trunk.passes(Some("PJSIP/trunk-00000001")));
/// assert!(!trunk.passes(Some("PJSIP/trunk-0000dead")));
/// assert!(!trunk.passes(None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFilter {
    column: String,
    wanted: Vec<Vec<String>>,
    unwanted: Vec<Vec<String>>,
    /// As it stands in the file, for messages.
    texts: Vec<String>,
}

impl ColumnFilter {
    /// A filter on a column, named as `[source.columns]` does.
    #[must_use]
    pub fn new<'t>(column: &str, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut filter = Self {
            column: column.to_owned(),
            wanted: Vec::new(),
            unwanted: Vec::new(),
            texts: Vec::new(),
        };
        for text in texts {
            let (list, pattern) = match text.strip_prefix('!') {
                Some(pattern) => (&mut filter.unwanted, pattern),
                None => (&mut filter.wanted, text),
            };
            list.push(pattern.split('*').map(str::to_owned).collect());
            filter.texts.push(text.to_owned());
        }
        filter
    }

    /// The column's role or name.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Whether a value passes; `None`: the column is empty.
    #[must_use]
    pub fn passes(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        let any = |list: &[Vec<String>]| list.iter().any(|parts| fits(parts, value));
        (self.wanted.is_empty() || any(&self.wanted)) && !any(&self.unwanted)
    }

    /// Why a value does not pass, for a person.
    #[must_use]
    pub fn objection(&self, value: Option<&str>) -> String {
        let value = value.unwrap_or_default();
        let shown: String = value.chars().take(80).collect();
        format!(
            "its `{}` is `{}`, and select.where.{} wants {}",
            self.column,
            Shown(&shown),
            self.column,
            self.wish()
        )
    }

    /// What it asks for, for a person.
    #[must_use]
    pub fn wish(&self) -> String {
        let texts: Vec<String> = self
            .texts
            .iter()
            .map(|text| format!("`{}`", Shown(text)))
            .collect();
        texts.join(" or ")
    }
}

/// Whether a value is these parts with anything between them.
fn fits(parts: &[String], value: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        // No star: the one part is the whole text.
        return parts.first().is_some_and(|text| text == value);
    };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        // The earliest place leaves the most for those that follow.
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn passes(texts: &[&str], yes: &[&str], no: &[&str]) {
        let filter = ColumnFilter::new("dcontext", texts.iter().copied());
        for value in yes {
            assert!(filter.passes(Some(value)), "{value}");
        }
        for value in no {
            assert!(!filter.passes(Some(value)), "{value}");
        }
    }

    #[test]
    fn a_value_passes_where_a_text_fits_and_no_other_objects() {
        passes(
            &["from-queue"],
            &["from-queue"],
            &["from-queue2", "From-Queue", ""],
        );
        passes(&["a", "b"], &["a", "b"], &["ab", "c"]);
        passes(&["from-*"], &["from-", "from-queue"], &["a from-queue"]);
        passes(&["*-*-*"], &["--", "a-b-c-d"], &["a-b"]);
        passes(&["a*ab"], &["aab", "axab"], &["ab", "aab "]);
        passes(&["*"], &["", "x"], &[]);
        passes(&["!Voicemail"], &["Queue", ""], &["Voicemail"]);
        passes(&["Q*", "!Quit"], &["Queue"], &["Quit", "Dial"]);
        passes(&[""], &[""], &["x"]);
        passes(&["!"], &["x"], &[""]);
        assert!(ColumnFilter::new("x", [""]).passes(None));
    }

    #[test]
    fn an_objection_says_what_was_found_and_what_was_wanted() {
        let filter = ColumnFilter::new("dcontext", ["from-queue", "!from-*"]);
        assert_eq!(
            filter.objection(Some("in\u{1b}[2J")),
            "its `dcontext` is `in\\u{1b}[2J`, and select.where.dcontext wants `from-queue` or `!from-*`"
        );
    }
}
