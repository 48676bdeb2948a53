//! `collect`: receives call events and writes the rows of a `cdr` table, until a signal ends it; with `--from`, takes
//! recorded messages instead.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Context, Ended, fail, now};
use crate::cli::{CollectArgs, Output};
use crate::collector::counts::Counts;
use crate::collector::cti_bridge::dial::Routes;
use crate::collector::desk::{Desk, LongBodies};
use crate::collector::gate::Gate;
use crate::collector::server::serve;
use crate::collector::store::{self, StoreError};
use crate::collector::subscribe::subscribe;
use crate::collector::writer::{Habits, Writer};
use crate::collector::{Settings, replay};
use crate::config::{self, CollectorConfig, CollectorSetup};
use crate::delivery::Stop;
use crate::intake::chains;
use crate::ledger::{Access, Ledger, LedgerError};
use crate::report::exit::{Code, Exit};
use crate::report::metrics::{Metrics, render};
use crate::text::{Shown, count};

/// How long a scrape of `/metrics` waits for the ledger.
const LEDGER_PATIENCE: Duration = Duration::from_secs(5);

/// Receives, or replays.
pub async fn run(context: &Context, args: &CollectArgs) -> Ended {
    let setup = load(context)?;
    let routes = routes(&setup)?;
    match &args.from {
        Some(from) => replayed(context, &setup, from),
        None => served(context, setup, routes).await,
    }
}

fn load(context: &Context) -> Result<CollectorSetup, Exit> {
    let env = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let path = config::locate(context.config.as_deref(), &env)
        .map_err(|error| Exit::new(Code::Usage, error.to_string()))?;
    config::load_collector(&path, &env)
        .map_err(|errors| Exit::listing(Code::Usage, &errors.lines()))
}

/// The routing table behind the rules, whose examples have to hold here, too.
pub(super) fn routes(setup: &CollectorSetup) -> Result<Routes, Exit> {
    let (chain, _callers) = chains(&setup.path, &setup.rules, &setup.rule_tests)
        .map_err(|error| fail(Code::Usage, &error))?;
    Ok(Routes {
        chain,
        routes: setup.collector.routes.clone(),
        fallback: setup.collector.fallback.clone(),
    })
}

fn habits(config: &CollectorConfig) -> Habits {
    let milliseconds = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Habits {
        settings: Settings::new(
            config.timezone,
            config.astercc_timezone,
            config.freeswitch_timezone,
            config.cti_bridge_names.clone(),
            milliseconds(config.settle),
            milliseconds(config.close_after),
        ),
        retention: milliseconds(config.retention),
        now: || now().timestamp_millis(),
    }
}

/// What is wrong with a store, as an exit: that another collector holds it is no fault of its own.
fn unusable(error: StoreError) -> Exit {
    let code = match &error {
        StoreError::Held(_) => Code::Locked,
        StoreError::Unusable { .. } | StoreError::Failed { .. } => Code::LedgerUnusable,
    };
    fail(code, &error.into())
}

async fn served(context: &Context, setup: CollectorSetup, routes: Routes) -> Ended {
    let collector = Collector::start(setup, routes).await?;
    let url = collector.url();
    match context.output {
        Output::Text => context.print(&format!("collecting at {url}\n")),
        Output::Json => context.print_json(&serde_json::json!({"url": url})),
    }
    let mut asked = context.stop.clone();
    let _ = asked.wait_for(|asked| *asked != Stop::No).await;
    let rows = collector.stop().await;
    Ok(Exit::new(
        Code::Settled,
        format!("collector ended, {} written", count(rows, "row")),
    ))
}

/// A collector at work in this process.
pub(super) struct Collector {
    address: SocketAddr,
    counts: Arc<Counts>,
    told: watch::Sender<bool>,
    server: JoinHandle<()>,
    subscriber: Option<JoinHandle<()>>,
    writer: Writer,
}

