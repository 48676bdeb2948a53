//! The order in which rows were written: that of a column which the server numbers them by.

use super::{DESCRIBING, Postgresql, quoted};
use crate::source::SourceError;
use crate::source::server::within;

impl Postgresql {
    /// An identity or `serial` column that leads an index.
    pub(super) async fn order(&mut self) -> Result<Option<String>, SourceError> {
        let mut connection = self.connected().await?;
        let place = self.server.place();
        let (found, connection) = within(self.patience.answer(), &place, DESCRIBING, async {
            let table = self.find_table(&mut connection).await?;
            let found = self
                .texts(
                    &mut connection,
                    "SELECT a.attname::text FROM pg_catalog.pg_attribute a \
                     JOIN pg_catalog.pg_index x ON x.indrelid = a.attrelid AND x.indkey[0] = a.attnum \
                     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
                     WHERE a.attrelid = $1::text::oid AND NOT a.attisdropped AND x.indisvalid AND x.indpred IS NULL \
                     AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%') LIMIT 1",
                    &[&table.oid],
                )
                .await?;
            Ok((found, connection))
        })
        .await?;
        self.connection = Some(connection);
        Ok(found.first().map(|row| quoted(&row[0])))
    }
}
