//! A store in MariaDB, MySQL or PostgreSQL: the same tables, the same steps, over one connection.

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use tokio::runtime::Runtime;
use url::Url;

use self::link::{Kind, Link, as_text, creation, first, schema};
use super::{StoreError, columns};
use crate::collector::row::COLUMNS;
use crate::config::{CollectorConfig, StoreLocation};
use crate::source::server::Server;
use crate::text::Shown;

mod link;
mod steps;

/// Longest wait for a connection, and for one transaction.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for the lock of a collector that was ended a moment ago, until the server has noticed.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Narrowest `uniqueid` of a table that others made: FreeSWITCH's ids have 36 characters.
const NARROWEST_ID: usize = 36;

/// A store in a database server.
pub struct ServerStore {
    runtime: Runtime,
    kind: Kind,
    server: Server,
    connection: Option<Link>,
    /// How many characters the columns of `cdr` hold, in the order of [`COLUMNS`]; a table of somebody else's may be
    /// narrower than ours.
    widths: Vec<usize>,
}

impl ServerStore {
    /// Connects, takes the lock, and makes what is missing.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::Unusable`].
    pub fn open(config: &CollectorConfig) -> Result<Self, StoreError> {
        let (kind, url): (_, &Url) = match &config.store {
            StoreLocation::Postgres(url) => (Kind::Postgres, url),
            StoreLocation::Mysql(url) => (Kind::Mysql, url),
            StoreLocation::Sqlite(path) => {
                return Err(StoreError::Unusable {
                    what: format!("`{}` is no database server", path.display()),
                    source: None,
                });
            }
        };
        let (product, port) = match kind {
            Kind::Mysql => ("MySQL", 3306),
            Kind::Postgres => ("PostgreSQL", 5432),
        };
        let unusable = |error: crate::source::SourceError| StoreError::Unusable {
            what: format!("`collector.store`: {error}"),
            source: None,
        };
        let password = config.store_password.clone();
        let server = Server::new(
            product,
            port,
            url,
            password,
            &config.store_tls,
            "collector.store",
        )
        .map_err(unusable)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                StoreError::unusable("the store's thread cannot start".to_owned(), error)
            })?;
        let mut store = Self {
            runtime,
            kind,
            server,
            connection: None,
            widths: Vec::new(),
        };
        let begun = Instant::now();
        loop {
            match store.connect() {
                Err(StoreError::Held(_)) if begun.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                connected => return connected.map(|()| store),
            }
        }
    }

    /// Connects where there is no connection. A new one holds the lock and finds the tables it needs, whatever happened
    /// to the server meanwhile.
    fn connect(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let place = self.server.place();
        let refused = |error: anyhow::Error| {
            StoreError::unusable(
                format!(
                    "the collector's store at {place} cannot be used; see that the server runs, and that `collector.store` names a user who may create and write tables"
                ),
                error,
            )
        };
        let (server, kind) = (&self.server, self.kind);
        let link = wait(&self.runtime, async {
            Ok(match kind {
                Kind::Mysql => {
                    // A TIMESTAMP column of somebody else's is written on the server's own clock, as Asterisk does it.
                    let options = server.mysql_options(None);
                    Link::Mysql(Box::new(options.connect().await?))
                }
                Kind::Postgres => {
                    Link::Postgres(Box::new(server.postgres_options().connect().await?))
                }
            })
        })
        .map_err(refused)?;
        self.connection = Some(link);
        let prepared = self.prepare().map_err(refused).and_then(|held| {
            if held {
                Ok(())
            } else {
                Err(StoreError::Held(format!("at {place}")))
            }
        });
        if prepared.is_err() {
            self.connection = None;
        }
        prepared
    }

    /// Takes the lock, which the server gives up with the connection, and makes the tables. `false`: another has it.
    fn prepare(&mut self) -> anyhow::Result<bool> {
        let kind = self.kind;
        let known = &mut self.widths;
        let Some(link) = &mut self.connection else {
            anyhow::bail!("there is no connection");
        };
        wait(&self.runtime, async {
            // One lock for each database; the server gives it up with the connection.
            let lock = match kind {
                Kind::Mysql => {
                    "SELECT CAST(GET_LOCK(LEFT(CONCAT('cdrelay collector ', DATABASE()), 64), 0) AS CHAR)"
                }
                Kind::Postgres => {
                    "SELECT CAST(CAST(pg_try_advisory_lock(hashtext('cdrelay collector'), hashtext(current_schema())) AS INTEGER) AS TEXT)"
                }
            };
            let answer = link.rows(lock, &[], 1).await?;
            if first(&answer) != Some("1") {
                return Ok(false);
            }
            if kind == Kind::Postgres {
                link.rows(OWN_SETTINGS, &[], 2).await?;
            }
            if let Some(setting) = forgetful(link, kind).await? {
                tracing::warn!(
                    "the store's server has {setting}: what was acknowledged survives a kill of the collector, and perhaps not a power cut of the server"
                );
            }
            for table in [
                "collector_events",
                "collector_calls",
                "collector_meta",
                "cdr",
            ] {
                if link.has(table, kind).await? {
                    continue;
                }
                for statement in creation(table, kind) {
                    link.execute(&statement, &[]).await?;
                }
            }
            // A table of somebody else's may lack a column, or be too narrow.
            link.rows(
                &format!("SELECT {} FROM cdr WHERE 1 = 0", columns()),
                &[],
                0,
            )
            .await?;
            let (schema, text) = (schema(kind), as_text(kind));
            let widths = link
                .rows(
                    &format!(
                        "SELECT column_name, CAST(character_maximum_length AS {text}) FROM information_schema.columns \
                         WHERE table_schema = {schema} AND table_name = 'cdr'"
                    ),
                    &[],
                    2,
                )
                .await?;
            let width = |column: &str, most: usize| {
                let found = widths.iter().find_map(|row| match &row[..] {
                    [Some(name), Some(width)] if name.eq_ignore_ascii_case(column) => {
                        width.parse().ok()
                    }
                    _ => None,
                });
                found.map_or(most, |width: usize| width.min(most))
            };
            *known = COLUMNS
                .iter()
                .map(|(column, most)| width(column, *most))
                .collect();
            for id in ["uniqueid", "linkedid"] {
                anyhow::ensure!(
                    width(id, usize::MAX) >= NARROWEST_ID,
                    "its column `cdr.{id}` is too narrow for the ids of FreeSWITCH; widen it to varchar(150)"
                );
            }
            Ok(true)
        })
    }

    /// Runs a step as one transaction.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        step: impl AsyncFnOnce(&mut Link, Kind) -> anyhow::Result<T>,
    ) -> Result<T, StoreError> {
        self.read(doing, async |link, kind| {
            link.execute("BEGIN", &[]).await?;
            let done = step(link, kind).await?;
            link.execute("COMMIT", &[]).await?;
            Ok(done)
        })
    }

    /// Runs a step that changes nothing: there is no other writer whose changes it could see half of. A connection on
    /// which a step failed is not used again.
    fn read<T>(
        &mut self,
        doing: &'static str,
        step: impl AsyncFnOnce(&mut Link, Kind) -> anyhow::Result<T>,
    ) -> Result<T, StoreError> {
        let failed = |source: anyhow::Error| StoreError::Failed { doing, source };
        self.connect()
            .map_err(|error| failed(anyhow::Error::new(error)))?;
        let kind = self.kind;
        let Some(mut link) = self.connection.take() else {
            return Err(failed(anyhow::anyhow!("there is no connection")));
        };
        let done = wait(&self.runtime, step(&mut link, kind));
        if done.is_ok() {
            self.connection = Some(link);
        }
        done.map_err(failed)
    }
}

