//! SQLite files, as `cdr_sqlite3_custom` writes them.
//!
//! Its columns have no types: what a time column holds is decided by looking at one of its values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row, Sqlite, TypeInfo, ValueRef};

use super::gather::Sink;
use super::inspect::{Cell, TableColumn, choose, some_of, texts};
use super::keyset::{Bound, Clock, Dialect, Layout, Statement, Table};
use super::samples::{SAMPLES, majority, text_clock};
use super::server::{Patience, cause, next_row, within};
use super::{CallSource, SourceError, SourceProfile, TimeIndex};
use crate::config::{SourceConfig, TableName};
use crate::fault;
use crate::text::Shown;

mod order;

/// A source that reads `source.url = "sqlite://PATH"`. Nothing is opened yet.
///
/// # Errors
/// [`SourceError::Unusable`] where the table's name has a schema, or the path cannot be made absolute.
pub fn source(
    path: &Path,
    config: &SourceConfig,
    extra_roles: Vec<String>,
) -> Result<Box<dyn CallSource>, SourceError> {
    if let Some(schema) = &config.table.schema {
        return Err(SourceError::Unusable(format!(
            "`source.table` names schema `{schema}`, but a SQLite file has none; name the table alone"
        )));
    }
    // Absolute, so that SQLite takes no name for a URI or for `:memory:`.
    let path = std::path::absolute(path).map_err(|error| {
        SourceError::Unusable(format!(
            "`source.url` names no file: {error}; write it as sqlite:///PATH"
        ))
    })?;
    Ok(Box::new(Table::new(SqliteFile {
        path,
        table: config.table.clone(),
        columns: config.columns.clone(),
        extra_roles,
        patience: Patience::new(config.timeout),
        connection: None,
    })))
}

struct SqliteFile {
    path: PathBuf,
    table: TableName,
    columns: BTreeMap<String, String>,
    extra_roles: Vec<String>,
    patience: Patience,
    connection: Option<SqliteConnection>,
}

impl Dialect for SqliteFile {
    const COUNTED: u64 = 1_000_000;

    fn inspect(&mut self) -> BoxFuture<'_, Result<Layout, SourceError>> {
        async {
            let mut connection = self.connected().await?;
            let place = self.place();
            let described = within(self.patience.answer(), &place, DESCRIBING, async {
                fault::point!("source.inspect");
                Ok((self.describe(&mut connection).await?, connection))
            });
            let (layout, connection) = described.await?;
            self.connection = Some(connection);
            Ok(layout)
        }
        .boxed()
    }

    fn read<'a>(
        &'a mut self,
        layout: &'a Layout,
        statement: Statement,
        pass: bool,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            let mut connection = self.connected().await?;
            let place = self.place();
            let limits = self.patience.rows(pass);
            let drained = within(limits.whole, &place, READING, async {
                let fail = |error| self.failure(READING, error);
                let kind = layout.clock.kind();
                // A number column that holds text too: SQLite sorts it behind all numbers, and so outside every window.
                let numbers_only = layout.clock == Clock::Epoch;
                fault::point!("source.statement");
                let mut rows = bound(statement).fetch(&mut connection);
                while let Some(row) = next_row(limits.silence, &place, READING, rows.try_next())
                    .await?
                    .map_err(fail)?
                {
                    let row = layout.chosen.row(kind, |at| {
                        Ok(match cell(&row, at)? {
                            Cell::Text(text) if at == 0 && numbers_only && !text.is_empty() => {
                                Cell::Odd(super::columns::decode(&text))
                            }
                            other => other,
                        })
                    });
                    sink.push(row.map_err(fail)?, None)?;
                    fault::point!("source.row");
                }
                drop(rows);
                fault::point!("source.drained");
                Ok(connection)
            });
            self.connection = Some(drained.await?);
            Ok(())
        }
        .boxed()
    }

    fn answer(&mut self, statement: Statement) -> BoxFuture<'_, Result<Vec<String>, SourceError>> {
        async {
            let mut connection = self.connected().await?;
            let place = self.place();
            let (fields, connection) = within(self.patience.answer(), &place, READING, async {
                let fail = |error| self.failure(READING, error);
                fault::point!("source.count");
                let row = bound(statement).fetch_optional(&mut connection).await;
                let fields = match row.map_err(fail)? {
                    Some(row) => texts(row.len(), |at| cell(&row, at)).map_err(fail)?,
                    None => Vec::new(),
                };
                Ok((fields, connection))
            })
            .await?;
            self.connection = Some(connection);
            Ok(fields)
        }
        .boxed()
    }

    fn guess(&mut self, _: Statement) -> BoxFuture<'_, Result<Option<u64>, SourceError>> {
        // SQLite's plans name no numbers of rows.
        async { Ok(None) }.boxed()
    }

    fn insertion_order(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        self.order().boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        async {
            if let Some(connection) = self.connection.take() {
                // A goodbye that fails changes nothing.
                let _ = tokio::time::timeout(self.patience.connect(), connection.close()).await;
            }
        }
        .boxed()
    }
}

