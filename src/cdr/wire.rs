//! What the CRM gets of a call.

use super::clock::Clock;
use super::recording::UrlTemplate;
use crate::call::{Call, PhoneNumber, WireForm};
use crate::config::InitiatedAs;

/// The placeholders of a recording's template that need no extra column: every call carries them. `source` and
/// `destination` are the numbers as the columns hold them, not as the rules left them.
pub const OWN_ROLES: [&str; 7] = [
    "duration",
    "disposition",
    "uniqueid",
    "linkedid",
    "sequence",
    "source",
    "destination",
];

/// The wire form of a call whose numbers the rules have made. `extra_roles` names the values of [`Call::extra`], in
/// their order ([`crate::source::SourceProfile::extra`]). The link is left out where `recording` asks for a value that
/// the call does not have.
#[must_use]
pub fn wire_form(
    call: &Call,
    source: PhoneNumber,
    destination: PhoneNumber,
    clock: &Clock,
    initiated_as: InitiatedAs,
    recording: Option<&UrlTemplate>,
    extra_roles: &[String],
) -> WireForm {
    WireForm {
        initiated: clock.render(call.identity.start, call.instant, initiated_as),
        source,
        destination,
        duration: call.duration,
        url: recording.and_then(|template| link(call, clock, template, extra_roles)),
        form: None,
    }
}

fn link(
    call: &Call,
    clock: &Clock,
    template: &UrlTemplate,
    extra_roles: &[String],
) -> Option<String> {
    let duration = call.duration.to_string();
    let sequence = call.origin.sequence.map(|sequence| sequence.to_string());
    let value = |role: &str| match role {
        "duration" => Some(duration.as_str()),
        "disposition" => Some(call.disposition.as_str()),
        "uniqueid" => call.origin.uniqueid.as_deref(),
        "linkedid" => call.origin.linkedid.as_deref(),
        "sequence" => sequence.as_deref(),
        "source" => Some(call.identity.source.as_str()),
        "destination" => Some(call.identity.destination.as_str()),
        extra => {
            let index = extra_roles.iter().position(|role| role == extra)?;
            call.extra.get(index)?.as_deref()
        }
    };
    template.render(clock.local(call.identity.start, call.instant), value)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::call::{ColumnTime, Disposition, Fold, Identity, Origin, RawNumber, TimeKind};

    /// 2012-08-23 12:20:33 in Caracas.
    fn call() -> Call {
        Call {
            identity: Identity {
                start: ColumnTime(1_345_724_433),
                fold: Fold(0),
                source: RawNumber("104".to_owned()),
                destination: RawNumber("95551234".to_owned()),
            },
            instant: 1_345_740_633,
            duration: 0,
            disposition: Disposition::NoAnswer,
            origin: Origin {
                uniqueid: Some("pbx-1345740633.12".to_owned()),
                linkedid: None,
                sequence: Some(7),
            },
            extra: vec![None, Some("a b.wav".to_owned())],
            rows: 1,
        }
    }

    fn form(template: Option<&str>) -> WireForm {
        let clock = Clock::new(TimeKind::Wall, Tz::America__Caracas);
        let template = template.map(|text| UrlTemplate::parse(text).expect(text));
        let roles = ["did".to_owned(), "recordingfile".to_owned()];
        wire_form(
            &call(),
            PhoneNumber("104".to_owned()),
            PhoneNumber("02125551234".to_owned()),
            &clock,
            InitiatedAs::Utc,
            template.as_ref(),
            &roles,
        )
    }

    #[track_caller]
    fn links(template: &str, expected: Option<&str>) {
        assert_eq!(form(Some(template)).url.as_deref(), expected, "{template}");
    }

    #[test]
    fn the_crm_gets_the_instant_and_the_rewritten_numbers_and_a_duration_of_0_too() {
        let expected = WireForm {
            initiated: "2012-08-23T16:50:33Z".to_owned(),
            source: PhoneNumber("104".to_owned()),
            destination: PhoneNumber("02125551234".to_owned()),
            duration: 0,
            url: None,
            form: None,
        };
        assert_eq!(form(None), expected);
    }

    #[test]
    fn a_link_takes_its_values_from_the_columns() {
        links(
            "https://h/{date}/{recordingfile}",
            Some("https://h/2012-08-23/a%20b.wav"),
        );
        links(
            "https://h/{date:%H}/{source}-{destination}-{duration}-{disposition}-{uniqueid}-{sequence}",
            Some("https://h/12/104-95551234-0-NO%20ANSWER-pbx-1345740633.12-7"),
        );
    }

    #[test]
    fn a_link_whose_column_is_empty_or_absent_is_left_out() {
        for template in [
            "https://h/{did}",
            "https://h/{linkedid}",
            "https://h/{nowhere}/{recordingfile}",
        ] {
            links(template, None);
        }
    }

    #[test]
    fn every_role_that_a_call_carries_by_itself_can_be_used() {
        let mut call = call();
        call.origin.linkedid = Some("1.1".to_owned());
        let clock = Clock::new(TimeKind::Wall, Tz::America__Caracas);
        for role in OWN_ROLES {
            let template = UrlTemplate::parse(&format!("https://h/{{{role}}}")).expect(role);
            assert!(link(&call, &clock, &template, &[]).is_some(), "{role}");
        }
    }
}
