//! `[source]`

use std::collections::BTreeMap;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::super::keys::ROLES;
use super::super::reader::{Found, Reported, Section, nearest_names, shown};
use super::super::{DatabaseTls, SourceConfig, SourceLocation, TableName};
use super::secrets::{self, Places};
use super::{Surroundings, address, existing_file, zone};

/// What a password in an address has to look like, where one does not.
const ENCODE: &str =
    "write `@ : / # ? %` inside a password percent-encoded, or use `source.password_file`";

/// Reads the section. `template_roles` are the columns that the recording's link uses; `None` where that is not known.
pub(super) fn read(
    section: &Section<'_>,
    template_roles: Option<&[String]>,
    around: Surroundings<'_>,
) -> Result<SourceConfig, Reported> {
    let place = place(section, around);
    let in_url = place.as_ref().ok().and_then(|place| place.password.clone());
    let places = Places {
        variable: "CDRELAY_SOURCE_PASSWORD",
        file_key: "password_file",
        value_key: "password",
    };
    let password = secrets::read(section, &places, in_url, around);
    let table = table(section);
    let timezone = timezone(section);
    let tls = tls(section, place.as_ref().ok(), around);
    let columns = columns(&section.section("columns"), template_roles);
    let csv_columns = csv_columns(section);
    section.close();
    Ok(SourceConfig {
        location: place?.location,
        password: password?,
        table: table?,
        timezone: timezone?,
        tls: tls?,
        columns,
        csv_columns: csv_columns?,
    })
}

/// Where the calls are, taken apart.
struct Place {
    location: SourceLocation,
    password: Option<Found<String>>,
    /// Whether the way there leaves this machine.
    remote: bool,
}

impl Place {
    fn file(location: SourceLocation) -> Self {
        Self {
            location,
            password: None,
            remote: false,
        }
    }
}

fn place(section: &Section<'_>, around: Surroundings<'_>) -> Result<Place, Reported> {
    const FORMS: &str = "mysql://USER@HOST/DATABASE, mariadb://…, postgres://…, postgresql://…, sqlite://PATH and csv:PATH";
    let Some(found) = section.filled("url") else {
        let why = format!("say where the calls are; known are {FORMS}");
        return Err(section.missing("url", &why));
    };
    if address::holds_password(found.value) {
        section.holds_secret(found.line, "url");
    }
    let (scheme, rest) = found.value.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "mysql" | "mariadb" => database(section, found, "mysql", SourceLocation::Mysql),
        "postgres" | "postgresql" => database(section, found, "postgres", SourceLocation::Postgres),
        "sqlite" => Ok(Place::file(SourceLocation::Sqlite(file(
            section, found, rest, around,
        )?))),
        "csv" => Ok(Place::file(SourceLocation::Csv(file(
            section, found, rest, around,
        )?))),
        _ => {
            let message =
                format!("`source.url` begins with none of the known kinds; they are {FORMS}");
            Err(section.problem(found.line, "url", message))
        }
    }
}

fn file(
    section: &Section<'_>,
    found: Found<&str>,
    rest: &str,
    around: Surroundings<'_>,
) -> Result<PathBuf, Reported> {
    let refuse = |message: &str| Err(section.problem(found.line, "url", message));
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return refuse(
            "`source.url` names no file; write its path, such as \"csv:/var/log/asterisk/cdr-csv/Master.csv\"",
        );
    }
    if path.contains('?') {
        return refuse("`source.url` has a `?` part, and a file takes none; write the path alone");
    }
    Ok(around.directory.join(path))
}

fn database(
    section: &Section<'_>,
    found: Found<&str>,
    scheme: &str,
    location: fn(Url) -> SourceLocation,
) -> Result<Place, Reported> {
    let refuse = |message: String| section.problem(found.line, "url", message);
    let mut url = Url::parse(found.value)
        .map_err(|error| refuse(format!("`source.url` is no address ({error}); {ENCODE}")))?;
    if url.fragment().is_some() {
        return Err(refuse(format!("`source.url` has a `#` part; {ENCODE}")));
    }
    let database = url.path().strip_prefix('/').unwrap_or_default();
    if database.is_empty() || database.contains('/') {
        let message = "`source.url` must end in the name of one database, such as mysql://cdr@127.0.0.1/asteriskcdrdb";
        return Err(refuse(message.to_owned()));
    }
    let socket = socket(section, found, &url, scheme)?;
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() && !socket {
        let message = "`source.url` names no host; write one in front of the database, such as mysql://cdr@127.0.0.1/asteriskcdrdb";
        return Err(refuse(message.to_owned()));
    }
    // libpq's notation for a socket's directory in the place of the host: %2Frun%2Fpostgresql.
    let socket = socket
        || host
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("%2f"));
    let remote = !socket && !address::is_loopback(host);
    let password = password(&url).map_err(|()| {
        refuse(format!(
            "`source.url` holds a password that is not UTF-8; {ENCODE}"
        ))
    })?;
    let cut = url.set_password(None).is_ok() || password.is_none();
    if !cut || url.set_scheme(scheme).is_err() {
        return Err(refuse(format!(
            "`source.url` is no usable address; {ENCODE}"
        )));
    }
    Ok(Place {
        location: location(url),
        password: password.map(|value| Found {
            value,
            line: found.line,
        }),
        remote,
    })
}

