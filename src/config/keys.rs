//! Every key that the configuration file may hold: what README, help and examples are checked against, and what the
//! manual page cdrelay.toml(5) says.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its full name, such as `source.url`; keys of `[[rules]]` are named `rules.match`.
    pub path: &'static str,
    /// What holds where it is not set.
    pub default: KeyDefault,
    /// What it is for, in one sentence; `code` stands between backticks.
    pub meaning: &'static str,
}

/// What holds where a key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDefault {
    /// Nothing: the file is refused without it.
    Required,
    /// This value, as TOML writes it. `""` is "not set".
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// Every key, in the order of the documentation.
#[must_use]
pub fn known_keys() -> &'static [Key] {
    KEYS
}

/// The columns that `[source.columns]` always knows. Any other that `target.recording_url` uses is known besides.
pub const ROLES: &[&str] = &[
    "initiated",
    "source",
    "destination",
    "duration",
    "billsec",
    "disposition",
    "uniqueid",
    "linkedid",
    "sequence",
    "channel",
    "recordingfile",
    "clid",
    "did",
];

pub(super) const KEYS: &[Key] = &[
    words(
        "job",
        "the file's name without its ending",
        "names this replication in the ledger and the reports",
    ),
    required(
        "source.url",
        "`mysql://USER@HOST/DATABASE` (`mariadb://` too), `postgres://…`, `sqlite://PATH`, `csv:PATH`",
    ),
    value(
        "source.password_file",
        "\"\"",
        "first line: the password; or `CDRELAY_SOURCE_PASSWORD`",
    ),
    value(
        "source.password",
        "\"\"",
        "the password itself; the configuration must then be 0600",
    ),
    value("source.table", "\"cdr\"", "may be `schema.table`"),
    required(
        "source.timezone",
        "IANA name of the zone that the time column is written in; not applied to columns that hold instants",
    ),
    words(
        "source.tls",
        "plaintext on loopback and over a local socket, else verify",
        "`verify` or `plaintext`",
    ),
    value("source.ca_file", "\"\"", "a private CA, PEM"),
    value(
        "source.timeout",
        "\"60s\"",
        "longest silence of the database while an answer or the next row is due (a connection: 10s at most; the one pass over a table without an index: ten times as long); then the same is asked again, three times",
    ),
    words(
        "source.csv_columns",
        "told from the file",
        "the columns of a CSV file in order, a list or one text with commas",
    ),
    words(
        "source.columns.initiated",
        "found by inspection",
        "column of the start",
    ),
    words(
        "source.columns.source",
        "found by inspection",
        "column of the caller's number",
    ),
    words(
        "source.columns.destination",
        "found by inspection",
        "column of the number called",
    ),
    words(
        "source.columns.duration",
        "found by inspection",
        "column of the seconds",
    ),
    words("source.columns.billsec", "found by inspection", "for links"),
    words(
        "source.columns.disposition",
        "found by inspection",
        "column of how the call ended",
    ),
    words(
        "source.columns.uniqueid",
        "found by inspection",
        "column of Asterisk's channel id",
    ),
    words(
        "source.columns.linkedid",
        "found by inspection",
        "column of the oldest channel's id",
    ),
    words(
        "source.columns.sequence",
        "found by inspection",
        "column of Asterisk's row counter",
    ),
    words("source.columns.channel", "found by inspection", "for links"),
    words(
        "source.columns.recordingfile",
        "found by inspection",
        "for links",
    ),
    words("source.columns.clid", "found by inspection", "for links"),
    words("source.columns.did", "found by inspection", "for links"),
    value("select.lookback", "\"200h\"", "how far `sync` looks back"),
    value(
        "select.full_lookback",
        "\"360d\"",
        "how far `sync --full` looks back",
    ),
    value(
        "select.min_destination_length",
        "7",
        "fewest characters of the destination as the PBX wrote it; 0: any",
    ),
    value(
        "select.dispositions",
        "[]",
        "only calls that ended so, such as `[\"ANSWERED\"]`; empty: all",
    ),
    value(
        "select.exclude",
        "[]",
        "Asterisk patterns of destinations to leave out",
    ),
    value(
        "select.withheld",
        "[]",
        "texts in the source column that mean a withheld number, such as `[\"anonymous\"]`",
    ),
    value(
        "select.recheck_unmatched",
        "\"24h\"",
        "how long an unmatched number rests before `sync` asks again",
    ),
    value(
        "select.full_at",
        "\"23:00\"",
        "time of day, in `source.timezone`, from which on `run --auto` owes the night's full run",
    ),
    words(
        "select.where",
        "any row",
        "a section: by column, a list of what it may hold, such as `dcontext = [\"from-queue\"]`; see Which calls",
    ),
    words(
        "rules.name",
        "the kind of the rule and its argument",
        "for `explain` and for messages",
    ),
    value("rules.on", "\"destination\"", "or `\"source\"`"),
    words(
        "rules.match",
        "every number",
        "an Asterisk dialplan pattern that the number must match",
    ),
    words(
        "rules.rewrite",
        "another kind",
        "a new number in Asterisk's substring syntax, such as `0212${EXTEN:1}`",
    ),
    words(
        "rules.strip_prefix",
        "another kind",
        "takes this off the front",
    ),
    words("rules.add_prefix", "another kind", "puts this in front"),
    words(
        "rules.when_length",
        "any length",
        "with `add_prefix`: only numbers of this many characters",
    ),
    words("rules.regex", "another kind", "with `replace` or `drop`"),
    words(
        "rules.replace",
        "needed with regex, unless drop = true",
        "`$1`, `${1}`, `${name}`",
    ),
    words(
        "rules.e164",
        "another kind",
        "region whose national numbers become `+` and digits, such as `VE`",
    ),
    words(
        "rules.table",
        "another kind",
        "CSV file of two columns, number and replacement",
    ),
    value(
        "rules.drop",
        "false",
        "with `match` or `regex`: the call is not sent",
    ),
    value(
        "rules.stop",
        "false",
        "ends the chain where the rule applied",
    ),
    required("rule_tests.number", "as the PBX writes it"),
    words(
        "rule_tests.becomes",
        "needed, unless drop = true",
        "what the rules must make of it",
    ),
    value("rule_tests.drop", "false", "the rules must drop it"),
    value("rule_tests.on", "\"destination\"", "or `\"source\"`"),
    value("target.kind", "\"nimbox\"", "or `\"bgcrm\"`"),
    required(
        "target.url",
        "base address; `http://` only to loopback or a private address",
    ),
    value(
        "target.allow_plaintext",
        "false",
        "`http://` to any address",
    ),
    words(
        "target.token_file",
        "one of token_file, CDRELAY_TARGET_TOKEN and token is needed",
        "first line: the token",
    ),
    words(
        "target.token",
        "one of token_file, CDRELAY_TARGET_TOKEN and token is needed",
        "the token itself; the configuration must then be 0600",
    ),
    words(
        "target.class",
        "needed for bgcrm",
        "the class to run, with its package",
    ),
    words("target.path", "dynamic.do, for bgcrm", "or `run.do`"),
    words(
        "target.method",
        "post, for bgcrm",
        "or `get`, which puts the password into the address",
    ),
    words(
        "target.number_parameter",
        "aon, for bgcrm",
        "the name that the caller's number goes under",
    ),
    words(
        "target.parameters",
        "none, for bgcrm",
        "a section: what else the class is given",
    ),
    words(
        "target.on_unknown",
        "hold, for bgcrm",
        "what becomes of a call without a verdict: `hold`, or `resend`, which may run the class twice",
    ),
    value(
        "target.username",
        "\"\"",
        "for HTTP Basic or Digest, whichever the server asks for; needed for bgcrm, which gets it in the form",
    ),
    value(
        "target.password_file",
        "\"\"",
        "or `CDRELAY_TARGET_PASSWORD`",
    ),
    value(
        "target.password",
        "\"\"",
        "the password itself; the configuration must then be 0600",
    ),
    value(
        "target.ca_file",
        "\"\"",
        "a private CA, PEM, beside the system's",
    ),
    value(
        "target.certificate_sha256",
        "\"\"",
        "the one certificate to accept, for a self-signed one",
    ),
    value("target.timeout", "\"30s\"", "a whole request"),
    value(
        "target.connect_timeout",
        "\"5s\"",
        "until the connection stands",
    ),
    value(
        "target.concurrency",
        "32",
        "most requests in flight, 1 to 1024; fewer while the CRM is slow",
    ),
    value("target.max_rps", "0", "most requests a second; 0: no cap"),
    required(
        "target.initiated_as",
        "for nimbox alone: `utc`, `offset`, `local`, `local-z`; see Time",
    ),
    value(
        "target.empty_source",
        "\"\"",
        "what to send where the caller withheld the number; empty: the call is skipped",
    ),
    value(
        "target.recording_url",
        "\"\"",
        "for nimbox alone: link to the recording: `{column}`, `{date}`, `{date:%Y/%m/%d}`",
    ),
    value(
        "target.already_exists",
        "[\"ya existe\", \"already exist\", \"duplicad\"]",
        "for nimbox alone: texts in a refusal that mean \"is there already\"",
    ),
    value(
        "agi.timeout",
        "\"4s\"",
        "how long Asterisk, and with it the caller, waits at most",
    ),
    words(
        "agi.set",
        "none",
        "a section: channel variables, and where in the CRM's reply their values stand, such as `CRM_PROCESS = \"data.process.id\"`",
    ),
    words(
        "ledger.path",
        "JOB.db in the state directory of the user who runs it",
        "the SQLite file",
    ),
    words(
        "ledger.retention",
        "400d, or the longer lookback + 31d where that is more",
        "how long entries are kept; a full run that settled its window drops older ones",
    ),
    value(
        "monitor.textfile",
        "\"\"",
        "figures for Prometheus's node exporter, written after every run; see Watching it",
    ),
    value(
        "monitor.ping_url",
        "\"\"",
        "called on start, success and failure; its failure never fails a run",
    ),
    value(
        "monitor.allow_plaintext",
        "false",
        "`http://` for the ping to any address, not only to loopback or a private one",
    ),
    value(
        "monitor.ca_file",
        "\"\"",
        "a private CA for the ping, PEM, beside the system's",
    ),
    value(
        "monitor.alert_after",
        "\"6h\"",
        "how old the last success may be before `--quiet` speaks about 4 and 11, and the ping counts them as failures",
    ),
    value(
        "collector.listen",
        "\"127.0.0.1:8098\"",
        "address and port; beyond loopback only with a secret",
    ),
    value(
        "collector.secret_file",
        "\"\"",
        "first line: what senders have to show; or `CDRELAY_COLLECTOR_SECRET`",
    ),
    value(
        "collector.secret",
        "\"\"",
        "the secret itself; the configuration must then be 0600",
    ),
    words(
        "collector.store",
        "JOB-collector.db in the state directory of the user who runs it",
        "`sqlite://PATH`, `mysql://USER@HOST/DATABASE`, `postgres://…`",
    ),
    value(
        "collector.store_password_file",
        "\"\"",
        "first line: the password; or `CDRELAY_STORE_PASSWORD`",
    ),
    value(
        "collector.store_password",
        "\"\"",
        "the password itself; the configuration must then be 0600",
    ),
    words(
        "collector.store_tls",
        "plaintext on loopback and over a local socket, else verify",
        "`verify` or `plaintext`",
    ),
    value("collector.store_ca_file", "\"\"", "a private CA, PEM"),
    words(
        "collector.timezone",
        "needed with [collector]",
        "IANA name of the zone that `calldate` is written in",
    ),
    value(
        "collector.settle",
        "\"2s\"",
        "how long a call must have been quiet before its row appears or changes",
    ),
    value(
        "collector.close_after",
        "\"12h\"",
        "how long a call without an end may be quiet before it is closed and marked",
    ),
    value(
        "collector.retention",
        "\"30d\"",
        "how long the events of a finished call are kept for corrections",
    ),
    value(
        "collector.connections",
        "256",
        "most at one time, 8 to 900; at the bound the longest unfinished one is closed",
    ),
    words(
        "collector.astercc.timezone",
        "`collector.timezone`",
        "zone of `eventTime`",
    ),
    value(
        "collector.astercc.subscribe",
        "\"\"",
        "nginx push channel to read events from, `http://` on this machine or a private address",
    ),
    words(
        "collector.freeswitch.timezone",
        "`collector.timezone`",
        "zone of stamps, where a post has no epochs",
    ),
    value(
        "collector.cti_bridge.number",
        "\"number\"",
        "the parameter with the number called",
    ),
    value(
        "collector.cti_bridge.callerid",
        "\"callerid\"",
        "the parameter with the caller's number",
    ),
    value(
        "collector.cti_bridge.cause",
        "\"cause\"",
        "the parameter with the hangup cause",
    ),
    value(
        "collector.cti_bridge.answer_within",
        "\"2s\"",
        "how soon a request has its answer; less than the application's own 3 s",
    ),
    words(
        "collector.cti_bridge.routes.match",
        "every number",
        "an Asterisk dialplan pattern of the number as the rules left it",
    ),
    words(
        "collector.cti_bridge.routes.gateway",
        "another kind",
        "through this gateway",
    ),
    words(
        "collector.cti_bridge.routes.user",
        "another kind",
        "to this registered phone; `${EXTEN}` is the number",
    ),
    words(
        "collector.cti_bridge.routes.ip",
        "another kind",
        "to this `HOST:PORT`",
    ),
    value(
        "collector.cti_bridge.routes.sofia",
        "\"external\"",
        "with `ip`: the profile",
    ),
    words(
        "collector.cti_bridge.routes.dialstring",
        "another kind",
        "this dial string, or a list of them, tried one after the other",
    ),
    words(
        "collector.cti_bridge.routes.hangup",
        "another kind",
        "turned away: a cause by name or number, or `\"sip 486\"`",
    ),
    words(
        "collector.cti_bridge.routes.variables",
        "none",
        "channel variables to set, such as `{ absolute_codec_string = \"PCMA\" }`",
    ),
    words(
        "collector.cti_bridge.fallback.gateway",
        "another kind",
        "as in a route",
    ),
    words(
        "collector.cti_bridge.fallback.user",
        "another kind",
        "as in a route",
    ),
    words(
        "collector.cti_bridge.fallback.ip",
        "another kind",
        "as in a route",
    ),
    value(
        "collector.cti_bridge.fallback.sofia",
        "\"external\"",
        "as in a route",
    ),
    words(
        "collector.cti_bridge.fallback.dialstring",
        "another kind",
        "as in a route",
    ),
    words(
        "collector.cti_bridge.fallback.hangup",
        "41",
        "as in a route",
    ),
    words(
        "collector.cti_bridge.fallback.variables",
        "none",
        "as in a route",
    ),
];

/// The name of a key within its section.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

const fn required(path: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Required,
        meaning,
    }
}

const fn value(path: &'static str, toml: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Value(toml),
        meaning,
    }
}

const fn words(path: &'static str, words: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Words(words),
        meaning,
    }
}
