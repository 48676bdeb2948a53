//! What is found out about a machine from its files.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use cdrelay::config::secret::Secret;
use cdrelay::discovery::{self, Found};

use super::machine::Machine;

fn found(machine: &Machine) -> Vec<Found> {
    discovery::sources(&discovery::Machine::new(Some(machine.root.path()), None))
}

/// The only place that a machine with these files names: address, table, password, zone.
#[track_caller]
fn only(files: &[(&str, &str)], expected: (&str, &str, Option<&str>, Option<&str>)) {
    let machine = Machine::new();
    for (path, text) in files {
        machine.write(path, text);
    }
    let all = found(&machine);
    assert_eq!(all.len(), 1, "{all:?}");
    let one = &all[0];
    let password = one.password.as_ref().map(Secret::expose);
    let url = machine.plain(&one.url);
    assert_eq!(
        (
            url.as_str(),
            one.table.as_str(),
            password,
            one.zone.as_deref()
        ),
        expected
    );
    assert!(!format!("{all:?}").contains(password.unwrap_or("never")));
}

const FREEPBX: &str = "<?php\n// made by the installer\n$amp_conf['AMPDBUSER'] = 'freepbxuser';\n\
    $amp_conf['AMPDBPASS'] = 'k3y\\'s;#&%';\n$amp_conf['AMPDBHOST'] = '127.0.0.1';\n\
    $amp_conf['AMPDBNAME'] = 'asterisk';\n$amp_conf['AMPDBENGINE'] = 'mysql';\n$amp_conf['datasource'] = '';\n\
    require_once '/var/www/html/admin/bootstrap.php';\n?>\n";

#[test]
fn freepbx_names_its_database_by_what_it_sets_and_what_it_leaves_out() {
    only(
        &[("/etc/freepbx.conf", FREEPBX)],
        (
            "mysql://freepbxuser@127.0.0.1/asteriskcdrdb",
            "cdr",
            Some("k3y's;#&%"),
            None,
        ),
    );
    let own = format!(
        "{FREEPBX}\n$amp_conf[\"CDRDBNAME\"]='calls';\n$amp_conf['CDRDBHOST'] = 'db.example.com';\n\
         $amp_conf['CDRDBPORT'] = 3307;\n$amp_conf['CDRDBUSER'] = 'who?';\n$amp_conf['CDRDBPASS'] = \"p\\$\";\n\
         $amp_conf['CDRDBTABLENAME'] = 'cdr_2026';\n"
    );
    only(
        &[("/etc/freepbx.conf", &own)],
        (
            "mysql://who%3F@db.example.com:3307/calls",
            "cdr_2026",
            Some("p$"),
            None,
        ),
    );
    let postgres = "$amp_conf['CDRDBTYPE'] = 'postgres'; $amp_conf['AMPDBUSER'] = 'u'; $amp_conf['CDRDBHOST'] = '::1';";
    only(
        &[("/etc/freepbx.conf", postgres)],
        ("postgres://u@[::1]/asteriskcdrdb", "cdr", None, None),
    );
}

#[test]
fn localhost_is_the_socket_where_there_is_one() {
    let local = FREEPBX.replace("127.0.0.1", "localhost");
    only(
        &[
            ("/etc/freepbx.conf", &local),
            ("/run/mysqld/mysqld.sock", ""),
        ],
        (
            "mysql://freepbxuser@localhost/asteriskcdrdb?socket=/run/mysqld/mysqld.sock",
            "cdr",
            Some("k3y's;#&%"),
            None,
        ),
    );
    only(
        &[("/etc/freepbx.conf", &local)],
        (
            "mysql://freepbxuser@localhost/asteriskcdrdb",
            "cdr",
            Some("k3y's;#&%"),
            None,
        ),
    );
}

#[test]
fn an_odbc_connection_is_followed_from_the_writer_to_the_server() {
    let adaptive = "[general]\n[asteriskcdrdb]\nconnection = asteriskcdrdb ; as in res_odbc\nloguniqueid=yes\ntable=cdr\n\
                    alias start => calldate\nusegmtime=yes\n";
    let connections = "[asteriskcdrdb]\nenabled=>yes\ndsn=>MySQL-asteriskcdrdb\nusername=>freepbxuser\npassword=>a\\;b\n";
    let names = "[MySQL-asteriskcdrdb]\nDescription=MySQL connection\nDriver=MySQL\nServer=127.0.0.1\nPort=3306\n\
                 Database=asteriskcdrdb\noption=3\nCharset=utf8\n";
    only(
        &[
            ("/etc/asterisk/cdr_adaptive_odbc.conf", adaptive),
            ("/etc/asterisk/res_odbc_additional.conf", connections),
            ("/etc/odbc.ini", names),
        ],
        (
            "mysql://freepbxuser@127.0.0.1:3306/asteriskcdrdb",
            "cdr",
            Some("a;b"),
            Some("UTC"),
        ),
    );
    let postgres = "[PgCdr]\nDriver=/usr/lib/psqlodbcw.so\nServername=pbx.example.com\nDatabase=asterisk\nUsername=a\nPassword=p#;\n";
    only(
        &[
            (
                "/etc/asterisk/cdr_odbc.conf",
                "[global]\ndsn=cdr\ntable=calls\n",
            ),
            ("/etc/asterisk/res_odbc.conf", "[cdr]\ndsn => PgCdr\n"),
            ("/etc/odbc.ini", postgres),
        ],
        (
            "postgres://a@pbx.example.com/asterisk",
            "calls",
            Some("p#;"),
            None,
        ),
    );
}

