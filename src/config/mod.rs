//! What a user can set: the types, their defaults and the reasons for them.
//!
//! [`load`] reads the file, reports every problem at once with file and line, and gives a [`Config`] in which nothing
//! needs to be checked again. Secrets are read here and nowhere else.
//!
//! This file has the settings themselves, [`known_keys`] their list with defaults. `load.rs` goes through the file, with
//! one file a section below it; `reader.rs` is what they read with, and knows lines and misspelt keys. [`locate`] says
//! which file it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use url::Url;

mod fingerprint;
mod keys;
mod load;
mod locate;
mod names;
mod nearest;
mod problem;
mod reader;
mod report;
pub mod secret;
pub mod span;
mod words;

pub use keys::{Key, KeyDefault, ROLES, known_keys};
pub use load::{RuleSet, load, load_collector, load_rules};
pub use locate::{LOCAL_FILE, LocateError, SYSTEM_FILE, VARIABLE, effective_user, locate};
pub use names::{COLUMN_NAMES, is_column_name};
pub use problem::{ConfigErrors, Problem};
use secret::Secret;

/// One configuration: one PBX to one CRM.
#[derive(Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// Names this replication in the ledger and in metrics. Default: the file's stem.
    pub job: String,
    /// Where calls come from.
    pub source: SourceConfig,
    /// Which rows are calls to send.
    pub select: SelectConfig,
    /// The rule chain, in order, for both numbers.
    pub rules: Vec<RuleConfig>,
    /// Examples that the chain must fulfil.
    pub rule_tests: Vec<RuleTest>,
    /// Where calls go.
    pub target: TargetConfig,
    /// What is told while a call happens.
    pub agi: AgiConfig,
    /// The record of what was sent.
    pub ledger: LedgerConfig,
    /// Who is told.
    pub monitor: MonitorConfig,
    /// The receiver of call events, where the file has one.
    pub collector: Option<CollectorConfig>,
}

/// What `cdrelay collect` reads of a file.
#[derive(Debug)]
pub struct CollectorSetup {
    /// The file it came from.
    pub path: PathBuf,
    /// As in [`Config`].
    pub job: String,
    /// The rule chain, for `cti_bridge`'s routes.
    pub rules: Vec<RuleConfig>,
    /// Examples that the chain must fulfil.
    pub rule_tests: Vec<RuleTest>,
    /// The receiver itself.
    pub collector: CollectorConfig,
    /// `ledger.path`, where it is written: for the figures of `sync`'s runs.
    pub ledger: Option<PathBuf>,
}

/// `[collector]`
#[derive(Debug)]
pub struct CollectorConfig {
    /// Where it listens; beyond loopback only with a secret. Default `127.0.0.1:8098`.
    pub listen: SocketAddr,
    /// From `secret_file`, `CDRELAY_COLLECTOR_SECRET`, or `secret`: what every sender has to show.
    pub secret: Option<Secret>,
    /// Where events and the table `cdr` are kept. Default a SQLite file in the state directory.
    pub store: StoreLocation,
    /// From `store_password_file`, `CDRELAY_STORE_PASSWORD`, `store_password`, or the address.
    pub store_password: Option<Secret>,
    /// Default as for the source.
    pub store_tls: DatabaseTls,
    /// The zone of `calldate`. Required: `sync` needs the same as `source.timezone`.
    pub timezone: Tz,
    /// How long a call must have been quiet before its row appears. Default 2 s: events of one second come in any order.
    pub settle: Duration,
    /// How long a call without an end may be quiet before it is closed. Default 12 h, longer than any call.
    pub close_after: Duration,
    /// How long the events of a finished call are kept for corrections. Default 30 d.
    pub retention: Duration,
    /// Most connections at one time. Default 256.
    pub connections: usize,
    /// `[collector.astercc]`: zone of `eventTime`; default `timezone`.
    pub astercc_timezone: Tz,
    /// `[collector.astercc]`: channel of an nginx push module to read events from.
    pub astercc_subscribe: Option<Url>,
    /// `[collector.freeswitch]`: zone of the stamps; default `timezone`.
    pub freeswitch_timezone: Tz,
    /// `[collector.cti_bridge]`: how its parameters are called.
    pub cti_bridge_names: crate::collector::cti_bridge::Names,
    /// `[collector.cti_bridge]`: how soon a request has its answer. Default 2 s, below the application's own 3 s.
    pub answer_within: Duration,
    /// `[[collector.cti_bridge.routes]]`, in order.
    pub routes: Vec<crate::collector::cti_bridge::dial::Route>,
    /// `[collector.cti_bridge.fallback]`. Default: hang up with cause 41, a failure that may pass.
    pub fallback: crate::collector::cti_bridge::dial::Route,
}

/// The kinds of store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// `mysql://` or `mariadb://`; the URL holds no password.
    Mysql(Url),
    /// `postgres://` or `postgresql://`; the URL holds no password.
    Postgres(Url),
    /// `sqlite://PATH`
    Sqlite(PathBuf),
}

