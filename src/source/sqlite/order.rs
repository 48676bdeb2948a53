//! The order in which rows were written: that of SQLite's own number of a row.

use super::{DESCRIBING, SqliteFile};
use crate::source::SourceError;
use crate::source::server::within;

impl SqliteFile {
    /// `rowid`, which a table has unless it was made WITHOUT ROWID.
    pub(super) async fn order(&mut self) -> Result<Option<String>, SourceError> {
        let mut connection = self.connected().await?;
        let place = self.place();
        let (found, connection) = within(self.patience.answer(), &place, DESCRIBING, async {
            Ok((self.find_table(&mut connection).await?, connection))
        })
        .await?;
        self.connection = Some(connection);
        Ok(found.has_rowid.then(|| "rowid".to_owned()))
    }
}
