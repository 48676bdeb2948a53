//! Names of tables and columns, each held against the allow-list of [`super::super::names`].

use std::collections::BTreeMap;

use super::super::TableName;
use super::super::keys::ROLES;
use super::super::names::{COLUMN_NAMES, is_column_name, is_table_part};
use super::super::nearest::nearest_names;
use super::super::reader::{Section, shown};
use super::super::report::{Found, Reported};

/// Reads `source.table`.
pub(super) fn table(section: &Section<'_>) -> Result<TableName, Reported> {
    let Some(found) = section.filled("table") else {
        return Ok(TableName {
            schema: None,
            name: "cdr".to_owned(),
        });
    };
    let (schema, name) = match found.value.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, found.value),
    };
    if is_table_part(name) && schema.is_none_or(is_table_part) {
        return Ok(TableName {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        });
    }
    let message = format!(
        "`source.table`: \"{}\" is no table name; write TABLE or SCHEMA.TABLE, each of letters, digits, `_` and `$`, not beginning with a digit, at most 64 characters",
        shown(found.value)
    );
    Err(section.problem(found.line, "table", message))
}

/// Reads `[source.columns]`; `template_roles` are the columns that the recording's link uses, `None` where that is not known.
pub(super) fn read(
    section: &Section<'_>,
    template_roles: Option<&[String]>,
) -> BTreeMap<String, String> {
    let mut columns = BTreeMap::new();
    let known = |role: &str| {
        ROLES.contains(&role)
            || template_roles.is_none_or(|roles| roles.iter().any(|used| used == role))
    };
    for role in ROLES {
        add_column(section, role, &mut columns);
    }
    for name in section.names() {
        if ROLES.contains(&name.value) {
            continue;
        }
        if known(name.value) {
            add_column(section, name.value, &mut columns);
            continue;
        }
        let used = template_roles
            .unwrap_or_default()
            .iter()
            .map(String::as_str);
        let nearest = nearest_names(name.value, ROLES.iter().copied().chain(used), 1);
        let message = format!(
            "unknown key `source.columns.{}`, which `target.recording_url` does not use either; the nearest known one is `source.columns.{}`",
            shown(name.value),
            nearest.first().copied().unwrap_or("initiated"),
        );
        section.problem(name.line, &shown(name.value), message);
    }
    columns
}

fn add_column(section: &Section<'_>, role: &str, columns: &mut BTreeMap<String, String>) {
    let Some(found) = section.filled(role) else {
        return;
    };
    if is_column_name(found.value) {
        columns.insert(role.to_owned(), found.value.to_owned());
    } else {
        let key = section.key(&shown(role));
        let message = not_a_column(&key, found.value);
        section.problem(found.line, role, message);
    }
}

/// Reads `source.csv_columns`, a list or a text with commas.
pub(super) fn csv(section: &Section<'_>) -> Result<Option<Vec<String>>, Reported> {
    const KEY: &str = "csv_columns";
    let names: Vec<Found<&str>> = if section.is_list(KEY) {
        section.texts(KEY).ok_or(Reported)?
    } else {
        let Some(found) = section.filled(KEY) else {
            return Ok(None);
        };
        let parts = found.value.split(',').map(str::trim);
        parts
            .map(|value| Found {
                value,
                line: found.line,
            })
            .collect()
    };
    let mut columns: Vec<String> = Vec::with_capacity(names.len());
    let mut sound = Ok(());
    for name in names {
        if !is_column_name(name.value) {
            let message = not_a_column("source.csv_columns", name.value);
            sound = Err(section.problem(name.line, KEY, message));
        } else if columns
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name.value))
        {
            let shown = shown(name.value);
            let message = format!(
                "`source.csv_columns` names \"{shown}\" twice; give each column its own name"
            );
            sound = Err(section.problem(name.line, KEY, message));
        } else {
            columns.push(name.value.to_owned());
        }
    }
    sound.map(|()| Some(columns).filter(|columns| !columns.is_empty()))
}

fn not_a_column(key: &str, text: &str) -> String {
    format!(
        "`{key}`: \"{}\" is no column name; write {COLUMN_NAMES}",
        shown(text)
    )
}
