//! Asterisk's own settings: which module writes the calls, and where to.

use super::ini::{Dialect, Section, sections};
use super::server::{Found, Product, Server, table};
use super::{Machine, text};

/// Files that define connections; FreePBX writes the second and leaves the third to the administrator.
const CONNECTIONS: [&str; 3] = [
    "res_odbc.conf",
    "res_odbc_additional.conf",
    "res_odbc_custom.conf",
];

/// What writes calls through a connection of res_odbc, the settings that FreePBX adds in a file of their own included.
const WRITERS: [&str; 4] = [
    "cdr_adaptive_odbc.conf",
    "cdr_adaptive_odbc_additional.conf",
    "cdr_adaptive_odbc_custom.conf",
    "cdr_odbc.conf",
];

const ODBC: &str = "/etc/odbc.ini";
const MASTER_DB: &str = "/var/log/asterisk/master.db";
const MASTER_CSV: &str = "/var/log/asterisk/cdr-csv/Master.csv";

/// Every place that Asterisk's files name, modules in the order in which they are worth reading from.
pub(super) fn sources(machine: &Machine) -> Vec<Found> {
    let mut all = odbc(machine);
    all.extend(mysql(machine));
    all.extend(postgres(machine));
    all.extend(sqlite(machine));
    all.extend(csv(machine));
    all
}

fn read(machine: &Machine, name: &str) -> Vec<Section> {
    machine
        .asterisk_file(name)
        .map(|text| sections(&text, Dialect::Asterisk))
        .unwrap_or_default()
}

fn utc(section: &Section, key: &str) -> Option<String> {
    section.is_on(key).then(|| "UTC".to_owned())
}

/// cdr_adaptive_odbc and cdr_odbc name a connection; res_odbc has its user, and odbc.ini its server.
fn odbc(machine: &Machine) -> Vec<Found> {
    let connections: Vec<Section> = CONNECTIONS
        .iter()
        .flat_map(|name| read(machine, name))
        .collect();
    let names = text(&machine.path(ODBC))
        .map(|text| sections(&text, Dialect::Odbc))
        .unwrap_or_default();
    let mut all = Vec::new();
    for file in WRITERS {
        for writer in read(machine, file) {
            let Some(name) = writer.any(&["connection", "dsn"]) else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            let Some(connection) = connections.iter().find(|section| section.name == name) else {
                continue;
            };
            let dsn = connection.get("dsn").unwrap_or(&name).to_ascii_lowercase();
            let Some(source) = names.iter().find(|section| section.name == dsn) else {
                continue;
            };
            let from = format!(
                "{} and {}",
                machine.asterisk_path(file),
                machine.path(ODBC).display()
            );
            if let Some(mut found) = through_odbc(&writer, connection, source, machine, from) {
                found.zone = utc(&writer, "usegmtime");
                all.push(found);
            }
        }
    }
    all
}

fn through_odbc(
    writer: &Section,
    connection: &Section,
    source: &Section,
    machine: &Machine,
    from: String,
) -> Option<Found> {
    let driver = source
        .get("driver")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let database = source.any(&["database", "dbname", "db"]);
    let table_name = writer.get("table");
    if driver.contains("sqlite") {
        return file("sqlite://", database?, table(table_name), from);
    }
    let product = if driver.contains("postgres") || driver.contains("psql") {
        Product::Postgres
    } else {
        // MyODBC, MariaDB's connector, and whatever a path of theirs is called.
        Product::Mysql
    };
    let server = Server {
        host: source.any(&["server", "servername", "host"]),
        port: source.get("port"),
        socket: source.get("socket"),
        user: connection
            .get("username")
            .or_else(|| source.any(&["user", "uid", "username"])),
        password: connection
            .any(&["password", "secret"])
            .or_else(|| source.any(&["password", "pwd"])),
        database,
        table: table_name,
    };
    server.found(product, machine, from)
}

/// cdr_mysql, up to Asterisk 18. `cdrzone` goes before `usegmtime`.
fn mysql(machine: &Machine) -> Option<Found> {
    const FILE: &str = "cdr_mysql.conf";
    let all = read(machine, FILE);
    let global = all.iter().find(|section| section.name == "global")?;
    let server = Server {
        host: global.get("hostname"),
        port: global.get("port"),
        socket: global.get("sock"),
        user: global.get("user"),
        password: global.get("password"),
        database: Some(global.get("dbname").unwrap_or("asteriskcdrdb")),
        table: global.get("table"),
    };
    let mut found = server.found(Product::Mysql, machine, machine.asterisk_path(FILE))?;
    found.zone = global
        .get("cdrzone")
        .map(str::to_owned)
        .or_else(|| utc(global, "usegmtime"));
    Some(found)
}

fn postgres(machine: &Machine) -> Option<Found> {
    const FILE: &str = "cdr_pgsql.conf";
    let all = read(machine, FILE);
    let global = all.iter().find(|section| section.name == "global")?;
    let server = Server {
        host: global.get("hostname"),
        port: global.get("port"),
        user: global.get("user"),
        password: global.get("password"),
        database: Some(global.get("dbname").unwrap_or("asterisk")),
        table: global.get("table"),
        ..Server::default()
    };
    let mut found = server.found(Product::Postgres, machine, machine.asterisk_path(FILE))?;
    found.zone = global.get("timezone").map(str::to_owned);
    Some(found)
}

/// cdr_sqlite3_custom writes only where its columns are named.
fn sqlite(machine: &Machine) -> Option<Found> {
    const FILE: &str = "cdr_sqlite3_custom.conf";
    let all = read(machine, FILE);
    let master = all.iter().find(|section| section.name == "master")?;
    master.get("columns")?;
    let path = master.get("dbfile").unwrap_or(MASTER_DB);
    let place = machine.path(path);
    place.is_file().then_some(())?;
    let place = place.display().to_string();
    let from = machine.asterisk_path(FILE);
    file("sqlite://", &place, table(master.get("table")), from)
}

/// cdr_csv needs no settings: the file is there, or it is not.
fn csv(machine: &Machine) -> Option<Found> {
    const FILE: &str = "cdr.conf";
    let place = machine.path(MASTER_CSV);
    place.is_file().then_some(())?;
    let place = place.display().to_string();
    let mut found = file("csv:", &place, table(None), place.clone())?;
    let all = read(machine, FILE);
    let csv = all.iter().find(|section| section.name == "csv");
    found.zone = csv.and_then(|section| utc(section, "usegmtime"));
    Some(found)
}

fn file(scheme: &str, path: &str, table: String, from: String) -> Option<Found> {
    let fits = path.starts_with('/') && !path.chars().any(|c| c.is_control() || c == '?');
    fits.then(|| Found {
        url: format!("{scheme}{path}"),
        table,
        password: None,
        zone: None,
        from,
    })
}
