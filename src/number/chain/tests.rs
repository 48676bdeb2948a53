use proptest::prelude::*;
use regex::Regex;

use super::super::substring::Template;
use super::*;
use crate::config::RuleTest;

fn rule(line: usize, name: &str, guard: Option<&str>, kind: RuleKind, stop: bool) -> RuleConfig {
    RuleConfig {
        name: name.to_owned(),
        on: Side::Destination,
        guard: guard.map(|pattern| Pattern::parse(pattern).unwrap()),
        kind,
        stop,
        line,
    }
}

fn rewrite(template: &str) -> RuleKind {
    RuleKind::Rewrite(Template::parse(template).unwrap())
}

fn strip(prefix: &str) -> RuleKind {
    RuleKind::StripPrefix(prefix.to_owned())
}

/// An office in Caracas: `9` for an outside line, local calls without area code.
fn office() -> Vec<RuleConfig> {
    vec![
        rule(10, "feature codes", Some("_[*#]!"), RuleKind::Drop, false),
        rule(
            14,
            "local call over the outside line",
            Some("_9NXXXXXX"),
            rewrite("0212${EXTEN:1}"),
            true,
        ),
        rule(19, "outside line", None, strip("9"), false),
        rule(
            22,
            "international spelling",
            None,
            RuleKind::E164 {
                region: "VE".to_owned(),
            },
            false,
        ),
    ]
}

fn chain(rules: &[RuleConfig]) -> Chain {
    Chain::build(rules, Side::Destination).unwrap()
}

fn raw(number: &str) -> RawNumber {
    RawNumber(number.to_owned())
}

#[track_caller]
fn becomes(rules: &[RuleConfig], number: &str, result: &str) {
    let found = chain(rules).apply(&raw(number));
    assert_eq!(
        found,
        Verdict::Number(PhoneNumber(result.to_owned())),
        "{number}"
    );
}

#[track_caller]
fn dropped(rules: &[RuleConfig], number: &str, by: &str, because: &str) {
    let found = chain(rules).apply(&raw(number));
    let expected = Verdict::Dropped {
        rule: by.to_owned(),
        reason: because.to_owned(),
    };
    assert_eq!(found, expected, "{number}");
}

#[test]
fn rules_apply_in_order_until_one_stops() {
    becomes(&office(), "92853348", "02122853348");
    becomes(&office(), "902122853348", "+582122853348");
    becomes(&office(), "04141234567", "+584141234567");
    becomes(&office(), "7222", "7222");
    becomes(&office(), "s", "s");
    dropped(
        &office(),
        "*72",
        "feature codes",
        "the number matches `_[*#]!`",
    );
}

#[test]
fn the_conversion_of_the_reference_script_is_two_rules() {
    let regex = |regex: &str, replace: &str| RuleKind::Regex {
        regex: Regex::new(regex).unwrap(),
        replace: Some(replace.to_owned()),
    };
    let rules = [
        rule(1, "local", None, regex("^9(.{7})$", "0212$1"), true),
        rule(2, "outside", None, regex("^9(.*)$", "$1"), true),
    ];
    becomes(&rules, "92853348", "02122853348");
    becomes(&rules, "902122853348", "02122853348");
    becomes(&rules, "99123", "9123");
    becomes(&rules, "+582122853348", "+582122853348");
}

#[test]
fn a_rule_that_leaves_nothing_drops_the_call_and_says_so() {
    dropped(
        &office(),
        "9",
        "outside line",
        "the rule leaves an empty number",
    );
    let stopping = [rule(
        1,
        "all of it",
        Some("_9"),
        rewrite("${EXTEN:1}"),
        true,
    )];
    dropped(
        &stopping,
        "9",
        "all of it",
        "the rule leaves an empty number",
    );
}

#[test]
fn a_rule_that_does_not_apply_does_not_stop_the_chain() {
    let rules = [
        rule(1, "zero", None, strip("0"), true),
        rule(2, "nine", None, strip("9"), false),
    ];
    becomes(&rules, "912", "12");
    becomes(&rules, "0912", "912");
}

