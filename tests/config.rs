//! Configuration files: the examples, everything that can be wrong with one, and what must never be shown.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cdrelay::config::{Config, ConfigErrors, DatabaseTls, InitiatedAs, SourceLocation, load};
use tempfile::TempDir;

/// Seven lines: `[source]` is on 1, `[target]` on 4.
const BASE: &str = r#"[source]
url = "mysql://cdr@127.0.0.1:3306/asteriskcdrdb"
timezone = "America/Caracas"
[target]
url = "https://crm.example.com"
token_file = "token"
initiated_as = "utc"
"#;

/// A directory with `cdrelay.toml` and the secret files that the examples name.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        place.write("cdrelay.toml", text, 0o600);
        for (name, secret) in [
            ("token", "CANARY-token-file"),
            ("nimbox.token", "CANARY-token-file"),
            ("nimbox.password", "CANARY-http-file"),
            ("db.password", "CANARY-db-file"),
        ] {
            place.write(name, &format!("{secret}\n"), 0o600);
        }
        place
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        self.load_with(&[])
    }

    fn load_with(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        load(&self.path("cdrelay.toml"), &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            match (found, name) {
                (Some((_, value)), _) => Some((*value).to_owned()),
                (None, "XDG_STATE_HOME") => Some("/state".to_owned()),
                (None, _) => None,
            }
        })
    }

    /// The error's text with the directory left out.
    fn complaint(&self) -> String {
        self.complaint_with(&[])
    }

    #[track_caller]
    fn complaint_with(&self, variables: &[(&str, &str)]) -> String {
        let error = self.load_with(variables).expect_err("the file is wrong");
        let directory = format!("{}/", self.directory.path().display());
        assert!(!format!("{error:?}{error}").contains("CANARY"), "{error}");
        error.to_string().replace(&directory, "")
    }
}

/// [`BASE`] with one text put in the place of another.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert_eq!(BASE.matches(from).count(), 1, "{from}");
    BASE.replace(from, to)
}

