//! One secret, from whichever of its places holds it.

use super::super::reader::Section;
use super::super::report::{Found, Reported};
use super::super::secret::Secret;
use super::Surroundings;

/// The places of one secret.
pub(super) struct Places<'p> {
    /// Environment variable, which wins.
    pub(super) variable: &'p str,
    /// Key that names a file.
    pub(super) file_key: &'p str,
    /// Key that holds the secret itself.
    pub(super) value_key: &'p str,
    /// Key of an address that may hold it.
    pub(super) url_key: &'p str,
}

/// Reads a secret; `in_url` is what the section's `url` held of it.
pub(super) fn read(
    section: &Section<'_>,
    places: &Places<'_>,
    in_url: Option<Found<String>>,
    around: Surroundings<'_>,
) -> Result<Option<Secret>, Reported> {
    let file = section.path(places.file_key, around.directory);
    let value = section.filled(places.value_key);
    if let Some(found) = value {
        section.holds_secret(found.line, places.value_key);
    }
    let file_name = section.key(places.file_key);
    let value_name = section.key(places.value_key);
    if let (Some(_), Some(second)) = (&file, value) {
        let message = format!("`{file_name}` and `{value_name}` are both set; remove one");
        return Err(section.problem(second.line, places.value_key, message));
    }
    if let Some(found) = &in_url
        && (file.is_some() || value.is_some())
    {
        let other = if file.is_some() {
            file_name
        } else {
            value_name
        };
        let url = section.key(places.url_key);
        let message = format!("`{url}` holds a password, and `{other}` is set too; remove one");
        return Err(section.problem(found.line, places.url_key, message));
    }
    if let Some(text) = around.variable(places.variable) {
        return Secret::new(text).map(Some).map_err(|fault| {
            let message = format!("environment variable {} {fault}", places.variable);
            section.problem_outside(places.value_key, message)
        });
    }
    let fault_of = |key: &str, line, fault: &dyn std::fmt::Display| {
        let name = section.key(key);
        section.problem(line, key, format!("`{name}` {fault}"))
    };
    if let Some(found) = file {
        return Secret::read(&found.value).map(Some).map_err(|error| {
            section.problem(
                found.line,
                places.file_key,
                format!("`{file_name}`: {error}"),
            )
        });
    }
    if let Some(found) = value {
        return Secret::new(found.value.to_owned())
            .map(Some)
            .map_err(|fault| fault_of(places.value_key, found.line, &fault));
    }
    if let Some(found) = in_url {
        return Secret::new(found.value).map(Some).map_err(|fault| {
            fault_of(
                places.url_key,
                found.line,
                &format!("holds a password that {fault}"),
            )
        });
    }
    Ok(None)
}
