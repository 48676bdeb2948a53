//! What a configuration file may say, and what it then means.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cdrelay::config::{DatabaseTls, InitiatedAs, SourceLocation};

use crate::place::{BASE, Place, changed, loads, nimbox, source, target};

#[test]
fn the_examples_load() {
    for name in [
        "quickstart-freepbx",
        "quickstart-asterisk",
        "reference-keys",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.toml"));
        let config = loads(&fs::read_to_string(path).unwrap());
        assert_eq!(
            config.source.timezone,
            chrono_tz::America::Caracas,
            "{name}"
        );
        assert!(
            !config.rules.is_empty() && !config.rule_tests.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn the_reference_example_has_the_scripts_figures() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/reference-keys.toml");
    let config = loads(&fs::read_to_string(path).unwrap());
    assert_eq!(config.select.lookback, Duration::from_secs(200 * 3600));
    assert_eq!(
        config.select.full_lookback,
        Duration::from_secs(360 * 86_400)
    );
    assert_eq!(config.select.min_destination_length, 7);
    assert_eq!(config.target.initiated_as, InitiatedAs::LocalZ);
    assert!(config.rules.iter().all(|rule| rule.stop));
    let credentials = config.target.credentials.unwrap();
    assert_eq!(credentials.username, "admin");
    assert_eq!(credentials.password.expose(), "CANARY-http-file");
}

#[test]
fn the_smallest_file_gives_the_documented_defaults() {
    let config = loads(BASE);
    assert_eq!(config.job, "cdrelay");
    assert_eq!(
        config.source.location.to_string(),
        "mysql://cdr@127.0.0.1:3306/asteriskcdrdb"
    );
    assert_eq!(config.source.table.to_string(), "cdr");
    assert_eq!(config.source.tls, DatabaseTls::Plaintext);
    assert!(config.source.password.is_none());
    assert_eq!(config.select.lookback, Duration::from_secs(200 * 3600));
    assert_eq!(
        config.select.full_lookback,
        Duration::from_secs(360 * 86_400)
    );
    assert_eq!(config.select.min_destination_length, 7);
    assert_eq!(config.select.recheck_unmatched, Duration::from_secs(86_400));
    assert_eq!(nimbox(&config).token.expose(), "CANARY-token-file");
    assert_eq!(config.target.timeout, Duration::from_secs(30));
    assert_eq!(config.target.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.target.concurrency, 32);
    assert_eq!(config.target.max_rps, None);
    assert_eq!(
        nimbox(&config).already_exists,
        ["ya existe", "already exist", "duplicad"]
    );
    assert_eq!(config.ledger.path, Path::new("/state/cdrelay/cdrelay.db"));
    assert_eq!(config.ledger.retention, Duration::from_secs(400 * 86_400));
    assert_eq!(config.monitor.alert_after, Duration::from_secs(6 * 3600));
}

#[test]
fn every_setting_arrives() {
    let place = Place::new(
        r##"
job = "branch-2"
[source]
url = "mariadb://cdr:pa%40ss@pbx.example.com/asteriskcdrdb"
table = "other.cdr_2"
timezone = "UTC"
tls = "plaintext"
csv_columns = "src, dst ,calldate"
[source.columns]
initiated = "start stamp"
agent = "cnum"
[select]
lookback = "9d"
full_lookback = "600d"
min_destination_length = 0
dispositions = ["answered", "NOANSWER", "8"]
exclude = ["_*.", "600"]
withheld = ["anonymous"]
recheck_unmatched = "1h 30m"
[[rules]]
match = "_9NXXXXXX"
rewrite = "0212${EXTEN:1}"
stop = true
[[rules]]
name = "table of extensions"
on = "source"
table = "numbers.csv"
[[rules]]
add_prefix = "0212"
when_length = 7
[[rules]]
regex = "^555"
drop = true
[[rules]]
e164 = "VE"
[[rules]]
match = "_8."
drop = true
[[rule_tests]]
number = "555"
drop = true
[target]
url = "http://192.168.1.98:8080/nimbox"
token = "CANARY-inline"
timeout = "10s"
concurrency = 1024
max_rps = 50
initiated_as = "offset"
empty_source = "0000"
recording_url = "https://pbx.example.com/rec/{date:%Y/%m/%d}/{agent}/{recordingfile}"
already_exists = ["schon da"]
[ledger]
path = "state/ledger.db"
retention = "631d"
[monitor]
textfile = "/var/lib/node_exporter/cdrelay.prom"
ping_url = "https://ping.example.com/abc?x=1"
alert_after = "12h"
"##,
    );
    let config = place.load().unwrap();
    assert_eq!(config.job, "branch-2");
    let SourceLocation::Mysql(url) = &config.source.location else {
        panic!("{:?}", config.source.location)
    };
    assert_eq!(url.as_str(), "mysql://cdr@pbx.example.com/asteriskcdrdb");
    assert_eq!(config.source.password.as_ref().unwrap().expose(), "pa@ss");
    assert_eq!(config.source.table.to_string(), "other.cdr_2");
    assert_eq!(config.source.columns["initiated"], "start stamp");
    assert_eq!(config.source.columns["agent"], "cnum");
    assert_eq!(
        config.source.csv_columns.as_deref().unwrap(),
        ["src", "dst", "calldate"]
    );
    assert_eq!(config.select.dispositions.len(), 2);
    assert_eq!(config.select.exclude.len(), 2);
    assert_eq!(config.select.recheck_unmatched, Duration::from_secs(5400));
    let names: Vec<&str> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
    let table = format!("table {}", place.path("numbers.csv").display());
    assert_eq!(
        names,
        [
            "rewrite 0212${EXTEN:1}",
            "table of extensions",
            "add_prefix 0212",
            "regex ^555 drop",
            "e164 VE",
            "drop"
        ]
    );
    assert_eq!(config.rules[1].kind.to_string(), table);
    assert_eq!(config.rules[0].line, 20);
    assert_eq!(config.rule_tests[0].line, 39);
    assert_eq!(config.target.concurrency, 1024);
    assert_eq!(config.target.max_rps, Some(50));
    assert_eq!(config.target.empty_source.as_deref(), Some("0000"));
    assert_eq!(config.ledger.path, place.path("state/ledger.db"));
    assert_eq!(
        config.monitor.ping_url.unwrap().expose().as_str(),
        "https://ping.example.com/abc?x=1"
    );
}

#[test]
fn a_ping_goes_unencrypted_only_within_a_private_network_or_where_that_is_meant() {
    for monitor in [
        "ping_url = \"http://127.0.0.1:8000/x\"",
        "ping_url = \"http://192.168.1.7/x\"",
        "ping_url = \"http://ping.example.com/x\"\nallow_plaintext = true",
    ] {
        let config = loads(&target(&format!("[monitor]\n{monitor}")));
        let shown = format!("{:?}", config.monitor);
        assert!(
            shown.contains("PingUrl(***)") && !shown.contains("/x"),
            "{shown}"
        );
    }
}

#[test]
fn line_ends_and_marks_of_other_systems_do_no_harm() {
    loads(&BASE.replace('\n', "\r\n"));
    loads(&format!("\u{feff}{BASE}"));
}

#[test]
fn empty_texts_mean_not_set() {
    let config = loads(&target(
        "username = \"\"\npassword_file = \"\"\npassword = \"\"\nca_file = \"\"\ncertificate_sha256 = \"\"\nempty_source = \"\"\nrecording_url = \"\"\ntoken = \"\"\n[monitor]\ntextfile = \"\"\nping_url = \"\"\n[ledger]\npath = \"\"\n[source.columns]\ninitiated = \"\"",
    ));
    assert!(config.target.credentials.is_none());
    assert!(config.target.ca_file.is_none() && config.target.certificate_sha256.is_none());
    assert!(config.target.empty_source.is_none() && config.target.recording_url.is_none());
    assert!(config.monitor.textfile.is_none() && config.monitor.ping_url.is_none());
    assert_eq!(config.ledger.path, Path::new("/state/cdrelay/cdrelay.db"));
    assert!(config.source.columns.is_empty());
}

#[test]
fn plaintext_is_the_default_on_this_machine_and_nowhere_else() {
    let tls = |url: &str, more: &str| loads(&source(url, more)).source.tls;
    let verify = DatabaseTls::Verify { ca_file: None };
    for url in [
        "mysql://cdr@127.0.0.1/x",
        "mysql://cdr@localhost/x",
        "postgresql://cdr@[::1]:5432/x",
        "mysql://cdr@localhost/x?socket=/run/mysqld/mysqld.sock",
        "postgres:///x?host=/run/postgresql",
        "postgres://cdr@%2Frun%2Fpostgresql/x",
        "sqlite://master.db",
        "csv:Master.csv",
    ] {
        assert_eq!(tls(url, ""), DatabaseTls::Plaintext, "{url}");
    }
    for url in [
        "mysql://cdr@10.0.0.5/x",
        "postgres://cdr@db.example.com/x",
        "mysql://cdr@127.example.com/x",
    ] {
        assert_eq!(tls(url, ""), verify, "{url}");
        assert_eq!(
            tls(url, "tls = \"plaintext\""),
            DatabaseTls::Plaintext,
            "{url}"
        );
    }
    assert_eq!(tls("mysql://cdr@127.0.0.1/x", "tls = \"verify\""), verify);
}

#[test]
fn paths_start_in_the_files_directory() {
    #[track_caller]
    fn file(url: &str, expected: &str) {
        let place = Place::new(&source(url, ""));
        let (SourceLocation::Csv(path) | SourceLocation::Sqlite(path)) =
            place.load().unwrap().source.location
        else {
            panic!("{url} is a file");
        };
        assert_eq!(path, place.directory.path().join(expected), "{url}");
    }
    file("csv:Master.csv", "Master.csv");
    file(
        "csv:/var/log/asterisk/cdr-csv/Master.csv",
        "/var/log/asterisk/cdr-csv/Master.csv",
    );
    file("sqlite://sub/cdr.db", "sub/cdr.db");
    file("sqlite:cdr.db", "cdr.db");
    file(
        "sqlite:///var/log/asterisk/master.db",
        "/var/log/asterisk/master.db",
    );
}

#[test]
fn a_pinned_certificate_may_have_colons() {
    let digest = "AB:".repeat(31) + "ab";
    let config = loads(&target(&format!("certificate_sha256 = \"{digest}\"")));
    assert_eq!(config.target.certificate_sha256, Some([0xab; 32]));
}

#[test]
fn retention_follows_a_longer_lookback_by_itself() {
    let config = loads(&target("[select]\nfull_lookback = \"1000d\""));
    assert_eq!(config.ledger.retention, Duration::from_secs(1031 * 86_400));
}

#[test]
fn plaintext_to_a_public_host_can_be_allowed() {
    let config = loads(&changed(
        "\"https://crm.example.com\"",
        "\"http://crm.example.com\"\nallow_plaintext = true",
    ));
    assert_eq!(config.target.url.as_str(), "http://crm.example.com/");
}
