//! Command lines as they stand in texts, put to the program's own parser.

use std::ffi::OsString;

use cdrelay::cli::Cli;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

/// Whether a line that begins with `cdrelay` is one that the program takes.
///
/// Help and version count as taken, and so does a verb whose needed arguments are left out, which is how texts name verbs.
///
/// # Errors
/// What clap says against it.
pub(crate) fn taken(line: &str) -> Result<(), String> {
    let words = words(line);
    assert_eq!(words.first().map(String::as_str), Some("cdrelay"), "{line}");
    let named_only = words.len() == 2;
    let arguments = words.into_iter().map(OsString::from);
    match Cli::command().try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::MissingRequiredArgument if named_only => Ok(()),
            _ => Err(format!("{line}: {error}")),
        },
    }
}

/// Splits as a shell would, as far as these lines need it: blanks, quotes, a comment behind ` #`. What becomes of the
/// output, behind `|` or `>`, is no argument.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#' | '|' | '>') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "a quote is left open: {line}");
    words.extend(word);
    words
}
