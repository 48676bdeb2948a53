//! A database server: where it is, how the connection to it is protected, how long it may take, and what its failures
//! mean.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{Host, Url};

use super::SourceError;
use crate::config::secret::Secret;
use crate::config::{DatabaseTls, SourceConfig};
use crate::text::Shown;

/// How long a database may take: each wait is bounded, so that no server that has fallen silent keeps a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// `source.timeout`
    timeout: Duration,
}

/// The two bounds of a statement that gives rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Longest wait for the first row, and from one row to the next.
    pub(super) silence: Duration,
    /// Longest time for all of them: a server that sends a row now and then holds a run no longer.
    pub(super) whole: Duration,
}

impl Patience {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout }
    }

    /// Longest wait for a connection, login included.
    pub(super) fn connect(self) -> Duration {
        self.timeout.min(LONGEST_CONNECT)
    }

    /// Longest wait for an answer that is one number, or describes the table.
    pub(super) fn answer(self) -> Duration {
        self.timeout
    }

    /// For the rows of a slice, or for a `pass` over the whole table. A pass without an index may read for minutes before
    /// it comes to the first row that is wanted.
    pub(super) fn rows(self, pass: bool) -> Limits {
        let (silence, whole) = if pass { (10, 60) } else { (1, 4) };
        Limits {
            silence: self.timeout.saturating_mul(silence),
            whole: self.timeout.saturating_mul(whole),
        }
    }
}

/// A server that is there has let a client in by then, however busy it is.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Where a server is and how to log in. Has no `Debug`, because it holds the password.
pub(crate) struct Server {
    /// Such as `MySQL`.
    pub(crate) product: &'static str,
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A local socket instead of host and port.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) password: Option<Secret>,
    pub(crate) protection: Protection,
}

/// How a connection is protected.
pub(crate) enum Protection {
    /// TLS, certificate and host name verified; with the text of a private CA's file.
    Verify { ca: Option<Vec<u8>> },
    /// No TLS.
    Plaintext,
}

impl Server {
    /// Reads `source.url`, `source.tls` and `source.ca_file`.
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub(super) fn from_config(
        product: &'static str,
        default_port: u16,
        url: &Url,
        config: &SourceConfig,
    ) -> Result<Self, SourceError> {
        let password = config.password.clone();
        Self::new(
            product,
            default_port,
            url,
            password,
            &config.tls,
            "source.url",
        )
    }

    /// The server that the setting `key` names by `url`.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] where the URL lacks something or has something unknown, or the CA's file is unusable.
    pub(crate) fn new(
        product: &'static str,
        default_port: u16,
        url: &Url,
        password: Option<Secret>,
        tls: &DatabaseTls,
        key: &str,
    ) -> Result<Self, SourceError> {
        let scheme = url.scheme();
        let user = decoded(url.username(), "user name")?;
        let database = decoded(url.path().trim_matches('/'), "database name")?;
        if user.is_empty() || database.is_empty() {
            let lacks = if user.is_empty() { "user" } else { "database" };
            return Err(SourceError::Unusable(format!(
                "`{key}` names no {lacks}; write it as {scheme}://USER@HOST:PORT/DATABASE"
            )));
        }
        let mut server = Self {
            product,
            host: host(url)?,
            port: url.port().unwrap_or(default_port),
            socket: None,
            user,
            database,
            password,
            protection: match tls {
                DatabaseTls::Plaintext => Protection::Plaintext,
                DatabaseTls::Verify { ca_file: None } => Protection::Verify { ca: None },
                DatabaseTls::Verify {
                    ca_file: Some(path),
                } => Protection::Verify {
                    ca: Some(read_ca(path)?),
                },
            },
        };
        for (key, value) in url.query_pairs() {
            match &*key {
                "socket" => server.socket = Some(PathBuf::from(&*value)),
                // How libpq writes the directory of PostgreSQL's socket.
                "host" if value.starts_with('/') => server.socket = Some(PathBuf::from(&*value)),
                other => {
                    return Err(SourceError::Unusable(format!(
                        "`source.url` has `{}`, which cdrelay does not know; only `socket` may follow the `?` (TLS is set \
                         by `source.tls` and `source.ca_file`)",
                        Shown(other)
                    )));
                }
            }
        }
        Ok(server)
    }

