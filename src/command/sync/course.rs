//! The reading side's way through a window: part by part, in the order of time.
//!
//! A part whose rows and calls are what they were is passed over: its figures are added up, and calls of it that are due are
//! sent by their frozen form. All others are read, slice by slice.

use std::ops::Range;

use tokio::sync::watch;

use super::board::{all_resting, resting};
use super::known::{Gathered, Known, Part, parts};
use super::last::Last;
use super::pipeline::{Halt, Pipeline, Way};
use super::slice::{Due, recheck, resend};
use crate::call::{ColumnTime, TimeKind};
use crate::fault;
use crate::intake::{Intake, Reader, Sorter};
use crate::ledger::{Action, LedgerError, OnRecord, State, Stretch, Wires};

/// How far a run has come.
struct Course<'c, 'i> {
    reader: &'c mut Reader,
    sorter: &'c mut Sorter<'i>,
    way: &'c Way<'c>,
    recorded: &'c mut watch::Receiver<u64>,
    kind: TimeKind,
    /// What the source was opened for.
    opened: Range<ColumnTime>,
    /// All starts before this one were looked at.
    seen: ColumnTime,
    /// What goes last.
    last: Last,
    gathered: Gathered,
}

impl Pipeline<'_> {
    pub(super) async fn read_window(
        &self,
        intake: &mut Intake<'_>,
        undated: bool,
        way: &Way<'_>,
        mut recorded: watch::Receiver<u64>,
    ) -> Result<(), Halt> {
        if undated {
            self.in_time(intake.count_undated()).await?;
        }
        let kind = intake.clock().kind();
        let window = intake.column_window();
        let profile = format!("{:?}", intake.profile());
        let (reader, sorter) = intake.halves();
        // Whoever wants to hear of each row that is left out wants them read.
        let knows = reader.digests() && !tracing::enabled!(tracing::Level::INFO);
        let reading = knows.then(|| self.config.reading_fingerprint(self.settings, &profile));
        let on_record = match &reading {
            Some(reading) if !self.plan.resend => {
                let reading = reading.clone();
                self.ledger.stretches(window.clone(), reading).await?
            }
            Some(_) | None => Vec::new(),
        };
        let mut course = Course {
            reader,
            sorter,
            way,
            recorded: &mut recorded,
            kind,
            opened: window.clone(),
            seen: window.start,
            last: Last::default(),
            gathered: Gathered::default(),
        };
        self.go_through(&mut course, &window, &on_record).await?;
        let Course { last, gathered, .. } = course;
        if let Some(reading) = reading {
            let stretches = gathered.stretches();
            // Those that go beyond the window stay as they are.
            let within = on_record
                .iter()
                .filter(|stretch| window.start <= stretch.from && stretch.until <= window.end);
            if !within.eq(&stretches) {
                self.ledger
                    .keep_stretches(window, reading, stretches)
                    .await?;
            }
        }
        fault::moment!("sync.window_read");
        self.follow_up(way, &mut recorded).await?;
        self.send_last(way, &mut recorded, last).await?;
        Ok(())
    }

    async fn go_through(
        &self,
        course: &mut Course<'_, '_>,
        window: &Range<ColumnTime>,
        on_record: &[Stretch],
    ) -> Result<(), Halt> {
        let parts = parts(window, on_record);
        // What is to be read next, of as many parts as stand side by side.
        let mut unread = window.start..window.start;
        let mut ahead = None;
        for (at, part) in parts.iter().enumerate() {
            let known = match part {
                Part::Unknown(part) => {
                    unread.end = part.end;
                    continue;
                }
                Part::Overlap(part) => {
                    for (part, keep) in [(unread, true), (part.clone(), false)] {
                        self.read_part(course, part, keep).await?;
                    }
                    unread = part.end..part.end;
                    ahead = None;
                    continue;
                }
                Part::Known(known) => known,
            };
            let next = match parts.get(at + 1) {
                Some(Part::Known(next)) => Some(next),
                Some(Part::Unknown(_) | Part::Overlap(_)) | None => None,
            };
            let Some(record) = self.on_record(known, &mut ahead).await? else {
                unread.end = known.until;
                continue;
            };
            // The ledger looks at the next one while the source adds up this one.
            let (digest, looked) = tokio::try_join!(
                self.in_time(course.reader.digest(known.from..known.until)),
                async {
                    match next {
                        Some(next) => Ok(Some(
                            self.ledger.on_record(next.stretch(), self.plan).await?,
                        )),
                        None => Ok(None),
                    }
                },
            )?;
            ahead = looked;
            if digest != Some(known.digest) {
                unread.end = known.until;
                continue;
            }
            if !unread.is_empty() {
                self.read_part(course, unread, true).await?;
                // What came back meanwhile may bear on it.
                ahead = None;
            }
            unread = known.until..known.until;
            self.pass_over(course, known, record).await?;
        }
        self.read_part(course, unread, true).await
    }

    /// Where the calls of a stretch stand, by the look that was taken ahead or by one now.
    async fn on_record(
        &self,
        known: &Known,
        ahead: &mut Option<Option<OnRecord>>,
    ) -> Result<Option<OnRecord>, LedgerError> {
        match ahead.take() {
            Some(record) => Ok(record),
            None => self.ledger.on_record(known.stretch(), self.plan).await,
        }
    }

    /// Reads a part, slice by slice.
    async fn read_part(
        &self,
        course: &mut Course<'_, '_>,
        part: Range<ColumnTime>,
        keep: bool,
    ) -> Result<(), Halt> {
        if part.is_empty() {
            return Ok(());
        }
        if course.opened != part {
            self.in_time(course.reader.open(part.clone())).await?;
            course.opened = part.clone();
        }
        let mut next = self.in_time(course.reader.next()).await;
        while let Some(slice) = next? {
            fault::moment!("sync.slice_read");
            self.room(course.way).await?;
            // When sending has ended by itself, the rest is still planned and counted, so that the report says what is
            // missing. Asked here, in one breath with the stop: where one comes later, the slice goes on record.
            let sending = !course.way.parcels.is_closed();
            let missing_from = course.seen..slice.until;
            course.seen = course.seen.max(slice.until);
            // The source goes on while the rows are sorted and the ledger is asked: it is asked for the next slice first.
            // Where the ledger fails, the source is not waited for.
            let Course {
                reader,
                sorter,
                last,
                gathered,
                recorded,
                ..
            } = course;
            let (way, kind) = (course.way, course.kind);
            let (ahead, ()) = tokio::try_join!(
                biased;
                async { Ok::<_, LedgerError>(self.in_time(reader.next()).await) },
                async {
                    let batch = sorter.batch(slice).await;
                    let rows = batch.rows;
                    self.note_missing(missing_from, Some(&batch)).await?;
                    let (due, known) = self.plan(kind, batch, sending, gathered.is_empty(), last).await?;
                    if let Some(known) = known.filter(|_| keep) {
                        gathered.push(known);
                    }
                    fault::moment!("sync.slice_planned");
                    self.board.rows_done(rows);
                    self.dispatch(way, recorded, due).await
                },
            )?;
            next = ahead;
        }
        if course.seen < part.end {
            self.note_missing(course.seen..part.end, None).await?;
            course.seen = part.end;
        }
        Ok(())
    }

    /// Counts a part that is what it was, and sends what is due of it.
    async fn pass_over(
        &self,
        course: &mut Course<'_, '_>,
        known: &Known,
        record: OnRecord,
    ) -> Result<(), Halt> {
        course.seen = known.until;
        course.gathered.push(*known);
        course.sorter.pass_over(&known.counts.rows);
        {
            let mut figures = self.board.figures();
            figures.dropped += known.counts.dropped;
            for (state, calls) in record.resting {
                all_resting(&mut figures, state, calls);
            }
        }
        self.board.rows_done(known.counts.rows.read);
        if record.due.is_empty() {
            return Ok(());
        }
        self.room(course.way).await?;
        let sending = !course.way.parcels.is_closed();
        let (wanted, actions): (Vec<_>, Vec<_>) = record.due.into_iter().unzip();
        let entries = self.ledger.entries_of(wanted, Wires::Due).await?;
        let mut due: Vec<Due> = Vec::with_capacity(entries.len());
        for (entry, action) in entries.into_iter().zip(actions) {
            let mut figures = self.board.figures();
            match entry {
                Some(entry) if action == Action::Recheck => {
                    due.extend(recheck(&mut figures, entry));
                }
                Some(entry) => due.extend(resend(&mut figures, entry)),
                // Nobody else writes the ledger: what stood there a moment ago is there.
                None => resting(&mut figures, State::Pending),
            }
        }
        let due = self.hand_on(due, sending, &mut course.last);
        self.dispatch(course.way, course.recorded, due).await?;
        Ok(())
    }

    /// Waits until there is room for the calls of a slice. Nobody else fills that place, so it is still free when the slice
    /// is planned: of all slices only the one that is being sent, this one and the next are in memory. A closed channel has
    /// a word of its own.
    async fn room(&self, way: &Way<'_>) -> Result<(), Halt> {
        let room = async {
            let _ = way.parcels.reserve().await;
            Ok(())
        };
        self.in_time(room).await
    }
}
