//! BGCRM, BGERP: each call runs a class on the CRM's side, with the caller's number and some constants.
//!
//! What the class does is its owner's business: it opens a process, mostly. It has no key, so a second request opens a
//! second one; a request goes out once and over a connection of its own, and where its outcome is unknown the answer says so.
//! `request` writes addresses and forms, [`verdict`] reads the replies.

use std::fmt;

use anyhow::Context as _;
use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value;

use self::request::{ADDRESS_LIMIT, Request, Requests};
use self::verdict::Answer;
use super::http::{Address, Fault, HttpClient, HttpOptions, Reply, Secrets};
use super::{CrmTarget, DeleteBounds, Deletion, Keying, Outcome, Probe, Trouble, TroubleKind};
use crate::call::WireForm;
use crate::config::secret::Secret;
use crate::config::{BgcrmConfig, Credentials, TargetConfig};

mod request;
pub mod verdict;

/// A BGCRM.
pub struct Bgcrm {
    http: HttpClient,
    requests: Requests,
    keying: Keying,
    /// Everything a reply could repeat and no reason may show.
    hidden: Secrets,
}

/// The request that goes out for a call, with `HIDDEN` in the place of who asks.
pub(super) fn shown_request(
    base: &url::Url,
    own: &BgcrmConfig,
    call: &WireForm,
) -> anyhow::Result<String> {
    let nobody = Credentials {
        username: "HIDDEN".to_owned(),
        password: Secret::new("HIDDEN".to_owned()).map_err(anyhow::Error::msg)?,
    };
    let form = call.form.as_deref().context("the call has no form")?;
    let Request { address, form } = Requests::new(base, own, &nobody)?.run(form);
    Ok(match form {
        Some(form) => format!("POST {address} with {form}"),
        None => format!("GET {address}"),
    })
}

impl Bgcrm {
    /// Prepares to talk; nothing is sent yet.
    ///
    /// # Errors
    /// `ca_file` cannot be used, or the URL holds what it must not, or there is no user.
    pub fn new(config: &TargetConfig, own: &BgcrmConfig) -> anyhow::Result<Self> {
        let http = HttpClient::new(&HttpOptions {
            // They stand in the form; a server that asks for Basic or Digest before it is another matter.
            credentials: None,
            // On a connection that was kept, nobody could tell one that the server had closed meanwhile, where nothing
            // arrived, from one that broke off after it had acted.
            idle_connections: 0,
            ..HttpOptions::for_target(config)
        })
        .context("the CRM's connection cannot be set up")?;
        let user = config
            .credentials
            .as_ref()
            .context("target.username is not set, and BGCRM asks for a user with every call")?;
        Ok(Self {
            requests: Requests::new(&config.url, own, user)?,
            keying: Keying::Keyless {
                on_unknown: own.on_unknown,
            },
            hidden: Secrets::default()
                .with(user.password.expose())
                .with_name(&user.username),
            http,
        })
    }

    async fn ask(&self, request: &Request) -> (Outcome, Option<Reply>) {
        let form = request.form.as_deref();
        let address = match Address::new(&request.address) {
            Ok(address) => address,
            Err(error) => {
                let reason = format!("{error:#}; check `target.url`");
                return (Outcome::Broken { reason }, None);
            }
        };
        match self.http.send_once(&address, form).await {
            Ok(reply) => (
                verdict::classify(&answer(&reply), &self.hidden),
                Some(reply),
            ),
            Err(fault) => (unanswered(fault), None),
        }
    }

    async fn run(&self, call: &WireForm) -> (Outcome, Option<Reply>) {
        let Some(form) = &call.form else {
            // Frozen for another kind of CRM: it says nothing about what the class is to be given.
            let reason = "not sent: it was recorded for a CRM of another kind; give this configuration a `job` of its own";
            return (
                Outcome::Broken {
                    reason: reason.to_owned(),
                },
                None,
            );
        };
        let request = self.requests.run(form);
        let length = request.address.as_str().len();
        if length > ADDRESS_LIMIT {
            let reason = format!(
                "not sent: the request would be {length} bytes long, and web servers take {ADDRESS_LIMIT}; set \
                 `target.method = \"post\"`"
            );
            return (Outcome::Rejected { reason }, None);
        }
        self.ask(&request).await
    }
}

impl CrmTarget for Bgcrm {
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        async move { self.run(call).await.0 }.boxed()
    }

    fn tell<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, (Outcome, Option<Value>)> {
        async move {
            let (outcome, reply) = self.run(call).await;
            let object = reply.and_then(|reply| self.hidden.object(&reply.body));
            (outcome, object)
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        async move {
            match self.ask(&self.requests.probe()).await.0 {
                // A request that names no class runs none, whatever the words for that are.
                Outcome::Delivered(_) | Outcome::Unmatched { .. } | Outcome::Rejected { .. } => {
                    Probe::Ready("reachable, user and password accepted".to_owned())
                }
                Outcome::Broken { reason } => Probe::Broken(reason),
                Outcome::NoVerdict(Trouble {
                    kind: TroubleKind::Html,
                    reason,
                    ..
                }) => Probe::Broken(format!("{reason}; check `target.url`")),
                Outcome::NoVerdict(trouble) => Probe::Unavailable(trouble.reason),
                Outcome::NotSent => Probe::Unavailable("nothing was sent".to_owned()),
            }
        }
        .boxed()
    }

    fn delete_bounds(&self, _from: NaiveDate, _to: NaiveDate) -> Option<DeleteBounds> {
        None
    }

    fn delete(&self, _bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        let reason = "BGCRM has no way to undo what its classes did".to_owned();
        std::future::ready(Deletion::NotSent { reason }).boxed()
    }

    fn keying(&self) -> Keying {
        self.keying
    }

    fn requests(&self) -> Option<u64> {
        Some(self.http.requests())
    }
}

impl fmt::Debug for Bgcrm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bgcrm").finish_non_exhaustive()
    }
}

fn answer(reply: &Reply) -> Answer<'_> {
    Answer {
        status: reply.status,
        location: reply.location.as_deref(),
        body: &reply.body,
    }
}

fn unanswered(fault: Fault) -> Outcome {
    let (kind, reason) = match fault {
        Fault::Unreachable(reason) => (TroubleKind::Unreachable, reason),
        Fault::Timeout(reason) => (TroubleKind::Timeout, reason),
        Fault::Garbled(reason) => (TroubleKind::Garbled, reason),
        Fault::Broken(reason) => return Outcome::Broken { reason },
    };
    Outcome::NoVerdict(Trouble {
        kind,
        reason,
        retry_after: None,
    })
}
