//! The ledger's own thread: it alone touches the connection.
//!
//! The caller runs on a current-thread runtime that also carries the requests in flight; a commit waits for the disk,
//! so it must never happen there.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::error::{Damaged, Fault, LedgerError, damaged, damaged_in_use};
use super::integrity::{self, Beside};
use super::watch::{Loss, Moment, Watch};
use super::{file, place, schema};
use crate::fault::{self, Step};

/// What a ledger is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A run, which holds the lock.
    ReadWrite,
    /// `--dry-run` and everything that lists: needs no lock, sees a run's last commit, creates no file. Every write is
    /// quietly left out. Where there never was a ledger, it reads as empty.
    ReadOnly,
}

/// A piece of work for the thread.
type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// What the thread is sent.
enum Message {
    Work(Work),
    Close(oneshot::Sender<Result<(), LedgerError>>),
}

/// The connection and what belongs to it.
pub(super) struct Store {
    pub(super) path: PathBuf,
    pub(super) db: Connection,
    /// The job's number; -1, which no call has, where a reader's ledger does not know the job.
    pub(super) job: i64,
    /// `None` for a reader.
    watch: Option<Watch>,
    /// A look at everything that goes on meanwhile.
    beside: Option<Beside>,
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct Door {
    sender: mpsc::Sender<Message>,
}

impl Store {
    fn open(path: &Path, job: &str, access: Access, now: i64) -> Result<(Self, bool), LedgerError> {
        let path = place::resolve(path)?;
        let sql = |error| LedgerError::opening(&path, error);
        let number = "SELECT id FROM jobs WHERE name = ?1";
        match access {
            Access::ReadWrite => {
                let opened = file::open_writable(&path, now)?;
                fault::point!("ledger.open.before_job", sql);
                opened
                    .db
                    .execute("INSERT OR IGNORE INTO jobs (name) VALUES (?1)", [job])
                    .map_err(sql)?;
                let id = opened
                    .db
                    .query_row(number, [job], |row| row.get(0))
                    .map_err(sql)?;
                fault::point!("ledger.open.job_known", sql);
                let store = Self {
                    path,
                    db: opened.db,
                    job: id,
                    watch: Some(opened.watch),
                    beside: None,
                };
                Ok((store, opened.created))
            }
            Access::ReadOnly => {
                let db = match file::open_readable(&path)? {
                    Some(db) => db,
                    None => schema::open_in_memory().map_err(sql)?,
                };
                let id = db
                    .query_row(number, [job], |row| row.get(0))
                    .optional()
                    .map_err(sql)?;
                Ok((
                    Self {
                        path,
                        db,
                        job: id.unwrap_or(-1),
                        watch: None,
                        beside: None,
                    },
                    false,
                ))
            }
        }
    }

    /// Work on the calls of another job of this ledger; `None` where it has none of that name.
    pub(super) fn as_job<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let other: Option<i64> = self
            .db
            .query_row("SELECT id FROM jobs WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(other) = other else {
            return Ok(None);
        };
        let own = std::mem::replace(&mut self.job, other);
        let done = work(self);
        self.job = own;
        done.map(Some)
    }

