//! Lines put together to records, so that one broken quote never swallows what follows it.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::fields::{Fields, Shape};
use super::lines::{LineEnd, Lines};
use crate::source::columns::decode;

/// Most bytes of lines that are held back in the hope that they become a record together. Asterisk builds a record in
/// 1,024 bytes (`cdr/cdr_csv.c`); other writers get some room.
const LONGEST_JOIN: usize = 8 << 10;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A whole record.
    Record {
        /// Its bytes, without the line end.
        bytes: Vec<u8>,
        /// Whether quotes inside quotes stand there unescaped.
        unescaped: bool,
    },
    /// Lines that are no record, and cannot be joined to one.
    Broken {
        /// Number of the first of these lines.
        line: u64,
        /// How it begins.
        excerpt: String,
        /// How many fields it has, if it would be a record but for their number.
        fields: Option<usize>,
    },
}

/// The records of a file, in its order.
///
/// A line that is a record by itself is always read as that one record. A line that ends inside quotes is joined with the
/// lines behind it, at most up to the next one that is a record by itself, and up to [`LONGEST_JOIN`].
#[derive(Debug)]
pub(super) struct Records<R> {
    lines: Lines<R>,
    counts: Vec<usize>,
    settled: bool,
    held: Vec<Held>,
    held_bytes: usize,
    /// Which held lines may begin a record that goes on, with its shape up to the last held line.
    open: Vec<(usize, Shape)>,
    ready: VecDeque<Entry>,
    left: Option<u64>,
    scratch: Fields,
    ended: bool,
}

/// A line that waits for those behind it.
#[derive(Debug)]
struct Held {
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    /// Reads on from where `lines` stands. A record has one of these `counts` of fields. `settled` says that nobody
    /// writes the file any more, so that what stands at its end without a line end is final.
    pub(super) fn new(lines: Lines<R>, counts: Vec<usize>, settled: bool) -> Self {
        Self {
            lines,
            counts,
            settled,
            held: Vec::new(),
            held_bytes: 0,
            open: Vec::new(),
            ready: VecDeque::new(),
            left: None,
            scratch: Fields::default(),
            ended: false,
        }
    }

    /// The next record, or the next lines that are none; `None` at the end.
    pub(super) fn advance(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if self.ended {
                return Ok(None);
            }
            match self.lines.advance()? {
                Some(LineEnd::Newline) => self.take_line(),
                Some(LineEnd::TooLong) => {
                    self.give_up(self.held.len());
                    let entry = broken(self.lines.number(), self.lines.line());
                    self.ready.push_back(entry);
                }
                Some(LineEnd::EndOfFile) if self.settled => self.take_line(),
                Some(LineEnd::EndOfFile) => {
                    self.left = Some(self.lines.number());
                    self.end();
                }
                None => self.end(),
            }
        }
    }

    /// The line where a record begins that is not finished yet, once the end was reached. It is no part of what was
    /// read, and is read by the next run.
    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    fn take_line(&mut self) {
        let line = inserted(self.lines.line());
        if line.trim_ascii().is_empty() && self.held.is_empty() {
            return;
        }
        let shape = Shape::of(line);
        if self.is_whole(shape) {
            self.give_up(self.held.len());
            let bytes = inserted(self.lines.line()).to_vec();
            self.ready.push_back(Entry::Record {
                bytes,
                unescaped: false,
            });
            return;
        }
        for (_, shape) in &mut self.open {
            shape.feed(b"\n");
            shape.feed(line);
        }
        self.held_bytes += line.len() + 1;
        self.held.push(Held {
            number: self.lines.number(),
            bytes: line.to_vec(),
        });
        let joined = self.open.iter().find(|(_, shape)| self.is_whole(*shape));
        if let Some(&(first, _)) = joined {
            self.give_up(first);
            let lines: Vec<_> = self.held.drain(..).map(|held| held.bytes).collect();
            self.open.clear();
            self.held_bytes = 0;
            self.ready.push_back(Entry::Record {
                bytes: lines.join(&b'\n'),
                unescaped: false,
            });
            return;
        }
        self.open.retain(|(_, shape)| shape.is_open());
        if shape.is_open() {
            self.open.push((self.held.len() - 1, shape));
        }
        self.let_go();
    }

    /// Gives up what cannot become a record any more, and what has become too long for one.
    fn let_go(&mut self) {
        loop {
            let first = self
                .open
                .first()
                .map_or(self.held.len(), |&(first, _)| first);
            self.give_up(first);
            if self.held_bytes <= LONGEST_JOIN || self.open.is_empty() {
                return;
            }
            self.open.remove(0);
        }
    }

    /// Hands on the first so many held lines: as records, where a line is one with unescaped quotes, the rest as broken.
    fn give_up(&mut self, lines: usize) {
        let mut in_broken = false;
        for held in self.held.drain(..lines) {
            self.held_bytes -= held.bytes.len() + 1;
            let unescaped = self.scratch.split_unescaped(&held.bytes)
                && self.counts.contains(&self.scratch.len());
            if unescaped {
                self.ready.push_back(Entry::Record {
                    bytes: held.bytes,
                    unescaped,
                });
            } else if !in_broken {
                self.ready.push_back(broken(held.number, &held.bytes));
            }
            in_broken = !unescaped;
        }
        self.open.retain(|&(first, _)| first >= lines);
        for (first, _) in &mut self.open {
            *first -= lines;
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if self.settled {
            self.give_up(self.held.len());
        } else if let Some(held) = self.held.first() {
            self.left = Some(held.number);
        }
    }

    fn is_whole(&self, shape: Shape) -> bool {
        shape
            .fields()
            .is_some_and(|count| self.counts.contains(&count))
    }
}