#[test]
fn a_guard_limits_every_kind() {
    let only_long = [rule(1, "outside line", Some("_9XXXX."), strip("9"), false)];
    becomes(&only_long, "902122853348", "02122853348");
    becomes(&only_long, "9123", "9123");
}

#[test]
fn a_chain_holds_the_rules_of_its_side_only() {
    let mut rules = office();
    rules[2].on = Side::Source;
    let source = Chain::build(&rules, Side::Source).unwrap();
    assert_eq!(source.fingerprint(), "source: strip_prefix = \"9\"\n");
    assert_eq!(source.side(), Side::Source);
    assert!(!chain(&rules).fingerprint().contains("strip_prefix"));
}

#[test]
fn the_trace_names_each_step_and_ends_where_the_chain_does() {
    let lines = |number: &str| -> Vec<String> {
        let trace = chain(&office()).trace(&raw(number));
        trace.steps.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        lines("92853348"),
        [
            "feature codes (line 10): `_[*#]!` does not match",
            "local call over the outside line (line 14): 92853348 -> 02122853348, and stop",
        ]
    );
    assert_eq!(
        lines("904141234567"),
        [
            "feature codes (line 10): `_[*#]!` does not match",
            "local call over the outside line (line 14): `_9NXXXXXX` does not match",
            "outside line (line 19): 904141234567 -> 04141234567",
            "international spelling (line 22): 04141234567 -> +584141234567",
        ]
    );
    assert_eq!(
        lines("\u{1b}[2J")[2..],
        [
            "outside line (line 19): does not apply",
            "international spelling (line 22): does not apply",
        ]
    );
    assert_eq!(
        lines("9\u{1b}x")[2],
        "outside line (line 19): 9\\u{1b}x -> \\u{1b}x"
    );
    assert_eq!(
        lines("*72"),
        ["feature codes (line 10): dropped, the number matches `_[*#]!`"]
    );
}

#[test]
fn a_rule_that_cannot_be_built_is_named_with_its_line() {
    let rules = [
        rule(3, "all", None, RuleKind::Drop, false),
        rule(5, "nothing", None, strip(""), false),
        rule(8, "fine", None, strip("9"), false),
        rule(
            9,
            "atlantis",
            None,
            RuleKind::E164 {
                region: "XX".to_owned(),
            },
            false,
        ),
        rule(
            12,
            "group",
            None,
            RuleKind::Regex {
                regex: Regex::new("^9").unwrap(),
                replace: Some("$1".to_owned()),
            },
            false,
        ),
    ];
    let problems = registry::problems(&rules);
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "rule `all` (line 3): `drop = true` without `match` would drop every call; say which numbers by `match`",
            "rule `nothing` (line 5): `strip_prefix` is empty and would do nothing; give it the digits, or remove the rule",
            "rule `atlantis` (line 9): `e164 = \"XX\"` names no region with telephone numbers; write its two letters as in ISO 3166, such as \"VE\"",
            "rule `group` (line 12): `replace` uses group 1, but the expression `^9` has no group; write `${1}0` for group 1 followed by a zero",
        ]
    );
    assert_eq!(Chain::build(&rules, Side::Destination).unwrap_err().line, 3);
}

#[test]
fn a_failed_rule_test_says_what_became_of_the_number_and_by_which_rules() {
    let test = |line, number: &str, becomes: Option<&str>| RuleTest {
        number: number.to_owned(),
        becomes: becomes.map(str::to_owned),
        on: Side::Destination,
        line,
    };
    let tests = [
        test(40, "92853348", Some("02122853348")),
        test(41, "*72", None),
        test(42, "902122853348", Some("02122853348")),
        test(43, "9", Some("9")),
        test(44, "7222", None),
        RuleTest {
            on: Side::Source,
            ..test(45, "7222", None)
        },
    ];
    let failures: Vec<String> = chain(&office())
        .check(&tests)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        failures,
        [
            "rule test (line 42): `902122853348` must become `02122853348`, but becomes `+582122853348` (by `outside line` in line 19, then `international spelling` in line 22)",
            "rule test (line 43): `9` must become `9`, but is dropped: the rule leaves an empty number (by `outside line` in line 19)",
            "rule test (line 44): `7222` must be dropped, but stays as it is (no rule applies)",
        ]
    );
}