#[track_caller]
fn loads(text: &str) -> Config {
    match Place::new(text).load() {
        Ok(config) => config,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// `[source]` with another address and lines after it.
fn source(url: &str, more: &str) -> String {
    let text = changed(
        "mysql://cdr@127.0.0.1:3306/asteriskcdrdb\"",
        &format!("{url}\"{}{more}", if more.is_empty() { "" } else { "\n" }),
    );
    text
}

/// `[target]` with more lines after its header's, from line 8 on.
fn target(more: &str) -> String {
    format!("{BASE}{more}\n")
}

/// Compares the whole text of the error.
#[track_caller]
fn refuses(text: &str, expected: &str) {
    let place = Place::new(text);
    let lines = expected.lines().map(|line| format!("cdrelay.toml:{line}"));
    assert_eq!(
        place.complaint(),
        lines.collect::<Vec<_>>().join("\n"),
        "\n{text}"
    );
}

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
    assert_eq!(config.target.token.expose(), "CANARY-token-file");
    assert_eq!(config.target.timeout, Duration::from_secs(30));
    assert_eq!(config.target.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.target.concurrency, 32);
    assert_eq!(config.target.max_rps, None);
    assert_eq!(
        config.target.already_exists,
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
        config.monitor.ping_url.unwrap().as_str(),
        "https://ping.example.com/abc?x=1"
    );
}

#[test]
fn a_wrong_file_is_reported_with_line_and_mend() {
    const FORMS: &str = "mysql://USER@HOST/DATABASE, mariadb://…, postgres://…, postgresql://…, sqlite://PATH and csv:PATH";
    const ENCODE: &str =
        "write `@ : / # ? %` inside a password percent-encoded, or use `source.password_file`";
    let table = "write TABLE or SCHEMA.TABLE, each of letters, digits, `_` and `$`, not beginning with a digit, at most 64 characters";
    let column = "write letters, digits, `_`, `$`, `-` and blanks, not beginning with a digit, at most 64 characters";
    let started = "\"utc\" sends 2012-08-23T16:50:33Z, \"offset\" 2012-08-23T12:20:33-04:30, \"local\" 2012-08-23T12:20:33, and \"local-z\" 2012-08-23T12:20:33Z, local time labelled as UTC, as the reference script did";
    let no_span = "is no span of time; write a number with a unit, such as \"30s\", \"90m\", \"200h\" or \"360d\"";

    // Keys.
    refuses(
        &format!("jbo = \"x\"\n{BASE}"),
        "1: unknown key `jbo`; the nearest known one is `job`",
    );
    refuses(
        &target("[slect]\nlookback = \"1h\""),
        "8: unknown key `slect`; the nearest known one is `select`",
    );
    refuses(
        &source("csv:a", "tabel = \"cdr\""),
        "3: unknown key `source.tabel`; the nearest known one is `source.table`",
    );
    refuses(
        &source("csv:a", "lookback = \"1h\""),
        "3: unknown key `source.lookback`; the nearest known one is `select.lookback`",
    );
    refuses(
        &target("[[rules]]\nstrip_prefx = \"9\""),
        "8: `rules[1]` does nothing; give it one of rewrite, strip_prefix, add_prefix, regex, e164, table or drop = true\n9: unknown key `rules[1].strip_prefx`; the nearest known one is `rules[1].strip_prefix`",
    );
    refuses(
        &target("\"a\\u001Bb\" = 1"),
        "8: unknown key `target.a\\u{1b}b`; the nearest known one is `target.url`",
    );
    refuses(
        &target("[source.columns]\nagent = \"x\""),
        "9: unknown key `source.columns.agent`, which `target.recording_url` does not use either; the nearest known one is `source.columns.channel`",
    );

    // Types.
    refuses(
        &target("timeout = 30"),
        "8: `target.timeout` must be text in quotes, and is a whole number",
    );
    refuses(
        &target("concurrency = \"32\""),
        "8: `target.concurrency` must be a whole number, and is text",
    );
    refuses(
        &target("concurrency = 0"),
        "8: `target.concurrency` must lie between 1 and 1024",
    );
    refuses(
        &target("concurrency = -1"),
        "8: `target.concurrency` must lie between 1 and 1024",
    );
    refuses(
        &target("[select]\ndispositions = \"ANSWERED\""),
        "9: `select.dispositions` must be a list of texts, such as [\"one\", \"two\"], and is text",
    );
    refuses(
        &target("[select]\nexclude = [\n  \"600\",\n  7,\n]"),
        "11: `select.exclude` must be text in quotes, and is a whole number",
    );
    refuses(
        &target("[rules]\nstrip_prefix = \"9\""),
        "8: `rules` must be a list of sections, [[rules]], and is a section",
    );
    refuses(
        &format!("select = 3\n{BASE}"),
        "1: `select` must be a section, [select], and is a whole number",
    );
    refuses(
        &target("empty_source = \"\"\"a\nb\"\"\""),
        "8: `target.empty_source` holds a control character (a line end or a tab, perhaps); remove it",
    );

    // Spans.
    refuses(
        &target("timeout = \"30\""),
        &format!("8: `target.timeout` {no_span}"),
    );
    refuses(
        &target("timeout = \"0s\""),
        "8: `target.timeout` must be longer than nothing",
    );
    refuses(
        &target("[select]\nlookback = \"200 years\""),
        "9: `select.lookback` is 73050d, too long a span; the longest is 36500d",
    );
    refuses(
        &target("[ledger]\nretention = \"390d\""),
        "9: `ledger.retention` is 390d, and must be at least 391d: the longest lookback and 31 days more",
    );

    // Source.
    refuses(
        &changed("url = \"mysql://cdr@127.0.0.1:3306/asteriskcdrdb\"\n", ""),
        &format!("1: `source.url` is missing: say where the calls are; known are {FORMS}"),
    );
    refuses(
        &source("odbc://x/y", ""),
        &format!("2: `source.url` begins with none of the known kinds; they are {FORMS}"),
    );
    refuses(
        &source("mysql://cdr:CANARY#1@127.0.0.1/x", ""),
        &format!("2: `source.url` is no address (invalid port number); {ENCODE}"),
    );
    refuses(
        &source("mysql://cdr@127.0.0.1/x#1", ""),
        &format!("2: `source.url` has a `#` part; {ENCODE}"),
    );
    refuses(
        &source("mysql://cdr@127.0.0.1", ""),
        "2: `source.url` must end in the name of one database, such as mysql://cdr@127.0.0.1/asteriskcdrdb",
    );
    refuses(
        &source("mysql:///asteriskcdrdb", ""),
        "2: `source.url` names no host; write one in front of the database, such as mysql://cdr@127.0.0.1/asteriskcdrdb",
    );
    refuses(
        &source("mysql://127.0.0.1/x?ssl-mode=disabled", ""),
        "2: `source.url` says how to encrypt; `source.tls` and `source.ca_file` decide that, so remove it",
    );
    refuses(
        &source("postgres://127.0.0.1/x?password=CANARY", ""),
        "2: `source.url` holds a password behind the `?`; use `source.password_file`",
    );
    refuses(
        &source("mysql://127.0.0.1/x?charset=latin1", ""),
        "2: `source.url` has a part `charset` that is not known; only `socket` is",
    );
    refuses(
        &source("csv:", ""),
        "2: `source.url` names no file; write its path, such as \"csv:/var/log/asterisk/cdr-csv/Master.csv\"",
    );
    refuses(
        &source("sqlite://x.db?mode=rw", ""),
        "2: `source.url` has a `?` part, and a file takes none; write the path alone",
    );
    refuses(
        &source(
            "mysql://cdr:CANARY@127.0.0.1/x",
            "password_file = \"db.password\"",
        ),
        "2: `source.url` holds a password, and `source.password_file` is set too; remove one",
    );
    refuses(
        &source(
            "csv:a",
            "password = \"CANARY\"\npassword_file = \"db.password\"",
        ),
        "3: `source.password_file` and `source.password` are both set; remove one",
    );
    refuses(
        &source("csv:a", "table = \"cdr; DROP TABLE cdr\""),
        &format!("3: `source.table`: \"cdr; DROP TABLE cdr\" is no table name; {table}"),
    );
    refuses(
        &changed("America/Caracas", "Caracas"),
        "3: `source.timezone`: \"Caracas\" is no IANA time zone; the nearest names are America/Caracas, Africa/Casablanca, Africa/Accra",
    );
    refuses(
        &changed("timezone = \"America/Caracas\"\n", ""),
        "1: `source.timezone` is missing: name the zone that the PBX writes its times in, such as \"America/Caracas\"",
    );
    refuses(
        &source("csv:a", "tls = \"prefer\""),
        "3: `source.tls` must be \"verify\" or \"plaintext\", not \"prefer\"",
    );
    refuses(
        &source("csv:a", "tls = \"plaintext\"\nca_file = \"token\""),
        "4: `source.ca_file` is set, and `source.tls` is \"plaintext\", which checks no certificate; remove one",
    );
    refuses(
        &source("csv:a", "ca_file = \"no.pem\""),
        "3: `source.ca_file` names no.pem, which cannot be read: there is no such file",
    );
    refuses(
        &target("[source.columns]\ninitiated = \"call`date\""),
        &format!("9: `source.columns.initiated`: \"call`date\" is no column name; {column}"),
    );
    refuses(
        &source("csv:a", "csv_columns = \"src,,dst\""),
        &format!("3: `source.csv_columns`: \"\" is no column name; {column}"),
    );
    refuses(
        &source("csv:a", "csv_columns = [\"src\", \"SRC\"]"),
        "3: `source.csv_columns` names \"SRC\" twice; give each column its own name",
    );

    // Select.
    refuses(
        &target("[select]\ndispositions = [\"ANSWERD\"]"),
        "9: `select.dispositions`: \"ANSWERD\" is no disposition; known are ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION and CANCEL",
    );
    refuses(
        &target("[select]\nwithheld = [\" \"]"),
        "9: `select.withheld` holds an empty text; an empty column means \"withheld\" without it, so remove it",
    );

    // Target.
    refuses(
        &changed("https://crm.example.com", "http://crm.example.com"),
        "5: `target.url` would send the token to crm.example.com unencrypted; use https://, or set `target.allow_plaintext = true` if that is meant",
    );
    refuses(
        &changed(
            "https://crm.example.com",
            "https://u:CANARY@crm.example.com",
        ),
        "5: `target.url` must not hold a user name or password",
    );
    refuses(
        &changed("https://crm.example.com", "https://crm.example.com/?a=b"),
        "5: `target.url` must not hold a `?` part; write the base address alone",
    );
    refuses(
        &changed("https://crm.example.com", "https://crm.example.com/#a"),
        "5: `target.url` must not hold a `#` part",
    );
    refuses(
        &changed("https://crm.example.com", "crm.example.com"),
        "5: `target.url` is no web address (relative URL without a base); write one such as \"https://crm.example.com\"",
    );
    refuses(
        &changed("https://crm.example.com", "ftp://crm.example.com"),
        "5: `target.url` must begin with https:// (or http://)",
    );
    refuses(
        &target("kind = \"other\""),
        "8: `target.kind`: \"other\" is no known CRM; known is \"nimbox\"",
    );
    refuses(
        &changed("token_file = \"token\"\n", ""),
        "4: `target.token` is missing: name a file that holds it in `target.token_file`, or set the environment variable CDRELAY_TARGET_TOKEN, or write it as `target.token` into a file that you alone can read",
    );
    refuses(
        &target("username = \"admin\""),
        "8: `target.username` is set without a password; set `target.password_file`, CDRELAY_TARGET_PASSWORD or `target.password`, or remove it",
    );
    refuses(
        &target("password_file = \"nimbox.password\""),
        "4: `target.username` is missing: there is a password for HTTP and no user name; write the user name, or remove the password",
    );
    refuses(
        &target("username = \"a:b\"\npassword = \"CANARY\""),
        "8: `target.username` must not hold a colon, which HTTP cannot send in a user name",
    );
    refuses(
        &target("certificate_sha256 = \"ab:cd\""),
        "8: `target.certificate_sha256` must be 64 hexadecimal digits (colons between them do no harm), as `openssl x509 -noout -fingerprint -sha256` prints them",
    );
    refuses(
        &target(&format!(
            "certificate_sha256 = \"{}\"\nca_file = \"token\"",
            "0".repeat(64)
        )),
        "9: `target.ca_file` and `target.certificate_sha256` are both set; remove one (a pinned certificate needs no CA)",
    );
    refuses(
        &changed("initiated_as = \"utc\"\n", ""),
        &format!(
            "4: `target.initiated_as` is missing: say how the start of a call is written, and keep to it, since the CRM knows calls by it: {started}"
        ),
    );
    refuses(
        &changed("\"utc\"", "\"UTC\""),
        &format!("7: `target.initiated_as`: \"UTC\" is not known; {started}"),
    );
    refuses(
        &target("recording_url = \"https://u:CANARY@pbx.example.com/{channel}\""),
        "8: `target.recording_url` holds a password, which the CRM would show with every call; remove it",
    );
    refuses(
        &target("already_exists = [\"\"]"),
        "8: `target.already_exists` holds an empty text, which every refusal would contain; remove it",
    );

    // The rest.
    refuses(
        &format!("job = \"a b\"\n{BASE}"),
        "1: `job` must be 1 to 64 letters, digits, `_`, `.` and `-`, not \"a b\"",
    );
    refuses(
        &target("[monitor]\nping_url = \"https://u:CANARY@ping.example.com\""),
        "9: `monitor.ping_url` must not hold a user name or password",
    );
}

#[test]
fn wrong_rules_are_reported_under_their_name() {
    let rule = |text: &str| target(&format!("[[rules]]\nname = \"R\"\n{text}"));
    refuses(
        &rule("rewrite = \"1\""),
        "10: rule \"R\": `rewrite` needs `match`, the pattern of the numbers that it rewrites",
    );
    refuses(
        &rule("drop = true"),
        "8: rule \"R\": `drop = true` needs `match` or `regex`, which say what to drop",
    );
    refuses(
        &rule("match = \"_9.\""),
        "8: rule \"R\" does nothing; give it one of rewrite, strip_prefix, add_prefix, regex, e164, table or drop = true",
    );
    refuses(
        &rule("strip_prefix = \"9\"\nadd_prefix = \"0\""),
        "8: rule \"R\" does several things at once (strip_prefix, add_prefix); make each a rule of its own",
    );
    refuses(
        &rule("strip_prefix = \"9\"\nwhen_length = 7"),
        "8: rule \"R\": `when_length` goes only with `add_prefix`",
    );
    refuses(
        &rule("add_prefix = \"9\"\nreplace = \"x\""),
        "8: rule \"R\": `replace` goes only with `regex`",
    );
    refuses(
        &rule("strip_prefix = \"9\"\ndrop = true"),
        "8: rule \"R\": `drop = true` goes only with `match` or `regex`, not with `strip_prefix`",
    );
    refuses(
        &rule("regex = \"^9\""),
        "10: rule \"R\": `regex` needs either `replace` or `drop = true`",
    );
    refuses(
        &rule("regex = \"^9(\"\nreplace = \"\""),
        "10: rule \"R\": \"^9(\" is no regular expression: unclosed group",
    );
    refuses(
        &rule("strip_prefix = \"\""),
        "10: rule \"R\": `strip_prefix` is empty; write what it should be, or remove it",
    );
    refuses(
        &rule("e164 = \"ve\""),
        "10: rule \"R\": `e164` must be a region of two capital letters (ISO 3166), such as \"VE\", not \"ve\"",
    );
    refuses(
        &rule("strip_prefix = \"9\"\non = \"caller\""),
        "11: `rules[1].on` must be \"destination\" or \"source\", not \"caller\"",
    );
    refuses(
        &rule("strip_prefix = 9"),
        "10: `rules[1].strip_prefix` must be text in quotes, and is a whole number",
    );
    refuses(
        &target("[[rules]]\nstrip_prefix = \"9\"\nstop = true\n[[rules]]"),
        "11: `rules[2]` does nothing; give it one of rewrite, strip_prefix, add_prefix, regex, e164, table or drop = true",
    );
    refuses(
        &target("[[rule_tests]]\nnumber = \"1\""),
        "8: a rule test needs either `becomes` or `drop = true`",
    );
    refuses(
        &target("[[rule_tests]]\nbecomes = \"1\""),
        "8: `rule_tests[1].number` is missing: write the number as the PBX holds it",
    );
}

#[test]
fn patterns_templates_and_links_are_refused_in_their_own_words() {
    use cdrelay::cdr::recording::UrlTemplate;
    use cdrelay::number::{dialplan::Pattern, substring::Template};
    let why = Pattern::parse("_[12").unwrap_err();
    refuses(
        &target("[select]\nexclude = [\"_[12\"]"),
        &format!("9: `select.exclude`: {why}"),
    );
    refuses(
        &target("[[rules]]\nmatch = \"_[12\"\nstrip_prefix = \"9\""),
        &format!("9: `rules[1]`: `match`: {why}"),
    );
    let why = Template::parse("${EXTEN").unwrap_err();
    refuses(
        &target("[[rules]]\nmatch = \"_9.\"\nrewrite = \"${EXTEN\""),
        &format!("10: `rules[1]`: `rewrite`: {why}"),
    );
    let why = UrlTemplate::parse("ftp://pbx.example.com/{channel}").unwrap_err();
    refuses(
        &target("recording_url = \"ftp://pbx.example.com/{channel}\""),
        &format!("8: `target.recording_url`: {why}"),
    );
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_their_lines() {
    let text = r#"jbo = "x"
[source]
url = "mysql://cdr@127.0.0.1/asteriskcdrdb"
timezone = "America/Caracs"
[select]
lookback = "200"
dispositions = ["ANSWERED", "LOST"]
[[rules]]
name = "outside line"
rewrite = "${EXTEN:1}"
[target]
url = "http://crm.example.com"
concurrency = 4096
"#;
    refuses(
        text,
        "1: unknown key `jbo`; the nearest known one is `job`
4: `source.timezone`: \"America/Caracs\" is no IANA time zone; the nearest names are America/Caracas, America/Curacao, America/Costa_Rica
6: `select.lookback` is no span of time; write a number with a unit, such as \"30s\", \"90m\", \"200h\" or \"360d\"
7: `select.dispositions`: \"LOST\" is no disposition; known are ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION and CANCEL
10: rule \"outside line\": `rewrite` needs `match`, the pattern of the numbers that it rewrites
11: `target.token` is missing: name a file that holds it in `target.token_file`, or set the environment variable CDRELAY_TARGET_TOKEN, or write it as `target.token` into a file that you alone can read
11: `target.initiated_as` is missing: say how the start of a call is written, and keep to it, since the CRM knows calls by it: \"utc\" sends 2012-08-23T16:50:33Z, \"offset\" 2012-08-23T12:20:33-04:30, \"local\" 2012-08-23T12:20:33, and \"local-z\" 2012-08-23T12:20:33Z, local time labelled as UTC, as the reference script did
12: `target.url` would send the token to crm.example.com unencrypted; use https://, or set `target.allow_plaintext = true` if that is meant
13: `target.concurrency` must lie between 1 and 1024",
    );
}

#[test]
fn what_is_not_toml_is_reported_with_its_line_and_without_the_line() {
    for text in [
        "[source]\npassword = CANARY",
        "[source]\npassword = \"CANARY",
        "[source]\npassword = 'CANARY\nx = 1",
        "[source]\npassword \"CANARY\"",
        "[source]\npassword = \"\\CANARY\"",
        "[source]\nCANARY",
    ] {
        let complaint = Place::new(text).complaint();
        assert!(
            complaint.starts_with("cdrelay.toml:2: is not TOML: "),
            "{complaint}"
        );
    }
    let doubled = Place::new("[source]\ntable = \"a\"\ntable = \"b\"\n").complaint();
    assert_eq!(doubled, "cdrelay.toml:3: is not TOML: duplicate key");
}

#[test]
fn an_empty_file_lacks_what_is_required() {
    let complaint = Place::new("").complaint();
    let keys: Vec<&str> = complaint
        .lines()
        .filter_map(|line| line.strip_prefix("cdrelay.toml: `")?.split('`').next())
        .collect();
    let required = [
        "target.url",
        "target.token",
        "target.initiated_as",
        "source.url",
        "source.timezone",
    ];
    assert_eq!(keys, required, "{complaint}");
    assert_eq!(complaint.lines().count(), required.len());
}

#[test]
fn line_ends_and_marks_of_other_systems_do_no_harm() {
    loads(&BASE.replace('\n', "\r\n"));
    loads(&format!("\u{feff}{BASE}"));
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::new("");
    let missing = |path: PathBuf| load(&path, &|_| None).unwrap_err().to_string();
    let shown = place.directory.path().display();
    assert_eq!(
        missing(place.path("none.toml")),
        format!("{shown}/none.toml: cannot be read: there is no such file")
    );
    assert_eq!(
        missing(place.path("")),
        format!("{shown}/: is a directory; name the configuration file in it")
    );
}

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
    assert_eq!(config.source.password.unwrap().expose(), "env-db");
    assert_eq!(config.target.token.expose(), "env-token");
    // Set to nothing is not set.
    let config = place.load_with(&[("CDRELAY_TARGET_TOKEN", "")]).unwrap();
    assert_eq!(config.target.token.expose(), "CANARY-token-file");
}

#[test]
fn the_environment_spares_the_file_that_is_not_there() {
    let place = Place::new(&changed("\"token\"", "\"not-there\""));
    let config = place
        .load_with(&[("CDRELAY_TARGET_TOKEN", "env-token")])
        .unwrap();
    assert_eq!(config.target.token.expose(), "env-token");
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

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        let _ = Place::new(&text).load();
    }

    #[test]
    fn no_value_makes_it_panic(
        index in 0_usize..80,
        value in "\\PC{0,40}|\"\\PC{0,40}\"|'[^'\n]{0,60}'|-?[0-9]{1,25}|\\[\"a\", 'b'\\]|\\{a = 1\\}|'[a-z]{1,8}:[!-&(-~]{0,40}'"
    ) {
        let keys = cdrelay::config::known_keys();
        let path = keys[index % keys.len()].path;
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let header = match section {
            "" => String::new(),
            "rules" | "rule_tests" => format!("[[{section}]]\n"),
            _ => format!("[{section}]\n"),
        };
        let _ = Place::new(&format!("{header}{name} = {value}\n")).load();
    }
}
