//! A set of the ledger's call numbers: a bit each where they lie close together, which they do.

use std::collections::HashMap;

/// Numbers of one block.
const BLOCK: i64 = 4_096;

/// A set of numbers, any number.
#[derive(Debug, Default)]
pub(super) struct Ids {
    blocks: HashMap<i64, Box<[u64; BLOCK as usize / 64]>>,
    first: Option<i64>,
    last: Option<i64>,
}

impl Ids {
    /// Adds a number.
    pub(super) fn insert(&mut self, id: i64) {
        self.first = Some(self.first.map_or(id, |first| first.min(id)));
        self.last = Some(self.last.map_or(id, |last| last.max(id)));
        let (block, word, bit) = place(id);
        let words = self
            .blocks
            .entry(block)
            .or_insert_with(|| Box::new([0; BLOCK as usize / 64]));
        words[word] |= 1 << bit;
    }

    /// Whether a number is in it.
    #[must_use]
    pub(super) fn contains(&self, id: i64) -> bool {
        let (block, word, bit) = place(id);
        self.blocks
            .get(&block)
            .is_some_and(|words| words[word] >> bit & 1 == 1)
    }

    /// The lowest and the highest.
    #[must_use]
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((self.first?, self.last?))
    }
}

fn place(id: i64) -> (i64, usize, u32) {
    let within = id.rem_euclid(BLOCK);
    let word = usize::try_from(within / 64).unwrap_or(0);
    (id.div_euclid(BLOCK), word, (within % 64) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let mut ids = Ids::default();
        assert!(!ids.contains(0) && ids.span().is_none());
        let inside = [
            0,
            1,
            63,
            64,
            4_095,
            4_096,
            1_000_000,
            i64::MAX,
            i64::MIN,
            -1,
        ];
        for id in inside {
            ids.insert(id);
        }
        assert!(inside.iter().all(|id| ids.contains(*id)));
        assert!(
            [2, 62, 65, 4_094, 4_097, -2, i64::MAX - 1]
                .iter()
                .all(|id| !ids.contains(*id))
        );
        assert_eq!(ids.span(), Some((i64::MIN, i64::MAX)));
    }
}
