//! What a template accepts, and what hostile values cannot do.

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;

const USUAL: &str = "https://pbx.example.com/rec/{date:%Y/%m/%d}/{recordingfile}";

fn start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2012, 8, 23)
        .and_then(|day| day.and_hms_opt(2, 5, 9))
        .expect("a time")
}

#[track_caller]
fn link(template: &str, value: &str, expected: Option<&str>) {
    let template = UrlTemplate::parse(template).expect(template);
    let link = template.render(start(), |_| Some(value));
    assert_eq!(link.as_deref(), expected, "{template} {value}");
}

#[test]
fn a_link_holds_the_local_date_and_the_file() {
    link(
        USUAL,
        "out-02125551234-104-20120823-122033-pbx-1345740633.12.wav",
        Some(
            "https://pbx.example.com/rec/2012/08/23/out-02125551234-104-20120823-122033-pbx-1345740633.12.wav",
        ),
    );
    link(
        "http://127.0.0.1:8080/{date}",
        "",
        Some("http://127.0.0.1:8080/2012-08-23"),
    );
    link(
        "HTTPS://h/{date:%y%j_%H:%M:%S.%F~a}",
        "",
        Some("HTTPS://h/12236_02:05:09.2012-08-23~a"),
    );
    link(
        "https://h?id={uniqueid}&d={date}",
        "1.2&x",
        Some("https://h?id=1.2%26x&d=2012-08-23"),
    );
    link("https://h/static#top", "", Some("https://h/static#top"));
    link("https://h/a%20b/{x}", "c d", Some("https://h/a%20b/c%20d"));
}

#[test]
fn hostile_file_names_stay_in_their_segment() {
    let base = "https://pbx.example.com/rec/2012/08/23/";
    for (name, encoded) in [
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("/var/spool/a.wav", "%2Fvar%2Fspool%2Fa.wav"),
        ("..\\..\\a", "..%5C..%5Ca"),
        ("//evil.example/a", "%2F%2Fevil.example%2Fa"),
        ("@evil.example", "%40evil.example"),
        ("https://evil.example", "https%3A%2F%2Fevil.example"),
        ("a?b#c&d=e+f", "a%3Fb%23c%26d%3De%2Bf"),
        ("%2e%2e", "%252e%252e"),
        ("%2E.", "%252E."),
        ("...", "..."),
        (" ", "%20"),
        ("a\r\nSet-Cookie: x", "a%0D%0ASet-Cookie%3A%20x"),
        ("a\u{0}\u{1b}\"'<>", "a%00%1B%22%27%3C%3E"),
        ("ñ\u{202e}", "%C3%B1%E2%80%AE"),
        ("{recordingfile}", "%7Brecordingfile%7D"),
    ] {
        link(USUAL, name, Some(&format!("{base}{encoded}")));
    }
}

#[test]
fn there_is_no_link_without_a_value_or_with_a_segment_of_dots() {
    for name in ["", ".", ".."] {
        link(USUAL, name, None);
    }
    link("https://h/rec/{a}{b}", ".", None);
    link("https://h/rec/.{a}", ".", None);
    link("https://h/rec/%2E{a}?x", ".", None);
    link("https://h/rec/{a}?file={a}", "..", None);
    link("https://h/rec/{a}-{b}", ".", Some("https://h/rec/.-."));
    link(
        "https://h/rec?file={a}",
        "..",
        Some("https://h/rec?file=.."),
    );
    let template = UrlTemplate::parse(USUAL).expect("a template");
    assert_eq!(template.render(start(), |_| None), None);
}

#[test]
fn placeholders_are_named_once_and_the_text_is_kept() {
    let template = UrlTemplate::parse("https://h/{b}/{date}/{a}?{b}").expect("a template");
    assert_eq!(template.placeholders(), ["b", "a"]);
    assert_eq!(template.to_string(), "https://h/{b}/{date}/{a}?{b}");
}

#[track_caller]
fn refused(template: &str, message: &str) {
    assert_eq!(
        UrlTemplate::parse(template),
        Err(message.to_owned()),
        "{template}"
    );
}