/// `[source]`
#[derive(Debug)]
pub struct SourceConfig {
    /// Where, with user name and without password.
    pub location: SourceLocation,
    /// From `password_file`, `CDRELAY_SOURCE_PASSWORD`, `password`, or the URL.
    pub password: Option<Secret>,
    /// Default `cdr`; may be `schema.table`.
    pub table: TableName,
    /// The zone that a time column without offset is written in. Required.
    pub timezone: Tz,
    /// Default: plaintext on loopback and over a local socket, else verify.
    pub tls: DatabaseTls,
    /// Longest silence of a database: how long an answer, or the next row of one, may take. Default 60 s: many times what
    /// the slice of a busy server takes, and short enough for four tries within the five minutes between two runs.
    pub timeout: Duration,
    /// `[source.columns]`: role to column, where inspection is not to decide.
    pub columns: BTreeMap<String, String>,
    /// Layout of a CSV file that is not a stock `Master.csv`: its columns' names (as in `[source.columns]` or Asterisk's
    /// own), in order. Default: decided by the number of columns and the content of the 17th.
    pub csv_columns: Option<Vec<String>>,
}

/// The kinds of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceLocation {
    /// `mysql://` or `mariadb://`; the URL holds no password.
    Mysql(Url),
    /// `postgres://` or `postgresql://`; the URL holds no password.
    Postgres(Url),
    /// `sqlite://PATH`
    Sqlite(PathBuf),
    /// `csv:PATH`
    Csv(PathBuf),
}

/// A table's name: each part matches `[A-Za-z_][A-Za-z0-9_$]*`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Schema or database, where given.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

/// How the connection to the database is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseTls {
    /// TLS, certificate and host name verified, against the system's roots or `ca_file`.
    Verify {
        /// A private CA, PEM.
        ca_file: Option<PathBuf>,
    },
    /// No TLS.
    Plaintext,
}

/// `[select]`
#[derive(Debug, Clone)]
pub struct SelectConfig {
    /// How far an incremental run looks back. Default 200 h: a row is written at hangup, so the longest call, Asterisk's
    /// batch time and an outage of the CRM over a long weekend must fit.
    pub lookback: Duration,
    /// How far a full run looks back. Default 360 d.
    pub full_lookback: Duration,
    /// Fewest characters of the raw `dst`. Default 7, which leaves out extensions; 0 turns it off.
    pub min_destination_length: usize,
    /// Dispositions to send. Empty: all. Looked at row by row, before rows of one call are folded.
    pub dispositions: Vec<crate::call::Disposition>,
    /// Asterisk patterns of raw destinations to leave out.
    pub exclude: Vec<crate::number::dialplan::Pattern>,
    /// Texts in the source column that mean "number withheld", compared without regard to case. Default none: only an
    /// empty column does, because a number is sent as the column holds it.
    pub withheld: Vec<String>,
    /// `[select.where]`: what the named columns must hold. Empty: anything.
    pub filters: Vec<crate::cdr::filter::ColumnFilter>,
    /// How long an unmatched number rests before an incremental run asks again. Default 24 h.
    pub recheck_unmatched: Duration,
    /// Time of day, in `source.timezone`, from which on `cdrelay run --auto` owes the day's full run. Default 23:00: the
    /// offices are closed, and the day's calls are in the table.
    pub full_at: chrono::NaiveTime,
}

/// One `[[rules]]` entry.
#[derive(Debug, Clone)]
pub struct RuleConfig {
    /// For traces; default: the kind and its argument.
    pub name: String,
    /// Which number it rewrites. Default destination.
    pub on: Side,
    /// A dialplan pattern that must match for the rule to apply; any kind may have one.
    pub guard: Option<crate::number::dialplan::Pattern>,
    /// What it does.
    pub kind: RuleKind,
    /// Ends the chain when the rule applied. Default false.
    pub stop: bool,
    /// Line in the configuration file.
    pub line: usize,
}

/// The two numbers of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller.
    Source,
    /// The number called.
    Destination,
}

/// What a rule does.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// `rewrite`: a template with `${EXTEN:offset:length}`.
    Rewrite(crate::number::substring::Template),
    /// `strip_prefix`
    StripPrefix(String),
    /// `add_prefix`, with `when_length`.
    AddPrefix {
        /// What to put in front.
        prefix: String,
        /// Only numbers of this many characters.
        when_length: Option<usize>,
    },
    /// `regex` and `replace`, or `regex` and `drop` (no replacement).
    Regex {
        /// Not anchored by itself.
        regex: regex::Regex,
        /// `$1`, `${1}`, `${name}`; `None` with `drop = true`.
        replace: Option<String>,
    },
    /// `e164`: the region that national numbers are read in, ISO 3166.
    E164 {
        /// Such as `VE`.
        region: String,
    },
    /// `table`: a CSV file of two columns, number and replacement.
    Table(PathBuf),
    /// `drop = true`, with `match`.
    Drop,
}

/// One `[[rule_tests]]` entry: `number` must become `becomes`, or be dropped (`drop = true`).
#[derive(Debug, Clone)]
pub struct RuleTest {
    /// The raw number.
    pub number: String,
    /// What the chain must make of it; `None`: it must drop the call.
    pub becomes: Option<String>,
    /// Which chain. Default destination.
    pub on: Side,
    /// Line in the configuration file.
    pub line: usize,
}

