//! The text of what decides the wire form.

use crate::place::{Place, loads, target};

#[test]
fn the_fingerprint_changes_with_the_wire_form_and_with_nothing_else() {
    let rule = "[[rules]]\nname = \"a\"\nmatch = \"_9X.\"\nstrip_prefix = \"9\"\n";
    let base = target(rule);
    let print = |text: &str| loads(text).settings_fingerprint();
    assert_eq!(
        print(&base),
        r#"{"empty_source":null,"initiated_as":"utc","recording_url":null,"rules":[{"does":{"strip_prefix":"9"},"match":"_9X.","on":"destination","stop":false}],"timezone":"America/Caracas"}"#
    );
    for (from, to) in [
        ("America/Caracas", "America/Bogota"),
        ("\"utc\"", "\"offset\""),
        ("\"utc\"", "\"utc\"\nempty_source = \"0\""),
        (
            "\"utc\"",
            "\"utc\"\nrecording_url = \"https://pbx.example.com/{channel}\"",
        ),
        ("_9X.", "_9Z."),
        ("strip_prefix = \"9\"", "strip_prefix = \"90\""),
        ("strip_prefix = \"9\"", "strip_prefix = \"9\"\nstop = true"),
        (
            "strip_prefix = \"9\"",
            "strip_prefix = \"9\"\non = \"source\"",
        ),
    ] {
        assert_ne!(print(&base.replace(from, to)), print(&base), "{to}");
    }
    for (from, to) in [
        ("name = \"a\"", "name = \"b\""),
        ("[target]", "\n\n[target]\ntimeout = \"3s\""),
        ("token_file = \"token\"", "token_file = \"nimbox.token\""),
    ] {
        assert_eq!(print(&base.replace(from, to)), print(&base), "{to}");
    }
}

#[test]
fn the_fingerprint_follows_the_content_of_a_table() {
    let place = Place::new(&target("[[rules]]\ntable = \"numbers.csv\""));
    let config = place.load().unwrap();
    let none = config.settings_fingerprint();
    place.write("numbers.csv", "1,2\n", 0o644);
    let one = config.settings_fingerprint();
    place.write("numbers.csv", "1,3\n", 0o644);
    let other = config.settings_fingerprint();
    assert!(none != one && one != other && none != other);
}
