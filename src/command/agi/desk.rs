//! Tells the CRM about a call, and records it before and after.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::agi::environment::Environment;
use crate::agi::number;
use crate::agi::spool::{Record, Spool, Standing, ToldCall};
use crate::agi::{self, variable::JsonPath};
use crate::call::{
    Call, ColumnTime, Disposition, Fold, Identity, Origin, RawNumber, TimeKind, WireForm,
};
use crate::cdr::clock::Clock;
use crate::cdr::select;
use crate::command::now;
use crate::config::Config;
use crate::delivery::request_deadline;
use crate::intake::{Settings, Today};
use crate::ledger::{Access, Filter, Ledger, LedgerError, Listed, State};
use crate::target::{CrmTarget, Outcome};
use crate::text::Shown;
use crate::text::mask::Masked;

/// How long the ledger has to say whether it knows a call.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Why a call was not sent although nothing was wrong with it.
const CROWD: &str =
    "`target.concurrency` other calls were waiting for the CRM, which did not answer";

/// What became of a call, as the dialplan is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The CRM holds it.
    Delivered,
    /// No contact has the number.
    Unmatched,
    /// The CRM refused it.
    Rejected,
    /// Not delivered; the next `sync` sends it.
    Pending,
    /// Sent, and no answer so far, or none at all.
    Unknown,
    /// Nobody knows who calls.
    NoNumber,
    /// A rule drops the number.
    Dropped,
    /// It could not even be recorded.
    Failed,
}

impl Status {
    /// The word in `CDRELAY_STATUS`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "DELIVERED",
            Self::Unmatched => "UNMATCHED",
            Self::Rejected => "REJECTED",
            Self::Pending => "PENDING",
            Self::Unknown => "UNKNOWN",
            Self::NoNumber => "NO_NUMBER",
            Self::Dropped => "DROPPED",
            Self::Failed => "FAILED",
        }
    }

    /// The word for what the ledger holds.
    fn known(state: State) -> Self {
        match state {
            State::Delivered => Self::Delivered,
            State::Unmatched => Self::Unmatched,
            State::Rejected => Self::Rejected,
            State::Pending => Self::Pending,
            State::InFlight | State::Held => Self::Unknown,
            State::Withdrawn => Self::Dropped,
        }
    }

    /// The word for what is on record.
    fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Asked | Standing::Held(_) => Self::Unknown,
            Standing::Delivered(_) => Self::Delivered,
            Standing::Unmatched(_) => Self::Unmatched,
            Standing::Rejected(_) => Self::Rejected,
            Standing::Pending(_) => Self::Pending,
        }
    }
}

/// What there is to tell Asterisk.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: Status,
    /// The CRM's reply, where it gave one that is JSON.
    reply: Option<Value>,
    /// Why the call could not be recorded.
    pub(super) failure: Option<String>,
}

impl Told {
    pub(super) fn of(status: Status) -> Self {
        Self {
            status,
            reply: None,
            failure: None,
        }
    }

    fn failed(why: String) -> Self {
        Self {
            failure: Some(why),
            ..Self::of(Status::Failed)
        }
    }
}

