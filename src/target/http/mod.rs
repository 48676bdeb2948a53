//! The one HTTP client: one address at a time, HTTP/1.1 over connections that are kept alive.
//!
//! It follows no redirect, sends no Referer, uses no proxy from the environment, asks for no compression, and reads at
//! most 64 KiB of a reply within one deadline for everything. Credentials go out only once the server has asked. What
//! goes wrong comes back as a [`Fault`], whose text never carries an address's query, a token or a password.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, redirect};
use url::Url;

use self::cookies::BoundedJar;
pub use self::fault::Fault;
use self::login::{Login, User};
use crate::config::TargetConfig;

pub(crate) mod challenge;
mod cookies;
mod digest;
mod fault;
pub(crate) mod login;
mod tls;

/// Most bytes of a body that are read.
pub const BODY_LIMIT: usize = 64 * 1024;

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
    pub body: Vec<u8>,
    /// Headers `WWW-Authenticate`.
    challenges: Vec<String>,
}

/// A client for one server. Safe to use concurrently.
pub struct HttpClient {
    client: Client,
    login: Login,
    timeout: Duration,
    /// How many connections may be idle now: each complete reply leaves one.
    idle: AtomicUsize,
    idle_limit: usize,
}

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

impl HttpClient {
    /// Sets up a client; nothing is sent yet.
    ///
    /// # Errors
    /// `ca_file` cannot be read, holds no certificate or is not PEM, or the system has no certificates to trust.
    pub fn new(options: &HttpOptions<'_>) -> anyhow::Result<Self> {
        let tls = tls::client_config(options.url.scheme() == "https", options.trust)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .cookie_provider(Arc::new(BoundedJar::default()))
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(options.idle_connections)
            .user_agent(concat!("cdrelay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(reqwest::Error::without_url)
            .context("the HTTP client cannot be set up")?;
        Ok(Self {
            client,
            login: Login::new(options.credentials.map(|(name, password)| User {
                name: name.to_owned(),
                password: password.to_owned(),
            })),
            timeout: options.timeout,
            idle: AtomicUsize::new(0),
            idle_limit: options.idle_connections,
        })
    }

    /// GETs an address. A request that meets a connection which the server closed while it was idle goes out again at
    /// once, once; a request that is answered with 401 goes out again with credentials, once.
    ///
    /// # Errors
    /// [`Fault`]
    pub async fn get(&self, url: &Url) -> Result<Reply, Fault> {
        self.within_deadline(url, Repeat::Once).await
    }

    /// The same for a request that must not arrive twice: a dead connection is a [`Fault::Garbled`].
    ///
    /// # Errors
    /// [`Fault`]
    pub async fn get_once(&self, url: &Url) -> Result<Reply, Fault> {
        self.within_deadline(url, Repeat::Never).await
    }

    /// The password in every form in which a reply could repeat it: to be struck out of texts that are shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.login.secrets()
    }

    async fn within_deadline(&self, url: &Url, repeat: Repeat) -> Result<Reply, Fault> {
        match tokio::time::timeout(self.timeout, self.converse(url, repeat)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Timeout(format!(
                "no complete reply within {}",
                humantime::format_duration(self.timeout)
            ))),
        }
    }

    /// At most two requests: the second only to answer a 401.
    async fn converse(&self, url: &Url, repeat: Repeat) -> Result<Reply, Fault> {
        let offered = self.login.authorization(url)?;
        let reply = self.exchange(url, offered.as_ref(), repeat).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let answer = self
            .login
            .answer(&reply.challenges, offered.as_ref(), url)?;
        let reply = self.exchange(url, Some(&answer), repeat).await?;
        if reply.status == 401 {
            return Err(self.login.refused());
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
        repeat: Repeat,
    ) -> Result<Reply, Fault> {
        crate::fault::point!("target.before_request", |error: std::io::Error| {
            Fault::Unreachable(format!("no connection to the CRM: {error}"))
        });
        let response = match self.send(url, authorization).await {
            Err(error)
                if repeat == Repeat::Once
                    && fault::is_closed_unanswered(&error)
                    && self.take_idle() =>
            {
                // A Digest counter that may have arrived must not be used again.
                let fresh = match authorization {
                    Some(_) => self.login.authorization(url)?,
                    None => None,
                };
                self.send(url, fresh.as_ref()).await
            }
            result => result,
        }
        .map_err(fault::explain)?;
        crate::fault::point!("target.answered", |error: std::io::Error| Fault::Garbled(
            format!("no complete reply: {error}")
        ));
        let reply = read(response).await?;
        crate::fault::point!("target.replied", |error: std::io::Error| Fault::Garbled(
            format!("no complete reply: {error}")
        ));
        self.leave_idle();
        tracing::debug!(
            status = reply.status,
            bytes = reply.body.len(),
            "the CRM replied"
        );
        Ok(reply)
    }

    async fn send(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let mut request = self.client.get(url.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        request.send().await
    }

    /// A complete reply leaves a connection idle; the pool keeps no more than its limit.
    fn leave_idle(&self) {
        let limit = self.idle_limit;
        let _ = self
            .idle
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |idle| {
                (idle < limit).then_some(idle + 1)
            });
    }

    /// Whether an idle connection can have been what failed. Each counts once, so that a server which drops every
    /// connection costs no more than one repetition for each reply that it gave.
    fn take_idle(&self) -> bool {
        self.idle
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |idle| {
                idle.checked_sub(1)
            })
            .is_ok()
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

/// Reads a reply, chunk by chunk, and stops at the limit. Dropping an unfinished response closes its connection.
async fn read(mut response: reqwest::Response) -> Result<Reply, Fault> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let mut reply = Reply {
        status,
        retry_after: text(headers, &reqwest::header::RETRY_AFTER),
        location: text(headers, &reqwest::header::LOCATION),
        challenges: headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
        body: Vec::new(),
    };
    match body(&mut response).await {
        Ok(body) => reply.body = body,
        // Redirects, missing rights, overload and failures say all by their status, whatever follows.
        Err(_) if matches!(status, 300..=399 | 401 | 403 | 407 | 408 | 425 | 429 | 500..=599) => {}
        Err(fault) => return Err(fault),
    }
    Ok(reply)
}

async fn body(response: &mut reqwest::Response) -> Result<Vec<u8>, Fault> {
    let too_long = || Fault::Garbled("the reply is longer than 64 KiB".to_owned());
    if response
        .content_length()
        .is_some_and(|length| length > BODY_LIMIT as u64)
    {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fault::explain)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
