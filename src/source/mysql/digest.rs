//! A row's number in a digest, computed by the server.

use crate::source::inspect::{Cell, Chosen};

/// The number as SQL, for columns as inspection found them (name, type, kind, length, whether NULL, encoding) and as the
/// SELECT list has them; `None` where this product has no cheap function for it.
pub(super) fn number(
    product: &str,
    chosen: &Chosen,
    columns: &[Vec<String>],
    select: &[String],
) -> Option<String> {
    has_crc32c(product).then(|| {
        let read = chosen.columns().iter().zip(select);
        row_number(read.map(|(found, written)| {
            let column = columns.iter().find(|column| column[0] == found.column);
            Numbered {
                written,
                nullable: column.is_none_or(|column| column[4] != "NO"),
                charset: column.map_or("", |column| column[5].as_str()),
            }
        }))
    })
}

/// Reads a number.
pub(super) fn read(cell: &Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Whole(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Whether this product knows CRC32C: MariaDB since 10.8 (<https://mariadb.com/kb/en/crc32c/>), no MySQL. What all of them
/// know and what tells as much, MD5, takes the server longer than sending the row.
fn has_crc32c(product: &str) -> bool {
    let mut parts = product.split(|c: char| !c.is_ascii_digit());
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let version = (part(), part());
    product.contains("MariaDB") && version >= (Some(10), Some(8))
}

/// A column as it goes into a row's number.
struct Numbered<'a> {
    /// How the SELECT list has it.
    written: &'a str,
    nullable: bool,
    /// Its encoding; empty for what is no text.
    charset: &'a str,
}

/// A row's number in a digest: two checksums by different polynomials over the bytes of all columns. What the server need
/// not do for these columns is not asked of it: each function costs it as much as finding the row.
fn row_number<'a>(columns: impl Iterator<Item = Numbered<'a>>) -> String {
    let columns: Vec<Numbered<'_>> = columns.collect();
    let mut charsets = columns.iter().map(|column| column.charset);
    let text = charsets.find(|charset| !charset.is_empty());
    // Texts in several encodings cannot always be put together.
    let mixed = charsets.any(|charset| !charset.is_empty() && Some(charset) != text);
    let columns: Vec<String> = columns
        .iter()
        .map(|column| {
            let bytes = if mixed {
                format!("CAST({} AS BINARY)", column.written)
            } else {
                column.written.to_owned()
            };
            // What is NULL would leave no trace.
            if column.nullable {
                format!("COALESCE({bytes}, 0x1E)")
            } else {
                bytes
            }
        })
        .collect();
    let all = format!("CONCAT_WS(0x1F, {})", columns.join(", "));
    format!("(CRC32({all}) << 32 | CRC32C({all}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mariadb_has_both_checksums_since_10_8() {
        for (product, has) in [
            ("10.11.19-MariaDB-0+deb12u1", true),
            ("10.8.0-MariaDB", true),
            ("11.4.2-MariaDB", true),
            ("10.6.18-MariaDB-log", false),
            ("8.0.36", false),
            ("MariaDB", false),
            ("", false),
        ] {
            assert_eq!(has_crc32c(product), has, "{product}");
        }
    }

    #[test]
    fn the_server_does_no_more_than_the_columns_ask_for() {
        let column = |written, nullable, charset| Numbered {
            written,
            nullable,
            charset,
        };
        let plain = [
            column("`t`", false, ""),
            column("`a`", false, "utf8mb4"),
            column("`b`", true, "utf8mb4"),
        ];
        let all = "CONCAT_WS(0x1F, `t`, `a`, COALESCE(`b`, 0x1E))";
        assert_eq!(
            row_number(plain.into_iter()),
            format!("(CRC32({all}) << 32 | CRC32C({all}))")
        );
        let mixed = [column("`a`", false, "latin1"), column("`b`", false, "utf8")];
        assert!(row_number(mixed.into_iter()).contains("CAST(`a` AS BINARY), CAST(`b` AS BINARY)"));
    }
}
