//! Names that go into SQL: the one allow-list for them.
//!
//! Whoever writes a statement quotes them besides. No quote, no backslash, no dot and nothing beyond ASCII is on the list,
//! so that quoting is the same for every database and needs no escape.

/// Longest name: MySQL's limit; PostgreSQL's is 63, SQLite has none.
const LONGEST: usize = 64;

/// What a column may be called, in words: for messages.
pub const COLUMN_NAMES: &str =
    "letters, digits, `_`, `$`, `-` and blanks, not beginning with a digit, at most 64 characters";

/// Whether cdrelay reads a column of this name.
#[must_use]
pub fn is_column_name(text: &str) -> bool {
    is_name(text, |byte| matches!(byte, b'$' | b' ' | b'-'))
}

/// Whether this can be one part of `source.table`: as a column, but neither blanks nor `-`.
pub(super) fn is_table_part(text: &str) -> bool {
    is_name(text, |byte| byte == b'$')
}

fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    text.len() <= LONGEST
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_what_databases_take_without_a_thought() {
        for name in ["calldate", "_x", "Call Date", "a-b", "a$1", &"x".repeat(64)] {
            assert!(is_column_name(name), "{name}");
        }
        for name in [
            "",
            "1a",
            " a",
            "-a",
            "$a",
            "a`b",
            "a\"b",
            "a'b",
            "a.b",
            "a;b",
            "a\\",
            "a\0",
            "a\n",
            "é",
            &"x".repeat(65),
        ] {
            assert!(!is_column_name(name), "{name}");
        }
        assert!(is_table_part("cdr_2$") && !is_table_part("cdr 2") && !is_table_part("a-b"));
    }

    proptest! {
        #[test]
        fn no_accepted_name_holds_what_could_end_a_quoted_one(name in any::<String>()) {
            if is_column_name(&name) {
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$ -".contains(&b)));
            }
            if is_table_part(&name) {
                prop_assert!(is_column_name(&name));
            }
        }
    }
}
