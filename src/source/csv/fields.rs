//! One record, field by field.

/// How far a text is a record: fed byte by byte, so that a record over several lines is looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    state: State,
    commas: usize,
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a field, or in the blanks before its quote.
    Start,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the field unless another one follows.
    Quote,
    /// In the blanks behind a quoted field.
    Closed,
    /// It cannot become a record any more.
    Broken,
}

impl Shape {
    /// Of the empty text.
    pub(super) const EMPTY: Self = Self {
        state: State::Start,
        commas: 0,
    };

    /// Of a text.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut shape = Self::EMPTY;
        shape.feed(text);
        shape
    }

    /// Of this text and `more` behind it.
    pub(super) fn feed(&mut self, more: &[u8]) {
        for &byte in more {
            self.state = self.state.after(byte);
            self.commas += usize::from(self.state == State::Start && byte == b',');
        }
    }

    /// Whether a quote is open at its end, so that the record may go on behind a line end.
    pub(super) fn is_open(self) -> bool {
        self.state == State::Quoted
    }

    /// How many fields it has, if it is a record.
    pub(super) fn fields(self) -> Option<usize> {
        match self.state {
            State::Start | State::Plain | State::Quote | State::Closed => Some(self.commas + 1),
            State::Quoted | State::Broken => None,
        }
    }
}

impl State {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) | (Self::Start | Self::Quote, b'"') => Self::Quoted,
            (Self::Start | Self::Plain | Self::Quote | Self::Closed, b',') => Self::Start,
            (Self::Start, b' ' | b'\t' | b'\r') => Self::Start,
            (Self::Quote | Self::Closed, b' ' | b'\t' | b'\r') => Self::Closed,
            (Self::Plain | Self::Closed, b'"')
            | (Self::Start | Self::Plain, b'\n')
            | (Self::Quote | Self::Closed | Self::Broken, _) => Self::Broken,
            (Self::Start | Self::Plain, _) => Self::Plain,
        }
    }
}

/// The fields of one record, without their quotes. Meant to be used again and again.
#[derive(Debug, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Field `at`, from 0; empty where the record has no such field.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Takes a record apart in which a quote inside quotes stands twice, as Asterisk and RFC 4180 write it. Gives
    /// whether it is one; if not, the fields mean nothing.
    pub(super) fn split(&mut self, record: &[u8]) -> bool {
        self.clear();
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        let mut state = State::Start;
        for &byte in record {
            let next = state.after(byte);
            match (state, next) {
                (State::Start, State::Quoted) => self.drop_blanks(),
                (_, State::Quote | State::Closed) => {}
                (State::Quoted | State::Quote, State::Quoted)
                | (State::Start | State::Plain, State::Plain) => self.bytes.push(byte),
                (_, State::Start) if byte == b',' => self.end(),
                (_, State::Start) => self.bytes.push(byte),
                (_, State::Broken) => return false,
                (State::Closed | State::Broken | State::Plain, State::Quoted)
                | (State::Quoted | State::Quote | State::Closed | State::Broken, State::Plain) => {}
            }
            state = next;
        }
        self.end();
        state != State::Quoted
    }

    /// The same for FreeSWITCH, which escapes nothing: inside quotes, a quote ends the field only if a comma or the end
    /// of the record follows.
    pub(super) fn split_unescaped(&mut self, record: &[u8]) -> bool {
        self.clear();
        let record = record.trim_ascii_end();
        let mut rest = record;
        loop {
            let field = rest.trim_ascii_start();
            let (value, after) = match field.strip_prefix(b"\"") {
                Some(quoted) => match closing_quote(quoted) {
                    Some(at) => (&quoted[..at], quoted[at + 1..].trim_ascii_start()),
                    None => return false,
                },
                None => rest.split_at(
                    rest.iter()
                        .position(|&byte| byte == b',')
                        .unwrap_or(rest.len()),
                ),
            };
            if field.first() != Some(&b'"') && value.contains(&b'"') {
                return false;
            }
            self.bytes.extend_from_slice(value);
            self.end();
            match after.strip_prefix(b",") {
                Some(following) => rest = following,
                None => return after.is_empty(),
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn drop_blanks(&mut self) {
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

fn closing_quote(quoted: &[u8]) -> Option<usize> {
    let quotes = quoted.iter().enumerate().filter(|&(_, &byte)| byte == b'"');
    let mut at = quotes.map(|(at, _)| at);
    at.find(|at| {
        let behind = quoted[at + 1..]
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        behind.is_none_or(|&byte| byte == b',')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn split(record: &str, expected: Option<&[&str]>) {
        let mut fields = Fields::default();
        let whole = fields.split(record.as_bytes());
        let texts: Vec<_> = fields
            .iter()
            .map(|field| str::from_utf8(field).unwrap())
            .collect();
        assert_eq!(whole.then_some(&texts[..]), expected, "{record:?}");
        assert_eq!(
            Shape::of(record.as_bytes()).fields(),
            expected.map(<[_]>::len),
            "{record:?}"
        );
    }

    #[test]
    fn quotes_blanks_and_commas_are_told_apart() {
        split("", Some(&[""]));
        split("a,b", Some(&["a", "b"]));
        split(r#""a","",,1"#, Some(&["a", "", "", "1"]));
        split(r#""a,b","c""d""""#, Some(&["a,b", r#"c"d""#]));
        split(r#""a", "b" ,c"#, Some(&["a", "b", "c"]));
        split(" a, b ", Some(&[" a", " b "]));
        split("\"a\",\"b\"\r", Some(&["a", "b"]));
        split("a,b\r", Some(&["a", "b"]));
        split("\"a\nb\",c", Some(&["a\nb", "c"]));
        split("a\nb", None);
        split(r#""a,b"#, None);
        split(r#""a"b,c"#, None);
        split(r#"a"b,c"#, None);
        split(r#""a" "b""#, None);
    }

    #[test]
    fn asterisks_own_example_gives_its_caller_back() {
        split(
            r#""","3","11","ctx","""Joe \""X\"""" <100>",1"#,
            Some(&["", "3", "11", "ctx", r#""Joe \"X\"" <100>"#, "1"]),
        );
    }

    #[track_caller]
    fn unescaped(record: &str, expected: Option<&[&str]>) {
        let mut fields = Fields::default();
        let whole = fields.split_unescaped(record.as_bytes());
        let texts: Vec<_> = fields
            .iter()
            .map(|field| str::from_utf8(field).unwrap())
            .collect();
        assert_eq!(whole.then_some(&texts[..]), expected, "{record:?}");
    }

    #[test]
    fn a_bare_quote_ends_no_field_of_freeswitch() {
        unescaped(r#""Joe "X"","1", "2""#, Some(&[r#"Joe "X""#, "1", "2"]));
        unescaped("\"a\",b,\r", Some(&["a", "b", ""]));
        unescaped(r#""Joe "X,"1""#, Some(&[r#"Joe "X,"1"#]));
        unescaped(r#""a","b"#, None);
        unescaped(r#"a"b,c"#, None);
    }
}
