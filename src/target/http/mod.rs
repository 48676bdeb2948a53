//! The one HTTP client: one address at a time, HTTP/1.1 over connections that are kept alive.
//!
//! It follows no redirect, sends no Referer, uses no proxy from the environment, asks for no compression, and reads at
//! most 64 KiB of a reply within one deadline for everything. Credentials go out only once the server has asked. What
//! goes wrong comes back as a [`Fault`], whose text never carries an address's query, a token or a password.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    SET_COOKIE, USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Request, Response};
use hyper_util::client::legacy::{Client, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

pub use self::address::{Address, Service};
use self::connector::Connector;
use self::cookies::BoundedJar;
pub use self::fault::Fault;
use self::kept::{Kept, came_over};
use self::login::{Login, User};
pub use self::secrets::Secrets;
use crate::config::TargetConfig;

mod address;
pub(crate) mod challenge;
mod connector;
mod cookies;
mod digest;
mod fault;
mod kept;
pub(crate) mod login;
mod once;
mod secrets;
mod tls;

/// Most bytes of a body that are read.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Longest time in which a closed connection says so: the longest round trip that is likely. A request that failed later
/// had arrived.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// Longest wait for a body that cannot change what the status says; a quarter of the deadline, where that is less.
const NEEDLESS_BODY: Duration = Duration::from_secs(1);

/// How long a connection may be idle before it is closed: many servers do so themselves after a minute or two.
const IDLE: Duration = Duration::from_secs(90);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cdrelay/", env!("CARGO_PKG_VERSION")));

/// How to talk to a server.
#[derive(Clone, Copy)]
pub struct HttpOptions<'a> {
    /// Any address of the server: `https` needs certificates, `http` none.
    pub url: &'a Url,
    /// Whose certificates count.
    pub trust: Trust<'a>,
    /// User name and password, sent only when the server asks.
    pub credentials: Option<(&'a str, &'a str)>,
    /// From the first byte of a request to the last byte of its reply, a repetition with credentials included.
    pub timeout: Duration,
    /// To a connection that is ready, TLS included.
    pub connect_timeout: Duration,
    /// Most idle connections that are kept.
    pub idle_connections: usize,
}

