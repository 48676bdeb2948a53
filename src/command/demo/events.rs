//! `demo --events`: the two calls of asterCC's documentation, message by message over HTTP, through the collector and its
//! `cdr` table into the practice CRM.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{folder, write};
use crate::cli::{Output, SyncArgs};
use crate::collector::astercc::message;
use crate::command::collect::{self, Collector};
use crate::command::{Context, Ended, fail, sync};
use crate::config;
use crate::delivery::Stop;
use crate::monitor::Monitor;
use crate::report::exit::{Code, Exit};
use crate::report::text;
use crate::sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use crate::text::Shown;

/// Recorded messages, two calls.
const MESSAGES: &str = include_str!("../../../examples/astercc-messages.txt");

/// How many calls that is.
const CALLS: u64 = 2;

/// How long the rows may take; the configuration below lets a call settle in a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demonstration.
pub(super) async fn run(context: &Context, dir: Option<PathBuf>) -> Ended {
    let internal = |error: anyhow::Error| fail(Code::Internal, &error);
    let (dir, crm) = stage(dir).map_err(internal)?;
    let file = dir.join("cdrelay.toml");
    let listing = |errors: &config::ConfigErrors| Exit::listing(Code::Internal, &errors.lines());
    let setup = config::load_collector(&file, &|_| None).map_err(|errors| listing(&errors))?;
    let routes = collect::routes(&setup)?;
    let collector = Collector::start(setup, routes).await?;
    if context.output == Output::Text {
        context.print(&format!(
            "A collector at {}, and a practice CRM at {}.\n\n# what asterCC would post\n",
            collector.url(),
            crm.url.as_str().trim_end_matches('/')
        ));
    }
    let sent = send(context, &collector).await;
    let settled = match &sent {
        Ok(()) => tokio::time::timeout(PATIENCE, written(context, &collector))
            .await
            .is_ok(),
        Err(_) => true,
    };
    let rows = collector.stop().await;
    sent.map_err(internal)?;
    if !settled {
        let why = format!("the collector wrote {rows} of {CALLS} rows");
        return Err(Exit::new(Code::Internal, why));
    }
    let config = config::load(&file, &|_| None).map_err(|errors| listing(&errors))?;
    let arguments = SyncArgs {
        since: Some("2010-01-01".to_owned()),
        until: Some("2010-01-02".to_owned()),
        ..SyncArgs::default()
    };
    let nobody = Monitor::nobody();
    let (report, remarks) =
        sync::sync(context, &config, &arguments, sync::Kind::Asked, &nobody).await?;
    let held = crm.calls();
    match context.output {
        Output::Text => {
            context.print(&format!(
                "\n# the table that it made of them, and the run that reads it\n$ cdrelay sync --since 2010-01-01 --until 2010-01-02\n{}",
                text::render(&report, &remarks, config.source.timezone)
            ));
            let mut lines = String::from("\nThe CRM now holds:\n");
            for call in &held {
                lines.push_str(&format!(
                    "  {} {} -> {}, {} s\n",
                    Shown(&call.initiated),
                    Shown(&call.source),
                    Shown(&call.destination),
                    call.duration.unwrap_or_default()
                ));
            }
            let shown = dir.display().to_string();
            lines.push_str(&format!(
                "\nThe files are in {0}. To try events of your own:\n  cdrelay --config {0}/cdrelay.toml collect\n",
                Shown(&shown)
            ));
            context.print(&lines);
        }
        Output::Json => context.print_json(&serde_json::json!({
            "dir": dir,
            "rows": rows,
            "runs": [report],
            "crm_calls": held.len(),
        })),
    }
    crm.stop();
    Ok(report.exit)
}

/// Waits until every call has its row, or somebody wants to stop.
async fn written(context: &Context, collector: &Collector) {
    while collector.rows() < CALLS && context.stopped() == Stop::No {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Posts the messages, each as its body, and prints what it says.
async fn send(context: &Context, collector: &Collector) -> anyhow::Result<()> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}/astercc", collector.url());
    for text in MESSAGES.lines().flat_map(message::in_line) {
        let request = Request::post(&url).body(Full::from(text.to_owned()))?;
        let answer = tokio::time::timeout(PATIENCE, client.request(request)).await??;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "the collector answered {status}");
        if context.output == Output::Text {
            let fields = message::read(text.as_bytes()).unwrap_or_default();
            let value = |key: &str| fields.get(key).map_or("", String::as_str);
            context.print(&format!(
                "  {:<19} {:<12} {:<8} {}\n",
                value("eventTime"),
                value("source"),
                value("event"),
                status
            ));
        }
    }
    Ok(())
}

fn stage(dir: Option<PathBuf>) -> anyhow::Result<(PathBuf, RunningSandbox)> {
    let dir = folder(dir)?;
    if dir.join("collector.db").exists() {
        anyhow::bail!(
            "{} holds a demonstration already; give another --dir",
            dir.display()
        );
    }
    let options = SandboxOptions::default();
    let token = options.token.clone();
    let crm = Sandbox::start(options)?;
    write(&dir.join("crm.token"), &(token + "\n"))?;
    write_configuration(&dir, crm.url.as_str().trim_end_matches('/'))
        .context("the demonstration's configuration")?;
    Ok((dir, crm))
}

fn write_configuration(dir: &Path, crm: &str) -> anyhow::Result<()> {
    let text = format!(
        r#"job = "demo"

[collector]
listen = "127.0.0.1:0"
store = "sqlite:collector.db"
timezone = "Asia/Shanghai"
settle = "300ms"

[source]
url = "sqlite:collector.db"
timezone = "Asia/Shanghai"

[target]
kind = "nimbox"
url = "{crm}"
token_file = "crm.token"
initiated_as = "utc"

[ledger]
path = "ledger.db"
"#
    );
    write(&dir.join("cdrelay.toml"), &text)
}
