//! Configuration files: the examples, everything that can be wrong with one, and what must never be shown.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has said what is wrong"
)]

mod accepted;
mod bgcrm;
mod collector;
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
    fn a_key_that_nobody_knows_is_always_told(
        section in "source|source\\.columns|select|target|ledger|monitor|nowhere",
        name in "[a-z_]{1,16}|[A-Z0-9-]{1,8}",
        value in "1|true|\"x\"|\\[\\]|\\{\\}",
    ) {
        let path = format!("{section}.{name}");
        proptest::prop_assume!(cdrelay::config::known_keys().iter().all(|key| key.path != path && !key.path.starts_with(&format!("{path}."))));
        proptest::prop_assume!(!cdrelay::config::ROLES.contains(&name.as_str()) || section != "source.columns");
        let text = place::BASE.replace(&format!("[{section}]\n"), "");
        // As a table of its own where the base has none, behind a dot at the top where it has one.
        let text = if text == place::BASE && !text.contains(&format!("[{section}]")) {
            format!("{text}\n[{section}]\n{name} = {value}\n")
        } else {
            place::BASE.replacen(&format!("[{section}]\n"), &format!("[{section}]\n{name} = {value}\n"), 1)
        };
        let errors = Place::new(&text).load().map(|_| ()).unwrap_err();
        let told = if section == "nowhere" { "nowhere".to_owned() } else { path };
        proptest::prop_assert!(
            errors.problems.iter().any(|problem| problem.message.starts_with(&format!("unknown key `{told}`"))),
            "{text}: {errors}"
        );
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
