//! Reading, sending and recording, side by side on one thread.
//!
//! ```text
//! read: slice -> plan -> intents on record ──parcels──► deliver ──settled──► record: answers on record -> counted
//! ```
//!
//! The next slice is read while the last one is sent; a slice's statement is closed before its first call leaves, its
//! intents are durable before that, and nothing is counted before it is on record. Two slices are in memory at most.
//!
//! Each of the three ends on its own account, and none waits for one that has ended: closed channels say so.

use std::convert::Infallible;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::answers::COMMIT;
use super::board::Board;
use super::slice::{Due, Ticket};
use crate::agi::channels::Channels;
use crate::config::Config;
use crate::delivery::{self, Ending, Limits, Parcel, Stop, Summary};
use crate::fault;
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerError, PlanContext, Recorded, RunId};
use crate::report::exit::Exit;
use crate::source::SourceError;
use crate::target::CrmTarget;

/// Parcels on their way between reading and sending beside the slice that is being sent.
const SLICES_AHEAD: usize = 1;

/// A run's parts.
pub(super) struct Pipeline<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) board: &'a Board,
    pub(super) run: RunId,
    pub(super) plan: PlanContext,
    pub(super) stop: watch::Receiver<Stop>,
    /// Channels that were told while they happened.
    pub(super) told: &'a Channels,
    /// Whether calls with one start, source and destination are one for the CRM.
    pub(super) keyed: bool,
    /// Most intents that are on record without an answer; `None`: those of a slice. On a CRM without keys each of them is
    /// in doubt when the run is killed.
    pub(super) most_open: Option<usize>,
    /// What rows are read and understood by.
    pub(super) config: &'a Config,
    /// [`Config::settings_fingerprint`] of this run.
    pub(super) settings: &'a str,
    /// When reading ends, done or not; `None`: when it is done.
    pub(super) read_until: Option<Instant>,
}

/// The reading side's two ways to the sending side.
pub(super) struct Way<'a> {
    pub(super) parcels: mpsc::Sender<Vec<Parcel<Ticket>>>,
    /// Keeps requests from leaving once the ledger has failed.
    brake: &'a watch::Sender<Stop>,
}

