//! What is refused, with the whole text that a user reads.

use std::path::PathBuf;

use cdrelay::config::load;

use crate::place::{BASE, Place, changed, refuses, source, target};

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
        "8: unknown key `target.a\\u{1b}b`; the nearest known one is `target.path`",
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
        "8: `target.kind`: \"other\" is no known CRM; known are \"nimbox\" and \"bgcrm\"",
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
    refuses(
        &target("[monitor]\nping_url = \"http://ping.example.com/CANARY\""),
        "9: `monitor.ping_url` would go over the network unencrypted, and whoever knows the address can call it; use https://, or set `monitor.allow_plaintext = true` if that is meant",
    );
    refuses(
        &target("[select]\nfull_at = \"24:00\""),
        "9: `select.full_at`: \"24:00\" is no time of day; write hours and minutes, such as \"23:00\"",
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