#[test]
fn the_fingerprint_follows_what_rules_do_and_not_their_names() {
    let mut rules = office();
    let before = chain(&rules).fingerprint();
    assert_eq!(
        before,
        "destination: match = \"_[*#]!\", drop = true\n\
         destination: match = \"_9NXXXXXX\", rewrite = \"0212${EXTEN:1}\", stop = true\n\
         destination: strip_prefix = \"9\"\n\
         destination: e164 = \"VE\"\n"
    );
    rules[0].name = "other".to_owned();
    rules[0].line = 99;
    assert_eq!(chain(&rules).fingerprint(), before);
    rules[1].stop = false;
    assert_ne!(chain(&rules).fingerprint(), before);
}

#[test]
fn spellings_that_mean_something_else_are_pointed_out() {
    let rules = [
        rule(4, "local", Some("9NXXXXXX"), rewrite("${EXTEN::3}"), false),
        rule(7, "fine", Some("_9NXXXXXX"), rewrite("${EXTEN:1}"), false),
    ];
    assert_eq!(
        chain(&rules).hints(),
        [
            "rule `local` (line 4): `9NXXXXXX` has no leading `_` and matches that very text only; a pattern would be `_9NXXXXXX`",
            "rule `local` (line 4): Asterisk, and so cdrelay, reads `${EXTEN::3}` as `${EXTEN}`; write what you mean, such as `${EXTEN:0:3}` for the first three digits",
        ]
    );
}

#[test]
fn a_rule_of_ones_own_takes_part_like_any_other() {
    struct Reversed;
    impl NumberRule for Reversed {
        fn apply(&self, number: &str) -> Step {
            match number {
                "1" => Step::Pass,
                "12" => Step::Done("end".to_owned()),
                _ => Step::Next(number.chars().rev().collect()),
            }
        }
        fn describe(&self) -> String {
            "reversed\nsource: drop".to_owned()
        }
    }
    let mut chain = Chain::new(Side::Source);
    chain
        .push("backwards", Box::new(Reversed))
        .push("again", Box::new(Reversed));
    let number = |text: &str| Verdict::Number(PhoneNumber(text.to_owned()));
    assert_eq!(chain.apply(&raw("123")), number("123"));
    assert_eq!(chain.apply(&raw("1")), number("1"));
    assert_eq!(chain.apply(&raw("12")), number("end"));
    assert_eq!(chain.apply(&raw("21")), number("end"));
    assert_eq!(chain.fingerprint().lines().count(), 2);
    assert_eq!(
        chain.trace(&raw("12")).steps[0].to_string(),
        "backwards: 12 -> end, and stop"
    );
}

proptest! {
    #[test]
    fn without_rules_a_number_stays_exactly_as_it_is(number in any::<String>()) {
        let found = Chain::new(Side::Source).apply(&raw(&number));
        prop_assert_eq!(found, Verdict::Number(PhoneNumber(number)));
    }

    #[test]
    fn the_trace_ends_with_what_apply_gives(number in "[0-9*+#s-]{0,14}") {
        let chain = chain(&office());
        let trace = chain.trace(&raw(&number));
        prop_assert_eq!(&trace.verdict, &chain.apply(&raw(&number)));
        let last = trace.steps.last().and_then(|step| step.after.clone());
        match trace.verdict {
            Verdict::Number(found) => prop_assert_eq!(Some(found.0), last),
            Verdict::Dropped { .. } => prop_assert_eq!(None, last),
        }
        for pair in trace.steps.windows(2) {
            prop_assert_eq!(pair[0].after.as_ref(), Some(&pair[1].before));
        }
    }

    #[test]
    fn no_chain_gives_an_empty_number_for_one_that_was_not(number in ".{1,12}") {
        match chain(&office()).apply(&raw(&number)) {
            Verdict::Number(found) => prop_assert!(!found.0.is_empty()),
            Verdict::Dropped { .. } => {}
        }
    }
}