    /// One transaction, or `otherwise` for a reader; `step` names it. Fails, with nothing recorded as far as can be known, when the file
    /// is no longer the one that was opened.
    pub(super) fn write<T>(
        &mut self,
        step: Step,
        otherwise: T,
        work: impl FnOnce(&Transaction<'_>, i64) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.watch.is_none() {
            return Ok(otherwise);
        }
        fault::point!(step, "before");
        self.look(Moment::Before)?;
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction, self.job)?;
        fault::point!(step, "before_commit");
        if let Some(watch) = &mut self.watch {
            match watch.check(Moment::Before) {
                Ok(()) => {}
                Err(Loss::Gone(error)) => return Err(error.into()),
                Err(Loss::LogGone(error)) => {
                    drop(transaction);
                    self.save_log();
                    return Err(error.into());
                }
                // Nobody copies the log into the ledger while a transaction writes it.
                Err(Loss::Cut(error) | Loss::LogCut(error)) => {
                    leave_log(&transaction);
                    return Err(error.into());
                }
            }
        }
        transaction.commit()?;
        fault::point!(step, "after_commit");
        // What has changed is to be looked at again, and what has not with it.
        self.beside.take_if(|beside| !beside.is_of_now(&self.db));
        self.look(Moment::After)?;
        Ok(done)
    }

    /// Begins a look at everything as it is now, beside what this ledger is asked meanwhile.
    pub(super) fn begin_integrity(&mut self) {
        let beside = self.watch.is_some().then(|| Beside::begin(self)).flatten();
        // The names still lead to the files that were opened; if not, the next write says so.
        self.beside = beside.filter(|_| self.look(Moment::Before).is_ok());
    }

    /// Looks at everything, or takes the look that was begun for it, where nothing was written since.
    pub(super) fn integrity(&mut self) -> Result<(), Fault> {
        let beside = self.beside.take();
        if beside.is_some_and(|beside| beside.is_of_now(&self.db) && beside.ends_well()) {
            return Ok(());
        }
        integrity::integrity(&self.db)
    }

    /// Gives free pages back to the disk: one statement, done wholly or not at all. Then the file is shorter than it was, for
    /// once by this program's own doing.
    pub(super) fn compact(&mut self) -> Result<(), Fault> {
        if self.watch.is_none() {
            return Ok(());
        }
        self.look(Moment::Before)?;
        self.db.execute_batch("VACUUM")?;
        // A reader beside it keeps the log: it is copied when the last one closes.
        self.db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        if let Some(watch) = &mut self.watch {
            watch.renew()?;
        }
        Ok(())
    }

    /// Whether the files of a ledger that is written are still those that were opened.
    fn look(&mut self, moment: Moment) -> Result<(), LedgerError> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        match watch.check(moment) {
            Ok(()) => Ok(()),
            Err(Loss::Gone(error)) => Err(error),
            Err(Loss::LogGone(error)) => {
                self.save_log();
                Err(error)
            }
            Err(Loss::Cut(error)) => {
                leave_log(&self.db);
                Err(error)
            }
            // A backup program may copy the log into the ledger and cut it; then nothing is left to copy. Where it was
            // cut before, SQLite now misses what it wrote.
            Err(Loss::LogCut(error)) => {
                let copied = self
                    .db
                    .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                copied.map_err(|_| {
                    leave_log(&self.db);
                    error
                })
            }
        }
    }

    /// Copies a log into the ledger that nobody can read after this program: now, while the program surely waits for it. Closing
    /// would do the same, beside a program that ends, and half of it would be a damaged ledger.
    fn save_log(&self) {
        // What cannot be copied is sent again.
        let _ = self
            .db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        leave_log(&self.db);
    }

    /// A fault as the caller learns of it. Before the program is blamed, the file is looked at: a damaged one makes
    /// statements fail in ways that look like a fault of the program.
    fn explain(&self, fault: Fault) -> LedgerError {
        let damaged: Damaged = match self.watch {
            Some(_) => damaged_in_use,
            None => damaged,
        };
        match fault.at(&self.path, damaged) {
            LedgerError::Internal { source, .. } if integrity::integrity(&self.db).is_err() => {
                LedgerError::Unusable {
                    what: damaged(&self.path),
                    source,
                }
            }
            error => error,
        }
    }

    /// Copies the log into the ledger as far as readers allow, and closes.
    fn close(mut self) -> Result<(), LedgerError> {
        self.beside = None;
        if self.watch.is_some() {
            self.look(Moment::Before)?;
            let sql = |error: rusqlite::Error| self.explain(error.into());
            fault::point!("ledger.close.before_checkpoint", sql);
            self.db
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .map_err(sql)?;
            fault::point!("ledger.close.checkpointed", sql);
        }
        let path = self.path;
        self.db
            .close()
            .map_err(|(_, error)| LedgerError::sql(&path, damaged_in_use, error))?;
        fault::point!("ledger.close.closed", |error| LedgerError::sql(
            &path,
            damaged_in_use,
            error
        ));
        Ok(())
    }
}

impl Door {
    /// Starts the thread and opens the ledger on it; gives whether it was created.
    pub(super) async fn open(
        path: &Path,
        job: &str,
        access: Access,
        now: i64,
    ) -> Result<(Self, bool), LedgerError> {
        let (sender, inbox) = mpsc::channel();
        let (answer, opened) = oneshot::channel();
        let (path, job) = (path.to_owned(), job.to_owned());
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || match Store::open(&path, &job, access, now) {
                Ok((store, created)) => {
                    // Nobody waits: the caller was dropped, and the inbox closes at once.
                    let _ = answer.send(Ok(created));
                    serve(store, &inbox);
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            })
            .map_err(|error| LedgerError::Internal {
                what: "its thread could not be started".into(),
                source: Some(error.into()),
            })?;
        let created = opened.await.map_err(|_| gone())??;
        Ok((Self { sender }, created))
    }

