//! A look at some rows out of many, for whoever judges a table and does not copy it.

use std::ops::Range;

use super::{Clock, Dialect, Layout, Piece, Statement, Table};
use crate::call::ColumnTime;
use crate::source::{CdrRow, SourceError, StartCell, share_out};

/// Most rows that are looked at where no index leads to the windows.
const UNSORTED: usize = 20_000;

/// Most rows of one statement where a reader keeps writers waiting.
const GENTLE: usize = 500;

impl<D: Dialect> Table<D> {
    /// As [`crate::source::CallSource::sample`].
    pub(super) async fn sampled(
        &mut self,
        windows: Vec<Range<ColumnTime>>,
        limit: usize,
    ) -> Result<Vec<Vec<CdrRow>>, SourceError> {
        self.look().await?;
        let sorted = self.sorts_as_time().await?;
        let layout = self.layout.as_ref().expect("looked at above");
        let mut found = vec![Vec::new(); windows.len()];
        if sorted {
            for (window, rows) in windows.iter().zip(&mut found) {
                let statement = layout.slice(window, Some(limit));
                self.dialect.read(layout, statement, false, rows).await?;
                // Text that reads differently from how it sorts.
                rows.retain(|row| matches!(row.start, StartCell::At(at) if window.contains(&at)));
            }
            return Ok(found);
        }
        let hull = match (windows.first(), windows.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            (None, _) | (_, None) => return Ok(found),
        };
        let (condition, bounds) = layout.window(&hull);
        let mut some = Statement {
            sql: format!("SELECT {} FROM {}", layout.select, layout.table),
            bounds: Vec::new(),
        };
        if layout.clock != Clock::InstantText {
            some.sql.push_str(&format!(" WHERE {condition}"));
            some.bounds = bounds;
        }
        let most = layout.most(UNSORTED);
        some.sql.push_str(&format!(" LIMIT {most}"));
        // Bounds the bytes as well.
        let mut rows = Piece::default();
        self.dialect.read(layout, some, true, &mut rows).await?;
        for row in rows.kept_rows.rows {
            share_out(row, &windows, &mut found, limit);
        }
        Ok(found)
    }

    /// As [`crate::source::CallSource::latest`].
    pub(super) async fn newest(
        &mut self,
        limit: usize,
    ) -> Result<Option<Vec<CdrRow>>, SourceError> {
        self.look().await?;
        let Some(order) = self.dialect.insertion_order().await? else {
            return Ok(None);
        };
        let layout = self.layout.as_ref().expect("looked at above");
        let statement = Statement {
            sql: format!(
                "SELECT {} FROM {} ORDER BY {order} DESC LIMIT {}",
                layout.select,
                layout.table,
                layout.most(limit)
            ),
            bounds: Vec::new(),
        };
        let mut rows = Piece::default();
        match self.dialect.read(layout, statement, false, &mut rows).await {
            Ok(()) => {}
            // A user that may read the columns of a call, and not the number of its row.
            Err(SourceError::Unusable(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut rows = rows.kept_rows.rows;
        rows.reverse();
        Ok(Some(rows))
    }
}

impl Layout {
    /// At most as many rows as a statement may ask for at once.
    fn most(&self, rows: usize) -> usize {
        if self.locks_writers {
            rows.min(GENTLE)
        } else {
            rows
        }
    }
}
