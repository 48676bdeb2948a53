//! How to ask about one call: a command that can be pasted into a shell, whatever a PBX calls its numbers.

use crate::call::{Identity, Origin};
use crate::command::between::stamp;
use crate::text::mask::Privacy;

/// The command, in backticks.
pub(super) fn command(identity: &Identity, origin: Option<&Origin>, privacy: Privacy) -> String {
    format!("`cdrelay why {}`", argument(identity, origin, privacy))
}

/// The argument of `why`: the `uniqueid`, where there is one, else the key as the column holds it. Where a number could do
/// something in a shell, or must not be shown, only the start is left, which names every call of that second.
pub(super) fn argument(identity: &Identity, origin: Option<&Origin>, privacy: Privacy) -> String {
    if let Some(id) = origin.and_then(|origin| origin.uniqueid.as_deref())
        && is_plain(id)
        && crate::cdr::uniqueid::creation_epoch(id).is_some()
    {
        return id.to_owned();
    }
    let start = stamp(identity.start).replace(' ', "T");
    let (source, destination) = (identity.source.as_str(), identity.destination.as_str());
    let plain = [source, destination]
        .iter()
        .all(|number| number.is_empty() || is_plain(number));
    if plain && privacy == Privacy::Whole {
        format!("{start}/{source}/{destination}")
    } else {
        start
    }
}

/// Whether a shell takes it as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ColumnTime, Fold, RawNumber};

    #[track_caller]
    fn named(source: &str, uniqueid: Option<&str>, privacy: Privacy, expected: &str) {
        let identity = Identity {
            start: ColumnTime(1_772_442_000),
            fold: Fold(0),
            source: RawNumber(source.to_owned()),
            destination: RawNumber("92853348".to_owned()),
        };
        let origin = Origin {
            uniqueid: uniqueid.map(str::to_owned),
            ..Origin::default()
        };
        assert_eq!(argument(&identity, Some(&origin), privacy), expected);
    }

    #[test]
    fn a_call_is_named_by_what_a_shell_leaves_alone() {
        let key = "2026-03-02T09:00:00/7001/92853348";
        let start = "2026-03-02T09:00:00";
        named("7001", Some("1772456400.1"), Privacy::Whole, "1772456400.1");
        named(
            "7001",
            Some("1772456400.1"),
            Privacy::Masked,
            "1772456400.1",
        );
        named("7001", None, Privacy::Whole, key);
        named("7001", Some("$(reboot)-1772456400.1"), Privacy::Whole, key);
        named("7001", Some("odd"), Privacy::Whole, key);
        named("7001", None, Privacy::Masked, start);
        named("", None, Privacy::Whole, "2026-03-02T09:00:00//92853348");
        for hostile in ["`reboot`", "a b", "$x", "*72", "a\nb", "'", "-x;y"] {
            named(hostile, None, Privacy::Whole, start);
        }
    }
}