/// What ends the reading before it is through the window.
pub(super) enum Halt {
    Source(SourceError),
    Ledger(LedgerError),
    /// Time allowed no more.
    OutOfTime,
    /// Somebody asked to stop.
    Stopped(Stop),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<LedgerError> for Halt {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Pipeline<'_> {
    /// Runs the window through. Gives how sending ended, and what went wrong with source or ledger.
    pub(super) async fn go(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        crm: &dyn CrmTarget,
        limits: Limits,
    ) -> (Summary, Option<Exit>) {
        let (parcels, incoming) = mpsc::channel(SLICES_AHEAD);
        let (settled, answers) = mpsc::channel(COMMIT);
        let (recorder, recorded) = watch::channel(0);
        let (brake, braked) = watch::channel(Stop::No);
        let way = Way {
            parcels,
            brake: &brake,
        };
        let (read, mut summary, outcomes) = tokio::select! {
            biased;
            never = pass_on(self.stop.clone(), &brake) => match never {},
            ended = async {
                tokio::join!(
                    self.read(intake, undated, way, recorded),
                    delivery::deliver(crm, limits, incoming, settled, braked),
                    self.record(answers, recorder),
                )
            } => ended,
        };
        let tally = intake.tally();
        let mut figures = self.board.figures();
        figures.rows = tally.rows;
        figures.read = intake.waited();
        let failure = match (outcomes, read) {
            (Err(error), _) | (Ok(()), Err(Halt::Ledger(error))) => Some(Exit::from(error)),
            (Ok(()), Err(Halt::Source(error))) => Some(Exit::from(error)),
            (Ok(()), Ok(())) => None,
            // Sending may have been through with all it got; the run is not.
            (Ok(()), Err(Halt::OutOfTime)) => {
                if summary.ending == Ending::Done {
                    summary.ending = Ending::OutOfTime;
                }
                None
            }
            (Ok(()), Err(Halt::Stopped(asked))) => {
                summary.ending = Ending::Stopped(asked);
                None
            }
        };
        (summary, failure)
    }

    /// The reading side.
    async fn read(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        way: Way<'_>,
        recorded: watch::Receiver<u64>,
    ) -> Result<(), Halt> {
        let done = self.read_window(intake, undated, &way, recorded).await;
        if matches!(done, Err(Halt::Ledger(_))) {
            // What is recorded no longer lasts, perhaps: what is in flight may land, and nothing follows.
            way.brake.send_replace(Stop::Unrecorded);
        }
        done
    }

    /// Waits for the source, but not beyond a signal or the end of the run: a statement that hangs must not keep it.
    /// The source is not used any more after that.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, Halt> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            asked = asked(&mut stop) => Err(Halt::Stopped(asked)),
            () = past(self.read_until) => Err(Halt::OutOfTime),
            done = work => Ok(done?),
        }
    }

    /// Puts the intents on record and hands the parcels over to the sending side.
    pub(super) async fn dispatch(
        &self,
        way: &Way<'_>,
        recorded: &mut watch::Receiver<u64>,
        mut due: Vec<Due>,
    ) -> Result<(), LedgerError> {
        let Some(most) = self.most_open else {
            let parcels = self.hand_over(due).await?;
            return self.send(way, parcels).await;
        };
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(most));
            let parcels = self.hand_over(due).await?;
            self.send(way, parcels).await?;
            if !self.all_back(way, recorded).await {
                // Sending has ended: the rest was counted, and stays due.
                return Ok(());
            }
            due = rest;
        }
        Ok(())
    }

    /// Hands parcels over to the sending side; takes their intents back where that has ended.
    pub(super) async fn send(
        &self,
        way: &Way<'_>,
        due: Vec<Parcel<Ticket>>,
    ) -> Result<(), LedgerError> {
        if due.is_empty() {
            return Ok(());
        }
        let count = due.len() as u64;
        // Before they are on their way: one may be back before this goes on.
        self.board.figures().under_way += count;
        if let Err(mpsc::error::SendError(unsent)) = way.parcels.send(due).await {
            let records = unsent
                .into_iter()
                .map(|parcel| (parcel.ticket.identity, Recorded::NotAttempted))
                .collect();
            self.ledger
                .record_outcomes(self.run, super::now().timestamp(), records)
                .await?;
            self.board.figures().back += count;
        }
        Ok(())
    }

    /// When every call that was sent ahead for its number is answered: sends the others of the numbers that matched,
    /// and notes for those of the numbers that did not that they were asked about.
    pub(super) async fn follow_up(
        &self,
        way: &Way<'_>,
        recorded: &mut watch::Receiver<u64>,
    ) -> Result<(), LedgerError> {
        if self.board.figures().numbers.scouts_out > 0 {
            // Nothing more comes before the answers do: without this word, a refusal might be held back for ever.
            let _ = way.parcels.send(Vec::new()).await;
        }
        while self.board.figures().numbers.scouts_out > 0 {
            tokio::select! {
                changed = recorded.changed() => if changed.is_err() { return Ok(()) },
                () = way.parcels.closed() => return Ok(()),
            }
        }
        fault::moment!("sync.scouts_back");
        let (matched, in_vain) = self.board.figures().numbers.take();
        if !in_vain.is_empty() {
            let identities = in_vain.into_iter().map(|entry| entry.identity).collect();
            self.ledger
                .record_still_unmatched(super::now().timestamp(), identities)
                .await?;
        }
        if way.parcels.is_closed() {
            return Ok(());
        }
        let due: Vec<Due> = matched.into_iter().filter_map(Due::again).collect();
        {
            let mut figures = self.board.figures();
            let n = due.len() as u64;
            figures.calls.unchanged -= n;
            figures.resting_unmatched -= n;
            figures.handed += n;
        }
        self.dispatch(way, recorded, due).await
    }
}

/// Passes a signal on to the sending side.
async fn pass_on(mut stop: watch::Receiver<Stop>, brake: &watch::Sender<Stop>) -> Infallible {
    let asked = asked(&mut stop).await;
    brake.send_replace(asked);
    std::future::pending().await
}

/// Waits until somebody asks to stop.
pub(in crate::command) async fn asked(stop: &mut watch::Receiver<Stop>) -> Stop {
    match stop.wait_for(|asked| *asked != Stop::No).await {
        Ok(asked) => *asked,
        // Nobody is left who could ask.
        Err(_) => std::future::pending().await,
    }
}

pub(super) async fn past(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Summary {
    /// Nothing was sent.
    #[must_use]
    pub(super) fn nothing(ending: Ending) -> Self {
        Self {
            ending,
            sent: 0,
            retried: 0,
            unconnected: 0,
            latency: delivery::Latency::default(),
            sending: std::time::Duration::ZERO,
        }
    }
}