#[test]
fn a_template_that_could_lead_elsewhere_is_refused() {
    let whole = "the link must be a whole address that begins with `https://` or `http://`";
    for template in [
        "",
        "/rec/{a}",
        "ftp://h/{a}",
        "{a}",
        "javascript:alert(1)",
        "htt{a}://h/",
        "https:/h/{a}",
        "ñttps://h",
    ] {
        refused(template, whole);
    }
    let host = "a placeholder cannot stand in the host or the port: a value from the PBX would decide where links lead";
    for template in [
        "https://{a}/",
        "https://h{a}",
        "https://h:{a}/",
        "https://h.{a}?x",
        "https://u{a}@h/",
        "https://h}/x",
    ] {
        refused(template, host);
    }
    refused("https:///x", "the address has no host");
    refused(
        "https://h/#{a}",
        "a placeholder cannot stand after `#`: that part is never sent",
    );
    let person =
        "a user name or password does not belong here: everybody who sees the call would see it";
    refused("https://u:p@h/{a}", person);
    refused("https://u@h/{a}", person);
    let dots = "a path segment `.` or `..` leads elsewhere; write the path that it leads to";
    for template in [
        "https://h/a/../{a}",
        "https://h/./{a}",
        "https://h/%2e%2E/{a}",
        "https://h/{date:..}",
        "https://h/{date:%Y/../}",
    ] {
        refused(template, dots);
    }
    refused(
        "https://h:99999/{a}",
        "this is no address: invalid port number",
    );
}

#[test]
fn a_template_with_a_slip_of_the_pen_is_refused() {
    for (template, message) in [
        (
            "https://h/{a",
            "the brace in `{a` has no partner; a placeholder is `{recordingfile}`, a brace itself `%7B` or `%7D`",
        ),
        (
            "https://h/a}b",
            "the brace in `}b` has no partner; a placeholder is `{recordingfile}`, a brace itself `%7B` or `%7D`",
        ),
        (
            "https://h/{}",
            "`{}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
        ),
        (
            "https://h/{{a}}",
            "`{{a}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
        ),
        (
            "https://h/{1a}",
            "`{1a}` is no placeholder; write a column's name such as `{recordingfile}`, or `{date:%Y/%m/%d}`",
        ),
        (
            "https://h/{initiated}",
            "`{initiated}` is written as `{date:%Y-%m-%d}`, in the form that the link needs",
        ),
        (
            "https://h/{date:}",
            "`{date:}` has no format; write `{date}` or `{date:%Y/%m/%d}`",
        ),
        (
            "https://h/{date:%Q}",
            "`%Q` is unknown in `{date:%Q}`; there are %Y %m %d %H %M %S %y %j %F",
        ),
        (
            "https://h/{date:%-d}",
            "`%-` is unknown in `{date:%-d}`; there are %Y %m %d %H %M %S %y %j %F",
        ),
        (
            "https://h/{date:%}",
            "`%` is unknown in `{date:%}`; there are %Y %m %d %H %M %S %y %j %F",
        ),
        (
            "https://h/{date:%Y?%m}",
            "`?` cannot stand in `{date:%Y?%m}`; between the parts of a date go letters, digits and / - _ . ~ :",
        ),
        (
            "https://h/a b/{a}",
            "` ` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
        ),
        (
            "https://h\\x/{a}",
            "`\\` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
        ),
        (
            "https://h/\u{1b}",
            "`\\u{1b}` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
        ),
        (
            "https://h/%{a}",
            "a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`",
        ),
        (
            "https://h/%2{a}",
            "a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`",
        ),
    ] {
        refused(template, message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_changes_host_path_prefix_or_number_of_segments(value in "(\\PC|[./\\\\%2eE?#@:;\\x00-\\x20]){0,40}") {
        let template = UrlTemplate::parse("https://pbx.example.com:8443/rec/{a}/play?id={a}").expect("a template");
        match template.render(start(), |_| Some(&value)) {
            None => prop_assert!(matches!(value.as_str(), "" | "." | "..")),
            Some(link) => {
                let url = Url::parse(&link).expect("an address");
                prop_assert_eq!(url.host_str(), Some("pbx.example.com"));
                prop_assert_eq!(url.port(), Some(8443));
                let segments: Vec<&str> = url.path_segments().expect("a path").collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!((segments[0], segments[2]), ("rec", "play"));
                let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().expect("UTF-8");
                prop_assert_eq!(&*decoded, value.as_str());
                prop_assert_eq!(url.fragment(), None);
                prop_assert_eq!(url.query_pairs().count(), 1);
            }
        }
    }

    #[test]
    fn any_text_as_template_is_read_or_refused(text in "(https?://h)?(\\PC|[{}%/?#]|\\{date:|%[a-zA-Z]){0,20}") {
        if let Ok(template) = UrlTemplate::parse(&text) {
            let _ = template.render(start(), |_| Some("x"));
        }
    }
}
