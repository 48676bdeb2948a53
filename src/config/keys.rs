//! Every key that the configuration file may hold: what README, help and examples are checked against.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its full name, such as `source.url`; keys of `[[rules]]` are named `rules.match`.
    pub path: &'static str,
    /// What holds where it is not set.
    pub default: KeyDefault,
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
    words("job", "the file's name without its ending"),
    required("source.url"),
    value("source.password_file", "\"\""),
    value("source.password", "\"\""),
    value("source.table", "\"cdr\""),
    required("source.timezone"),
    words(
        "source.tls",
        "plaintext on loopback and over a local socket, else verify",
    ),
    value("source.ca_file", "\"\""),
    value("source.timeout", "\"60s\""),
    words("source.csv_columns", "told from the file"),
    words("source.columns.initiated", "found by inspection"),
    words("source.columns.source", "found by inspection"),
    words("source.columns.destination", "found by inspection"),
    words("source.columns.duration", "found by inspection"),
    words("source.columns.billsec", "found by inspection"),
    words("source.columns.disposition", "found by inspection"),
    words("source.columns.uniqueid", "found by inspection"),
    words("source.columns.linkedid", "found by inspection"),
    words("source.columns.sequence", "found by inspection"),
    words("source.columns.channel", "found by inspection"),
    words("source.columns.recordingfile", "found by inspection"),
    words("source.columns.clid", "found by inspection"),
    words("source.columns.did", "found by inspection"),
    value("select.lookback", "\"200h\""),
    value("select.full_lookback", "\"360d\""),
    value("select.min_destination_length", "7"),
    value("select.dispositions", "[]"),
    value("select.exclude", "[]"),
    value("select.withheld", "[]"),
    value("select.recheck_unmatched", "\"24h\""),
    words("rules.name", "the kind of the rule and its argument"),
    value("rules.on", "\"destination\""),
    words("rules.match", "every number"),
    words("rules.rewrite", "another kind"),
    words("rules.strip_prefix", "another kind"),
    words("rules.add_prefix", "another kind"),
    words("rules.when_length", "any length"),
    words("rules.regex", "another kind"),
    words("rules.replace", "needed with regex, unless drop = true"),
    words("rules.e164", "another kind"),
    words("rules.table", "another kind"),
    value("rules.drop", "false"),
    value("rules.stop", "false"),
    required("rule_tests.number"),
    words("rule_tests.becomes", "needed, unless drop = true"),
    value("rule_tests.drop", "false"),
    value("rule_tests.on", "\"destination\""),
    value("target.kind", "\"nimbox\""),
    required("target.url"),
    value("target.allow_plaintext", "false"),
    words(
        "target.token_file",
        "one of token_file, CDRELAY_TARGET_TOKEN and token is needed",
    ),
    words(
        "target.token",
        "one of token_file, CDRELAY_TARGET_TOKEN and token is needed",
    ),
    value("target.username", "\"\""),
    value("target.password_file", "\"\""),
    value("target.password", "\"\""),
    value("target.ca_file", "\"\""),
    value("target.certificate_sha256", "\"\""),
    value("target.timeout", "\"30s\""),
    value("target.connect_timeout", "\"5s\""),
    value("target.concurrency", "32"),
    value("target.max_rps", "0"),
    required("target.initiated_as"),
    value("target.empty_source", "\"\""),
    value("target.recording_url", "\"\""),
    value(
        "target.already_exists",
        "[\"ya existe\", \"already exist\", \"duplicad\"]",
    ),
    words(
        "ledger.path",
        "JOB.db in the state directory of the user who runs it",
    ),
    words(
        "ledger.retention",
        "400d, or the longer lookback + 31d where that is more",
    ),
    value("monitor.textfile", "\"\""),
    value("monitor.ping_url", "\"\""),
    value("monitor.alert_after", "\"6h\""),
];

/// The name of a key within its section.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

const fn required(path: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Required,
    }
}

const fn value(path: &'static str, toml: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Value(toml),
    }
}

const fn words(path: &'static str, words: &'static str) -> Key {
    Key {
        path,
        default: KeyDefault::Words(words),
    }
}