#[test]
fn each_module_of_asterisk_is_known() {
    only(
        &[(
            "/etc/asterisk/cdr_mysql.conf",
            "[global]\nhostname=127.0.0.1\ndbname=pbx\ntable=calls\npassword=pw\nuser=ast\nport=3308\ncdrzone=America/Caracas\n\
             usegmtime=yes\n[columns]\n",
        )],
        (
            "mysql://ast@127.0.0.1:3308/pbx",
            "calls",
            Some("pw"),
            Some("America/Caracas"),
        ),
    );
    only(
        &[(
            "/etc/asterisk/cdr_pgsql.conf",
            "[global]\nhostname=127.0.0.1\nport=5432\ndbname=asterisk\npassword=pw\nuser=ast\ntable=cdr\ntimezone=UTC\n",
        )],
        (
            "postgres://ast@127.0.0.1:5432/asterisk",
            "cdr",
            Some("pw"),
            Some("UTC"),
        ),
    );
    only(
        &[
            (
                "/etc/asterisk/cdr_sqlite3_custom.conf",
                "[master]\ntable => cdr\ncolumns => calldate, src\n",
            ),
            ("/var/log/asterisk/master.db", "x"),
        ],
        (
            "sqlite://ROOT/var/log/asterisk/master.db",
            "cdr",
            None,
            None,
        ),
    );
    only(
        &[
            (
                "/etc/asterisk/cdr.conf",
                "[general]\n[csv]\nusegmtime=yes ; as in the sample\n",
            ),
            ("/var/log/asterisk/cdr-csv/Master.csv", ""),
        ],
        (
            "csv:ROOT/var/log/asterisk/cdr-csv/Master.csv",
            "cdr",
            None,
            Some("UTC"),
        ),
    );
}

#[test]
fn one_place_is_named_once_and_freepbx_first() {
    let machine = Machine::new();
    machine.write("/etc/freepbx.conf", FREEPBX);
    machine.write(
        "/etc/asterisk/cdr_mysql.conf",
        "[global]\nhostname=127.0.0.1\ndbname=asteriskcdrdb\nuser=freepbxuser\npassword=other\nusegmtime=yes\n",
    );
    machine.write("/var/log/asterisk/cdr-csv/Master.csv", "");
    let all = found(&machine);
    let urls: Vec<String> = all.iter().map(|one| machine.plain(&one.url)).collect();
    assert_eq!(
        urls,
        [
            "mysql://freepbxuser@127.0.0.1/asteriskcdrdb",
            "csv:ROOT/var/log/asterisk/cdr-csv/Master.csv"
        ]
    );
    // FreePBX's password, and the zone that the other file knows.
    assert_eq!(all[0].password.as_ref().unwrap().expose(), "k3y's;#&%");
    assert_eq!(all[0].zone.as_deref(), Some("UTC"));
}

#[test]
fn hostile_files_are_passed_over() {
    for text in [
        FREEPBX.replace("127.0.0.1", "a\\nb").replace('\'', "\""),
        FREEPBX.replace("127.0.0.1", "evil.example.com/x?y=z"),
        FREEPBX.replace("127.0.0.1", "a b"),
        FREEPBX.replace("'mysql'", "'oracle'"),
        FREEPBX.replace("freepbxuser", "a\u{1b}[31m"),
        format!("{}{FREEPBX}", " ".repeat(300 * 1024)),
        "$amp_conf['".repeat(20_000),
    ] {
        let machine = Machine::new();
        machine.write("/etc/freepbx.conf", &text);
        let all = found(&machine);
        assert!(all.is_empty(), "{all:?}");
    }
    let machine = Machine::new();
    let pipe = machine.path("/etc/freepbx.conf");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    fs::create_dir(machine.path("/etc/odbc.ini")).unwrap();
    assert!(found(&machine).is_empty());
}

#[test]
fn the_machines_zone_is_where_localtime_leads_to_else_what_timezone_says() {
    let zone = |machine: &Machine| {
        let machine = discovery::Machine::new(Some(machine.root.path()), None);
        discovery::zone(&machine).map(|found| found.zone.name())
    };
    let machine = Machine::new();
    assert_eq!(zone(&machine), None);
    machine.write("/etc/timezone", "America/Bogota\n");
    assert_eq!(zone(&machine), Some("America/Bogota"));
    symlink(
        "/usr/share/zoneinfo/America/Caracas",
        machine.path("/etc/localtime"),
    )
    .unwrap();
    assert_eq!(zone(&machine), Some("America/Caracas"));
    fs::remove_file(machine.path("/etc/localtime")).unwrap();
    symlink(
        "/usr/share/zoneinfo/Etc/UTC",
        machine.path("/etc/localtime"),
    )
    .unwrap();
    assert_eq!(zone(&machine), Some("UTC"));
    machine.write("/etc/timezone", "\u{1b}[31m");
    fs::remove_file(machine.path("/etc/localtime")).unwrap();
    assert_eq!(zone(&machine), None);
}
