//! Clients that do nothing but read rows and send them: no ledger, no rules but the dialled 9 taken off, no retries, no
//! memory of what was sent. What is faster than they are costs nothing beside the work itself.
//!
//! Each runs as a process of its own, this program started again, so that it is measured as cdrelay is.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::mysql::{MySqlConnectOptions, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};

use super::pbx::Table;

/// First argument of such a process.
pub(crate) const WORD: &str = "bare";

/// What sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// reqwest
    Reqwest,
    /// The pooled client of hyper-util.
    Hyper,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Reqwest, Self::Hyper];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reqwest => "reqwest",
            Self::Hyper => "hyper-util",
        }
    }
}

/// The process that sends a table's calls, so many at a time.
pub(crate) fn command(
    kind: Kind,
    table: &Table,
    crm: &str,
    in_flight: usize,
) -> anyhow::Result<Command> {
    let program: PathBuf = std::env::current_exe()?;
    let mut command = Command::new(program);
    command
        .args([WORD, kind.name(), &table.url(), crm])
        .arg(in_flight.to_string());
    Ok(command)
}

/// What such a process does.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [kind, source, crm, in_flight] = arguments else {
        bail!(
            "a bare client takes a kind, a table's URL, the CRM's, and how many requests at a time"
        );
    };
    let kind = Kind::ALL
        .into_iter()
        .find(|known| known.name() == kind)
        .with_context(|| format!("there is no bare client `{kind}`"))?;
    let in_flight: usize = in_flight.parse()?;
    // One thread, as cdrelay has one for this.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match kind {
            Kind::Reqwest => with_reqwest(source, crm, in_flight).await,
            Kind::Hyper => with_hyper(source, crm, in_flight).await,
        }
    })
}

async fn with_reqwest(source: &str, crm: &str, in_flight: usize) -> anyhow::Result<()> {
    // Where reqwest is built with TLS, it asks for a provider even if nothing is to be encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(in_flight)
        .build()?;
    let client = &client;
    pipeline(source, crm, in_flight, |address| async move {
        let reply = client.get(address).send().await?;
        let status = reply.status().as_u16();
        accepted(status, &reply.bytes().await?)
    })
    .await
}

async fn with_hyper(source: &str, crm: &str, in_flight: usize) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(in_flight)
        .build(connector);
    let client = &client;
    pipeline(source, crm, in_flight, |address| async move {
        let reply = client.get(address.parse()?).await?;
        let status = reply.status().as_u16();
        accepted(status, &reply.into_body().collect().await?.to_bytes())
    })
    .await
}

/// Rows as they come, requests as there is room for them.
async fn pipeline<F>(
    source: &str,
    crm: &str,
    in_flight: usize,
    send: impl Fn(String) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut connection = MySqlConnectOptions::from_str(source)?
        .ssl_mode(MySqlSslMode::Disabled)
        .connect()
        .await?;
    let sql = "SELECT CAST(calldate AS CHAR), src, dst, duration, recordingfile FROM cdr ORDER BY calldate";
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .fetch(&mut connection)
        .map(|row| -> anyhow::Result<F> { Ok(send(address(crm, &row?)?)) })
        .try_buffer_unordered(in_flight)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

fn address(crm: &str, row: &MySqlRow) -> anyhow::Result<String> {
    let start: String = row.try_get(0)?;
    let (source, dialled): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let duration: i32 = row.try_get(3)?;
    let file: &str = row.try_get(4)?;
    let (day, time) = start.split_once(' ').context("a start without a time")?;
    let link = format!(
        "https://pbx.example.com/rec/{}/{file}",
        day.replace('-', "/")
    );
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    Ok(format!(
        "{crm}/direct/items/phonecalls/create?token=sandbox&initiated={}&source={source}&destination={}\
         &duration={duration}&url={}",
        encoded(&format!("{day}T{time}Z")),
        dialled.strip_prefix('9').unwrap_or(dialled),
        encoded(&link),
    ))
}

fn accepted(status: u16, body: &[u8]) -> anyhow::Result<()> {
    let reply: serde_json::Value = serde_json::from_slice(body)?;
    ensure!(
        status == 200 && reply["error"] == false,
        "the CRM answered {status}: {reply}"
    );
    Ok(())
}
