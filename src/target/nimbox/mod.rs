//! A NiMbox-style web service: calls are created by GET with everything in the query, and keyed by start, source and
//! destination, so that a repeated create changes nothing.
//!
//! `request` writes the addresses, [`verdict`] reads the replies, [`strict`] is the JSON it accepts, `delete` the
//! deletion of days. Nothing here retries.

use std::fmt;

use anyhow::Context as _;
use chrono::{NaiveDate, Utc};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value;

use self::request::{ADDRESS_LIMIT, Requests};
use self::verdict::{Answer, Reading};
use super::http::{Fault, HttpClient, HttpOptions, Reply, Secrets};
use super::{CrmTarget, DeleteBounds, Deletion, Outcome, Probe, Trouble, TroubleKind};
use crate::call::WireForm;
use crate::config::{NimboxConfig, TargetConfig};

mod delete;
mod request;
pub mod strict;
pub mod verdict;

/// A NiMbox-style CRM.
pub struct Nimbox {
    http: HttpClient,
    requests: Requests,
    already_exists: Vec<String>,
    /// Everything a reply could repeat and no reason may show.
    hidden: Secrets,
}

impl Nimbox {
    /// Prepares to talk; nothing is sent yet.
    ///
    /// # Errors
    /// `ca_file` cannot be used, or the URL holds what it must not.
    pub fn new(config: &TargetConfig, own: &NimboxConfig) -> anyhow::Result<Self> {
        let http = HttpClient::new(&HttpOptions::for_target(config))
            .context("the CRM's connection cannot be set up")?;
        let token = own.token.expose();
        let hidden = http.secrets().and(Secrets::default().with(token));
        Ok(Self {
            requests: Requests::new(&config.url, token)?,
            already_exists: own.already_exists.clone(),
            hidden,
            http,
        })
    }

    fn reading(&self) -> Reading<'_> {
        Reading {
            already_exists: &self.already_exists,
            hidden: &self.hidden,
            now: Utc::now(),
        }
    }

    /// One attempt, and the reply where there was one.
    async fn ask(&self, call: &WireForm) -> (Outcome, Option<Reply>) {
        let address = self.requests.create(call);
        let length = address.length();
        if length > ADDRESS_LIMIT {
            let reason = format!(
                "not sent: the request would be {length} bytes long, and web servers take {ADDRESS_LIMIT}; shorten the \
                 number or the link by a rule or by `target.recording_url`"
            );
            return (Outcome::Rejected { reason }, None);
        }
        match self.http.get(&address).await {
            Ok(reply) => (
                verdict::classify(&answer(&reply), &self.reading()),
                Some(reply),
            ),
            Err(fault) => (unanswered(fault), None),
        }
    }

    fn verdict(&self, reply: Result<Reply, Fault>) -> Outcome {
        match reply {
            Ok(reply) => verdict::classify(&answer(&reply), &self.reading()),
            Err(fault) => unanswered(fault),
        }
    }
}

impl CrmTarget for Nimbox {
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        async move { self.ask(call).await.0 }.boxed()
    }

    fn tell<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, (Outcome, Option<Value>)> {
        async move {
            let (outcome, reply) = self.ask(call).await;
            (
                outcome,
                reply.and_then(|reply| self.hidden.object(&reply.body)),
            )
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        async move {
            match self.verdict(self.http.get(&self.requests.probe()).await) {
                Outcome::Unmatched { .. } | Outcome::Rejected { .. } => {
                    Probe::Ready("reachable, token accepted".to_owned())
                }
                Outcome::Delivered(_) => Probe::Ready(
                    "reachable, token accepted (it answers success to a call without start and numbers)"
                        .to_owned(),
                ),
                Outcome::Broken { reason } => Probe::Broken(reason),
                Outcome::NoVerdict(Trouble { kind: TroubleKind::Html, reason, .. }) => {
                    Probe::Broken(format!(
                        "{reason}; a login page or a wrong address: check `target.url`"
                    ))
                }
                Outcome::NoVerdict(trouble) => Probe::Unavailable(trouble.reason),
                Outcome::NotSent => Probe::Unavailable("nothing was sent".to_owned()),
            }
        }
        .boxed()
    }

    fn delete_bounds(&self, from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds> {
        delete::bounds(from, to)
    }

    fn delete(&self, bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        async move {
            // Never repeated, not even on an idle connection: the second reply would count nothing, and the first is lost.
            match self.http.get_once(&self.requests.delete(bounds)).await {
                Ok(reply) => delete::classify(&answer(&reply), &self.reading()),
                Err(fault) => delete::unanswered(fault),
            }
        }
        .boxed()
    }

    fn requests(&self) -> Option<u64> {
        Some(self.http.requests())
    }
}

impl fmt::Debug for Nimbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nimbox").finish_non_exhaustive()
    }
}

/// The request that goes out for a call, with `HIDDEN` in the place of the token.
pub(super) fn shown_request(base: &url::Url, call: &WireForm) -> anyhow::Result<String> {
    let address = Requests::new(base, "HIDDEN")?.create(call);
    Ok(format!("GET {}", address.text()))
}

fn answer(reply: &Reply) -> Answer<'_> {
    Answer {
        status: reply.status,
        retry_after: reply.retry_after.as_deref(),
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
