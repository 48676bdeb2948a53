//! PostgreSQL.
//!
//! Columns of odd types are cast to text in the SELECT list; the WHERE clause keeps to the bare column, so that its index
//! serves. Timestamps come in the binary protocol: microseconds since 2000-01-01.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Postgres, Row, TypeInfo, ValueRef,
};
use url::Url;

use super::gather::Sink;
use super::inspect::{Cell, TableColumn, choose, some_of, texts};
use super::keyset::{Bound, Clock, Dialect, Layout, Statement, Table};
use super::samples::{SAMPLES, majority, text_clock};
use super::server::{Patience, Server, next_row, within};
use super::{CallSource, SourceError, SourceProfile, TimeIndex};
use crate::config::{SourceConfig, TableName};
use crate::text::Shown;

mod digest;
mod order;

/// A source that reads `source.url = "postgres://…"`. Nothing is connected yet.
///
/// # Errors
/// [`SourceError::Unusable`] where the URL or the CA's file is wrong.
pub fn source(
    url: &Url,
    config: &SourceConfig,
    extra_roles: Vec<String>,
) -> Result<Box<dyn CallSource>, SourceError> {
    Ok(Box::new(Table::new(Postgresql {
        server: Server::from_config("PostgreSQL", 5432, url, config)?,
        table: config.table.clone(),
        columns: config.columns.clone(),
        extra_roles,
        patience: Patience::new(config.timeout),
        connection: None,
    })))
}

struct Postgresql {
    server: Server,
    table: TableName,
    columns: BTreeMap<String, String>,
    extra_roles: Vec<String>,
    patience: Patience,
    connection: Option<PgConnection>,
}

impl Dialect for Postgresql {
    const COUNTED: u64 = 50_000;

    fn inspect(&mut self) -> BoxFuture<'_, Result<Layout, SourceError>> {
        async {
            let mut connection = self.connected().await?;
            let place = self.server.place();
            let described = within(self.patience.answer(), &place, DESCRIBING, async {
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
            let place = self.server.place();
            let limits = self.patience.rows(pass);
            let drained = within(limits.whole, &place, READING, async {
                let fail = |error| self.failure(READING, error);
                let kind = layout.clock.kind();
                let mut rows = bound(statement).fetch(&mut connection);
                while let Some(row) = next_row(limits.silence, &place, READING, rows.try_next())
                    .await?
                    .map_err(fail)?
                {
                    let number = row.try_get::<i64, _>(layout.chosen.columns().len()).ok();
                    let read = layout.chosen.row(kind, |at| cell(&row, at));
                    sink.push(read.map_err(fail)?, number.map(i64::cast_unsigned))?;
                }
                drop(rows);
                Ok(connection)
            });
            self.connection = Some(drained.await?);
            Ok(())
        }
        .boxed()
    }

    fn answer(&mut self, statement: Statement) -> BoxFuture<'_, Result<Vec<String>, SourceError>> {
        async {
            let Some(row) = self.first_row(statement).await? else {
                return Ok(Vec::new());
            };
            texts(row.len(), |at| cell(&row, at)).map_err(|error| self.failure(READING, error))
        }
        .boxed()
    }

    fn guess(&mut self, statement: Statement) -> BoxFuture<'_, Result<Option<u64>, SourceError>> {
        async {
            let row = self.first_row(statement).await?;
            let line = row.and_then(|row| Some(cell(&row, 0).ok()?.text()));
            Ok(line.and_then(|line| planned_rows(&line)))
        }
        .boxed()
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

impl Postgresql {
    /// Takes the connection out, or makes one. It goes back only after a success, so that one with half an answer on it is
    /// never used again.
    async fn connected(&mut self) -> Result<PgConnection, SourceError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        within(self.patience.connect(), &self.server.place(), CONNECTING, async {
            let fail = |error| self.failure(CONNECTING, error);
            let mut connection = self.server.postgres_options().connect().await.map_err(fail)?;
            // A backend that waits for a lock does not notice that its client has given up: it ends by itself, a little
            // later, or four tries would leave four of them.
            let lock_wait = (self.patience.answer().as_millis() + 1000).min(MOST_MILLISECONDS);
            // By name, because servers differ in which of them they know: a slice is read along the index, whatever the
            // planner thinks of stale statistics. A SQL_ASCII database holds bytes of any encoding, and to a client that
            // asks for UTF-8 the server fails a statement over those that are none: they are asked for as they are.
            let settings = format!(
                "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; \
                 SELECT set_config(name, CASE name WHEN 'lock_timeout' THEN '{lock_wait}' ELSE 'off' END, false) \
                 FROM pg_catalog.pg_settings \
                 WHERE name IN ('enable_seqscan', 'enable_bitmapscan', 'jit', 'lock_timeout'); \
                 SELECT set_config('client_encoding', 'SQL_ASCII', false) \
                 WHERE current_setting('server_encoding') = 'SQL_ASCII'"
            );
            (&mut connection)
                .execute(sqlx::raw_sql(AssertSqlSafe(settings)))
                .await
                .map_err(fail)?;
            Ok(connection)
        })
        .await
    }

