//! MySQL and MariaDB.
//!
//! Every statement is a prepared one, so that values come in the binary protocol: dates as numbers, which costs the server
//! half of what formatting them does, and which can hold the zero dates that a date type of a programming language cannot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, MySql, Row, TypeInfo, ValueRef,
};
use url::Url;

use super::gather::Sink;
use super::inspect::{Cell, TableColumn, choose, some_of, stamp, texts};
use super::keyset::{Bound, Clock, Dialect, Layout, Statement, Table};
use super::samples::{SAMPLES, majority, text_clock};
use super::server::{Patience, Server, next_row, within};
use super::{CallSource, SourceError, SourceProfile, TimeIndex};
use crate::config::{SourceConfig, TableName};
use crate::text::Shown;

mod digest;
mod order;

/// A source that reads `source.url = "mysql://…"`. Nothing is connected yet.
///
/// # Errors
/// [`SourceError::Unusable`] where the URL or the CA's file is wrong.
pub fn source(
    url: &Url,
    config: &SourceConfig,
    extra_roles: Vec<String>,
) -> Result<Box<dyn CallSource>, SourceError> {
    Ok(Box::new(Table::new(Mysql {
        server: Server::from_config("MySQL", 3306, url, config)?,
        table: config.table.clone(),
        columns: config.columns.clone(),
        extra_roles,
        patience: Patience::new(config.timeout),
        connection: None,
        read_only: true,
    })))
}

struct Mysql {
    server: Server,
    table: TableName,
    columns: BTreeMap<String, String>,
    extra_roles: Vec<String>,
    patience: Patience,
    connection: Option<MySqlConnection>,
    /// Whether the server knows read-only sessions: MySQL since 5.6.5, MariaDB since 10.0.
    read_only: bool,
}

impl Dialect for Mysql {
    const COUNTED: u64 = 50_000;