/// `[target]`
#[derive(Debug)]
pub struct TargetConfig {
    /// Which CRM, and what only that kind has.
    pub kind: TargetKind,
    /// Base address.
    pub url: Url,
    /// User name and password: for Basic or Digest with NiMbox, for the form with BGCRM, which requires them.
    pub credentials: Option<Credentials>,
    /// A private CA, PEM, beside the system's roots.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the one certificate (DER) that is accepted, instead of any CA.
    pub certificate_sha256: Option<[u8; 32]>,
    /// A whole request. Default 30 s.
    pub timeout: Duration,
    /// Default 5 s.
    pub connect_timeout: Duration,
    /// Most requests in flight, 1 to 1024. Default 32.
    pub concurrency: usize,
    /// Most requests a second. Default none.
    pub max_rps: Option<u32>,
    /// How the start goes over the wire. Required for NiMbox; BGCRM gets none, and the ledger shows it as `utc`.
    pub initiated_as: InitiatedAs,
    /// What to send as source where the caller withheld the number; `None`: such calls are skipped.
    pub empty_source: Option<String>,
    /// Template of the link to the recording; `None`: no link. NiMbox alone takes one.
    pub recording_url: Option<crate::cdr::recording::UrlTemplate>,
}

/// Who logs in.
#[derive(Debug)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// From `password_file`, `CDRELAY_TARGET_PASSWORD`, or `password`.
    pub password: Secret,
}

/// The CRMs that `target.kind` names.
#[derive(Debug)]
pub enum TargetKind {
    /// A NiMbox-style web service.
    Nimbox(NimboxConfig),
    /// BGCRM, BGERP: calls a class.
    Bgcrm(BgcrmConfig),
}

/// What only NiMbox has.
#[derive(Debug)]
pub struct NimboxConfig {
    /// From `token_file`, `CDRELAY_TARGET_TOKEN`, or `token`. Required.
    pub token: Secret,
    /// Texts in a refusal that mean "is there already", compared without regard to case.
    /// Default `ya existe`, `already exist`, `duplicad`.
    pub already_exists: Vec<String>,
}

/// What only BGCRM has.
#[derive(Debug, Clone)]
pub struct BgcrmConfig {
    /// What is called: class, constants, and the name that the caller's number goes under.
    pub form: crate::cdr::form::CallForm,
    /// Which of the two actions runs it. Default `dynamic.do`.
    pub path: BgcrmPath,
    /// Default POST, so that the password stands in no address.
    pub method: BgcrmMethod,
    /// What becomes of a call whose outcome nobody knows. Default: held.
    pub on_unknown: OnUnknown,
}

/// The two actions of BGCRM that run a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BgcrmPath {
    /// `dynamic.do`, `action=runDynamicClass`: the older one, which successors still have.
    Dynamic,
    /// `run.do`, `method=runClass`.
    Run,
}

/// HTTP methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BgcrmMethod {
    /// Everything in the body.
    Post,
    /// Everything in the address, the password too.
    Get,
}

/// What becomes of a call that a CRM without keys may have acted upon without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// A person decides.
    Hold,
    /// Sent again: it may be there twice then.
    Resend,
}

/// The four renderings of a call's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitiatedAs {
    /// `2012-08-23T16:50:33Z`
    Utc,
    /// `2012-08-23T12:20:33-04:30`
    Offset,
    /// `2012-08-23T12:20:33`
    Local,
    /// `2012-08-23T12:20:33Z` for 12:20:33 local time: wrong, and what the reference script sent.
    LocalZ,
}

/// `[agi]`
#[derive(Debug, Clone)]
pub struct AgiConfig {
    /// How long Asterisk waits at most, and with it the caller. Default 4 s.
    pub timeout: Duration,
    /// `[agi.set]`: channel variables, and where in the CRM's reply their values stand.
    pub set: Vec<(String, crate::agi::variable::JsonPath)>,
}

/// `[ledger]`
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// Default `cdrelay/JOB.db` in the state directory of the user who runs it.
    pub path: PathBuf,
    /// At least the longer lookback + 31 d, so that an entry outlives every window that can ask for it. Default 400 d, or
    /// that where it is more.
    pub retention: Duration,
}

/// `[monitor]`
#[derive(Debug, Clone)]
pub struct MonitorConfig {
    /// Prometheus textfile; `None`: none.
    pub textfile: Option<PathBuf>,
    /// Address called on start, success and failure; `None`: none.
    pub ping_url: Option<PingUrl>,
    /// A private CA for the ping address, PEM, beside the system's roots.
    pub ca_file: Option<PathBuf>,
    /// How old the last success may grow before `--quiet` speaks about 4 and 11. Default 6 h.
    pub alert_after: Duration,
}

/// An address that whoever knows it can call: it is a secret, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PingUrl(Url);

impl PingUrl {
    /// The address itself: only for the request.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PingUrl(***)")
    }
}