    async fn first_row(&mut self, statement: Statement) -> Result<Option<PgRow>, SourceError> {
        let mut connection = self.connected().await?;
        let place = self.server.place();
        let (row, connection) = within(self.patience.answer(), &place, READING, async {
            let fail = |error| self.failure(READING, error);
            let rows = bound(statement).fetch_all(&mut connection);
            let row = rows.await.map_err(fail)?.into_iter().next();
            Ok((row, connection))
        })
        .await?;
        self.connection = Some(connection);
        Ok(row)
    }

    async fn describe(&self, connection: &mut PgConnection) -> Result<Layout, SourceError> {
        let version = self
            .texts(connection, "SELECT current_setting('server_version')", &[])
            .await?;
        let found = self.find_table(connection).await?;
        let shown = format!("{}.{}", found.schema, found.name);
        // A domain is read as the type beneath it.
        let columns = self
            .texts(
                connection,
                "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
                 COALESCE(b.typname, t.typname)::text, a.attnum::text \
                 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd' \
                 WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                &[&found.oid],
            )
            .await?;
        let available: Vec<TableColumn> = columns
            .iter()
            .map(|column| TableColumn {
                name: column[0].clone(),
                sql_type: column[1].clone(),
            })
            .collect();
        let chosen = choose(&shown, &available, &self.columns, &self.extra_roles)?;
        let base_type = |name: &str| {
            columns
                .iter()
                .find(|column| column[0] == name)
                .map_or("", |column| column[2].as_str())
        };
        let time = chosen.time().column.clone();
        let quoted_table = format!("{}.{}", quoted(&found.schema), quoted(&found.name));
        let quoted_time = quoted(&time);
        let mut notes = Vec::new();
        let (clock, placeholder) = match base_type(&time) {
            "timestamp" => (Clock::Civil, "CAST($# AS timestamp)"),
            "timestamptz" => (Clock::Stamp, "(CAST($# AS timestamp) AT TIME ZONE 'UTC')"),
            "int2" | "int4" | "int8" | "numeric" | "float8" => (Clock::Epoch, "$#"),
            "float4" => {
                notes.push(format!(
                    "`{time}` is a real, which holds seconds since the epoch only to about two minutes; make it bigint or \
                     double precision"
                ));
                (Clock::Epoch, "$#")
            }
            text @ ("text" | "varchar" | "bpchar") => {
                let sample = format!(
                    "SELECT {quoted_time}::text FROM {quoted_table} WHERE {quoted_time} > '' LIMIT {SAMPLES}"
                );
                let sample = self.texts(connection, &sample, &[]).await?;
                (
                    majority(sample.iter().filter_map(|row| text_clock(&row[0])))
                        .unwrap_or(Clock::Text),
                    // char(n) is compared as such, or its index would not serve.
                    if text == "bpchar" {
                        "CAST($# AS bpchar)"
                    } else {
                        "$#"
                    },
                )
            }
            other => return Err(no_time(&time, &shown, other)),
        };
        let number = columns.iter().find(|column| column[0] == time);
        let number = number.map_or("", |column| column[3].as_str());
        let index = self
            .texts(
                connection,
                "SELECT i.relname::text FROM pg_catalog.pg_index x \
                 JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_am m ON m.oid = i.relam \
                 JOIN pg_catalog.pg_opclass o ON o.oid = x.indclass[0] \
                 WHERE x.indrelid = $1::text::oid AND x.indkey[0] = $2::text::int2 AND x.indisvalid AND x.indisready \
                 AND x.indpred IS NULL AND m.amname = 'btree' AND o.opcdefault ORDER BY i.relname LIMIT 1",
                &[&found.oid, number],
            )
            .await?;
        let select = chosen.select_list(|column, reach| {
            let name = quoted(&column.column);
            match base_type(&column.column) {
                "timestamp" | "timestamptz" => name,
                "text" | "varchar" | "name" if is_short(&column.sql_type, reach) => name,
                "text" | "varchar" | "name" => format!("left({name}, {reach})"),
                "bytea" => format!("substring({name} from 1 for {reach})"),
                // The shortest text of a real has an exponent from a million on; that of a double does not.
                "float4" | "float8" => format!("{name}::float8::text"),
                _ => format!("left({name}::text, {reach})"),
            }
        });
        let release = version.first().map_or("", |row| row[0].as_str());
        let number = digest::number(release, &select);
        let select = select.join(", ");
        // Asks for the right to read every column, before a run depends on it.
        let none = format!("SELECT {select} FROM {quoted_table} LIMIT 0");
        self.texts(connection, &none, &[]).await?;
        if found.kind == "v" {
            notes.push(format!(
                "`{shown}` is a view: an index is added to the table behind it"
            ));
        }
        Ok(Layout {
            profile: SourceProfile {
                server: format!("PostgreSQL {release}"),
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
            number,
            locks_writers: false,
            indexed_table: quoted_table.clone(),
            table: quoted_table,
            time: quoted_time,
            placeholder,
            has_late_values: true,
        })
    }

    async fn find_table(&self, connection: &mut PgConnection) -> Result<Found, SourceError> {
        let tables = self
            .texts(
                connection,
                "SELECT c.oid::text, n.nspname::text, c.relname::text, c.relkind::text, \
                 pg_catalog.pg_table_is_visible(c.oid)::text \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname !~ '^pg_' \
                 AND n.nspname <> 'information_schema' ORDER BY n.nspname, c.relname",
                &[],
            )
            .await?;
        let wanted = &self.table.name;
        let reachable = |table: &&Vec<String>| match &self.table.schema {
            Some(schema) => table[1].eq_ignore_ascii_case(schema),
            None => table[4] == "true",
        };
        let exact = tables
            .iter()
            .filter(reachable)
            .find(|table| table[2] == *wanted);
        let found = exact.or_else(|| {
            let mut same = tables.iter().filter(reachable);
            same.find(|table| table[2].eq_ignore_ascii_case(wanted))
        });
        if let Some(table) = found {
            return Ok(Found {
                oid: table[0].clone(),
                schema: table[1].clone(),
                name: table[2].clone(),
                kind: table[3].clone(),
            });
        }
        let database = &self.server.database;
        let names: Vec<String> = tables
            .iter()
            .map(|table| {
                if table[4] == "true" {
                    table[2].clone()
                } else {
                    format!("{}.{}", table[1], table[2])
                }
            })
            .collect();
        let has = if names.is_empty() {
            "it has no tables".to_owned()
        } else {
            let names = names.iter().map(String::as_str);
            format!("`{database}` has {}", some_of(names))
        };
        Err(SourceError::Unusable(format!(
            "table `{}` not found in database `{database}` of {}; set `source.table` ({has})",
            self.table
                .schema
                .as_ref()
                .map_or_else(|| wanted.clone(), |schema| format!("{schema}.{wanted}")),
            self.server.place()
        )))
    }

    async fn texts(
        &self,
        connection: &mut PgConnection,
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

    /// What an error means, by SQLSTATE (PostgreSQL documentation, appendix A).
    fn failure(&self, doing: &str, error: sqlx::Error) -> SourceError {
        let (place, user) = (self.server.place(), &self.server.user);
        let Some(refused) = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        else {
            return self.server.broken(doing, error);
        };
        let said = Shown(refused.message());
        SourceError::Unusable(match refused.code() {
            "28P01" | "28000" => format!(
                "{place} refused user `{user}`: {said}; check the user in `source.url`, the password in \
                 `source.password_file`, and pg_hba.conf there"
            ),
            "3D000" => format!(
                "{place} has no database `{}`; correct the end of `source.url`",
                self.server.database
            ),
            "42501" => format!(
                "user `{user}` may not read the table on {place}: {said}; grant SELECT on it (and USAGE on its schema) to \
                 that user"
            ),
            // Access rule or syntax, authorization, not supported, read-only transaction, data that cannot be converted.
            code if ["42", "28", "0A", "25", "22"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                format!("{place} refused while {doing}: {said}")
            }
            _ => return self.server.broken(doing, error),
        })
    }
}

/// A table as the catalog knows it.
struct Found {
    oid: String,
    schema: String,
    name: String,
    /// `r` table, `v` view, `m` materialized view, `f` foreign, `p` partitioned.
    kind: String,
}

const CONNECTING: &str = "connecting";
const DESCRIBING: &str = "describing the table";
const READING: &str = "reading calls";

/// The largest span of time that a setting can hold (PostgreSQL documentation, `lock_timeout`).
const MOST_MILLISECONDS: u128 = i32::MAX as u128;

/// 2000-01-01 00:00:00, from which PostgreSQL counts, in Unix seconds.
const POSTGRES_EPOCH: i64 = 946_684_800;

fn bound(statement: Statement) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql));
    for bound in statement.bounds {
        query = match bound {
            Bound::Whole(number) => query.bind(number),
            Bound::Text(text) => query.bind(text),
        };
    }
    query
}

