//! What an Asterisk channel id tells about time.

/// The epoch inside a `uniqueid`: the creation of its channel, Unix seconds. `None` where the text is of another form
/// than `epoch.counter` or `systemname-epoch.counter`, as the ids that a caller of AMI or ARI chose.
#[must_use]
pub fn creation_epoch(uniqueid: &str) -> Option<i64> {
    let (head, counter) = uniqueid.rsplit_once('.')?;
    let epoch = head.rsplit('-').next()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // Nine digits reach back to 1973, ten reach to 2286.
    if !digits(counter) || !digits(epoch) || !(9..=10).contains(&epoch.len()) {
        return None;
    }
    epoch.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_epoch_is_found_behind_any_system_name(name in "(\\PC{0,12}-)?", epoch in 100_000_000_i64..=9_999_999_999, counter in any::<u32>()) {
            prop_assert_eq!(creation_epoch(&format!("{name}{epoch}.{counter}")), Some(epoch));
        }

        #[test]
        fn any_text_is_read_and_only_nine_or_ten_digits_are_an_epoch(text in "\\PC{0,24}|[0-9.-]{0,24}") {
            if let Some(epoch) = creation_epoch(&text) {
                prop_assert!((0..=9_999_999_999).contains(&epoch));
                let stated = format!("{epoch:09}.");
                prop_assert!(text.contains(&stated) || text.contains(&format!("{epoch:010}.")), "{text}");
            }
        }
    }

    #[test]
    fn only_asterisks_own_form_of_uniqueid_is_evidence() {
        for (uniqueid, epoch) in [
            ("1498555635.0", Some(1_498_555_635)),
            ("999999999.12", Some(999_999_999)),
            ("pbx1-1498555635.12", Some(1_498_555_635)),
            ("sede-norte-1498555635.12", Some(1_498_555_635)),
            ("pbx.example-1498555635.12", Some(1_498_555_635)),
            ("", None),
            (".", None),
            ("1498555635", None),
            ("1498555635.", None),
            ("1498555635.x", None),
            ("+498555635.1", None),
            ("14985556351.1", None),
            ("12345678.1", None),
            ("pbx1498555635.1", None),
            ("7d3a2a0e-6a0c-4a58-9a54-0d4a1c4e5a2b", None),
            ("１４９８５５５６３５.1", None),
        ] {
            assert_eq!(creation_epoch(uniqueid), epoch, "{uniqueid}");
        }
    }
}