    /// How a MySQL or MariaDB is logged in to; `timezone` is that of the session, `None` the server's own. Its sql_mode
    /// stays as it is.
    pub(crate) fn mysql_options(&self, timezone: Option<&str>) -> MySqlConnectOptions {
        let mut options = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .timezone(timezone.map(str::to_owned))
            .charset("utf8mb4")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        if let Some(path) = &self.socket {
            options = options.socket(path);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        match &self.protection {
            Protection::Plaintext => options.ssl_mode(MySqlSslMode::Disabled),
            Protection::Verify { ca: None } => options.ssl_mode(MySqlSslMode::VerifyIdentity),
            Protection::Verify { ca: Some(ca) } => options
                .ssl_mode(MySqlSslMode::VerifyIdentity)
                .ssl_ca_from_pem(ca.clone()),
        }
    }

    /// How a PostgreSQL is logged in to. What the environment offers (PGPASSWORD, ~/.pgpass, PGSSLMODE) is not asked: the
    /// configuration says it all.
    pub(crate) fn postgres_options(&self) -> PgConnectOptions {
        let password = self.password.as_ref();
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .password(password.map_or("", |secret| secret.expose()))
            .application_name("cdrelay")
            .extra_float_digits(None)
            .disable_statement_logging();
        let options = match &self.socket {
            Some(directory) => options.socket(directory),
            None => options,
        };
        match &self.protection {
            Protection::Plaintext => options.ssl_mode(PgSslMode::Disable),
            Protection::Verify { ca: None } => options.ssl_mode(PgSslMode::VerifyFull),
            Protection::Verify { ca: Some(ca) } => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert_from_pem(ca.clone()),
        }
    }

    /// The server as messages name it: `MySQL at 127.0.0.1:3306`.
    pub(crate) fn place(&self) -> String {
        match &self.socket {
            Some(path) => format!("{} at {}", self.product, path.display()),
            None if self.host.contains(':') => {
                format!("{} at [{}]:{}", self.product, self.host, self.port)
            }
            None => format!("{} at {}:{}", self.product, self.host, self.port),
        }
    }

    /// What a failure means that is no answer of the database: the network, TLS, the protocol.
    pub(super) fn broken(&self, doing: &str, error: sqlx::Error) -> SourceError {
        let place = self.place();
        match error {
            sqlx::Error::Tls(reason) => SourceError::Unusable(format!(
                "no TLS with {place}: {reason}; switch TLS on there, or set `source.tls = \"plaintext\"` if the network \
                 between is trusted"
            )),
            sqlx::Error::Io(error) if is_tls(&error) => SourceError::Unusable(format!(
                "the certificate of {place} is not accepted: {error}; set `source.ca_file` to the CA that signed it, and \
                 use the host name that it was issued for in `source.url`"
            )),
            sqlx::Error::Io(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound
                ) =>
            {
                SourceError::Unreachable {
                    what: format!(
                        "no connection to {place}; see that the server runs there and that `source.url` is right"
                    ),
                    source: Some(error.into()),
                }
            }
            other => SourceError::Unreachable {
                what: format!("{place} failed while {doing}; run again, it may be back"),
                source: Some(cause(other)),
            },
        }
    }
}

/// Waits for `work`, at most `limit`.
///
/// A driver that panics over what a server sent counts as a broken connection: what comes from outside ends no run that
/// way. `work` owns its connection, so that one which did not finish is closed and never used again.
///
/// # Errors
/// Those of `work`; [`SourceError::Unreachable`] where it takes too long or panics.
pub(super) async fn within<T>(
    limit: Duration,
    place: &str,
    doing: &str,
    work: impl Future<Output = Result<T, SourceError>> + Send,
) -> Result<T, SourceError> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => done,
        Ok(Err(_panic)) => Err(SourceError::Unreachable {
            what: format!("{place} sent what its driver cannot read while {doing}; run again"),
            source: None,
        }),
        Err(_elapsed) => Err(late(limit, place, doing)),
    }
}

/// Waits for the next row of `rows`, at most `limit`.
///
/// # Errors
/// [`SourceError::Unreachable`] where none comes in time; the inner error is the driver's.
pub(super) async fn next_row<T>(
    limit: Duration,
    place: &str,
    doing: &str,
    next: impl Future<Output = Result<Option<T>, sqlx::Error>>,
) -> Result<Result<Option<T>, sqlx::Error>, SourceError> {
    let mut next = std::pin::pin!(next);
    // Most rows are there already, and need no clock; but what else goes on has its turn between them.
    tokio::task::consume_budget().await;
    match next.as_mut().now_or_never() {
        Some(row) => Ok(row),
        None => tokio::time::timeout(limit, next)
            .await
            .map_err(|_elapsed| late(limit, place, doing)),
    }
}

/// What a driver's error wraps: its own words name the wrapping and then say the same again.
pub(super) fn cause(error: sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Io(error) => error.into(),
        sqlx::Error::Database(error) => Refusal {
            code: error.code().unwrap_or_default().into_owned(),
            message: Shown(error.message()).to_string(),
        }
        .into(),
        other => other.into(),
    }
}

/// What a server said, with its code: the SQLSTATE, or SQLite's result code.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
struct Refusal {
    code: String,
    message: String,
}

fn late(limit: Duration, place: &str, doing: &str) -> SourceError {
    SourceError::Unreachable {
        what: format!(
            "{place} did not answer within {} while {doing}; run again when it is less busy, or raise `source.timeout`",
            humantime::format_duration(limit)
        ),
        source: None,
    }
}

fn host(url: &Url) -> Result<String, SourceError> {
    Ok(match url.host() {
        None => "localhost".to_owned(),
        Some(Host::Domain("")) => "localhost".to_owned(),
        Some(Host::Domain(name)) => decoded(name, "host")?,
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
    })
}

fn decoded(part: &str, what: &str) -> Result<String, SourceError> {
    match percent_decode_str(part).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        Ok(_) | Err(_) => Err(SourceError::Unusable(format!(
            "the {what} in `source.url` is no text; write bytes beyond ASCII as percent-encoded UTF-8"
        ))),
    }
}

fn read_ca(path: &std::path::Path) -> Result<Vec<u8>, SourceError> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| {
        SourceError::Unusable(format!(
            "`source.ca_file` {shown} cannot be read: {error}; name a file that cdrelay's user may read"
        ))
    })?;
    let mark: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if !text.windows(mark.len()).any(|part| part == mark) {
        return Err(SourceError::Unusable(format!(
            "`source.ca_file` {shown} holds no PEM certificate; name the CA's certificate, which starts with \
             -----BEGIN CERTIFICATE-----"
        )));
    }
    Ok(text)
}

fn is_tls(error: &std::io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some())
}