/// Whether a type such as `character varying(80)` says that nothing longer than `reach` can come.
fn is_short(sql_type: &str, reach: usize) -> bool {
    let length = sql_type
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(length, _)| length.parse::<usize>().ok());
    sql_type == "name" || length.is_some_and(|length| length <= reach)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn no_time(column: &str, table: &str, base_type: &str) -> SourceError {
    let why = match base_type {
        "date" => "holds no time of day",
        "time" | "timetz" => "holds no date",
        _ => "is no type of time",
    };
    SourceError::Unusable(format!(
        "column `{column}` of `{table}` is of type {base_type}, which {why}; set `source.columns.initiated` to the column \
         that holds the start of the call"
    ))
}

/// The first `rows=` of a plan.
fn planned_rows(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("rows=")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn cell(row: &PgRow, at: usize) -> Result<Cell<'_>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let raw = value.as_bytes().map_err(sqlx::Error::Decode)?;
    Ok(match row.columns()[at].type_info().name() {
        "TIMESTAMP" | "TIMESTAMPTZ" => timestamp(raw),
        _ => Cell::Text(Cow::Borrowed(raw)),
    })
}

fn timestamp(raw: &[u8]) -> Cell<'static> {
    let Ok(bytes) = raw.try_into() else {
        return Cell::Odd("not a timestamp".to_owned());
    };
    match i64::from_be_bytes(bytes) {
        // -infinity and infinity
        i64::MIN | i64::MAX => Cell::NoDate,
        microseconds => Cell::Stamp(microseconds.div_euclid(1_000_000) + POSTGRES_EPOCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_count_from_2000_and_infinities_are_no_date() {
        assert_eq!(timestamp(&0_i64.to_be_bytes()), Cell::Stamp(946_684_800));
        assert_eq!(timestamp(&(-1_i64).to_be_bytes()), Cell::Stamp(946_684_799));
        assert_eq!(timestamp(&i64::MAX.to_be_bytes()), Cell::NoDate);
        assert_eq!(timestamp(&i64::MIN.to_be_bytes()), Cell::NoDate);
        assert_eq!(timestamp(&[1]), Cell::Odd("not a timestamp".to_owned()));
    }

    #[test]
    fn a_plan_tells_its_rows() {
        let plan =
            "Index Only Scan using cdr_calldate on cdr  (cost=0.42..30.10 rows=1234 width=4)";
        assert_eq!(planned_rows(plan), Some(1234));
        assert_eq!(planned_rows("no plan"), None);
    }
}