    fn inspect(&mut self) -> BoxFuture<'_, Result<Layout, SourceError>> {
        async {
            let mut connection = self.connected().await?;
            let place = self.server.place();
            let doing = "describing the table";
            let layout = within(self.patience.answer(), &place, doing, async {
                Ok((self.describe(&mut connection).await?, connection))
            });
            let (layout, connection) = layout.await?;
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
                let mut forms = Forms::default();
                let mut rows = bound(statement).fetch(&mut connection);
                while let Some(row) = next_row(limits.silence, &place, READING, rows.try_next())
                    .await?
                    .map_err(fail)?
                {
                    let forms = forms.of(&row);
                    let read = |at: usize| cell_of(&row, at, forms[at]);
                    let number = match forms.get(layout.chosen.columns().len()) {
                        Some(_) => digest::read(&read(forms.len() - 1).map_err(fail)?),
                        None => None,
                    };
                    sink.push(layout.chosen.row(kind, read).map_err(fail)?, number)?;
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
            Ok(row.and_then(|row| {
                let at = row.columns().iter().position(|c| c.name() == "rows")?;
                u64::try_from(cell(&row, at).ok()?.whole()?).ok()
            }))
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

impl Mysql {
    /// Takes the connection out, or makes one. It goes back only after a success, so that one with half an answer on it is
    /// never used again.
    async fn connected(&mut self) -> Result<MySqlConnection, SourceError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let (connection, read_only) = within(
            self.patience.connect(),
            &self.server.place(),
            CONNECTING,
            async {
                let fail = |error| self.failure(CONNECTING, error);
                // TIMESTAMP columns come in the session's zone: as UTC they are instants.
                let mut connection = self
                    .server
                    .mysql_options(Some("+00:00"))
                    .connect()
                    .await
                    .map_err(fail)?;
                // Unknown (1064, a syntax error) to servers that are older than read-only sessions.
                let asked = (&mut connection).execute("SET SESSION TRANSACTION READ ONLY");
                let read_only = match asked.await {
                    Ok(_) => true,
                    Err(error) if number(&error) == Some(1064) => false,
                    Err(error) => return Err(fail(error)),
                };
                Ok((connection, read_only))
            },
        )
        .await?;
        self.read_only = read_only;
        Ok(connection)
    }

    async fn first_row(&mut self, statement: Statement) -> Result<Option<MySqlRow>, SourceError> {
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

    async fn describe(&self, connection: &mut MySqlConnection) -> Result<Layout, SourceError> {
        let version = self.texts(connection, "SELECT VERSION()", &[]).await?;
        let database = self.table.schema.as_ref().unwrap_or(&self.server.database);
        let (table, engine, is_view) = self.find_table(connection, database).await?;
        let shown = format!("{database}.{table}");
        let columns = self
            .texts(
                connection,
                "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, IS_NULLABLE, CHARACTER_SET_NAME FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
                &[database, &table],
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
        let time = chosen.time().column.clone();
        let data_type = columns
            .iter()
            .find(|column| column[0] == time)
            .map_or("", |column| column[2].as_str())
            .to_ascii_lowercase();
        let quoted_table = format!("{}.{}", quoted(database), quoted(&table));
        let quoted_time = quoted(&time);
        let mut notes = Vec::new();
        let clock = match data_type.as_str() {
            "datetime" => Clock::Civil,
            "timestamp" => Clock::Stamp,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "double" => {
                Clock::Epoch
            }
            "float" => {
                notes.push(format!(
                    "`{time}` is a FLOAT, which holds seconds since the epoch only to about two minutes; make it BIGINT or \
                     DOUBLE"
                ));
                Clock::Epoch
            }
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "binary"
            | "varbinary" => {
                let sample = self
                    .texts(
                        connection,
                        &format!(
                            "SELECT {quoted_time} FROM {quoted_table} WHERE {quoted_time} > '' LIMIT {SAMPLES}"
                        ),
                        &[],
                    )
                    .await?;
                majority(sample.iter().filter_map(|row| text_clock(&row[0]))).unwrap_or(Clock::Text)
            }
            other => return Err(no_time(&time, &shown, other)),
        };
        let index = self.find_index(connection, database, &table, &time).await?;
        // What may be long is cut by the server; columns of the usual types are read as they are.
        let select = chosen.select_list(|found, reach| {
            let column = columns.iter().find(|column| column[0] == found.column);
            let most: u64 = column.map_or(0, |column| column[3].parse().unwrap_or(0));
            if most > reach as u64 {
                format!("LEFT({}, {reach})", quoted(&found.column))
            } else {
                quoted(&found.column)
            }
        });
        let product = version.first().map_or("", |row| row[0].as_str());
        let number = digest::number(product, &chosen, &columns, &select);
        let select = select.join(", ");
        // Asks for the right to read every column, before a run depends on it.
        let none = format!("SELECT {select} FROM {quoted_table} LIMIT 0");
        self.texts(connection, &none, &[]).await?;
        let (indexed_table, index) = match index {
            Some(name) => (
                format!("{quoted_table} FORCE INDEX ({})", quoted(&name)),
                TimeIndex::Usable(name),
            ),
            None => (
                quoted_table.clone(),
                TimeIndex::Missing(format!(
                    "CREATE INDEX {} ON {quoted_table} ({quoted_time}{})",
                    quoted(&format!("cdr_{time}")),
                    // Long text can only be indexed by its beginning, which is what holds the time.
                    if data_type.ends_with("text") {
                        "(26)"
                    } else {
                        ""
                    }
                )),
            ),
        };
        let locks_writers = !engine.eq_ignore_ascii_case("InnoDB");
        if locks_writers && matches!(index, TimeIndex::Missing(_)) {
            notes.push(format!(
                "`{shown}` is a {engine} table: without an index on `{time}`, it is locked against writers, and so against the \
                 phone system, while it is read; add the index"
            ));
        }
        if is_view {
            notes.push(format!(
                "`{shown}` is a view: an index is added to the table behind it"
            ));
        }
        if !self.read_only {
            notes.push(
                "the server is older than read-only sessions: give its user the SELECT right alone"
                    .to_owned(),
            );
        }
        Ok(Layout {
            profile: SourceProfile {
                server: if product.contains("MariaDB") {
                    product.to_owned()
                } else {
                    format!("MySQL {product}")
                },
                time: clock.kind(),
                columns: chosen.columns().to_vec(),
                extra: chosen.extra().to_vec(),
                index,
                notes,
            },
            chosen,
            clock,
            select,
            number,
            // Other engines than InnoDB keep writers out as long as a statement is read from, SQL_BUFFER_RESULT or not:
            // MariaDB 10.11 holds a MyISAM table's lock until the last row has left, from its buffer as well.
            locks_writers,
            table: quoted_table,
            indexed_table,
            time: quoted_time,
            placeholder: "?",
            has_late_values: match clock {
                Clock::Civil | Clock::Stamp => false,
                Clock::Epoch | Clock::Text | Clock::InstantText => true,
            },
        })
    }

    /// The table's name as the server spells it, its engine, and whether it is a view.
    async fn find_table(
        &self,
        connection: &mut MySqlConnection,
        database: &str,
    ) -> Result<(String, String, bool), SourceError> {
        let tables = self
            .texts(
                connection,
                "SELECT TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? \
                 ORDER BY TABLE_NAME",
                &[database],
            )
            .await?;
        let wanted = &self.table.name;
        let found = tables
            .iter()
            .find(|table| table[0] == *wanted)
            .or_else(|| tables.iter().find(|t| t[0].eq_ignore_ascii_case(wanted)));
        found
            .map(|table| {
                let is_view = table[2].contains("VIEW");
                // A view has no engine; which tables are behind it, only their owner may know.
                let engine = if is_view { "InnoDB" } else { table[1].as_str() };
                (table[0].clone(), engine.to_owned(), is_view)
            })
            .ok_or_else(|| {
                let has = if tables.is_empty() {
                    format!("user `{}` sees no table there", self.server.user)
                } else {
                    let names = tables.iter().map(|table| table[0].as_str());
                    format!("`{database}` has {}", some_of(names))
                };
                SourceError::Unusable(format!(
                    "table `{wanted}` not found in database `{database}` of {}; set `source.table`, or give user `{}` the \
                     right to read it ({has})",
                    self.server.place(),
                    self.server.user
                ))
            })
    }

    /// A B-tree index that leads with the whole time column and that the planner may use.
    async fn find_index(
        &self,
        connection: &mut MySqlConnection,
        database: &str,
        table: &str,
        time: &str,
    ) -> Result<Option<String>, SourceError> {
        // All columns, because which of them says that an index is ignored depends on the product: IGNORED in MariaDB since
        // 10.6, IS_VISIBLE in MySQL since 8.0.
        let rows = sqlx::query(
            "SELECT * FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE' \
             AND SUB_PART IS NULL",
        )
        .bind(database)
        .bind(table)
        .fetch_all(connection)
        .await
        .map_err(|error| self.failure("looking for an index", error))?;
        let value = |row: &MySqlRow, name: &str| {
            let at = row
                .columns()
                .iter()
                .position(|column| column.name() == name);
            at.and_then(|at| Some(cell(row, at).ok()?.text()))
        };
        Ok(rows
            .iter()
            .filter(|row| value(row, "COLUMN_NAME").as_deref() == Some(time))
            .filter(|row| value(row, "IGNORED").as_deref() != Some("YES"))
            .filter(|row| value(row, "IS_VISIBLE").as_deref() != Some("NO"))
            .find_map(|row| value(row, "INDEX_NAME")))
    }

    async fn texts(
        &self,
        connection: &mut MySqlConnection,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<Vec<String>>, SourceError> {
        // Kept prepared: closing one has no answer, and the next request would wait for the server's delayed
        // acknowledgement of it, 40 ms each time.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = query.bind((*value).to_owned());
        }
        let fail = |error| self.failure("describing the table", error);
        let rows = query.fetch_all(connection).await.map_err(fail)?;
        rows.iter()
            .map(|row| texts(row.len(), |at| cell(row, at)).map_err(fail))
            .collect()
    }

    /// What an error means, by MySQL's error numbers, then by SQLSTATE class.
    fn failure(&self, doing: &str, error: sqlx::Error) -> SourceError {
        let (place, user) = (self.server.place(), &self.server.user);
        let Some(refused) = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        else {
            return self.server.broken(doing, error);
        };
        let said = Shown(refused.message());
        SourceError::Unusable(match refused.number() {
            1045 | 1698 => format!(
                "{place} refused user `{user}`: {said}; check the user in `source.url` and the password in \
                 `source.password_file`"
            ),
            1129 | 1130 => format!(
                "{place} does not let this machine in: {said}; create user `{user}` for this machine there"
            ),
            1044 => format!(
                "user `{user}` may not use database `{}` of {place}: {said}; grant SELECT on its table to that user, or \
                 correct `source.url`",
                self.server.database
            ),
            1049 => format!(
                "{place} has no database `{}`; correct the end of `source.url`",
                self.server.database
            ),
            1142 | 1143 | 1356 => format!(
                "user `{user}` may not read the table on {place}: {said}; grant SELECT on it to that user"
            ),
            126 | 127 | 144 | 145 | 1034 | 1194 | 1195 => format!(
                "{place} says that the table is damaged: {said}; repair it (REPAIR TABLE) and run again"
            ),
            // Too many connections, by the server's limit or the user's: over when others have gone.
            1040 | 1203 | 1226 => return self.server.broken(doing, error),
            _ => match refused.code() {
                // Access rule or syntax, authorization, no such catalog, read-only transaction.
                Some(state)
                    if ["42", "28", "3D", "25"]
                        .iter()
                        .any(|c| state.starts_with(c)) =>
                {
                    format!("{place} refused while {doing}: {said}")
                }
                Some(_) | None => return self.server.broken(doing, error),
            },
        })
    }
}

const CONNECTING: &str = "connecting";
const READING: &str = "reading calls";

fn bound(statement: Statement) -> sqlx::query::Query<'static, MySql, sqlx::mysql::MySqlArguments> {
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
    format!("`{}`", name.replace('`', "``"))
}

fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

fn no_time(column: &str, table: &str, data_type: &str) -> SourceError {
    let why = match data_type {
        "date" | "year" => "holds no time of day",
        "time" => "holds no date",
        _ => "is no type of time",
    };
    SourceError::Unusable(format!(
        "column `{column}` of `{table}` is of type {data_type}, which {why}; set `source.columns.initiated` to the column \
         that holds the start of the call"
    ))
}

/// How the bytes of a column are read. sqlx tells types by their names; to compare those for each cell would cost more than
/// all the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unsigned,
    Signed,
    Float,
    Double,
    DateTime,
    Date,
    Time,
    Bit,
    Text,
}

impl Form {
    fn of(column: &MySqlColumn) -> Self {
        match column.type_info().name() {
            "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
            | "BIGINT UNSIGNED" | "YEAR" => Self::Unsigned,
            // BOOLEAN is what sqlx calls a TINYINT(1).
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Self::Signed,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "DATETIME" | "TIMESTAMP" => Self::DateTime,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "BIT" => Self::Bit,
            _ => Self::Text,
        }
    }
}

/// The forms of a statement's columns.
#[derive(Debug, Default)]
struct Forms(Vec<Form>);

impl Forms {
    /// Those of this row and of every other one of its statement.
    fn of(&mut self, row: &MySqlRow) -> &[Form] {
        if self.0.is_empty() {
            self.0 = row.columns().iter().map(Form::of).collect();
        }
        &self.0
    }
}

/// One cell of a row, whatever its column is.
fn cell(row: &MySqlRow, at: usize) -> Result<Cell<'_>, sqlx::Error> {
    cell_of(row, at, Form::of(row.column(at)))
}

/// One cell of a row in the binary protocol. sqlx hands over the bytes that came: numbers little-endian, dates with their
/// length in front, everything else without it.
fn cell_of(row: &MySqlRow, at: usize, form: Form) -> Result<Cell<'_>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        // For sqlx a zero date is NULL too.
        return Ok(Cell::Null);
    }
    let raw: &[u8] = row.try_get_unchecked(at)?;
    Ok(match form {
        Form::Unsigned => Cell::Whole(unsigned(raw)),
        Form::Signed => Cell::Whole(signed(raw)),
        Form::Float => raw.try_into().map_or(Cell::Null, |bytes| {
            Cell::Float(f64::from(f32::from_le_bytes(bytes)))
        }),
        Form::Double => raw
            .try_into()
            .map_or(Cell::Null, |bytes| Cell::Float(f64::from_le_bytes(bytes))),
        Form::DateTime => date_time(raw),
        Form::Date => match date_time(raw) {
            Cell::Stamp(seconds) => text(stamp(seconds).chars().take(10).collect()),
            other => other,
        },
        Form::Time => time_of_day(raw),
        Form::Bit => Cell::Whole(raw.iter().rev().enumerate().fold(0, |sum, (at, byte)| {
            sum | i128::from(*byte) << (8 * at.min(7))
        })),
        Form::Text => Cell::Text(Cow::Borrowed(raw)),
    })
}

