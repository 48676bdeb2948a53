//! `[collector]`: what it takes, and what it refuses, with the whole text.

use std::time::Duration;

use cdrelay::collector::cti_bridge::dial::{Dial, Hangup};
use cdrelay::config::{StoreLocation, load_collector};

use crate::place::{BASE, Place, loads, refuses};

/// [`BASE`] and a `[collector]` whose header is on line 8 and whose `timezone` is on line 9; `more` begins on line 10.
fn collector(more: &str) -> String {
    format!("{BASE}[collector]\ntimezone = \"UTC\"\n{more}\n")
}

#[test]
fn a_section_with_a_zone_alone_has_every_default() {
    let config = loads(&collector("")).collector.unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8098");
    let path = "/state/cdrelay/cdrelay-collector.db".into();
    assert_eq!(config.store, StoreLocation::Sqlite(path));
    assert_eq!(config.settle, Duration::from_secs(2));
    assert_eq!(config.close_after, Duration::from_secs(12 * 3600));
    assert_eq!(config.connections, 256);
    assert_eq!(config.astercc_timezone.name(), "UTC");
    assert!(matches!(
        config.fallback.dial,
        Dial::Hangup(Hangup::Cause(41))
    ));
    assert!(loads(BASE).collector.is_none());
}

#[test]
fn collect_needs_no_other_section_and_is_not_troubled_by_theirs() {
    let no_env = |_: &str| None;
    let alone = Place::new("[collector]\ntimezone = \"UTC\"\nstore = \"sqlite:c.db\"\n");
    assert!(load_collector(&alone.path("cdrelay.toml"), &no_env).is_ok());
    let theirs = "[target]\ntoken_file = \"none\"\n[collector]\ntimezone = \"UTC\"\nstore = \"sqlite:c.db\"\n";
    let beside = Place::new(theirs);
    assert!(load_collector(&beside.path("cdrelay.toml"), &no_env).is_ok());
    let without = Place::new(BASE);
    let error = load_collector(&without.path("cdrelay.toml"), &no_env).unwrap_err();
    assert!(
        error.to_string().contains(
            "`collector.timezone` is missing: name the zone that `calldate` is written in"
        ),
        "{error}"
    );
}

#[test]
fn secrets_of_the_collector_are_read_like_the_others() {
    let text = collector("listen = \"0.0.0.0:8098\"");
    let config = Place::new(&text)
        .load_with(&[("CDRELAY_COLLECTOR_SECRET", "CANARY")])
        .unwrap();
    assert!(!format!("{config:?}").contains("CANARY"));
    let secret = config.collector.unwrap().secret.unwrap();
    assert_eq!(secret.expose(), "CANARY");
    let place = Place::new("");
    place.write("cdrelay.toml", &collector("secret = \"CANARY\""), 0o644);
    assert!(
        place
            .complaint()
            .starts_with("cdrelay.toml:10: `collector.secret` stands in this file, which others can read (mode 0644); run `chmod 600 "),
        "{}",
        place.complaint()
    );
    let url = collector("store = \"mysql://cdr:CANARY@127.0.0.1/calls\"");
    let config = loads(&url).collector.unwrap();
    assert_eq!(config.store_password.unwrap().expose(), "CANARY");
}

#[test]
fn what_is_wrong_with_a_collector_is_told_with_the_mend() {
    refuses(
        &collector("listen = \"8098\""),
        "10: `collector.listen` must be an address and a port, such as \"127.0.0.1:8098\", not \"8098\"",
    );
    refuses(
        &collector("store = \"csv:Master.csv\""),
        "10: `collector.store` cannot be a CSV file; write sqlite://PATH, mysql://… or postgres://…",
    );
    refuses(
        &collector("store = \"mysql://cdr@127.0.0.1/\""),
        "10: `collector.store` must end in the name of one database, such as mysql://cdr@127.0.0.1/asteriskcdrdb",
    );
    refuses(
        &collector("store_tls = \"no\""),
        "10: `collector.store_tls` must be \"verify\" or \"plaintext\", not \"no\"",
    );
    refuses(
        &collector("[collector.astercc]\nsubscribe = \"https://crm.example.com/sub\""),
        "11: `collector.astercc.subscribe` must be http:// to this machine or a private address, where asterCC's nginx pushes",
    );
    refuses(
        &collector("setle = \"1s\""),
        "10: unknown key `collector.setle`; the nearest known one is `collector.settle`",
    );
}

#[test]
fn a_route_goes_one_way_and_its_words_are_checked() {
    let route = |text: &str| collector(&format!("[[collector.cti_bridge.routes]]\n{text}"));
    refuses(
        &route("match = \"_X.\""),
        "10: `collector.cti_bridge.routes[1]` leads nowhere; give it one of gateway, user, ip, dialstring, hangup",
    );
    refuses(
        &route("gateway = \"a\"\nuser = \"b\""),
        "10: `collector.cti_bridge.routes[1]` has `gateway` and `user`; a call can go only one way (a `dialstring` list tries several)",
    );
    refuses(
        &route("hangup = \"NOBODY_HOME\""),
        "11: `collector.cti_bridge.routes[1].hangup`: \"NOBODY_HOME\" is no hangup cause; write a name such as \"USER_BUSY\", a number such as 17, or a SIP status such as \"sip 486\"",
    );
    refuses(
        &route("hangup = \"GATEWAY_DOWN\""),
        "11: `collector.cti_bridge.routes[1].hangup`: FreeSWITCH 1.10.8 changed the number of GATEWAY_DOWN from 609 to 809; write the number that yours has",
    );
    refuses(
        &route("hangup = \"sip 200\""),
        "11: `collector.cti_bridge.routes[1].hangup`: \"sip 200\" is no SIP status that ends a call; write one from 300 to 699, such as \"sip 486\"",
    );
    refuses(
        &route("dialstring = [\"a\", \"${FOO}\"]"),
        "11: `collector.cti_bridge.routes[1].dialstring`: the template `${FOO}` uses `${FOO}`; only `${EXTEN}`, `${EXTEN:offset}` and `${EXTEN:offset:length}` are known here",
    );
    let config = loads(&route(
        "hangup = 34\n[collector.cti_bridge.fallback]\nhangup = \"sip:486\"",
    ));
    let config = config.collector.unwrap();
    assert!(matches!(
        config.routes[0].dial,
        Dial::Hangup(Hangup::Cause(34))
    ));
    assert!(matches!(
        config.fallback.dial,
        Dial::Hangup(Hangup::Sip(486))
    ));
}
