//! The positions of a dialplan pattern, and their order.
//!
//! The facts are those of Asterisk main/pbx.c, `ext_cmp_pattern_pos` and `_extension_match_core`.

use std::cmp::Ordering;

/// What one position of a pattern accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// One byte out of a set: a character, `X`, `Z`, `N`, or `[...]`.
    Byte {
        /// Which bytes; none for a set such as `[3-1]`.
        set: ByteSet,
        /// The lowest byte that begins an item of the set. It decides the order, and belongs to the set itself unless
        /// its range runs backwards.
        lowest: u8,
    },
    /// `.`: one byte or more, whatever they are.
    OneOrMore,
    /// `!`: any number of bytes, whatever they are.
    ZeroOrMore,
    /// `[` without `]`: accepts nothing.
    Unclosed,
}

/// Reads the part of a pattern that follows its `_`.
///
/// Total: any bytes give positions. `-` is decoration outside of `[...]`, and `[]` counts for nothing. What follows `.`,
/// `!` or an unclosed set is read too, because it takes part in the order, though never in a match.
pub(super) fn read(pattern: &[u8]) -> Vec<Position> {
    let mut positions = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    // Looked for once only: a hostile number of many `[` must not be searched to its end for each of them.
    let mut can_close = true;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'-' => {}
            b'.' => positions.push(Position::OneOrMore),
            b'!' => positions.push(Position::ZeroOrMore),
            b'X' | b'x' => positions.push(Position::of_range(b'0', b'9')),
            b'Z' | b'z' => positions.push(Position::of_range(b'1', b'9')),
            b'N' | b'n' => positions.push(Position::of_range(b'2', b'9')),
            b'[' => {
                let end = can_close
                    .then(|| rest.iter().position(|&b| b == b']'))
                    .flatten();
                can_close = end.is_some();
                match end {
                    None => positions.push(Position::Unclosed),
                    Some(end) => {
                        let items = &rest[..end];
                        rest = &rest[end + 1..];
                        if !items.is_empty() {
                            positions.push(Position::of_items(items));
                        }
                    }
                }
            }
            literal => positions.push(Position::of_range(literal, literal)),
        }
    }
    positions
}

/// Which of two patterns Asterisk tries first: the leftmost position that differs decides.
///
/// A position that accepts fewer bytes comes first, then the one whose bytes are lower; `.`, `!`, the end of the pattern
/// and an unclosed set follow in this order. Sets without a byte are skipped.
pub(super) fn compare(left: &[Position], right: &[Position]) -> Ordering {
    let mut left = left.iter().filter(|p| p.takes_part());
    let mut right = right.iter().filter(|p| p.takes_part());
    loop {
        let (l, r) = (left.next(), right.next());
        if l.is_none() && r.is_none() {
            return Ordering::Equal;
        }
        let order = rank(l)
            .cmp(&rank(r))
            .then_with(|| members(r).cmp(&members(l)));
        if order.is_ne() {
            return order;
        }
    }
}

impl Position {
    /// A position that can never be satisfied.
    pub(super) fn accepts_nothing(&self) -> bool {
        match self {
            Self::Byte { set, .. } => set.is_empty(),
            Self::Unclosed => true,
            Self::OneOrMore | Self::ZeroOrMore => false,
        }
    }

    fn of_range(first: u8, last: u8) -> Self {
        let mut set = ByteSet::default();
        set.insert_range(first, last);
        Self::Byte { set, lowest: first }
    }

    /// The inside of `[...]`: single bytes and ranges. A `-` makes a range only where a byte of the set follows it.
    fn of_items(items: &[u8]) -> Self {
        let mut set = ByteSet::default();
        let mut lowest = u8::MAX;
        let mut rest = items;
        while let Some((&first, after)) = rest.split_first() {
            let (last, after) = match after {
                [b'-', last, after @ ..] => (*last, after),
                _ => (first, after),
            };
            set.insert_range(first, last);
            lowest = lowest.min(first);
            rest = after;
        }
        Self::Byte { set, lowest }
    }

    fn takes_part(&self) -> bool {
        match self {
            Self::Byte { set, .. } => !set.is_empty(),
            Self::OneOrMore | Self::ZeroOrMore | Self::Unclosed => true,
        }
    }
}

/// The number that decides between two positions: lower goes first.
fn rank(position: Option<&Position>) -> u32 {
    match position {
        Some(Position::Byte { set, lowest }) => (set.len() << 8) | u32::from(*lowest),
        Some(Position::OneOrMore) => 0x1_8000,
        Some(Position::ZeroOrMore) => 0x2_8000,
        None => 0x3_0000,
        Some(Position::Unclosed) => 0x4_0000,
    }
}

fn members(position: Option<&Position>) -> ByteSet {
    match position {
        Some(Position::Byte { set, .. }) => *set,
        Some(Position::OneOrMore | Position::ZeroOrMore | Position::Unclosed) | None => {
            ByteSet::default()
        }
    }
}

/// A set of bytes. Its order is the one of its bits with byte 0 as the highest, so that of two sets of equal size the
/// one with the lower bytes is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & bit(byte) != 0
    }

    fn insert_range(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            self.0[usize::from(byte / 64)] |= bit(byte);
        }
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

fn bit(byte: u8) -> u64 {
    1 << (63 - byte % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepted(items: &str, bytes: &str) {
        let Position::Byte { set, .. } = Position::of_items(items.as_bytes()) else {
            panic!("a set is a byte position");
        };
        let found: Vec<u8> = (0..=255).filter(|&b| set.contains(b)).collect();
        assert_eq!(String::from_utf8_lossy(&found), bytes, "[{items}]");
    }

    #[test]
    fn a_dash_makes_a_range_only_between_two_characters() {
        accepted("1-3", "123");
        accepted("-13", "-13");
        accepted("13-", "-13");
        accepted("1-35-7", "123567");
        accepted("--0", "-./0");
        accepted("3-1", "");
        accepted("3-15", "5");
    }

    #[test]
    fn a_range_up_to_the_last_byte_ends() {
        let mut set = ByteSet::default();
        set.insert_range(0, 255);
        assert_eq!(set.len(), 256);
    }

    #[test]
    fn of_two_sets_of_equal_size_and_lowest_byte_the_lower_bytes_go_first() {
        let order = |l: &str, r: &str| compare(&read(l.as_bytes()), &read(r.as_bytes()));
        assert_eq!(order("[24]", "[25]"), Ordering::Less);
        assert_eq!(order("[249]", "[258]"), Ordering::Less);
        assert_eq!(order("[25]", "[24]"), Ordering::Greater);
    }

    #[test]
    fn every_bracket_after_an_unclosed_one_is_unclosed_too() {
        let hostile = read("[".repeat(200_000).as_bytes());
        assert_eq!(hostile.len(), 200_000);
        assert!(hostile.iter().all(|p| *p == Position::Unclosed));
        assert_eq!(
            read(b"[1][2"),
            [read(b"1"), read(b"["), read(b"2")].concat()
        );
    }

    #[test]
    fn what_follows_a_wildcard_takes_part_in_the_order() {
        assert_eq!(compare(&read(b"1.2"), &read(b"1.")), Ordering::Less);
        assert_eq!(compare(&read(b"1.2"), &read(b"1.3")), Ordering::Less);
    }
}