/// What PostgreSQL lets a session decide for itself: that a transaction is on disk before it says so; and that rows are
/// found by their index, also by statements that were planned while the tables were empty.
const OWN_SETTINGS: &str = "SELECT set_config('enable_seqscan', 'off', false), \
     set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false)";

/// The setting by which the server says that a transaction is kept before it is on disk.
async fn forgetful(link: &mut Link, kind: Kind) -> anyhow::Result<Option<String>> {
    let sql = match kind {
        Kind::Mysql => {
            "SELECT CONCAT('innodb_flush_log_at_trx_commit = ', @@GLOBAL.innodb_flush_log_at_trx_commit) \
             FROM (SELECT 1 AS one) AS once WHERE @@GLOBAL.innodb_flush_log_at_trx_commit <> 1"
        }
        Kind::Postgres => "SELECT 'fsync = off' WHERE current_setting('fsync') = 'off'",
    };
    let answer = link.rows(sql, &[], 1).await?;
    Ok(first(&answer).map(|setting| Shown(setting).to_string()))
}

/// Waits for a step, at most [`PATIENCE`].
fn wait<T>(runtime: &Runtime, step: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime.block_on(async {
        match tokio::time::timeout(PATIENCE, step).await {
            Ok(done) => done,
            Err(_elapsed) => Err(anyhow::anyhow!(
                "it did not answer within {}",
                humantime::format_duration(PATIENCE)
            )),
        }
    })
}
