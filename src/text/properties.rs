//! No character that draws nothing, moves the cursor or turns text around survives, whatever Unicode calls it.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;

use super::{Shown, visible_json, visible_lines};

/// Unicode's own word on what must not reach a terminal: controls, separators of lines, what turns the direction, and what
/// is ignored where it cannot be drawn.
static RAW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]")
        .expect("a pattern")
});

#[test]
fn every_character_that_unicode_calls_invisible_is_escaped_and_every_letter_is_not() {
    let letters = Regex::new(r"[[\p{L}\p{N}\p{P}\p{S}]--\p{Default_Ignorable_Code_Point}]")
        .expect("a pattern");
    let mut escaped = 0;
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        let text = c.to_string();
        let shown = Shown(&text).to_string();
        if RAW.is_match(&text) {
            escaped += 1;
            assert!(
                shown.starts_with('\\') && shown.is_ascii(),
                "{c:?} is shown raw"
            );
            let json = format!("\"{text}\"");
            let json = visible_json(&json);
            assert!(
                json.is_ascii() && json.len() > 3,
                "{c:?} stands raw in JSON"
            );
        } else if letters.is_match(&text) {
            assert_eq!(shown, text, "{c:?} is hidden");
        }
    }
    assert!(escaped > 4_000, "only {escaped} characters were looked at");
}

/// Texts with many hostile characters among ordinary ones.
fn hostile() -> impl Strategy<Value = String> {
    "(\\PC|[\\x00-\\x20\\x7f-\\xa0\u{200b}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{e0001}]|\\\\|\"|\n){0,40}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_raw_is_left_and_a_second_time_changes_nothing(text in hostile()) {
        let shown = Shown(&text).to_string();
        prop_assert!(!RAW.is_match(&shown), "{shown:?}");
        prop_assert_eq!(Shown(&shown).to_string(), shown.clone());
        if shown.len() == text.len() {
            prop_assert_eq!(shown, text);
        }
    }

    #[test]
    fn lines_stay_lines_and_each_is_as_shown(text in hostile()) {
        let lines = visible_lines(&text);
        prop_assert_eq!(lines.split('\n').count(), text.split('\n').count());
        for (ours, theirs) in lines.split('\n').zip(text.split('\n')) {
            prop_assert_eq!(ours, Shown(theirs).to_string());
        }
    }

    #[test]
    fn json_says_the_same_with_nothing_raw(key in hostile(), value in hostile()) {
        let object = serde_json::json!({key: [value, 1.5, null]});
        let text = object.to_string();
        let visible = visible_json(&text);
        prop_assert!(!RAW.is_match(&visible), "{visible:?}");
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&visible).expect("JSON"), object);
    }
}