/// An empty password (`user:@host`) is none.
fn password(url: &Url) -> Result<Option<String>, ()> {
    let Some(encoded) = url.password().filter(|encoded| !encoded.is_empty()) else {
        return Ok(None);
    };
    let decoded = percent_decode_str(encoded).decode_utf8().map_err(|_| ())?;
    Ok(Some(decoded.into_owned()))
}

/// Checks what stands behind the `?`, and says whether it leads to a local socket.
fn socket(
    section: &Section<'_>,
    found: Found<&str>,
    url: &Url,
    scheme: &str,
) -> Result<bool, Reported> {
    let socket_key = if scheme == "mysql" { "socket" } else { "host" };
    let mut socket = false;
    for (key, value) in url.query_pairs() {
        let message = if key == socket_key && value.starts_with('/') && !socket {
            socket = true;
            continue;
        } else if key == socket_key {
            format!("`source.url`: `{socket_key}` must be one absolute path of a local socket")
        } else if key.to_ascii_lowercase().contains("ssl") {
            "`source.url` says how to encrypt; `source.tls` and `source.ca_file` decide that, so remove it".to_owned()
        } else if key.eq_ignore_ascii_case("password") {
            section.holds_secret(found.line, "url");
            "`source.url` holds a password behind the `?`; use `source.password_file`".to_owned()
        } else {
            let key = shown(&key);
            format!("`source.url` has a part `{key}` that is not known; only `{socket_key}` is")
        };
        return Err(section.problem(found.line, "url", message));
    }
    Ok(socket)
}

fn table(section: &Section<'_>) -> Result<TableName, Reported> {
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
    let fits = |part: &str| is_name(part, |b| b == b'$');
    if fits(name) && schema.is_none_or(fits) {
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

fn timezone(section: &Section<'_>) -> Result<chrono_tz::Tz, Reported> {
    let Some(found) = section.filled("timezone") else {
        let why = "name the zone that the PBX writes its times in, such as \"America/Caracas\"";
        return Err(section.missing("timezone", why));
    };
    zone::parse(found.value)
        .map_err(|why| section.problem(found.line, "timezone", format!("`source.timezone`: {why}")))
}

fn tls(
    section: &Section<'_>,
    place: Option<&Place>,
    around: Surroundings<'_>,
) -> Result<DatabaseTls, Reported> {
    let said = section.filled("tls");
    let ca_line = section.filled("ca_file").map(|found| found.line);
    let ca_file = existing_file(section, "ca_file", around)?;
    match (said.map(|found| (found.value, found.line)), ca_line) {
        (Some(("verify", _)), _) => Ok(DatabaseTls::Verify { ca_file }),
        (Some(("plaintext", _)), Some(line)) => {
            let message = "`source.ca_file` is set, and `source.tls` is \"plaintext\", which checks no certificate; remove one";
            Err(section.problem(line, "ca_file", message))
        }
        (Some(("plaintext", _)), None) => Ok(DatabaseTls::Plaintext),
        (Some((other, line)), _) => {
            let message = format!(
                "`source.tls` must be \"verify\" or \"plaintext\", not \"{}\"",
                shown(other)
            );
            Err(section.problem(line, "tls", message))
        }
        (None, Some(_)) => Ok(DatabaseTls::Verify { ca_file }),
        (None, None) if place.is_none_or(|place| place.remote) => {
            Ok(DatabaseTls::Verify { ca_file })
        }
        (None, None) => Ok(DatabaseTls::Plaintext),
    }
}

fn columns(section: &Section<'_>, template_roles: Option<&[String]>) -> BTreeMap<String, String> {
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
    if is_column(found.value) {
        columns.insert(role.to_owned(), found.value.to_owned());
    } else {
        let key = section.key(&shown(role));
        let message = not_a_column(&key, found.value);
        section.problem(found.line, role, message);
    }
}

fn csv_columns(section: &Section<'_>) -> Result<Option<Vec<String>>, Reported> {
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
        if !is_column(name.value) {
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
        "`{key}`: \"{}\" is no column name; write letters, digits, `_`, `$`, `-` and blanks, not beginning with a digit, at most 64 characters",
        shown(text)
    )
}

/// The allow-list for column names; whoever writes SQL quotes them besides.
fn is_column(text: &str) -> bool {
    is_name(text, |b| matches!(b, b'$' | b' ' | b'-'))
}

fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 64
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || also(b))
}
