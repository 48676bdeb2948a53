//! The verbs, one a file. This room picks concrete types (which source, which CRM), talks to the terminal, and turns
//! every error into an exit code; no other room does any of it.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::cli::{Cli, Command, LogFormat, Output, OutputForm};
use crate::config::{self, Config};
use crate::delivery::Stop;
use crate::fault;
use crate::intake::Problems;
use crate::ledger::LedgerError;
use crate::report::exit::{Code, Exit};
use crate::source::SourceError;
use crate::text::mask::Privacy;
use crate::text::{visible_json, visible_lines};

pub mod adopt;
pub mod agi;
mod between;
pub mod calls;
pub mod check;
pub mod collect;
pub mod completions;
pub mod delete;
pub mod demo;
pub mod explain;
pub mod held;
pub mod init;
mod log;
pub mod man;
mod panic;
pub mod purge;
pub mod rebuild;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod status;
pub mod sync;
mod terminal;
pub mod unmatched;
mod whole_file;
pub mod why;

/// How a verb ends; the error side is for `?`.
pub type Ended = Result<Exit, Exit>;

/// What every verb needs to know.
#[derive(Debug)]
pub struct Context {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--output`
    pub output: Output,
    /// `--quiet`
    pub quiet: bool,
    /// Whether stderr is for people to read.
    pub log_format: LogFormat,
    /// Whether log lines and the reasons of errors show numbers whole.
    pub privacy: Privacy,
    /// Set by the first and second signal.
    pub stop: watch::Receiver<Stop>,
    /// Why a result could not be written, if one could not.
    pub unwritten: RefCell<Option<std::io::Error>>,
}

/// Runs the program and gives its exit code.
#[must_use]
pub fn main(cli: &Cli) -> u8 {
    if let Command::Agi(agi) = &cli.command
        && let Some(file) = &agi.log
        && let Err(error) = log::to_file(file)
    {
        let file = file.display();
        tell(&format!(
            "cdrelay: the log cannot be written to {file}: {error}\n"
        ));
    }
    log::start(cli);
    panic::speak_plainly();
    panic::caught(|| start(cli))
}

/// Prints what is wrong with the command line. Arguments can come from anywhere, so they are made safe to show, which
/// costs the colours.
#[must_use]
pub fn refuse(usage: &str) -> u8 {
    tell(usage);
    Code::Usage.number()
}

fn start(cli: &Cli) -> u8 {
    // One crypto provider in the binary: without this, the first TLS connection would not know which to take.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli));
            // A DNS look-up that hangs in a helper thread must not keep the program alive.
            runtime.shutdown_background();
            exit
        }
        Err(error) => Exit::new(Code::Internal, format!("cannot start: {error}")),
    };
    let speak = exit.code != Code::Settled && (exit.alert || !cli.quiet);
    if speak {
        log::conclude(&exit);
    }
    exit.number()
}

async fn run(cli: &Cli) -> Exit {
    let output = match (cli.output, &cli.command) {
        (OutputForm::Text, _) => Output::Text,
        (OutputForm::Json, _) => Output::Json,
        (OutputForm::Nagios, Command::Check) => Output::Text,
        (OutputForm::Nagios, _) => {
            return Exit::new(
                Code::Usage,
                "`--output nagios` is one line for a monitor, which `cdrelay check` alone gives; use text or json here",
            );
        }
    };
    let (sender, stop) = watch::channel(Stop::No);
    let context = Context {
        config: cli.config.clone(),
        output,
        quiet: cli.quiet,
        log_format: cli.log_format,
        privacy: log::privacy(cli),
        stop,
        unwritten: RefCell::new(None),
    };
    let signals = listen_for_signals(sender);
    let ended = tokio::select! {
        ended = verb(&context, cli) => ended,
        code = signals => Err(Exit::new(code, "stopped at once by a second signal; the next run goes on")),
    };
    let exit = ended.unwrap_or_else(|exit| exit);
    match context.unwritten.take() {
        Some(error) => exit.worse(Exit::new(
            Code::Internal,
            format!("the result could not be written to stdout: {error}; what was done is done, and `cdrelay status` shows it"),
        )),
        None => exit,
    }
}

async fn verb(context: &Context, cli: &Cli) -> Ended {
    match &cli.command {
        Command::Sync(args) => sync::run(context, args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Delete(args) => delete::run(context, args).await,
        Command::Rebuild(args) => rebuild::run(context, args).await,
        Command::Check => {
            let form = match cli.output {
                OutputForm::Nagios => check::Form::Nagios,
                OutputForm::Text | OutputForm::Json => check::Form::Usual(context.output),
            };
            check::run(context, form).await
        }
        Command::Explain(args) => explain::run(context, args).await,
        Command::Why(args) => why::run(context, args).await,
        Command::Agi(args) => agi::run(context, args).await,
        Command::Calls(args) => calls::run(context, args).await,
        Command::Held(args) => held::run(context, args).await,
        Command::Unmatched(args) => unmatched::run(context, args).await,
        Command::Reconcile(args) => reconcile::run(context, args).await,
        Command::Purge(args) => purge::run(context, args).await,
        Command::Status => status::run(context).await,
        Command::Report(args) => report::run(context, args).await,
        Command::Init(args) => init::run(context, args).await,
        Command::Adopt(args) => adopt::run(context, args).await,
        Command::Collect(args) => collect::run(context, args).await,
        Command::Sandbox(args) => sandbox::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::Completions(args) => completions::run(context, args),
        Command::Man(args) => man::run(context, args),
    }
}

impl Context {
    /// Finds and reads the configuration.
    ///
    /// # Errors
    /// Code 2, with every problem of the file.
    pub fn load(&self) -> Result<Config, Exit> {
        // What is no UTF-8 is kept as well as can be: a secret that is then refused is seen, one that is passed over is not.
        let env =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let path = config::locate(self.config.as_deref(), &env)
            .map_err(|error| Exit::new(Code::Usage, error.to_string()))?;
        config::load(&path, &env).map_err(|errors| Exit::listing(Code::Usage, &errors.lines()))
    }

    /// Prints the result on stdout: nothing invisible but line feeds.
    pub fn print(&self, text: &str) {
        self.write(&visible_lines(text));
    }

    /// Prints lines of CSV, which end as RFC 4180 wants them to; otherwise as [`Context::print`].
    pub fn print_csv(&self, lines: &str) {
        self.write(&visible_lines(lines).replace('\n', "\r\n"));
    }

    /// A reader that went away (`| head`) is no error.
    fn write(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let mut write = || -> std::io::Result<()> {
            fault::point!("stdout.before_write");
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        };
        if let Err(error) = write()
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.unwritten.replace(Some(error));
        }
    }

    /// Prints one JSON value on one line.
    pub fn print_json(&self, value: &impl serde::Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.print(&format!("{}\n", visible_json(&text))),
            Err(error) => tracing::error!("cannot write JSON: {error}"),
        }
    }

    /// Whether a progress bar may be drawn on a terminal.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        !self.quiet && self.output == Output::Text && self.log_format == LogFormat::Text
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn stopped(&self) -> Stop {
        *self.stop.borrow()
    }
}

/// The time of day, in the one place that asks for it.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A span in whole seconds, such as can be taken from an instant.
fn seconds(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX / 2)
}

/// Writes to stderr: nothing invisible but line feeds.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr()
        .lock()
        .write_all(visible_lines(text).as_bytes());
}

/// An anyhow error as an exit, its chain in one sentence; the problems of the rules stay a list.
pub(crate) fn fail(code: Code, error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<Problems>() {
        Some(Problems(problems)) => Exit::listing(code, problems),
        None => Exit::new(code, format!("{error:#}")),
    }
}

impl From<SourceError> for Exit {
    fn from(error: SourceError) -> Self {
        fail(Code::Source, &anyhow::Error::new(error))
    }
}

impl From<LedgerError> for Exit {
    fn from(error: LedgerError) -> Self {
        let code = match &error {
            LedgerError::Held { .. } => Code::Locked,
            LedgerError::Missing { .. } => Code::LedgerMissing,
            LedgerError::Unusable { .. } => Code::LedgerUnusable,
            LedgerError::Internal { .. } => Code::Internal,
        };
        fail(code, &anyhow::Error::new(error))
    }
}

/// Listens from now on, not only from when it is first waited for: a signal that came before that would end the program
/// at once. Tells the verb about the first signal; ends with the second.
fn listen_for_signals(sender: watch::Sender<Stop>) -> impl Future<Output = Code> {
    use tokio::signal::unix::{SignalKind, signal};
    let listening = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = listening else {
            tracing::warn!("cannot listen for signals; a signal will end the program at once");
            return std::future::pending().await;
        };
        let first = tokio::select! {
            _ = interrupt.recv() => Stop::Interrupt,
            _ = terminate.recv() => Stop::Terminate,
        };
        fault::moment!("signal.heard");
        sender.send_replace(first);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        match first {
            Stop::Terminate => Code::Terminated,
            Stop::No | Stop::Interrupt | Stop::Unrecorded => Code::Interrupted,
        }
    }
}
