//! A CRM of your own: everything that [`CrmTarget`] asks for, in one file to start from.
//!
//! This one keeps calls as JSON lines in a file, one a line, durably, and knows a call that it holds already. Run it with
//! `cargo run --example custom_target -- calls.jsonl`. To make it a part of cdrelay, move it into `src/target`, give it a
//! name in `config::TargetKind`, and add an arm to `target::connect`.

use std::collections::HashMap;
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use cdrelay::call::{PhoneNumber, WireForm};
use cdrelay::target::{
    CrmTarget, DeleteBounds, Deletion, Outcome, Probe, Receipt, Trouble, TroubleKind,
};
use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt, ready};
use serde_json::{Value, json};

/// What makes two calls one: start, source, destination.
type Key = (String, String, String);

/// A file of calls, one JSON object a line.
struct JsonLines {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    /// The line of each call that the file holds.
    held: HashMap<Key, i64>,
    /// Length of what is whole and durable.
    length: u64,
}

impl JsonLines {
    /// Opens the file, or creates it. A last line that a crash left half written is cut off: its call was never reported
    /// as delivered, so it comes again.
    fn open(path: &Path) -> Result<Self> {
        let named = || format!("{} cannot be used", path.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .with_context(named)?;
        let mut held = HashMap::new();
        let mut length = 0;
        let mut reader = BufReader::new(&file);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            let bytes = reader.read_line(&mut line).with_context(named)?;
            if !line.ends_with('\n') {
                break;
            }
            let call: Value = serde_json::from_str(&line)
                .with_context(|| format!("{} line {number} is not JSON", path.display()))?;
            held.insert(key_of_line(&call), number);
            length += bytes as u64;
        }
        file.set_len(length).with_context(named)?;
        let state = State { file, held, length };
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// The engine delivers concurrently; a file has one end, so calls take turns. The lock is never held across an
    /// await. A target on the network would hold a client here, and await its replies.
    fn store(&self, call: &WireForm) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (
            call.initiated.clone(),
            call.source.as_str().to_owned(),
            call.destination.as_str().to_owned(),
        );
        // The same call can come again: after a crash, or when its answer was lost.
        if let Some(line) = state.held.get(&key) {
            return delivered(true, *line);
        }
        match state.append(call) {
            Ok(()) => {
                let line = i64::try_from(state.held.len()).unwrap_or(i64::MAX - 1) + 1;
                state.held.insert(key, line);
                delivered(false, line)
            }
            // A full disk says nothing about the call, so this is no verdict: the call stays pending.
            Err(error) => Outcome::NoVerdict(Trouble {
                kind: TroubleKind::ServerError,
                reason: format!("{} cannot be written: {error}", self.path.display()),
                retry_after: None,
            }),
        }
    }
}

impl State {
    /// Durable when it returns; a failed attempt leaves nothing behind that the next one would not overwrite.
    fn append(&mut self, call: &WireForm) -> std::io::Result<()> {
        let mut line = json!({
            "initiated": call.initiated,
            "source": call.source.as_str(),
            "destination": call.destination.as_str(),
            "duration": call.duration,
            "url": call.url,
        })
        .to_string();
        line.push('\n');
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        Ok(())
    }
}

impl CrmTarget for JsonLines {
    fn deliver<'a>(&'a self, call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        async move { self.store(call) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        ready(Probe::Ready(format!("{} is open", self.path.display()))).boxed()
    }

    /// `None`: this CRM cannot delete, and `cdrelay delete` says so before it asks anything.
    fn delete_bounds(&self, _from: NaiveDate, _to: NaiveDate) -> Option<DeleteBounds> {
        None
    }

    fn delete(&self, _bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        let reason = "a file of JSON lines only grows".to_owned();
        ready(Deletion::Refused { reason }).boxed()
    }
}

fn delivered(existing: bool, line: i64) -> Outcome {
    Outcome::Delivered(Receipt {
        existing,
        contact_id: None,
        call_id: Some(line),
    })
}

fn key_of_line(call: &Value) -> Key {
    let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
    (text("initiated"), text("source"), text("destination"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(
        || env::temp_dir().join("cdrelay-calls.jsonl"),
        PathBuf::from,
    );
    let target = JsonLines::open(&path)?;
    let mut out = std::io::stdout();
    writeln!(out, "{:?}", target.probe().await)?;
    let call = WireForm {
        initiated: "2012-08-23T16:50:33Z".to_owned(),
        source: PhoneNumber("+582121234567".to_owned()),
        destination: PhoneNumber("02129876543".to_owned()),
        duration: 61,
        url: None,
        form: None,
    };
    // Twice: the second time it is there already.
    for _ in 0..2 {
        writeln!(out, "{:?}", target.deliver(&call).await)?;
    }
    Ok(())
}
