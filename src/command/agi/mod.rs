//! `agi`: tells the CRM about one call while it happens, as a program that Asterisk starts or as a server that it asks.
//!
//! Whatever goes wrong, the call goes on within `[agi] timeout`: Asterisk is told what is known by then, and a request
//! that is still out is waited for after that. stdout is Asterisk's alone.

use std::io;
use std::time::Duration;

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::conversation::{Conversation, Line, converse};
use self::desk::Desk;
use super::{Context, Ended, fail};
use crate::agi::environment::Environment;
use crate::agi::variable;
use crate::cli::AgiArgs;
use crate::delivery::{GRACE, Stop};
use crate::intake::Settings;
use crate::report::exit::{Code, Exit};
use crate::target;

mod conversation;
mod desk;

/// The channel variable that says what became of it.
pub(super) const STATUS: &str = "CDRELAY_STATUS";

/// Most conversations at a time, beside the calls that are waited for without their callers; further ones wait in the
/// kernel's queue. None of them takes longer than `[agi] timeout`.
const MOST_CALLS: usize = 256;

/// How long Asterisk has to say what it says at the beginning, where the configuration cannot be read.
const BRIEF: Duration = Duration::from_secs(1);

/// Talks to Asterisk on stdin and stdout, or to whichever Asterisk connects.
pub async fn run(context: &Context, args: &AgiArgs) -> Ended {
    // Asterisk sends SIGHUP when the caller hangs up; what is under way goes on.
    let _deaf = signal(SignalKind::hangup());
    let loaded = context.load();
    let config = match loaded {
        Ok(config) => config,
        Err(exit) => {
            if args.listen.is_none() {
                decline().await;
            }
            return Err(exit);
        }
    };
    let prepared = Settings::new(&config)
        .and_then(|settings| Ok((settings, target::connect(&config.target)?)))
        .map_err(|error| fail(Code::Usage, &error));
    let (settings, crm) = match prepared {
        Ok(prepared) => prepared,
        Err(exit) => {
            if args.listen.is_none() {
                decline().await;
            }
            return Err(exit);
        }
    };
    let desk = Desk::new(&config, &settings, crm.as_ref());
    match args.listen {
        None => on_stdin(&desk, args).await,
        Some(address) if !address.ip().is_loopback() => Err(Exit::new(
            Code::Usage,
            format!(
                "--listen {address}: FastAGI has no password, so cdrelay listens on loopback only, such as 127.0.0.1:4573"
            ),
        )),
        Some(address) => {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Exit::new(
                    Code::Usage,
                    format!("--listen {address}: cannot listen there: {error}"),
                )
            })?;
            let most = MOST_CALLS + config.target.concurrency;
            serve(context, &desk, listener, most).await
        }
    }
}

/// One call: this process is for it alone.
async fn on_stdin(desk: &Desk<'_>, args: &AgiArgs) -> Ended {
    let line = Line::new(BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    let failed = converse(
        desk,
        Conversation {
            line,
            arguments: &args.numbers,
            hang_up: leave_stdout,
        },
    )
    .await;
    match failed {
        None => Ok(Exit::new(Code::Settled, "the call was told")),
        Some(why) => Err(Exit::new(Code::LedgerUnusable, why)),
    }
}

/// Gives stdout back, so that Asterisk goes on with the call while this process goes on without it: it takes the end of the
/// pipe for the end of the program.
fn leave_stdout() {
    let left = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .and_then(|nothing| rustix::stdio::dup2_stdout(nothing).map_err(io::Error::from));
    if let Err(error) = left {
        tracing::warn!("stdout cannot be given back: {error}");
    }
}

/// Tells Asterisk that nothing can be told.
async fn decline() {
    let mut line = Line::new(BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    let polite = async {
        line.hear(&mut Environment::default()).await;
        line.command(&variable::set(STATUS, "FAILED")).await;
    };
    let _ = tokio::time::timeout(BRIEF, polite).await;
}

/// Calls come and go until a signal.
async fn serve(context: &Context, desk: &Desk<'_>, listener: TcpListener, most: usize) -> Ended {
    if let Ok(address) = listener.local_addr() {
        tracing::warn!("FastAGI at agi://{address}; SIGTERM or Ctrl-C ends it");
    }
    let mut stop = context.stop.clone();
    let mut calls: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|asked| *asked != Stop::No) => break,
            Some(()) = calls.next(), if !calls.is_empty() => {}
            accepted = listener.accept(), if calls.len() < most => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    tracing::debug!("Asterisk connected from {peer}");
                    calls.push(one(desk, stream).boxed_local());
                }
                // Out of file handles, mostly: those that are open end soon.
                Err(error) => {
                    tracing::error!("a connection could not be taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    // What is out is waited for as long as after any signal.
    let rest = async { while calls.next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, rest).await;
    Ok(Exit::new(Code::Settled, "FastAGI ended"))
}

async fn one(desk: &Desk<'_>, stream: tokio::net::TcpStream) {
    let (reader, writer) = stream.into_split();
    let failed = converse(
        desk,
        Conversation {
            line: Line::new(BufReader::new(reader), writer),
            arguments: &[],
            hang_up: || {},
        },
    )
    .await;
    if let Some(why) = failed {
        tracing::error!("{why}");
    }
}
