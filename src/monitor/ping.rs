//! The ping: an address that is called when a run begins, succeeds or fails, so that a service outside notices silence.
//!
//! In the manner of healthchecks.io: the address itself means success, `/start` and `/fail` behind it the rest. Nothing is
//! sent but the call. The address is a secret, and no message holds any part of it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use url::Url;

use super::PATIENCE;
use crate::config::{MonitorConfig, PingUrl};
use crate::report::exit::{Code, Exit};
use crate::target::http::{Address, Fault, HttpClient, HttpOptions, Trust};

/// Rest before the one repetition.
const REST: Duration = Duration::from_millis(500);

/// What the address is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Start,
    Success,
    Failure,
}

impl Signal {
    /// How a run's end is told. What heals by itself is neither success nor failure, until it has not for too long.
    fn of(exit: &Exit) -> Option<Self> {
        match exit.code {
            Code::Settled | Code::Look => Some(Self::Success),
            Code::Internal
            | Code::Usage
            | Code::Incomplete
            | Code::Source
            | Code::Crm
            | Code::LedgerMissing
            | Code::Locked
            | Code::LedgerUnusable
            | Code::Interrupted
            | Code::Terminated => exit.alert.then_some(Self::Failure),
        }
    }

    fn address(self, base: &PingUrl) -> Url {
        let mut url = base.expose().clone();
        let end = match self {
            Self::Success => return url,
            Self::Start => "/start",
            Self::Failure => "/fail",
        };
        let path = format!("{}{end}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    fn words(self) -> &'static str {
        match self {
            Self::Start => "that the run began",
            Self::Success => "that the run succeeded",
            Self::Failure => "that the run failed",
        }
    }
}

/// The address and the way there.
#[derive(Debug)]
pub(super) struct Ping {
    client: Arc<HttpClient>,
    url: PingUrl,
    /// The call for the start, which is under way beside the run.
    start: RefCell<Option<JoinHandle<()>>>,
}

impl Ping {
    /// `None` where no address is set, or it cannot be called at all.
    pub(super) fn new(config: &MonitorConfig) -> Option<Self> {
        let url = config.ping_url.clone()?;
        let options = HttpOptions {
            url: url.expose(),
            trust: Trust::Authorities {
                ca_file: config.ca_file.as_deref(),
            },
            credentials: None,
            timeout: PATIENCE,
            connect_timeout: PATIENCE,
            idle_connections: 1,
        };
        match HttpClient::new(&options) {
            Ok(client) => Some(Self {
                client: Arc::new(client),
                url,
                start: RefCell::default(),
            }),
            Err(_) => {
                tracing::warn!(
                    "monitor.ping_url cannot be called: there are no certificate authorities to verify it by; check \
                     `monitor.ca_file`, or install the package `ca-certificates`"
                );
                None
            }
        }
    }

    /// Calls beside the run, which does not wait for it.
    pub(super) fn begins(&self) {
        let calling = call(Arc::clone(&self.client), self.url.clone(), Signal::Start);
        self.start.replace(Some(tokio::spawn(calling)));
    }

    /// Calls as the exit demands, after the call for the start: told in the wrong order, a run would seem to last for ever.
    pub(super) async fn ended(&self, exit: &Exit) {
        let start = self.start.take();
        if let Some(start) = start {
            let _ = start.await;
        }
        if let Some(signal) = Signal::of(exit) {
            call(Arc::clone(&self.client), self.url.clone(), signal).await;
        }
    }
}

/// Calls, and once more where that failed and there is time; a failure is a warning.
async fn call(client: Arc<HttpClient>, url: PingUrl, signal: Signal) {
    let url = signal.address(&url);
    let calling = async {
        match once(&client, &url).await {
            Ok(()) => Ok(()),
            Err(_) => {
                tokio::time::sleep(REST).await;
                once(&client, &url).await
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, calling)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()));
    if let Err(why) = told {
        tracing::warn!(
            "monitor.ping_url was not told {}: {why}; the run itself is not affected",
            signal.words()
        );
    }
}

/// The client's own log lines name the path of what it asks for, so it is not listened to here.
async fn once(client: &HttpClient, url: &Url) -> Result<(), String> {
    let address =
        Address::new(url).map_err(|_| "it is an address that cannot be sent".to_owned())?;
    let reply = client
        .get(&address)
        .with_subscriber(NoSubscriber::default())
        .await
        .map_err(|fault| plain(&fault).to_owned())?;
    match reply.status {
        200..=299 => Ok(()),
        300..=399 => Err(format!(
            "it answered with a redirect (HTTP {}), which is not followed",
            reply.status
        )),
        status => Err(format!("it answered with HTTP {status}")),
    }
}

/// The fault's own words speak of the CRM and may name the host.
fn plain(fault: &Fault) -> &'static str {
    match fault {
        Fault::Unreachable(_) => "no connection",
        Fault::Timeout(_) => "no answer in time",
        Fault::Garbled(_) => "no complete answer",
        Fault::Broken(_) => {
            "its certificate is not accepted, or it asks for a login; a private authority goes into `monitor.ca_file`"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(code: Code, alert: bool, expected: Option<Signal>) {
        let exit = Exit {
            alert,
            ..Exit::new(code, "")
        };
        assert_eq!(Signal::of(&exit), expected, "{code:?} {alert}");
    }

    #[test]
    fn what_heals_by_itself_is_no_failure_until_it_has_not_for_too_long() {
        for code in Code::ALL {
            let success = matches!(code, Code::Settled | Code::Look);
            let expected = if success {
                Signal::Success
            } else {
                Signal::Failure
            };
            told(code, true, Some(expected));
            told(code, false, success.then_some(Signal::Success));
        }
        // What `Exit::new` says about each.
        for (code, expected) in [
            (Code::Look, Some(Signal::Success)),
            (Code::Incomplete, None),
            (Code::Locked, None),
            (Code::Terminated, None),
            (Code::Source, Some(Signal::Failure)),
            (Code::Crm, Some(Signal::Failure)),
        ] {
            assert_eq!(Signal::of(&Exit::new(code, "")), expected, "{code:?}");
        }
    }
}