impl SqliteFile {
    fn place(&self) -> String {
        format!("SQLite file {}", self.path.display())
    }

    /// Takes the connection out, or makes one. It goes back only after a success.
    async fn connected(&mut self) -> Result<SqliteConnection, SourceError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let shown = self.path.display();
        match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => {
                return Err(SourceError::Unusable(format!(
                    "{shown} is no file; correct `source.url`"
                )));
            }
            Err(error) => {
                return Err(SourceError::Unusable(format!(
                    "SQLite file {shown} cannot be opened: {error}; correct `source.url`, or give cdrelay's user the right \
                     to read it"
                )));
            }
        }
        within(self.patience.connect(), &self.place(), OPENING, async {
            fault::point!("source.connect");
            let fail = |error| self.failure(OPENING, error);
            let mut connection = SqliteConnectOptions::new()
                .filename(&self.path)
                .read_only(true)
                .create_if_missing(false)
                // Before this side's patience ends, so that it is told why.
                .busy_timeout(self.patience.connect() / 2)
                .row_buffer_size(1024)
                .disable_statement_logging()
                .connect()
                .await
                .map_err(fail)?;
            (&mut connection)
                .execute("PRAGMA query_only = ON")
                .await
                .map_err(fail)?;
            Ok(connection)
        })
        .await
    }

    async fn describe(&self, connection: &mut SqliteConnection) -> Result<Layout, SourceError> {
        let version = self
            .texts(connection, "SELECT sqlite_version()", &[])
            .await?;
        let Found {
            name: table,
            is_view,
            has_rowid,
        } = self.find_table(connection).await?;
        let columns = self
            .texts(
                connection,
                "SELECT name, type FROM pragma_table_info(?)",
                &[&table],
            )
            .await?;
        let available: Vec<TableColumn> = columns
            .iter()
            .map(|column| TableColumn {
                name: column[0].clone(),
                sql_type: column[1].clone(),
            })
            .collect();
        let chosen = choose(&table, &available, &self.columns, &self.extra_roles)?;
        let time = chosen.time().column.clone();
        let (quoted_table, quoted_time) = (quoted(&table), quoted(&time));
        let sample = format!(
            "SELECT typeof({quoted_time}), {quoted_time} FROM {quoted_table} \
             WHERE {quoted_time} IS NOT NULL AND {quoted_time} NOT IN ('', 0){} LIMIT {SAMPLES}",
            // The rows written last: what the phone system writes today.
            if has_rowid {
                " ORDER BY rowid DESC"
            } else {
                ""
            }
        );
        let sample = self.texts(connection, &sample, &[]).await?;
        let declared = chosen.time().sql_type.to_ascii_uppercase();
        let times = sample.iter().filter_map(|row| match row[0].as_str() {
            "integer" | "real" => Some(Clock::Epoch),
            "text" => text_clock(&row[1]),
            _ => None,
        });
        let clock = match (majority(times), sample.first()) {
            (Some(clock), _) => clock,
            (None, Some(row)) if row[0] == "text" => Clock::Text,
            (None, Some(row)) => {
                let other = &row[0];
                return Err(SourceError::Unusable(format!(
                    "column `{time}` of `{table}` holds a {other}, which is no time; set `source.columns.initiated` to the \
                     column that holds the start of the call"
                )));
            }
            (None, None) if declared.contains("INT") || declared.contains("REAL") => Clock::Epoch,
            (None, None) => Clock::Text,
        };
        let index = self
            .texts(
                connection,
                "SELECT l.name FROM pragma_index_list(?) AS l JOIN pragma_index_xinfo(l.name) AS x \
                 WHERE l.partial = 0 AND x.seqno = 0 AND x.name = ? AND x.coll = 'BINARY' ORDER BY l.seq",
                &[&table, &time],
            )
            .await?;
        // Columns have no lengths: each value says its own. Neither branch changes what type the value is of.
        let select = chosen.select_list(|found, reach| {
            let name = quoted(&found.column);
            format!("CASE WHEN octet_length({name}) > {reach} THEN substr({name}, 1, {reach}) ELSE {name} END")
        })
        .join(", ");
        let mut notes = Vec::new();
        if is_view {
            notes.push(format!(
                "`{table}` is a view: an index is added to the table behind it"
            ));
        }
        Ok(Layout {
            profile: SourceProfile {
                server: format!(
                    "SQLite {}, {}",
                    version.first().map_or("", |row| row[0].as_str()),
                    self.path.display()
                ),
                time: clock.kind(),
                columns: chosen.columns().to_vec(),
                extra: chosen.extra().to_vec(),
                index: index.first().map_or_else(
                    || {
                        TimeIndex::Missing(format!(
                            "CREATE INDEX {} ON {quoted_table} ({quoted_time})",
                            quoted(&format!("cdr_{time}"))
                        ))
                    },
                    |row| TimeIndex::Usable(row[0].clone()),
                ),
                notes,
            },
            chosen,
            clock,
            select,
            number: None,
            locks_writers: false,
            indexed_table: quoted_table.clone(),
            table: quoted_table,
            time: quoted_time,
            placeholder: "?",
            has_late_values: true,
        })
    }

    async fn find_table(&self, connection: &mut SqliteConnection) -> Result<Found, SourceError> {
        let tables = self
            .texts(
                connection,
                "SELECT name, type, COALESCE(sql, '') LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE type IN ('table', 'view') \
                 AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
                &[],
            )
            .await?;
        let wanted = &self.table.name;
        // SQLite itself compares names without regard to case.
        let mut same = tables.iter();
        if let Some(table) = same.find(|table| table[0].eq_ignore_ascii_case(wanted)) {
            let is_view = table[1] == "view";
            return Ok(Found {
                name: table[0].clone(),
                is_view,
                has_rowid: !is_view && table[2] == "0",
            });
        }
        let has = if tables.is_empty() {
            "it has no tables".to_owned()
        } else {
            let names = tables.iter().map(|table| table[0].as_str());
            format!("it has {}", some_of(names))
        };
        Err(SourceError::Unusable(format!(
            "table `{wanted}` not found in {}; set `source.table` ({has})",
            self.place()
        )))
    }

    async fn texts(
        &self,
        connection: &mut SqliteConnection,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<Vec<String>>, SourceError> {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in values {
            query = query.bind((*value).to_owned());
        }
        let fail = |error| self.failure(DESCRIBING, error);
        let rows = query.fetch_all(connection).await.map_err(fail)?;
        rows.iter()
            .map(|row| texts(row.len(), |at| cell(row, at)).map_err(fail))
            .collect()
    }

    /// What an error means, by SQLite's primary result code (sqlite.org/rescode.html).
    fn failure(&self, doing: &str, error: sqlx::Error) -> SourceError {
        let place = self.place();
        let refused = error.as_database_error();
        let code = refused.and_then(|error| error.code()?.parse::<u32>().ok());
        let said = refused.map_or_else(|| error.to_string(), |error| error.message().to_owned());
        let said = Shown(&said);
        // The lower eight bits of an extended code are the primary one.
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => SourceError::Unreachable {
                what: format!("{place} is locked by its writer while {doing}; run again"),
                source: Some(cause(error)),
            },
            Some(26) => SourceError::Unusable(format!(
                "{place} is no SQLite 3 database: {said}; the cdr.db of Asterisk's old cdr_sqlite is SQLite 2, which has to \
                 be converted first"
            )),
            Some(11) => SourceError::Unusable(format!(
                "{place} is damaged: {said}; repair it (sqlite3's `.recover`) and run again"
            )),
            Some(8 | 14) => SourceError::Unusable(format!(
                "{place} cannot be opened: {said}; in WAL mode its -wal and -shm files must be readable too, or its \
                 directory writable"
            )),
            Some(1) => SourceError::Unusable(format!("{place} refused while {doing}: {said}")),
            Some(_) | None => SourceError::Unreachable {
                what: format!("{place} failed while {doing}; run again"),
                source: Some(cause(error)),
            },
        }
    }
}