/// Whose certificates count.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// The system's authorities, and those of a PEM file.
    Authorities {
        /// A private CA.
        ca_file: Option<&'a Path>,
    },
    /// One certificate and no other: the SHA-256 of its DER form. Its name and dates do not matter.
    Pinned([u8; 32]),
}

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`.
    pub retry_after: Option<String>,
    /// Header `Location`.
    pub location: Option<String>,
    /// The body; empty where the status says all and the body could not be read.
    pub body: Bytes,
    /// Headers `WWW-Authenticate`.
    challenges: Vec<String>,
}

/// A client for one server. Safe to use concurrently.
pub struct HttpClient {
    pool: Client<Connector, Full<Bytes>>,
    cookies: BoundedJar,
    login: Login,
    timeout: Duration,
    kept: Kept,
    /// Requests that left.
    requests: AtomicU64,
}

/// Counts a request when it is dropped, unless it is known that nothing of it left: whoever gives a request up in the
/// middle cannot know.
struct Leaving<'a>(Option<&'a AtomicU64>);

/// Whether a request that met a dead connection may go out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Never,
}

impl<'a> HttpOptions<'a> {
    /// What a target's configuration says.
    #[must_use]
    pub fn for_target(config: &'a TargetConfig) -> Self {
        Self {
            url: &config.url,
            trust: match config.certificate_sha256 {
                Some(digest) => Trust::Pinned(digest),
                None => Trust::Authorities {
                    ca_file: config.ca_file.as_deref(),
                },
            },
            credentials: config
                .credentials
                .as_ref()
                .map(|c| (c.username.as_str(), c.password.expose())),
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
            idle_connections: config.concurrency,
        }
    }
}

/// The header that answers the challenges of a 401 to `url`, and the one that the next request carries: for tests that
/// make up challenges by the million.
///
/// # Errors
/// [`Fault`], as of a request.
#[doc(hidden)]
pub fn answers_to(
    user: (&str, &str),
    challenges: &[String],
    url: &Url,
) -> Result<(HeaderValue, Option<HeaderValue>), Fault> {
    let login = Login::new(Some(User {
        name: user.0.to_owned(),
        password: user.1.to_owned(),
    }));
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let first = login.answer(challenges, None, target)?;
    Ok((first, login.authorization(target)?))
}

impl HttpClient {
    /// Sets up a client; nothing is sent yet.
    ///
    /// # Errors
    /// `ca_file` cannot be read, holds no certificate or is not PEM, or the system has no certificates to trust.
    pub fn new(options: &HttpOptions<'_>) -> anyhow::Result<Self> {
        let tls = tls::client_config(options.url.scheme() == "https", options.trust)?;
        let connector = Connector::new(tls, options.connect_timeout);
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.idle_connections)
            .build(connector);
        Ok(Self {
            pool,
            cookies: BoundedJar::default(),
            login: Login::new(options.credentials.map(|(name, password)| User {
                name: name.to_owned(),
                password: password.to_owned(),
            })),
            timeout: options.timeout,
            kept: Kept::new(options.idle_connections),
            requests: AtomicU64::new(0),
        })
    }

    /// GETs an address. A request that meets a connection which the server closed while it was idle goes out again at
    /// once, once; a request that is answered with 401 goes out again with credentials, once.
    ///
    /// # Errors
    /// [`Fault`]
    pub async fn get(&self, address: &Address) -> Result<Reply, Fault> {
        self.within_deadline(address, Repeat::Once).await
    }

    /// The same for a request that must not arrive twice: a dead connection is a [`Fault::Garbled`].
    ///
    /// # Errors
    /// [`Fault`]
    pub async fn get_once(&self, address: &Address) -> Result<Reply, Fault> {
        self.within_deadline(address, Repeat::Never).await
    }

    /// User name and password: to be struck out of texts that are shown.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.login.secrets()
    }

    /// How many requests have left, repetitions included. One that found no connection is none.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn within_deadline(&self, address: &Address, repeat: Repeat) -> Result<Reply, Fault> {
        match tokio::time::timeout(self.timeout, self.converse(address, repeat)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Timeout(format!(
                "no complete reply within {}",
                humantime::format_duration(self.timeout)
            ))),
        }
    }

    /// At most two requests: the second only to answer a 401.
    async fn converse(&self, address: &Address, repeat: Repeat) -> Result<Reply, Fault> {
        let offered = self.login.authorization(address.target())?;
        let reply = self.exchange(address, offered.as_ref(), repeat).await?;
        if reply.status != 401 {
            if offered.is_some() {
                self.login.accepted();
            }
            return Ok(reply);
        }
        let answer = self
            .login
            .answer(&reply.challenges, offered.as_ref(), address.target())?;
        let reply = self.exchange(address, Some(&answer), repeat).await?;
        if reply.status == 401 {
            return Err(self.login.refused_again(&reply.challenges));
        }
        self.login.accepted();
        Ok(reply)
    }

    async fn exchange(
        &self,
        address: &Address,
        authorization: Option<&HeaderValue>,
        repeat: Repeat,
    ) -> Result<Reply, Fault> {
        let started = Instant::now();
        crate::fault::point!("target.before_request", |error: std::io::Error| {
            Fault::Unreachable(format!("no connection to the CRM: {error}"))
        });
        let response = match self.send(address, authorization).await {
            Err(error) if repeat == Repeat::Once && self.was_closed_idle(&error, started) => {
                tracing::trace!(
                    "a connection had been closed while it was idle; the request goes out again"
                );
                // A Digest counter that may have arrived must not be used again.
                let fresh = match authorization {
                    Some(_) => self.login.authorization(address.target())?,
                    None => None,
                };
                self.send(address, fresh.as_ref()).await
            }
            result => result,
        }
        .map_err(|error| fault::explain(&error, error.is_connect()))?;
        crate::fault::point!("target.answered", |error: std::io::Error| Fault::Garbled(
            format!("no complete reply: {error}")
        ));
        let connection = came_over(response.extensions());
        self.keep_cookies(address, response.headers());
        let (reply, whole) = read(response, NEEDLESS_BODY.min(self.timeout / 4)).await?;
        crate::fault::point!("target.replied", |error: std::io::Error| Fault::Garbled(
            format!("no complete reply: {error}")
        ));
        if whole {
            self.kept.replied(connection);
        }
        tracing::debug!(
            status = reply.status,
            bytes = reply.body.len(),
            "the CRM replied"
        );
        Ok(reply)
    }

    /// Whether the server closed the connection before the request arrived. It shows as an end without a reply, at once,
    /// on a connection that had served before; a server that takes a request and then hangs up does not look so on a new
    /// connection, and nor does one that thinks about it first.
    fn was_closed_idle(&self, error: &PoolError, started: Instant) -> bool {
        fault::is_closed_unanswered(error)
            && self.kept.forget(error)
            && started.elapsed() <= ROUND_TRIP
    }

    async fn send(
        &self,
        address: &Address,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, PoolError> {
        tracing::trace!(
            path = address.uri().path(),
            query_bytes = address.uri().query().map_or(0, str::len),
            credentials = authorization.is_some(),
            "a request goes out"
        );
        let mut request = self.request(address, Full::default());
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        self.transmit(request).await
    }

    /// A GET with what every request carries.
    fn request(&self, address: &Address, body: Full<Bytes>) -> Request<Full<Bytes>> {
        let mut request = Request::new(body);
        *request.uri_mut() = address.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, AGENT);
        if self.cookies.is_used()
            && let Some(cookies) = address.url().and_then(|url| self.cookies.header(&url))
        {
            headers.insert(COOKIE, cookies);
        }
        request
    }

    /// Sends it and counts it, unless it is known that nothing of it left.
    async fn transmit(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, PoolError> {
        let mut leaving = Leaving(Some(&self.requests));
        let sent = self.pool.request(request).await;
        if sent.as_ref().is_err_and(PoolError::is_connect) {
            leaving.0 = None;
        }
        sent
    }

    fn keep_cookies(&self, address: &Address, headers: &HeaderMap) {
        if headers.contains_key(SET_COOKIE)
            && let Some(url) = address.url()
        {
            self.cookies.set(headers.get_all(SET_COOKIE).iter(), &url);
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(requests) = self.0 {
            requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for HttpOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("host", &self.url.host_str())
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Reads a reply, chunk by chunk, and stops at the limit; says whether it came to its end. A body that cannot change what
/// the status says is waited for as long as `needless`. Dropping an unfinished response closes its connection.
async fn read(response: Response<Incoming>, needless: Duration) -> Result<(Reply, bool), Fault> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let mut reply = Reply {
        status,
        retry_after: text(headers, &RETRY_AFTER),
        location: text(headers, &LOCATION),
        challenges: headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
        body: Bytes::new(),
    };
    if !says_all(status) {
        reply.body = body(response.into_body()).await?;
        return Ok((reply, true));
    }
    let body = tokio::time::timeout(needless, body(response.into_body())).await;
    let whole = matches!(body, Ok(Ok(_)));
    if let Ok(Ok(body)) = body {
        reply.body = body;
    }
    Ok((reply, whole))
}

/// Redirects, missing rights, overload and failures say all by their status, whatever follows.
fn says_all(status: u16) -> bool {
    matches!(status, 300..=399 | 401 | 403 | 407 | 408 | 425 | 429 | 500..=599)
}

async fn body(mut incoming: Incoming) -> Result<Bytes, Fault> {
    let too_long = || Fault::Garbled("the reply is longer than 64 KiB".to_owned());
    if incoming
        .size_hint()
        .exact()
        .is_some_and(|length| length > BODY_LIMIT as u64)
    {
        return Err(too_long());
    }
    // Most replies come in one piece, which is then taken as it is.
    let mut whole = Bytes::new();
    let mut pieces = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| fault::explain(&error, false))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if whole.len() + pieces.len() + piece.len() > BODY_LIMIT {
            return Err(too_long());
        }
        if whole.is_empty() && pieces.is_empty() {
            whole = piece;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&piece);
        }
    }
    Ok(if pieces.is_empty() {
        whole
    } else {
        pieces.into()
    })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
