//! Where secrets come from, whose their files must be, and where they must never be seen.

use crate::place::{BASE, Place, changed, nimbox, source, target};

#[test]
fn secrets_come_from_the_environment_first() {
    let place = Place::new(&source("mysql://cdr:CANARY-url@127.0.0.1/x", ""));
    assert_eq!(
        place.load().unwrap().source.password.unwrap().expose(),
        "CANARY-url"
    );
    let variables = [
        ("CDRELAY_SOURCE_PASSWORD", "env-db"),
        ("CDRELAY_TARGET_TOKEN", "env-token"),
    ];
    let config = place.load_with(&variables).unwrap();
    assert_eq!(config.source.password.as_ref().unwrap().expose(), "env-db");
    assert_eq!(nimbox(&config).token.expose(), "env-token");
    // Set to nothing is not set.
    let config = place.load_with(&[("CDRELAY_TARGET_TOKEN", "")]).unwrap();
    assert_eq!(nimbox(&config).token.expose(), "CANARY-token-file");
}

#[test]
fn the_environment_spares_the_file_that_is_not_there() {
    let place = Place::new(&changed("\"token\"", "\"not-there\""));
    let config = place
        .load_with(&[("CDRELAY_TARGET_TOKEN", "env-token")])
        .unwrap();
    assert_eq!(nimbox(&config).token.expose(), "env-token");
    assert_eq!(
        place.complaint(),
        "cdrelay.toml:6: `target.token_file`: secret file not-there cannot be read: there is no such file"
    );
}

#[test]
fn a_broken_secret_in_the_environment_is_named_and_not_shown() {
    let place = Place::new(BASE);
    assert_eq!(
        place.complaint_with(&[("CDRELAY_TARGET_TOKEN", "CANARY\n")]),
        "cdrelay.toml: environment variable CDRELAY_TARGET_TOKEN holds a control character"
    );
}

#[test]
fn http_credentials_come_from_all_three_places() {
    let inline = Place::new(&target("username = \"admin\"\npassword = \"p1\""));
    assert_eq!(
        inline
            .load()
            .unwrap()
            .target
            .credentials
            .unwrap()
            .password
            .expose(),
        "p1"
    );
    let variable = [("CDRELAY_TARGET_PASSWORD", "p2")];
    let credentials = inline.load_with(&variable).unwrap().target.credentials;
    assert_eq!(credentials.unwrap().password.expose(), "p2");
    let file = Place::new(&target(
        "username = \"admin\"\npassword_file = \"nimbox.password\"",
    ));
    assert_eq!(
        file.load()
            .unwrap()
            .target
            .credentials
            .unwrap()
            .password
            .expose(),
        "CANARY-http-file"
    );
}

#[test]
fn a_configuration_with_a_secret_must_be_its_owners_alone() {
    let secrets = [
        (
            changed("token_file = \"token\"", "token = \"CANARY\""),
            6,
            "target.token",
        ),
        (
            source("csv:a", "password = \"CANARY\""),
            3,
            "source.password",
        ),
        (
            source("mysql://cdr:CANARY@127.0.0.1/x", ""),
            2,
            "source.url",
        ),
        (
            target("username = \"u\"\npassword = \"CANARY\""),
            9,
            "target.password",
        ),
    ];
    for (text, line, key) in secrets {
        let place = Place::new(&text);
        place.load().unwrap();
        for mode in [0o644, 0o640, 0o604] {
            place.write("cdrelay.toml", &text, mode);
            assert_eq!(
                place.complaint(),
                format!(
                    "cdrelay.toml:{line}: `{key}` stands in this file, which others can read (mode {mode:04o}); run `chmod 600 cdrelay.toml`, or keep the secret in a file of its own"
                )
            );
        }
    }
    let place = Place::new(BASE);
    place.write("cdrelay.toml", BASE, 0o644);
    place.load().unwrap();
}

#[test]
fn a_secret_file_that_others_can_read_is_refused() {
    let place = Place::new(BASE);
    place.write("token", "CANARY", 0o640);
    assert_eq!(
        place.complaint(),
        "cdrelay.toml:6: `target.token_file`: secret file token can be read by others (mode 0640); run `chmod 600 token`"
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let text = changed(
        "token_file = \"token\"",
        "token = \"CANARY-token\"\nusername = \"admin\"\npassword = \"CANARY-http\"",
    )
    .replace("cdr@", "cdr:CANARY-db@");
    let place = Place::new(&text);
    let config = place.load().unwrap();
    let shown = format!(
        "{config:?} {config:#?} {} {}",
        config.source.location,
        config.settings_fingerprint()
    );
    assert!(!shown.contains("CANARY"), "{shown}");
    // One error of each kind besides, with the secrets around it.
    for extra in [
        "timeout = 1",
        "unknown = \"CANARY\"",
        "[[",
        "ca_file = \"none\"",
        "kind = 7",
    ] {
        let _ = Place::new(&format!("{text}{extra}\n")).complaint();
    }
}

#[test]
fn a_secret_file_must_be_a_file() {
    // Opening a pipe or a device could wait for ever.
    let place = Place::new(&changed("\"token\"", "\"/dev/null\""));
    assert_eq!(
        place.complaint(),
        "cdrelay.toml:6: `target.token_file`: secret file /dev/null is no regular file; name a file whose first line is the secret"
    );
}

#[test]
fn a_link_counts_as_the_file_that_it_leads_to() {
    use std::os::unix::fs::symlink;
    let place = Place::new(&changed("\"token\"", "\"link\""));
    place.write("kept", "CANARY", 0o600);
    symlink(place.path("kept"), place.path("link")).unwrap();
    assert_eq!(nimbox(&place.load().unwrap()).token.expose(), "CANARY");
    for mode in [0o640, 0o604, 0o660] {
        place.write("kept", "CANARY", mode);
        assert_eq!(
            place.complaint(),
            format!(
                "cdrelay.toml:6: `target.token_file`: secret file link can be read by others (mode {mode:04o}); run `chmod 600 link`"
            )
        );
    }
    // The same for the configuration itself.
    let text = changed("token_file = \"token\"", "token = \"CANARY\"");
    let place = Place::new(&text);
    place.write("other.toml", &text, 0o640);
    std::fs::remove_file(place.path("cdrelay.toml")).unwrap();
    symlink(place.path("other.toml"), place.path("cdrelay.toml")).unwrap();
    assert_eq!(
        place.complaint(),
        "cdrelay.toml:6: `target.token` stands in this file, which others can read (mode 0640); run `chmod 600 cdrelay.toml`, or keep the secret in a file of its own"
    );
}

#[test]
fn nothing_that_holds_a_secret_shows_it_when_it_is_debugged() {
    use cdrelay::target::http::{HttpClient, HttpOptions};
    let text = changed(
        "token_file = \"token\"",
        "token = \"CANARY-token\"\nusername = \"admin\"\npassword = \"CANARY-http\"",
    )
    .replace("cdr@", "cdr:CANARY-db@");
    let config = Place::new(&text).load().unwrap();
    let options = HttpOptions::for_target(&config.target);
    let client = HttpClient::new(&options).unwrap();
    let crm = cdrelay::target::nimbox::Nimbox::new(&config.target, nimbox(&config)).unwrap();
    let shown = format!(
        "{config:#?} {:?} {options:?} {client:?} {crm:?}",
        config.target
    );
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(shown.contains("Secret(***)"), "{shown}");
}