/// What tells calls: settings, CRM, spool.
pub(super) struct Desk<'a> {
    config: &'a Config,
    settings: &'a Settings<'a>,
    crm: &'a dyn CrmTarget,
    clock: Clock,
    spool: Spool,
    /// Calls whose request is out: a server is no reason to ask more of the CRM than a run may.
    turns: Semaphore,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        config: &'a Config,
        settings: &'a Settings<'a>,
        crm: &'a dyn CrmTarget,
    ) -> Self {
        Self {
            config,
            settings,
            crm,
            clock: Clock::new(TimeKind::Instant, config.source.timezone),
            spool: Spool::beside(&config.ledger.path),
            turns: Semaphore::new(config.target.concurrency),
        }
    }

    /// How long Asterisk waits at most.
    pub(super) fn timeout(&self) -> Duration {
        self.config.agi.timeout
    }

    /// The channel variables of `[agi.set]`; empty ones where the reply has nothing there.
    pub(super) fn variables(&self, told: &Told) -> Vec<(String, String)> {
        let nothing = Value::Null;
        let reply = told.reply.as_ref().unwrap_or(&nothing);
        let set = self.config.agi.set.iter();
        set.map(|(name, path): &(String, JsonPath)| (name.clone(), path.of(reply)))
            .collect()
    }

    /// Tells the CRM about the call, once.
    pub(super) async fn tell(&self, environment: &Environment, arguments: &[String]) -> Told {
        let call = match self.call(environment, arguments) {
            Ok(call) => call,
            Err(status) => return Told::of(status),
        };
        let masked = Masked(&call.source).to_string();
        let (spool, key) = (
            self.spool.clone(),
            (call.uniqueid.clone(), call.source.clone()),
        );
        let opened = off_the_thread(move || spool.open(&key.0, &key.1)).await;
        let record = match opened {
            Ok(Some(record)) => record,
            // The same call is being told right now, or taken up by a run.
            Ok(None) => return Told::of(Status::Unknown),
            Err(error) => {
                return Told::failed(format!(
                    "the call from {masked} was not told: its record in {} cannot be written: {error}",
                    self.spool.directory().display()
                ));
            }
        };
        let told = match record.told() {
            Some((known, standing)) => match self.again(standing) {
                true => known.clone(),
                false => return Told::of(Status::of(standing)),
            },
            None => match self.earlier(&call).await {
                Ok(None) => call,
                Ok(Some(status)) => {
                    let _ = record.remove();
                    return Told::of(status);
                }
                Err(why) => {
                    // Unasked, nothing is doubled: the next run knows more.
                    tracing::warn!(
                        "the ledger could not be asked about the call from {masked}: {why}"
                    );
                    return self
                        .postpone(record, call, "the ledger could not be asked")
                        .await;
                }
            },
        };
        self.send(record, told).await
    }

    /// Whether a call that is on record is sent again: never one that the CRM may have acted upon.
    fn again(&self, standing: &Standing) -> bool {
        match standing {
            Standing::Pending(_) => true,
            Standing::Asked => !self.crm.keying().holds_unknown(),
            Standing::Delivered(_)
            | Standing::Unmatched(_)
            | Standing::Rejected(_)
            | Standing::Held(_) => false,
        }
    }

    async fn send(&self, record: Record, told: ToldCall) -> Told {
        let masked = Masked(&told.source).to_string();
        // Of a hundred calls that wait for a CRM that hangs, none is in doubt but those that were sent.
        let turn = tokio::time::timeout(self.timeout() / 2, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            tracing::warn!("the call from {masked} waits for the next `cdrelay sync`: {CROWD}");
            return self.postpone(record, told, CROWD).await;
        };
        let wire = told.wire.clone();
        let asked = off_the_thread(move || {
            let mut record = record;
            record.ask(told).map(|()| record)
        })
        .await;
        let record = match asked {
            Ok(record) => record,
            Err(error) => {
                return Told::failed(format!(
                    "the call from {masked} was not told: its record in {} cannot be written: {error}",
                    self.spool.directory().display()
                ));
            }
        };
        let (outcome, reply) = self.ask(&wire).await;
        let standing = self.standing(outcome);
        match &standing {
            Standing::Delivered(_) => tracing::info!("the CRM took the call from {masked}"),
            Standing::Asked => {}
            Standing::Unmatched(why) | Standing::Rejected(why) => {
                tracing::warn!(
                    "the CRM did not take the call from {masked}: {}",
                    Shown(why)
                );
            }
            Standing::Pending(why) => {
                tracing::warn!(
                    "the call from {masked} waits for the next `cdrelay sync`: {}",
                    Shown(why)
                );
            }
            Standing::Held(why) => {
                tracing::warn!(
                    "nobody knows whether the CRM took the call from {masked}, see `cdrelay held` after the next run: {}",
                    Shown(why)
                );
            }
        }
        let status = Status::of(&standing);
        let concluded = off_the_thread(move || {
            let mut record = record;
            record.conclude(standing)
        })
        .await;
        if let Err(error) = concluded {
            tracing::error!("what became of the call from {masked} could not be recorded: {error}");
        }
        Told {
            reply,
            ..Told::of(status)
        }
    }

    async fn ask(&self, wire: &WireForm) -> (Outcome, Option<Value>) {
        let target = &self.config.target;
        let deadline = request_deadline(target.timeout, target.connect_timeout);
        match tokio::time::timeout(deadline, self.crm.tell(wire)).await {
            Ok(told) => told,
            Err(_) => {
                let trouble = crate::target::Trouble {
                    kind: crate::target::TroubleKind::Timeout,
                    reason: format!(
                        "given up after {} without an answer",
                        humantime::format_duration(deadline)
                    ),
                    retry_after: None,
                };
                (Outcome::NoVerdict(trouble), None)
            }
        }
    }

    fn standing(&self, outcome: Outcome) -> Standing {
        match outcome {
            Outcome::Delivered(receipt) => Standing::Delivered(receipt),
            Outcome::Unmatched { reason } => Standing::Unmatched(reason),
            Outcome::Rejected { reason } => Standing::Rejected(reason),
            Outcome::NoVerdict(trouble)
                if self.crm.keying().holds_unknown() && trouble.kind.may_have_acted() =>
            {
                Standing::Held(trouble.reason)
            }
            Outcome::NoVerdict(trouble) => Standing::Pending(trouble.reason),
            Outcome::Broken { reason } => Standing::Pending(reason),
            Outcome::NotSent => Standing::Pending("nothing was sent".to_owned()),
        }
    }

    /// Records a call as due without asking the CRM.
    async fn postpone(&self, record: Record, call: ToldCall, why: &'static str) -> Told {
        let recorded = off_the_thread(move || {
            let mut record = record;
            record.ask(call)?;
            record.conclude(Standing::Pending(why.to_owned()))
        })
        .await;
        match recorded {
            Ok(()) => Told::of(Status::Pending),
            Err(error) => Told::failed(format!("the call could not be recorded: {error}")),
        }
    }

    /// What the ledger knows about a call of this channel: it was told before and a run took its file up, or it is over
    /// and its row was sent.
    async fn earlier(&self, call: &ToldCall) -> Result<Option<Status>, String> {
        let look = async {
            let told = agi::job(&self.config.job);
            let found = self.recorded(&told, call).await?;
            if let Some(known) = found
                .into_iter()
                .find(|known| known.identity.source.as_str() == call.source)
            {
                return Ok::<_, LedgerError>(Some(Status::known(known.state)));
            }
            let rows = self.recorded(&self.config.job, call).await?;
            Ok(rows.first().map(|known| Status::known(known.state)))
        };
        match tokio::time::timeout(LOOK_UP, look).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::new(error))),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }

    /// The calls of a job that have this channel.
    async fn recorded(&self, job: &str, call: &ToldCall) -> Result<Vec<Listed>, LedgerError> {
        let at = now().timestamp();
        let path = &self.config.ledger.path;
        let (ledger, _) = Ledger::open(path, job, Access::ReadOnly, at).await?;
        let filter = Filter {
            // No clock and no zone is further away: this bounds the look to some of the ledger's calls.
            since: Some(ColumnTime(call.start.saturating_sub(86_400))),
            uniqueid: Some(call.uniqueid.clone()),
            ..Filter::default()
        };
        let found = ledger.list(filter, None, 100).await?;
        ledger.close().await?;
        let same = |known: &Listed| known.origin.uniqueid.as_deref() == Some(&call.uniqueid);
        Ok(found.into_iter().filter(same).collect())
    }

    /// The call that Asterisk speaks of, or why there is nothing to tell.
    fn call(&self, environment: &Environment, arguments: &[String]) -> Result<ToldCall, Status> {
        let handed = environment.arguments();
        let candidates = arguments.iter().chain(&handed).map(String::as_str).chain(
            [
                environment.get("agi_callerid"),
                environment.get("agi_calleridname"),
            ]
            .into_iter()
            .flatten(),
        );
        let at = now();
        let source = number::choose(candidates).unwrap_or_default();
        if self.config.target.empty_source.is_none()
            && select::is_withheld(&source, &self.config.select)
        {
            tracing::info!("nobody knows who calls: nothing was told");
            return Err(Status::NoNumber);
        }
        let start = environment.started().unwrap_or_else(|| at.timestamp());
        // Of a channel without an id nobody can say that it was told before.
        let uniqueid = environment.uniqueid().map_or_else(
            || format!("agi-{}-{}", std::process::id(), at.timestamp_micros()),
            str::to_owned,
        );
        let call = Call {
            identity: Identity {
                start: ColumnTime(start),
                fold: Fold(0),
                source: RawNumber(source.clone()),
                destination: RawNumber(environment.called().to_owned()),
            },
            instant: start,
            duration: 0,
            disposition: Disposition::Other(String::new()),
            origin: Origin {
                uniqueid: Some(uniqueid.clone()),
                linkedid: None,
                sequence: None,
            },
            extra: Vec::new(),
            rows: 1,
        };
        match self.settings.today(&call, &self.clock, &[]) {
            Today::Wire(wire) => Ok(ToldCall {
                start,
                source,
                destination: call.identity.destination.0,
                uniqueid,
                wire,
            }),
            Today::Dropped => Err(Status::Dropped),
        }
    }
}

/// Does what waits for the disk where nothing else waits for it.
async fn off_the_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