impl Collector {
    /// Opens the store and listens.
    pub(super) async fn start(setup: CollectorSetup, routes: Routes) -> Result<Self, Exit> {
        let CollectorSetup {
            job,
            collector: config,
            ledger,
            ..
        } = setup;
        let named = job.clone();
        let (store, config) = opened(config).await?;
        let listener = TcpListener::bind(config.listen).await.map_err(|error| {
            Exit::new(
                Code::Usage,
                format!(
                    "cannot listen on {}: {error}; set `collector.listen` to an address of this machine and a free port",
                    config.listen
                ),
            )
        })?;
        let internal = |what: &str, error: std::io::Error| {
            Exit::new(Code::Internal, format!("{what}: {error}"))
        };
        let address = listener
            .local_addr()
            .map_err(|error| internal("the socket has no address", error))?;
        let counts = Arc::new(Counts::default());
        let (writer, door) = Writer::start(store, habits(&config), Arc::clone(&counts))
            .map_err(|error| internal("no thread for the store", error))?;
        let (told, stop) = watch::channel(false);
        let subscriber = config.astercc_subscribe.clone().map(|channel| {
            let (door, counts, stop) = (door.clone(), Arc::clone(&counts), stop.clone());
            tokio::spawn(subscribe(channel, door, counts, stop))
        });
        let desk = Desk {
            job,
            gate: Gate::new(config.secret.as_ref()),
            door,
            counts: Arc::clone(&counts),
            names: config.cti_bridge_names.clone(),
            routes,
            answer_within: config.answer_within,
            more_metrics: Box::new(move || Box::pin(of_runs(ledger.clone(), named.clone()))),
            long_bodies: LongBodies::default(),
        };
        let server = tokio::spawn(serve(listener, desk, config.connections, stop));
        Ok(Self {
            address,
            counts,
            told,
            server,
            subscriber,
            writer,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Rows of calls that had none, so far.
    pub(super) fn rows(&self) -> u64 {
        self.counts.rows_new.load(Ordering::Relaxed)
    }

    /// Takes no new request, answers those that are there, and gives how many rows were written.
    pub(super) async fn stop(self) -> u64 {
        self.told.send_replace(true);
        let _ = self.server.await;
        if let Some(subscriber) = self.subscriber {
            let _ = subscriber.await;
        }
        // Everything that was acknowledged is kept already; the thread ends with its last transaction.
        let writer = self.writer;
        let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        self.counts.rows_new.load(Ordering::Relaxed)
    }
}

/// The figures of the runs that the ledger knows of, where the configuration names one; nothing where it does not answer.
async fn of_runs(ledger: Option<PathBuf>, job: String) -> String {
    let Some(path) = ledger else {
        return String::new();
    };
    let read = async {
        let (ledger, _) = Ledger::open(&path, &job, Access::ReadOnly, now().timestamp()).await?;
        let metrics = Metrics::read(&ledger, &job).await?;
        ledger.close().await?;
        Ok::<_, LedgerError>(metrics)
    };
    match tokio::time::timeout(LEDGER_PATIENCE, read).await {
        Ok(Ok(metrics)) => render(&[metrics]),
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

/// Opening waits for disks and servers, and has a runtime of its own to do so.
async fn opened(config: CollectorConfig) -> Result<(Box<dyn store::Store>, CollectorConfig), Exit> {
    let opening = tokio::task::spawn_blocking(move || (store::open(&config), config));
    match opening.await {
        Ok((store, config)) => Ok((store.map_err(unusable)?, config)),
        Err(error) => Err(Exit::new(
            Code::Internal,
            format!("the store was not opened: {error}"),
        )),
    }
}

fn replayed(context: &Context, setup: &CollectorSetup, from: &Path) -> Ended {
    let config = &setup.collector;
    let shown = from.display().to_string();
    let cannot = |error: std::io::Error| {
        fail(
            Code::Usage,
            &anyhow::Error::new(error).context(format!("cannot read {}", Shown(&shown))),
        )
    };
    let input: Box<dyn std::io::Read + Send> = if from == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(from).map_err(cannot)?)
    };
    // Its own thread: a store in a server waits on a runtime of its own, which cannot be inside another.
    let habits = habits(config);
    let told = std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut store = store::open(config).map_err(unusable)?;
            replay::replay(&mut *store, &habits, input)
                .context("the recording was taken up to there, and can be taken again")
                .map_err(|error| fail(Code::LedgerUnusable, &error))
        });
        work.join()
            .unwrap_or_else(|_| Err(Exit::new(Code::Internal, "the recording was not taken")))
    });
    let told = told?;
    match context.output {
        Output::Text => context.print(&told.text()),
        Output::Json => context.print_json(&told),
    }
    if told.refused > 0 {
        let first = told.complaints.join("; ");
        return Ok(Exit::new(
            Code::Look,
            format!(
                "{} in {shown} could not be read: {first}",
                count(told.refused, "line")
            ),
        ));
    }
    Ok(Exit::new(
        Code::Settled,
        "everything in the recording is kept",
    ))
}