fn text(text: String) -> Cell<'static> {
    Cell::Text(Cow::Owned(text.into_bytes()))
}

fn unsigned(raw: &[u8]) -> i128 {
    let mut bytes = [0; 16];
    let length = raw.len().min(8);
    bytes[..length].copy_from_slice(&raw[..length]);
    i128::from_le_bytes(bytes)
}

fn signed(raw: &[u8]) -> i128 {
    let negative = raw.last().is_some_and(|byte| byte & 0x80 != 0);
    if negative {
        unsigned(raw) - (1_i128 << (8 * raw.len().min(8)))
    } else {
        unsigned(raw)
    }
}

/// A date: length (0, 4, 7 or 11), year (two bytes), month, day, then hour, minute, second, then microseconds. Length 0 is
/// `0000-00-00 00:00:00`; 4 leaves out midnight, 7 the fraction.
/// Source: MariaDB's knowledge base, "Result Set Packets", binary encoding of DATETIME.
fn date_time(raw: &[u8]) -> Cell<'static> {
    let (year, month, day, time) = match raw {
        [_, low, high, month, day, time @ ..] => {
            (u16::from_le_bytes([*low, *high]), *month, *day, time)
        }
        _ => return Cell::NoDate,
    };
    let (hour, minute, second) = match time {
        [hour, minute, second, ..] => (*hour, *minute, *second),
        _ => (0, 0, 0),
    };
    if (year, month, day) == (0, 0, 0) {
        return Cell::NoDate;
    }
    let date = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
    let at = date
        .and_then(|date| date.and_hms_opt(u32::from(hour), u32::from(minute), u32::from(second)));
    at.map_or_else(
        // Such as 2020-00-00, which servers keep unless sql_mode forbids it.
        || {
            Cell::Odd(format!(
                "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
            ))
        },
        |at| Cell::Stamp(at.and_utc().timestamp()),
    )
}