/// The values of a statement, `INSERT INTO cdr VALUES (…);`, as FreeSWITCH's template `sql` writes a record; any other line
/// as it is.
fn inserted(line: &[u8]) -> &[u8] {
    const BEGIN: &[u8] = b"INSERT INTO ";
    const VALUES: &[u8] = b"VALUES";
    let starts = |text: &[u8], word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let text = line.trim_ascii();
    if !starts(text, BEGIN) {
        return line;
    }
    let found = (BEGIN.len()..text.len()).find(|&at| starts(&text[at..], VALUES));
    let values = found.map(|at| text[at + VALUES.len()..].trim_ascii_start());
    values
        .and_then(|values| values.strip_prefix(b"("))
        .map(|inside| inside.strip_suffix(b";").unwrap_or(inside).trim_ascii_end())
        .and_then(|inside| inside.strip_suffix(b")"))
        .unwrap_or(line)
}

fn broken(line: u64, bytes: &[u8]) -> Entry {
    Entry::Broken {
        line,
        excerpt: excerpt(bytes),
        fields: Shape::of(bytes).fields(),
    }
}

/// The first 60 bytes, less a character that they cut in two.
fn excerpt(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(60)];
    match str::from_utf8(first) {
        Err(error) if error.error_len().is_none() && first.len() < bytes.len() => {
            decode(&first[..error.valid_up_to()])
        }
        Ok(_) | Err(_) => decode(first),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Records of three fields, shown as `R:text`, `U:text` (unescaped), `B<line>`, and `L<line>` for what is left.
    fn read(input: &[u8], settled: bool) -> Vec<String> {
        let lines = Lines::new(io::BufReader::with_capacity(5, input));
        let mut records = Records::new(lines, vec![3], settled);
        let mut found = Vec::new();
        while let Some(entry) = records.advance().unwrap() {
            found.push(match entry {
                Entry::Record {
                    bytes,
                    unescaped: false,
                } => format!("R:{}", decode(&bytes)),
                Entry::Record {
                    bytes,
                    unescaped: true,
                } => format!("U:{}", decode(&bytes)),
                Entry::Broken { line, .. } => format!("B{line}"),
            });
        }
        found.extend(records.left().map(|line| format!("L{line}")));
        found
    }

    #[track_caller]
    fn check(input: &str, expected: &[&str]) {
        assert_eq!(read(input.as_bytes(), false), expected, "{input:?}");
    }

    #[test]
    fn a_broken_quote_swallows_nothing_that_follows() {
        check(
            "1,2,3\n\"a,b,c\n4,5,6\n7,8,9\n",
            &["R:1,2,3", "B2", "R:4,5,6", "R:7,8,9"],
        );
        check(
            "\"a,b,c\n\"d\",\"e\",\"f\"\n",
            &["B1", "R:\"d\",\"e\",\"f\""],
        );
        check("junk\njunk\n1,2,3\n", &["B1", "B2", "R:1,2,3"]);
        check("1,2,3,4\n1,2,3\n", &["B1", "R:1,2,3"]);
    }

    #[test]
    fn a_line_end_inside_quotes_is_part_of_the_record() {
        check("1,\"a\nb\",3\n4,5,6\n", &["R:1,\"a\nb\",3", "R:4,5,6"]);
        check("1,\"a\n\n\nb\",3\n", &["R:1,\"a\n\n\nb\",3"]);
        check(
            "1,2,\"a\r\nb\"\r\n4,5,6\r\n",
            &["R:1,2,\"a\r\nb\"\r", "R:4,5,6\r"],
        );
        // Another broken quote before it costs that line only.
        check("\"x\n1,\"a\nb\",3\n", &["B1", "R:1,\"a\nb\",3"]);
    }

    #[test]
    fn a_join_has_a_bound() {
        let mut input = String::from("1,2,\"a\n");
        for _ in 0..LONGEST_JOIN / 4 {
            input.push_str("abcde\n");
        }
        input.push_str("b\"\n4,5,6\n");
        let found = read(input.as_bytes(), false);
        assert_eq!(found.first().unwrap(), "B1");
        assert_eq!(found.last().unwrap(), "R:4,5,6");
    }

    #[test]
    fn unescaped_quotes_cost_no_record() {
        check(
            "\"J \"X\"\",2,3\n4,5,6\n",
            &["U:\"J \"X\"\",2,3", "R:4,5,6"],
        );
        check(
            "\"a,b\n\"J \"X\"\",2,3\n4,5,6\n",
            &["B1", "U:\"J \"X\"\",2,3", "R:4,5,6"],
        );
    }

    #[test]
    fn what_is_not_finished_is_left_until_the_file_is_settled() {
        check("1,2,3\n4,5,6", &["R:1,2,3", "L2"]);
        check("1,2,3\n4,\"5\n", &["R:1,2,3", "L2"]);
        check("1,2,3\n4,\"5\n6", &["R:1,2,3", "L2"]);
        assert_eq!(read(b"1,2,3\n4,5,6", true), ["R:1,2,3", "R:4,5,6"]);
        assert_eq!(read(b"1,2,3\n4,\"5\n6", true), ["R:1,2,3", "B2"]);
    }

    #[test]
    fn an_excerpt_cuts_no_character_in_two() {
        let text = "é".repeat(40);
        assert_eq!(excerpt(&text.as_bytes()[1..]).chars().count(), 60);
        assert_eq!(
            excerpt(format!("x{text}").as_bytes()),
            format!("x{}", "é".repeat(29))
        );
        assert_eq!(excerpt(b"short \xe9"), "short é");
    }

    #[test]
    fn an_endless_line_is_one_broken_entry() {
        let mut input = b"1,2,3\n".to_vec();
        input.extend(vec![b'"'; 1 << 20]);
        input.extend(b"\n4,5,6\n");
        assert_eq!(read(&input, false), ["R:1,2,3", "B2", "R:4,5,6"]);
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(b'"'),
            Just(b'"'),
            Just(b','),
            Just(b'\r'),
            Just(b' '),
            Just(0),
            Just(0xff),
            Just(b'a')
        ];
        prop::collection::vec(byte, 0..12)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_the_end(input in prop::collection::vec(any::<u8>(), 0..400), settled: bool) {
            read(&input, settled);
        }

        #[test]
        fn a_line_that_is_a_record_is_always_read(lines in prop::collection::vec(line(), 0..12), settled: bool) {
            let mut input = lines.join(&b'\n');
            input.push(b'\n');
            let mut found = read(&input, settled).into_iter();
            for line in lines {
                let line = &line[line.iter().take_while(|&&byte| byte == 0).count()..];
                if Shape::of(line).fields() == Some(3) {
                    let wanted = format!("R:{}", decode(line));
                    prop_assert!(found.any(|entry| entry == wanted), "{wanted} not read, or out of order");
                }
            }
        }
    }
}
