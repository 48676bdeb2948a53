//! How many rows a window has, where milliseconds are enough to know it.

use std::ops::Range;

use super::{Dialect, State, Statement, Table};
use crate::call::ColumnTime;
use crate::source::SourceError;

impl<D: Dialect> Table<D> {
    /// As [`crate::source::CallSource::expected`].
    pub(super) async fn expected_rows(&mut self) -> Result<Option<u64>, SourceError> {
        match &self.state {
            State::Done => Ok(Some(0)),
            State::Spooled(spooled) => Ok(Some(spooled.rows())),
            State::Indexed(window) => {
                let window = window.clone();
                self.estimate(&window).await
            }
        }
    }

    /// Exact as far as counting is cheap, else the planner's guess, so that it takes milliseconds on any table.
    async fn estimate(&mut self, window: &Range<ColumnTime>) -> Result<Option<u64>, SourceError> {
        let Some(layout) = &self.layout else {
            return Ok(None);
        };
        let (condition, bounds) = layout.window(window);
        let few = layout.few(&condition, bounds.clone(), D::COUNTED + 1);
        let guessed = Statement {
            sql: format!(
                "EXPLAIN SELECT 1 FROM {} WHERE {condition}",
                layout.indexed_table
            ),
            bounds,
        };
        let counted = self.dialect.count(few).await?;
        if counted <= D::COUNTED {
            return Ok(Some(counted));
        }
        let guess = self.dialect.guess(guessed).await?;
        Ok(guess.map(|rows| rows.max(counted)))
    }
}
