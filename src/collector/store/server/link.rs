//! The one connection to a database server, in words that both kinds of server understand.

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::{INDEXED, create_cdr};
use crate::collector::row::Cell;
use crate::text::Shown;

/// The kinds of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mysql,
    Postgres,
}

/// The one connection.
pub(super) enum Link {
    Mysql(Box<MySqlConnection>),
    Postgres(Box<PgConnection>),
}

/// One row of an answer: texts and numbers as texts.
pub(super) type Answer = Vec<Option<String>>;

impl Link {
    /// Runs a statement with `?` for its values; gives how many rows it touched.
    pub(super) async fn execute(&mut self, sql: &str, values: &[Cell]) -> anyhow::Result<u64> {
        Ok(match self {
            Self::Mysql(link) => {
                if values.is_empty() {
                    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                        .execute(&mut **link)
                        .await
                        .map_err(plain)?
                        .rows_affected()
                } else {
                    mysql_query(sql, values)
                        .execute(&mut **link)
                        .await
                        .map_err(plain)?
                        .rows_affected()
                }
            }
            Self::Postgres(link) => {
                if values.is_empty() {
                    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                        .execute(&mut **link)
                        .await
                        .map_err(plain)?
                        .rows_affected()
                } else {
                    postgres_query(sql, values)
                        .execute(&mut **link)
                        .await
                        .map_err(plain)?
                        .rows_affected()
                }
            }
        })
    }

    /// The rows of a statement that gives this many columns, all of them texts.
    pub(super) async fn rows(
        &mut self,
        sql: &str,
        values: &[Cell],
        columns: usize,
    ) -> anyhow::Result<Vec<Answer>> {
        match self {
            Self::Mysql(link) => {
                let rows = mysql_query(sql, values)
                    .fetch_all(&mut **link)
                    .await
                    .map_err(plain)?;
                rows.iter()
                    .map(|row| {
                        (0..columns)
                            .map(|at| Ok(row.try_get_unchecked(at)?))
                            .collect()
                    })
                    .collect()
            }
            Self::Postgres(link) => {
                let rows = postgres_query(sql, values)
                    .fetch_all(&mut **link)
                    .await
                    .map_err(plain)?;
                rows.iter()
                    .map(|row| (0..columns).map(|at| Ok(row.try_get(at)?)).collect())
                    .collect()
            }
        }
    }

    pub(super) async fn has(&mut self, table: &str, kind: Kind) -> anyhow::Result<bool> {
        let schema = schema(kind);
        let sql = format!(
            "SELECT CAST(count(*) AS {}) FROM information_schema.tables WHERE table_schema = {schema} AND table_name = ?",
            as_text(kind)
        );
        let answer = self.rows(&sql, &[Cell::Text(table.to_owned())], 1).await?;
        Ok(first(&answer) != Some("0"))
    }
}

/// A driver's error without the statement's values, which it would not repeat, and made safe to show.
fn plain(error: sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Database(error) => anyhow::anyhow!("{}", Shown(error.message())),
        other => other.into(),
    }
}

fn mysql_query<'q>(
    sql: &str,
    values: &'q [Cell],
) -> sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for value in values {
        query = match value {
            Cell::Text(text) => query.bind(text.as_str()),
            Cell::Number(number) => query.bind(*number),
        };
    }
    query
}

/// PostgreSQL numbers its values.
fn postgres_query<'q>(
    sql: &str,
    values: &'q [Cell],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let mut numbered = String::with_capacity(sql.len() + values.len() * 3);
    let mut count = 0;
    for piece in sql.split_inclusive('?') {
        match piece.strip_suffix('?') {
            Some(before) => {
                count += 1;
                numbered.push_str(before);
                numbered.push_str(&format!("${count}"));
            }
            None => numbered.push_str(piece),
        }
    }
    let mut query = sqlx::query(AssertSqlSafe(numbered));
    for value in values {
        query = match value {
            Cell::Text(text) => query.bind(text.as_str()),
            Cell::Number(number) => query.bind(*number),
        };
    }
    query
}

/// Cells cut to the widths of the table.
pub(super) fn fitting(cells: Vec<Cell>, widths: &[usize]) -> Vec<Cell> {
    let fit = |(at, cell): (usize, Cell)| match (cell, widths.get(at)) {
        (Cell::Text(text), Some(&width)) => Cell::Text(text.chars().take(width).collect()),
        (cell, _) => cell,
    };
    cells.into_iter().enumerate().map(fit).collect()
}

pub(super) fn first(answer: &[Answer]) -> Option<&str> {
    answer.first()?.first()?.as_deref()
}

/// The schema that the connection works in.
pub(super) fn schema(kind: Kind) -> &'static str {
    match kind {
        Kind::Mysql => "DATABASE()",
        Kind::Postgres => "current_schema()",
    }
}

pub(super) fn as_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Mysql => "CHAR",
        Kind::Postgres => "TEXT",
    }
}

/// PostgreSQL takes no text for a time without being told.
pub(super) fn mark(column: &str, kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres if column == "calldate" => "CAST(? AS timestamp)",
        Kind::Postgres | Kind::Mysql => "?",
    }
}

/// The statements that make a table.
pub(super) fn creation(table: &str, kind: Kind) -> Vec<String> {
    // Keys are ASCII, and case matters in them.
    let (key, long) = match kind {
        Kind::Mysql => (
            "VARCHAR(160) CHARACTER SET ascii COLLATE ascii_bin NOT NULL",
            "MEDIUMTEXT",
        ),
        Kind::Postgres => ("VARCHAR(160) NOT NULL", "TEXT"),
    };
    let tail = match kind {
        // Acknowledged means durable, so an engine that can.
        Kind::Mysql => "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
        Kind::Postgres => "",
    };
    let time = match kind {
        Kind::Mysql => "DATETIME",
        Kind::Postgres => "TIMESTAMP",
    };
    match table {
        "cdr" => {
            let indexes =
                INDEXED.map(|column| format!("CREATE INDEX cdr_{column} ON cdr ({column})"));
            std::iter::once(format!("{} {tail}", create_cdr(time)))
                .chain(indexes)
                .collect()
        }
        "collector_events" => vec![format!(
            "CREATE TABLE collector_events (call_key {key}, fingerprint {key}, dialect VARCHAR(20) NOT NULL, \
             received BIGINT NOT NULL, body {long} NOT NULL, PRIMARY KEY (call_key, fingerprint)) {tail}"
        )],
        "collector_calls" => vec![
            format!(
                "CREATE TABLE collector_calls (call_key {key}, last_event BIGINT NOT NULL, due BIGINT, \
                 written INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (call_key)) {tail}"
            ),
            "CREATE INDEX collector_calls_due ON collector_calls (due)".to_owned(),
        ],
        _ => vec![format!(
            "CREATE TABLE collector_meta (name {key}, setting {long} NOT NULL, PRIMARY KEY (name)) {tail}"
        )],
    }
}
