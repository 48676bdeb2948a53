//! A row's number in a digest, computed by the server.

/// The number as SQL, for columns as the SELECT list has them; `None` where this release has no function for it.
pub(super) fn number(release: &str, select: &[String]) -> Option<String> {
    has_extended_hashes(release).then(|| row_number(select))
}

/// Whether this release has 64-bit hashes of text: all since 11 (release notes of PostgreSQL 11, E.23.3.3).
fn has_extended_hashes(release: &str) -> bool {
    let major = release.split(|c: char| !c.is_ascii_digit()).next();
    major.and_then(|major| major.parse::<u32>().ok()) >= Some(11)
}

/// A row's number in a digest: a hash of all columns, as text.
fn row_number(select: &[String]) -> String {
    let columns: Vec<String> = select
        .iter()
        .map(|column| format!("coalesce(({column})::text, E'\\x1E')"))
        .collect();
    format!(
        "hashtextextended(concat_ws(E'\\x1F', {}), 0)",
        columns.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_such_hashes_since_11() {
        for (release, has) in [
            ("15.14 (Debian 15.14-0+deb12u1)", true),
            ("11.0", true),
            ("10.23", false),
            ("9.6.24", false),
            ("", false),
        ] {
            assert_eq!(has_extended_hashes(release), has, "{release}");
        }
    }
}