    /// Runs `work` on the thread and waits for what it gives, without blocking.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, given) = oneshot::channel();
        let work: Work = Box::new(move |store| {
            let result = work(store).map_err(|fault| store.explain(fault));
            // Whoever asked may have stopped waiting; the work is done all the same.
            let _ = answer.send(result);
        });
        self.sender.send(Message::Work(work)).map_err(|_| gone())?;
        given.await.map_err(|_| gone())?
    }

    /// Has the thread do something that nobody waits for.
    pub(super) fn tell(&self, work: impl FnOnce(&mut Store) + Send + 'static) {
        // Where it is closed, whoever asks it something is told.
        let _ = self.sender.send(Message::Work(Box::new(work)));
    }

    /// Ends the thread after everything asked before.
    pub(super) async fn close(&self) -> Result<(), LedgerError> {
        let (answer, given) = oneshot::channel();
        self.sender
            .send(Message::Close(answer))
            .map_err(|_| gone())?;
        given.await.map_err(|_| gone())?
    }
}

/// Works until it is closed or the last handle is dropped.
fn serve(mut store: Store, inbox: &mpsc::Receiver<Message>) {
    while let Ok(message) = inbox.recv() {
        match message {
            Message::Work(work) => work(&mut store),
            Message::Close(answer) => {
                let _ = answer.send(store.close());
                return;
            }
        }
    }
}

/// Keeps the log from being copied into a file that lacks what was there before: what is left is evidence.
fn leave_log(db: &Connection) {
    if let Err(error) = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::debug!("the log is copied all the same: {error}");
    }
}

fn gone() -> LedgerError {
    LedgerError::internal("it is closed already, or its thread ended")
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

    use std::path::PathBuf;

    use super::super::{Access, Ledger, RunStart};

    /// A new ledger, its path, and the directory that goes with it.
    pub(in crate::ledger) async fn fresh() -> (tempfile::TempDir, PathBuf, Ledger) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let (ledger, _) = Ledger::open(&path, "j", Access::ReadWrite, 0)
            .await
            .unwrap();
        (directory, path, ledger)
    }

    fn run(n: i64) -> RunStart {
        RunStart {
            mode: "full".into(),
            window: 0..n,
            settings: "x".repeat(60_000) + &n.to_string(),
            started: n,
        }
    }

    #[tokio::test]
    async fn a_full_disk_ends_the_run_and_loses_nothing_that_was_recorded() {
        let (_directory, path, ledger) = fresh().await;
        ledger.start_run(run(1)).await.unwrap();
        // SQLite treats this limit as it treats a full disk.
        let limit = |pages: i64| {
            ledger.door.ask(move |store| {
                store
                    .db
                    .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
                Ok(())
            })
        };
        limit(1).await.unwrap();
        let error = ledger.start_run(run(2)).await.unwrap_err();
        assert_eq!(error.exit_code(), 12);
        assert_eq!(
            error.to_string(),
            format!(
                "the disk of the ledger `{}` is full; free some space and run again: nothing that was recorded is lost",
                path.display()
            )
        );
        limit(1_000_000).await.unwrap();
        ledger.start_run(run(3)).await.unwrap();
        let runs = ledger.runs(9).await.unwrap();
        let started: Vec<_> = runs.iter().map(|run| run.start.started).collect();
        assert_eq!(started, [3, 1]);
        ledger.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_ledger_says_so() {
        let (_directory, _, ledger) = fresh().await;
        let other = ledger.clone();
        ledger.close().await.unwrap();
        let error = other.counts().await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert_eq!(
            error.to_string(),
            "the ledger was used wrongly: it is closed already, or its thread ended; please report it"
        );
    }

    #[tokio::test]
    async fn a_look_beside_a_run_counts_for_what_it_saw_and_no_longer() {
        let (_directory, _, ledger) = fresh().await;
        let goes_on = || ledger.door.ask(|store| Ok(store.beside.is_some()));
        let saw_all_well = || {
            ledger.door.ask(|store| {
                let beside = store.beside.take().unwrap();
                Ok((beside.is_of_now(&store.db), beside.ends_well()))
            })
        };
        ledger.begin_integrity();
        assert!(goes_on().await.unwrap());
        assert_eq!(saw_all_well().await.unwrap(), (true, true));

        // What is written ends it.
        ledger.begin_integrity();
        ledger.start_run(run(1)).await.unwrap();
        assert!(!goes_on().await.unwrap());
        ledger.integrity().await.unwrap();

        // A form without its call, which SQLite has nothing against.
        ledger
            .door
            .ask(|store| {
                let form = "INSERT INTO wire_forms (call, job, start, initiated, source, destination, duration, key_hash) \
                            VALUES (1, 1, 0, '', '', '', 0, 0)";
                Ok(store.db.execute_batch(form)?)
            })
            .await
            .unwrap();
        ledger.begin_integrity();
        assert_eq!(saw_all_well().await.unwrap(), (true, false));
        ledger.begin_integrity();
        assert_eq!(ledger.integrity().await.unwrap_err().exit_code(), 12);
        ledger.begin_integrity();
        ledger.close().await.unwrap();
    }
}
