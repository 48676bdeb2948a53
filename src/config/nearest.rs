//! What a misspelt name was meant to be.

use super::keys::{KEYS, last};

/// Most characters of a name that are compared.
const COMPARED: usize = 80;

/// The known key that `unknown`, in the section `path`, most likely stands for: one of this section that is spelled
/// alike, else one of the same name in another section, else the one of this section that is spelled least differently.
pub(super) fn nearest_key(unknown: &str, path: &str, known_here: &[String]) -> String {
    let unknown = compared(unknown);
    let alike = known_here
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&unknown, known), known))
        .min();
    let close = (unknown.chars().count() / 3).max(1);
    let elsewhere = KEYS
        .iter()
        .find(|key| last(key.path) == unknown && !key.path.contains(".columns."));
    match (alike, elsewhere) {
        (Some((distance, known)), _) if distance <= close => dotted(path, known),
        (_, Some(key)) => key.path.to_owned(),
        (Some((_, known)), None) => dotted(path, known),
        (None, None) => KEYS
            .first()
            .map(|key| key.path.to_owned())
            .unwrap_or_default(),
    }
}

/// The candidates that are spelled most like `text`, at most `most` of them, the nearest first.
pub(super) fn nearest_names<'n>(
    text: &str,
    candidates: impl IntoIterator<Item = &'n str>,
    most: usize,
) -> Vec<&'n str> {
    let text = compared(text);
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|name| {
            let whole = name.to_lowercase();
            let last = whole.rsplit('/').next().unwrap_or(&whole);
            let score = strsim::jaro_winkler(&text, &whole).max(strsim::jaro_winkler(&text, last));
            (score, name)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored
        .into_iter()
        .take(most)
        .map(|(_, name)| name)
        .collect()
}

/// A key's full name.
pub(super) fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn compared(text: &str) -> String {
    text.chars()
        .take(COMPARED)
        .collect::<String>()
        .to_lowercase()
}
