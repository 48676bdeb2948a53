//! FreePBX's own settings: `/etc/freepbx.conf`.
//!
//! Settings for the calls are named `CDRDB…`; each that is not set is that of FreePBX's own database, `AMPDB…`, and the
//! database of the calls is called `asteriskcdrdb` (FreePBX/cdr, Cdr.class.php).

use super::php::amp_conf;
use super::server::{Found, Product, Server};
use super::{Machine, text};

const FILE: &str = "/etc/freepbx.conf";

/// Where FreePBX says that the calls are.
pub(super) fn source(machine: &Machine) -> Option<Found> {
    let path = machine.path(FILE);
    let settings = amp_conf(&text(&path)?);
    let get = |key: &str| {
        let value = settings.get(key).map(String::as_str);
        value.filter(|value| !value.is_empty())
    };
    let either = |own: &str, general: &str| get(own).or_else(|| get(general));
    let kind = either("CDRDBTYPE", "AMPDBENGINE").unwrap_or("mysql");
    let product = match kind.to_ascii_lowercase().as_str() {
        "mysql" | "mysqli" | "mariadb" => Product::Mysql,
        "postgres" | "pgsql" | "postgresql" => Product::Postgres,
        _ => return None,
    };
    // A file without either is not FreePBX's.
    either("CDRDBUSER", "AMPDBUSER").or_else(|| either("CDRDBHOST", "AMPDBHOST"))?;
    let server = Server {
        host: either("CDRDBHOST", "AMPDBHOST"),
        port: either("CDRDBPORT", "AMPDBPORT"),
        socket: either("CDRDBSOCK", "AMPDBSOCK"),
        user: either("CDRDBUSER", "AMPDBUSER"),
        password: either("CDRDBPASS", "AMPDBPASS"),
        database: Some(get("CDRDBNAME").unwrap_or("asteriskcdrdb")),
        table: get("CDRDBTABLENAME"),
    };
    server.found(product, machine, path.display().to_string())
}
