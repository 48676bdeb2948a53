//! A place with calls that was found, and how its address is put together.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Machine;
use crate::config::secret::Secret;

/// Where MariaDB's and MySQL's packages put the local socket: Debian's, then Red Hat's, which FreePBX came on.
const SOCKETS: [&str; 3] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
];

/// Letters, digits and these four need no encoding anywhere in an address (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A place where this machine seems to keep its calls.
#[derive(Debug, Clone)]
pub struct Found {
    /// As `source.url` takes it, without password.
    pub url: String,
    /// As `source.table` takes it.
    pub table: String,
    /// The password that stands beside it.
    pub password: Option<Secret>,
    /// What that file says about the zone of the times: `UTC`, or a name.
    pub zone: Option<String>,
    /// The files that say so, for messages.
    pub from: String,
}

impl Found {
    /// Takes over what another description of the same place says besides.
    pub(super) fn complete(&mut self, other: Self) {
        if self.password.is_none() {
            self.password = other.password;
        }
        if self.zone.is_none() {
            self.zone = other.zone;
        }
    }
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Mysql,
    Postgres,
}

/// A database server as files describe it; every text is hostile.
#[derive(Debug, Default)]
pub(super) struct Server<'t> {
    pub(super) host: Option<&'t str>,
    pub(super) port: Option<&'t str>,
    pub(super) socket: Option<&'t str>,
    pub(super) user: Option<&'t str>,
    pub(super) password: Option<&'t str>,
    pub(super) database: Option<&'t str>,
    pub(super) table: Option<&'t str>,
}

impl Server<'_> {
    /// The place, where enough is said to reach it and nothing in it is nonsense.
    pub(super) fn found(&self, product: Product, machine: &Machine, from: String) -> Option<Found> {
        let database = plain(self.database?)?;
        let user = match self.user {
            Some(user) => format!("{}@", encoded(plain(user)?)),
            None => String::new(),
        };
        let (host, inside_port) = host(self.host.unwrap_or("localhost"))?;
        let port = match self.port.map(str::parse::<u16>) {
            Some(Ok(port)) if port > 0 => Some(port),
            Some(Ok(_) | Err(_)) | None => inside_port,
        };
        let socket = match product {
            // What the name localhost means to MySQL's own client: the socket, and TCP to nobody.
            Product::Mysql if host == "localhost" => self.local_socket(machine),
            Product::Mysql | Product::Postgres => None,
        };
        let scheme = match product {
            Product::Mysql => "mysql",
            Product::Postgres => "postgres",
        };
        let mut url = format!("{scheme}://{user}{host}");
        if let (Some(port), None) = (port, &socket) {
            url.push_str(&format!(":{port}"));
        }
        url.push_str(&format!("/{}", encoded(database)));
        if let Some(socket) = socket {
            url.push_str(&format!("?socket={socket}"));
        }
        Some(Found {
            url,
            table: table(self.table),
            password: self
                .password
                .and_then(|text| Secret::new(text.to_owned()).ok()),
            zone: None,
            from,
        })
    }

    fn local_socket(&self, machine: &Machine) -> Option<String> {
        let named = self.socket.and_then(plain).filter(|path| {
            path.starts_with('/')
                && path
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        });
        let all = named.into_iter().chain(SOCKETS);
        all.into_iter()
            .find(|path| machine.path(path).exists())
            .map(str::to_owned)
    }
}

/// A table's name that `source.table` takes; else Asterisk's own.
pub(super) fn table(name: Option<&str>) -> String {
    name.filter(|name| {
        !name.is_empty()
            && name
                .split('.')
                .all(|part| crate::config::is_column_name(part) && !part.contains([' ', '-']))
    })
    .unwrap_or("cdr")
    .to_owned()
}

/// A host's name or address, and the port behind it where one stands there (`localhost:3307`, as PHP takes it).
fn host(text: &str) -> Option<(String, Option<u16>)> {
    let text = plain(text)?;
    if text.matches(':').count() > 1 {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let address: std::net::Ipv6Addr = bare.parse().ok()?;
        return Some((format!("[{address}]"), None));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (text, None),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!name.is_empty() && name.chars().all(fits)).then(|| (name.to_ascii_lowercase(), port))
}

/// A text without anything that cannot stand in a name.
fn plain(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    fits.then_some(text)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