/// A duration as TIME: length (0, 8 or 12), sign, days (four bytes), hour, minute, second, microseconds; as text.
fn time_of_day(raw: &[u8]) -> Cell<'static> {
    match raw {
        [_, sign, d0, d1, d2, d3, hour, minute, second, ..] => {
            let days = u64::from(u32::from_le_bytes([*d0, *d1, *d2, *d3]));
            let hours = days * 24 + u64::from(*hour);
            let sign = if *sign == 0 { "" } else { "-" };
            text(format!("{sign}{hours:02}:{minute:02}:{second:02}"))
        }
        _ => text("00:00:00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_keep_their_sign() {
        assert_eq!(signed(&[0xff]), -1);
        assert_eq!(unsigned(&[0xff]), 255);
        assert_eq!(signed(&[0, 0, 0, 0x80]), -2_147_483_648);
        assert_eq!(unsigned(&[0, 0, 0, 0x80]), 2_147_483_648);
        assert_eq!(signed(&[0xff; 8]), -1);
        assert_eq!(unsigned(&[0xff; 8]), i128::from(u64::MAX));
    }

    #[test]
    fn dates_of_every_length_are_read_and_impossible_ones_kept_as_text() {
        assert_eq!(date_time(&[0]), Cell::NoDate);
        assert_eq!(date_time(&[4, 0, 0, 0, 0]), Cell::NoDate);
        // 2012-08-23
        assert_eq!(
            date_time(&[4, 0xdc, 0x07, 8, 23]),
            Cell::Stamp(1_345_680_000)
        );
        assert_eq!(
            date_time(&[7, 0xdc, 0x07, 8, 23, 12, 20, 33]),
            Cell::Stamp(1_345_724_433)
        );
        assert_eq!(
            date_time(&[11, 0xdc, 0x07, 8, 23, 12, 20, 33, 0x3f, 0x42, 0x0f, 0]),
            Cell::Stamp(1_345_724_433)
        );
        assert_eq!(
            date_time(&[4, 0xe4, 0x07, 0, 0]),
            Cell::Odd("2020-00-00 00:00:00".to_owned())
        );
        // What a broken server might send: never more than there is.
        assert_eq!(date_time(&[]), Cell::NoDate);
        assert_eq!(date_time(&[11, 0xdc]), Cell::NoDate);
    }

    #[test]
    fn a_time_is_text_and_so_no_number_of_seconds() {
        assert_eq!(time_of_day(&[0]), text("00:00:00".to_owned()));
        assert_eq!(
            time_of_day(&[8, 1, 1, 0, 0, 0, 2, 3, 4]),
            text("-26:03:04".to_owned())
        );
    }
}
