//! Every vector that was computed with Asterisk's own matcher, against this one.

use super::dialplan::{Match, Pattern};
use super::substring::Template;

const VECTORS: &str = include_str!("../../tests/data/dialplan_vectors.tsv");

#[test]
fn all_vectors_give_what_asterisk_gives() {
    let (mut matches, mut orders, mut cuts) = (0, 0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, left, right, result] = fields[..] else {
            panic!("not four fields: {line}");
        };
        match kind {
            "M" => {
                matches += 1;
                let pattern = Pattern::as_asterisk_reads(left);
                assert_eq!(code(pattern.matches(text(right))), result, "{line}");
            }
            "C" => {
                orders += 1;
                let [left, right] = [left, right].map(Pattern::as_asterisk_reads);
                let sign = match left.compare(&right) {
                    std::cmp::Ordering::Less => "<",
                    std::cmp::Ordering::Equal => "=",
                    std::cmp::Ordering::Greater => ">",
                };
                assert_eq!(sign, result, "{line}");
                assert_eq!(left.tried_before(&right), result == "<", "{line}");
            }
            "S" => {
                cuts += 1;
                let cut = Template::parse(right).unwrap().apply(text(left));
                assert_eq!(format!("\"{cut}\""), result, "{line}");
            }
            other => panic!("unknown kind {other}: {line}"),
        }
    }
    assert_eq!(
        (matches, orders, cuts, matches + orders + cuts),
        VECTOR_COUNTS
    );
}

/// Matches, orders, substrings, and all of them.
const VECTOR_COUNTS: (usize, usize, usize, usize) = (116, 26, 41, 183);

#[test]
fn only_vectors_that_never_match_are_refused() {
    for line in VECTORS.lines().filter(|line| line.starts_with("M\t")) {
        let pattern = line.split('\t').nth(1).unwrap();
        let impossible = ["_[1-3", "_[3-1]X"].contains(&pattern);
        assert_eq!(Pattern::parse(pattern).is_err(), impossible, "{pattern}");
    }
}

fn text(field: &str) -> &str {
    if field == "<empty>" { "" } else { field }
}

fn code(found: Match) -> &'static str {
    match found {
        Match::No => "0",
        Match::Yes => "1",
        Match::Early => "2",
    }
}
