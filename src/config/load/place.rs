//! `source.url` and `collector.store`: which database or file, taken apart.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::super::SourceLocation;
use super::super::reader::{Section, shown};
use super::super::report::{Found, Reported};
use super::{Surroundings, address};

/// What a password in an address has to look like, where one does not.
const ENCODE: &str =
    "write `@ : / # ? %` inside a password percent-encoded, or use `source.password_file`";

/// Where the calls are, taken apart.
pub(super) struct Place {
    pub(super) location: SourceLocation,
    /// The password that stood in it, decoded.
    pub(super) password: Option<Found<String>>,
    /// Whether the way there leaves this machine.
    pub(super) remote: bool,
}

impl Place {
    pub(super) fn file(location: SourceLocation) -> Self {
        Self {
            location,
            password: None,
            remote: false,
        }
    }
}

/// The setting that an address stands under.
#[derive(Clone, Copy)]
pub(super) struct Setting<'s, 'a> {
    pub(super) section: &'s Section<'a>,
    /// `url` in `[source]`, `store` in `[collector]`.
    pub(super) key: &'s str,
}

impl Setting<'_, '_> {
    /// Reports a problem. Messages are written for `[source]`; the same settings of a store begin with `store`.
    fn problem(&self, line: usize, message: &str) -> Reported {
        let message = if self.key == "url" {
            message.to_owned()
        } else {
            message
                .replace("source.url", &self.section.key(self.key))
                .replace("source.", &self.section.key(&format!("{}_", self.key)))
        };
        self.section.problem(line, self.key, message)
    }
}

/// Reads an address.
pub(super) fn read(setting: Setting<'_, '_>, around: Surroundings<'_>) -> Result<Place, Reported> {
    let (section, key) = (setting.section, setting.key);
    const FORMS: &str = "mysql://USER@HOST/DATABASE, mariadb://…, postgres://…, postgresql://…, sqlite://PATH and csv:PATH";
    let Some(found) = section.filled(key) else {
        let why = format!("say where the calls are; known are {FORMS}");
        return Err(section.missing(key, &why));
    };
    if address::holds_password(found.value) {
        section.holds_secret(found.line, key);
    }
    let (scheme, rest) = found.value.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "mysql" | "mariadb" => database(setting, found, "mysql", SourceLocation::Mysql),
        "postgres" | "postgresql" => database(setting, found, "postgres", SourceLocation::Postgres),
        "sqlite" => Ok(Place::file(SourceLocation::Sqlite(file(
            setting, found, rest, around,
        )?))),
        "csv" => Ok(Place::file(SourceLocation::Csv(file(
            setting, found, rest, around,
        )?))),
        _ => {
            let message =
                format!("`source.url` begins with none of the known kinds; they are {FORMS}");
            Err(setting.problem(found.line, &message))
        }
    }
}

fn file(
    setting: Setting<'_, '_>,
    found: Found<&str>,
    rest: &str,
    around: Surroundings<'_>,
) -> Result<PathBuf, Reported> {
    let refuse = |message: &str| Err(setting.problem(found.line, message));
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
    setting: Setting<'_, '_>,
    found: Found<&str>,
    scheme: &str,
    location: fn(Url) -> SourceLocation,
) -> Result<Place, Reported> {
    let refuse = |message: String| setting.problem(found.line, &message);
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
    let socket = socket(setting, found, &url, scheme)?;
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
    setting: Setting<'_, '_>,
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
            setting.section.holds_secret(found.line, setting.key);
            "`source.url` holds a password behind the `?`; use `source.password_file`".to_owned()
        } else {
            let key = shown(&key);
            format!("`source.url` has a part `{key}` that is not known; only `{socket_key}` is")
        };
        return Err(setting.problem(found.line, &message));
    }
    Ok(socket)
}
