//! The order in which rows were written: that of a column which the server numbers them by.

use super::{Mysql, quoted};
use crate::source::SourceError;
use crate::source::server::within;

const DESCRIBING: &str = "describing the table";

impl Mysql {
    /// The `AUTO_INCREMENT` column, which always has an index (MySQL manual, CREATE TABLE).
    pub(super) async fn order(&mut self) -> Result<Option<String>, SourceError> {
        let mut connection = self.connected().await?;
        let place = self.server.place();
        let (found, connection) = within(self.patience.answer(), &place, DESCRIBING, async {
            let database = self.table.schema.as_ref().unwrap_or(&self.server.database);
            let (table, _, _) = self.find_table(&mut connection, database).await?;
            let found = self
                .texts(
                    &mut connection,
                    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
                     AND EXTRA LIKE '%auto_increment%'",
                    &[database, &table],
                )
                .await?;
            Ok((found, connection))
        })
        .await?;
        self.connection = Some(connection);
        Ok(found.first().map(|row| quoted(&row[0])))
    }
}