/// A table as the file's catalog knows it.
struct Found {
    name: String,
    is_view: bool,
    /// Whether rows are numbered in the order of writing.
    has_rowid: bool,
}

const OPENING: &str = "opening it";
const DESCRIBING: &str = "describing the table";
const READING: &str = "reading calls";

fn bound(statement: Statement) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql));
    for bound in statement.bounds {
        query = match bound {
            Bound::Whole(number) => query.bind(number),
            Bound::Text(text) => query.bind(text),
        };
    }
    query
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell(row: &SqliteRow, at: usize) -> Result<Cell<'_>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Cell::Whole(row.try_get_unchecked::<i64, _>(at)?.into()),
        "REAL" => Cell::Float(row.try_get_unchecked(at)?),
        // Text in a UTF-16 file comes as UTF-8: asking for its length converts it.
        _ => Cell::Text(Cow::Borrowed(row.try_get_unchecked(at)?)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_write_over_the_connection_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.db");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE cdr (calldate)")
            .unwrap();
        let mut file = SqliteFile {
            path,
            table: TableName {
                schema: None,
                name: "cdr".to_owned(),
            },
            columns: BTreeMap::new(),
            extra_roles: Vec::new(),
            patience: Patience::new(Duration::from_secs(60)),
            connection: None,
        };
        let mut connection = file.connected().await.unwrap();
        let write = sqlx::query("INSERT INTO cdr VALUES (1)").execute(&mut connection);
        let error = write.await.unwrap_err().to_string();
        assert!(error.contains("readonly"), "{error}");
    }
}
