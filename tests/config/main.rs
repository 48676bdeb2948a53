//! Configuration files: the examples, everything that can be wrong with one, and what must never be shown.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has said what is wrong"
)]

mod accepted;
mod fingerprint;
mod place;
mod refused;
mod secrets;

use place::Place;

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        let _ = Place::new(&text).load();
    }

    #[test]
    fn no_value_makes_it_panic(
        index in 0_usize..80,
        value in "\\PC{0,40}|\"\\PC{0,40}\"|'[^'\n]{0,60}'|-?[0-9]{1,25}|\\[\"a\", 'b'\\]|\\{a = 1\\}|'[a-z]{1,8}:[!-&(-~]{0,40}'"
    ) {
        let keys = cdrelay::config::known_keys();
        let path = keys[index % keys.len()].path;
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let header = match section {
            "" => String::new(),
            "rules" | "rule_tests" => format!("[[{section}]]\n"),
            _ => format!("[{section}]\n"),
        };
        let _ = Place::new(&format!("{header}{name} = {value}\n")).load();
    }
}
