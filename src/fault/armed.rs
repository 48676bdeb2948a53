//! What happens at the points in a build that has them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

use crate::source::SourceError;

/// What is to be done to the program, with the file that its passages are listed in.
const ORDERS: &str = "CDRELAY_FAULT";
const LOG: &str = "CDRELAY_FAULT_LOG";

/// The numbers of Linux for a failing device and for a full one.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shot {
    /// SIGKILL: no destructor runs and nothing is flushed, in any thread.
    Kill,
    /// SIGTERM, as a service manager sends it; the program goes on and hears it.
    Term,
    /// The step fails: an I/O error, a lost connection.
    Error,
    /// The step fails as on a full disk, where it is one that writes; else like [`Shot::Error`].
    Full,
}

/// Why a step failed at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Injected {
    /// The device, or the connection.
    Error,
    /// No space is left.
    Full,
}

impl From<Injected> for rusqlite::Error {
    fn from(injected: Injected) -> Self {
        let code = match injected {
            Injected::Error => rusqlite::ffi::SQLITE_IOERR,
            Injected::Full => rusqlite::ffi::SQLITE_FULL,
        };
        Self::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }
}

impl From<Injected> for io::Error {
    fn from(injected: Injected) -> Self {
        Self::from_raw_os_error(match injected {
            Injected::Error => EIO,
            Injected::Full => ENOSPC,
        })
    }
}

impl From<Injected> for SourceError {
    fn from(injected: Injected) -> Self {
        Self::Unreachable {
            what: "the source failed at a fault point".to_owned(),
            source: Some(io::Error::from(injected).into()),
        }
    }
}

/// A passage through a point where a step can fail.
///
/// # Errors
/// What the order for this passage says.
pub(crate) fn passed(name: &str) -> Result<(), Injected> {
    match STAGE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pass(name, "step")
    {
        None => Ok(()),
        Some(Shot::Error) => Err(Injected::Error),
        Some(Shot::Full) => Err(Injected::Full),
        Some(shot @ (Shot::Kill | Shot::Term)) => {
            fire(shot);
            Ok(())
        }
    }
}

/// A passage through a point where nothing can fail.
pub(crate) fn moment_passed(name: &str) {
    let shot = STAGE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pass(name, "moment");
    if let Some(shot) = shot {
        fire(shot);
    }
}

static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| Mutex::new(Stage::from_environment()));

/// The passages so far, and what is to happen at which.
struct Stage {
    orders: Vec<Order>,
    log: Option<File>,
    passages: u64,
    of_point: HashMap<String, u64>,
}

/// One `WHERE:WHAT`.
struct Order {
    /// `None`: any point.
    point: Option<String>,
    passage: u64,
    and_later: bool,
    shot: Shot,
}

impl Stage {
    fn from_environment() -> Self {
        let orders = std::env::var(ORDERS).unwrap_or_default();
        let log = std::env::var_os(LOG).map(|path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .expect("the file for the passages can be written: a test named it")
        });
        Self {
            orders: orders
                .split(',')
                .filter(|order| !order.is_empty())
                .map(|order| {
                    Order::parse(order).unwrap_or_else(|| panic!("{ORDERS} has `{order}`"))
                })
                .collect(),
            log,
            passages: 0,
            of_point: HashMap::new(),
        }
    }

    fn pass(&mut self, name: &str, kind: &str) -> Option<Shot> {
        self.passages += 1;
        let here = self.of_point.entry(name.to_owned()).or_insert(0);
        *here += 1;
        if let Some(log) = &mut self.log {
            // One write a line, before anything happens: the line of the passage that ends the program is there.
            log.write_all(format!("{} {name} {kind}\n", self.passages).as_bytes())
                .expect("a line for the passage: the test's own directory has room");
        }
        self.orders
            .iter()
            .find(|order| match &order.point {
                Some(point) => point == name && order.reached(*here),
                None => order.reached(self.passages),
            })
            .map(|order| order.shot)
    }
}

impl Order {
    fn parse(order: &str) -> Option<Self> {
        let (place, shot) = order.split_once(':')?;
        let (place, and_later) = match place.strip_suffix('+') {
            Some(place) => (place, true),
            None => (place, false),
        };
        let (point, passage) = match place.split_once('#') {
            Some((point, passage)) => (Some(point.to_owned()), passage),
            None => (None, place),
        };
        Some(Self {
            point,
            passage: passage.parse().ok()?,
            and_later,
            shot: match shot {
                "kill" => Shot::Kill,
                "term" => Shot::Term,
                "error" => Shot::Error,
                "full" => Shot::Full,
                _ => return None,
            },
        })
    }

    fn reached(&self, passage: u64) -> bool {
        passage == self.passage || (self.and_later && passage > self.passage)
    }
}

/// Where nothing can fail, what would make a step fail does nothing.
fn fire(shot: Shot) {
    let signal = match shot {
        Shot::Kill => Signal::KILL,
        Shot::Term => Signal::TERM,
        Shot::Error | Shot::Full => return,
    };
    kill_process(getpid(), signal).expect("a process may send signals to itself");
    // The kernel marks every thread before the call returns: a killed one never gets here.
}
