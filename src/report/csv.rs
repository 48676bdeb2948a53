//! Rows of CSV for spreadsheets: quoted as RFC 4180 says, and nothing in them that a spreadsheet would run.

use crate::text::Shown;

/// One line, which ends with a line feed; whoever prints it makes that the CRLF of RFC 4180. Every cell stands on one line,
/// as [`Shown`] shows it, and one that a spreadsheet would take for a formula has a `'` in front.
///
/// ```
/// use cdrelay::report::csv::line;
/// assert_eq!(line(["1", "a,b", "say \"x\""]), "1,\"a,b\",\"say \"\"x\"\"\"\n");
/// assert_eq!(line(["=1+1", "+582122853348", ""]), "'=1+1,'+582122853348,\n");
/// ```
pub fn line<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let mut line = String::new();
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            line.push(',');
        }
        let shown = Shown(cell.as_ref()).to_string();
        let defused = if is_formula(&shown) {
            format!("'{shown}")
        } else {
            shown
        };
        if defused.contains([',', '"', ';', ' ']) {
            line.push('"');
            line.push_str(&defused.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&defused);
        }
    }
    line.push('\n');
    line
}

/// What Excel, LibreOffice and Sheets begin to calculate with, blanks in front of it or not (OWASP, "CSV Injection"). The
/// signs' wide forms count as well: some programs take one for the other.
fn is_formula(cell: &str) -> bool {
    cell.trim_start()
        .starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_text() {
        for (cell, expected) in [
            (
                "=HYPERLINK(\"http://x\")",
                "\"'=HYPERLINK(\"\"http://x\"\")\"",
            ),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "\"'  =1\""),
            ("\t=1", "\\t=1"),
            ("\r\n=1", "\\r\\n=1"),
            ("＝1", "'＝1"),
            ("a;b", "\"a;b\""),
            ("02122853348", "02122853348"),
            ("", ""),
        ] {
            assert_eq!(line([cell]), format!("{expected}\n"), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cells_are_one_record_of_as_many_cells(cells in proptest::collection::vec("(?s).{0,12}", 2..6)) {
            let text = line(&cells);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!(records[0].len(), cells.len());
            for (found, cell) in records[0].iter().zip(&cells) {
                prop_assert!(!is_formula(found));
                let shown = Shown(cell).to_string();
                prop_assert_eq!(found.trim_start_matches('\''), shown.trim_start_matches('\''));
            }
        }
    }
}
