//! A file, line by line, in bounded memory.

use std::io::{self, BufRead};

/// Longest line that is read; a longer one is skipped.
pub(super) const LONGEST_LINE: usize = 64 << 10;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// With a line feed.
    Newline,
    /// With the file: whoever writes it may not be done.
    EndOfFile,
    /// It is longer than [`LONGEST_LINE`]; only its beginning was kept, the rest skipped.
    TooLong,
}

/// Lines of a file. Every method keeps at most one line in memory.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    peeked: Option<LineEnd>,
}

impl<R: BufRead> Lines<R> {
    /// Begins with line 1.
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            peeked: None,
        }
    }

    /// The line that [`Lines::advance`] came to, without its line feed. A byte-order mark at the start of the file, and
    /// zero bytes at the start of a line (a file that was truncated under its writer, or a crash), are left out.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Its number, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Goes to the next line; `None` at the end of the file.
    pub(super) fn advance(&mut self) -> io::Result<Option<LineEnd>> {
        if let Some(end) = self.peeked.take() {
            return Ok(Some(end));
        }
        self.line.clear();
        self.number += 1;
        let mut long = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                let end = if long {
                    LineEnd::TooLong
                } else {
                    LineEnd::EndOfFile
                };
                return Ok((!self.line.is_empty()).then_some(end));
            }
            let newline = available.iter().position(|&byte| byte == b'\n');
            let mut part = &available[..newline.unwrap_or(available.len())];
            if self.line.is_empty() {
                part = &part[part.iter().take_while(|&&byte| byte == 0).count()..];
            }
            let room = LONGEST_LINE - self.line.len();
            long |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = newline.map_or(available.len(), |at| at + 1);
            self.input.consume(used);
            if newline.is_some() {
                if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                    self.line.drain(..BYTE_ORDER_MARK.len());
                }
                return Ok(Some(if long {
                    LineEnd::TooLong
                } else {
                    LineEnd::Newline
                }));
            }
        }
    }

    /// Goes to the next line, and lets [`Lines::advance`] come to it once more.
    pub(super) fn peek(&mut self) -> io::Result<Option<LineEnd>> {
        let end = self.advance()?;
        self.peeked = end;
        Ok(end)
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn lines(input: &[u8], expected: &[(&[u8], LineEnd)]) {
        // A buffer of three bytes: no line may depend on where reads begin and end.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, input));
        for (number, (text, end)) in (1..).zip(expected) {
            assert_eq!(lines.peek().unwrap(), Some(*end));
            assert_eq!(lines.advance().unwrap(), Some(*end));
            assert_eq!((lines.line(), lines.number()), (*text, number));
        }
        assert_eq!(lines.advance().unwrap(), None);
    }

    #[test]
    fn lines_end_with_a_feed_or_with_the_file() {
        lines(b"", &[]);
        lines(
            b"ab\n\nc\r\n",
            &[
                (b"ab", LineEnd::Newline),
                (b"", LineEnd::Newline),
                (b"c\r", LineEnd::Newline),
            ],
        );
        lines(
            b"ab\ncd",
            &[(b"ab", LineEnd::Newline), (b"cd", LineEnd::EndOfFile)],
        );
    }

    #[test]
    fn marks_and_zeros_at_the_start_are_left_out() {
        lines(
            "\u{feff}ab\n\u{feff}c\n".as_bytes(),
            &[
                (b"ab", LineEnd::Newline),
                ("\u{feff}c".as_bytes(), LineEnd::Newline),
            ],
        );
        lines(b"\0\0\0\0\0ab\0\n", &[(b"ab\0", LineEnd::Newline)]);
        lines(&vec![0; 200_000], &[]);
    }

    #[test]
    fn an_endless_line_is_skipped_to_its_end() {
        let exact = vec![b'x'; LONGEST_LINE];
        let mut input = exact.clone();
        input.push(b'\n');
        lines(&input, &[(&exact, LineEnd::Newline)]);
        let mut input = vec![b'x'; LONGEST_LINE * 3];
        input.extend(b"\nab\n");
        lines(
            &input,
            &[(&exact, LineEnd::TooLong), (b"ab", LineEnd::Newline)],
        );
    }
}
