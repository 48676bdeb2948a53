//! A private PostgreSQL. Its zone is America/Caracas.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::tls::Authority;
use super::{Daemon, directory, free_port, fresh_name, is_open, is_root, program, run};

/// The running server.
pub(crate) struct Postgres {
    daemons: Mutex<Vec<Daemon>>,
    command: Vec<String>,
    pub(crate) port: u16,
    /// The directory of its socket.
    pub(crate) socket: PathBuf,
    /// The CA that signed its certificate.
    pub(crate) authority: Authority,
}

/// The server of this test binary, started when first asked for.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| start(true, &[]))
}

/// One that offers no TLS.
pub(crate) fn server_without_tls() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| start(false, &[]))
}

/// One that no other test uses: it may be stopped.
pub(crate) fn private() -> &'static Postgres {
    Box::leak(Box::new(start(true, &[])))
}

/// One that has each transaction on disk before it says so, as servers come.
pub(crate) fn durable() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let as_it_comes = [
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "shared_buffers=128MB",
    ];
    SERVER.get_or_init(|| start(false, &as_it_comes))
}

/// A database of its own for one test.
pub(crate) struct Database {
    pub(crate) server: &'static Postgres,
    pub(crate) name: String,
}

impl Postgres {
    /// Creates an empty database in UTF-8.
    pub(crate) async fn database(&'static self) -> Database {
        self.database_in("UTF8").await
    }

    /// Creates an empty database in an encoding such as `SQL_ASCII`.
    pub(crate) async fn database_in(&'static self, encoding: &str) -> Database {
        let database = Database {
            server: self,
            name: fresh_name("cdr"),
        };
        let create = format!(
            "CREATE DATABASE {} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
            database.name
        );
        let mut connection = self.connect("postgres").await;
        (&mut connection)
            .execute(sqlx::raw_sql(AssertSqlSafe(create)))
            .await
            .expect("a database can be created");
        database
    }

    /// Ends the server at once, with all its connections, as a restart of its service does, and waits for its end.
    pub(crate) async fn stop(&self) {
        // Its first line is the server's process id.
        let file = self.socket.join("data/postmaster.pid");
        let pid = std::fs::read_to_string(&file).expect("a running server has a pid file");
        let pid = pid.lines().next().expect("a first line");
        run(Command::new("sh").args(["-c", "kill -INT \"$1\"", "stop", pid]));
        let begin = std::time::Instant::now();
        while file.exists() {
            assert!(begin.elapsed().as_secs() < 60, "PostgreSQL did not stop");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Starts it once more, on the same data and port.
    pub(crate) fn start_again(&self) {
        let daemon = launch(&self.command, &self.socket, self.port);
        self.daemons.lock().expect("not poisoned").push(daemon);
    }

    /// A connection of the superuser's.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .port(self.port)
            .username("postgres")
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        let begin = std::time::Instant::now();
        loop {
            match options.connect().await {
                Ok(connection) => return connection,
                // It listens before it lets anybody in: "the database system is starting up".
                Err(sqlx::Error::Database(error))
                    if error.code().as_deref() == Some("57P03")
                        && begin.elapsed().as_secs() < 60 =>
                {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(error) => {
                    panic!("the superuser can log in to the private PostgreSQL: {error}")
                }
            }
        }
    }
}

impl Database {
    /// Runs statements, separated by `;`, as superuser, in the server's own zone.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.server.connect(&self.name).await;
        let sql = format!("RESET TimeZone; SET TimeZone = 'America/Caracas'; {sql}");
        (&mut connection)
            .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
            .await
            .expect("the statements run");
        connection.close().await.expect("the connection closes");
    }

    /// The only number of the only row.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.server.connect(&self.name).await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut connection)
            .await
            .expect("the statement gives a number")
    }

    /// For `source.url`, over TCP, as the superuser, who has no password.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// For `source.url`, over TCP.
    pub(crate) fn url_of(&self, user: &str) -> String {
        format!(
            "postgres://{user}@127.0.0.1:{}/{}",
            self.server.port, self.name
        )
    }

    /// For `source.url`, over the local socket.
    pub(crate) fn socket_url(&self) -> String {
        format!(
            "postgres://postgres@localhost:{}/{}?socket={}",
            self.server.port,
            self.name,
            self.server.socket.display()
        )
    }
}

fn start(with_tls: bool, more: &[&str]) -> Postgres {
    let root = directory("postgres");
    let (data, port) = (root.join("data"), free_port());
    let binaries = binaries();
    let authority = Authority::new();
    let files = authority.write(&root);
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres:"]).arg(&root));
    }
    let mut init = as_postgres(&program("initdb", &binaries));
    init.extend(
        [
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        .map(str::to_owned),
    );
    init.push(format!("--pgdata={}", data.display()));
    run(Command::new(&init[0]).args(&init[1..]).current_dir(&root));
    // Only users that a test creates have passwords; they are asked for them.
    let access = "local all all trust\nhost all postgres 127.0.0.1/32 trust\n\
                  hostnossl all tlsonly 127.0.0.1/32 reject\n\
                  host all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(data.join("pg_hba.conf"), access).expect("pg_hba.conf can be written");
    let mut command = as_postgres(&program("postgres", &binaries));
    command.extend(["-D".to_owned(), data.display().to_string()]);
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", root.display()),
        "TimeZone=America/Caracas".to_owned(),
        "fsync=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "shared_buffers=16MB".to_owned(),
    ];
    if with_tls {
        settings.push("ssl=on".to_owned());
        settings.push(format!("ssl_cert_file={}", files.certificate.display()));
        settings.push(format!("ssl_key_file={}", files.key.display()));
    }
    // The last word counts.
    settings.extend(more.iter().map(|&setting| setting.to_owned()));
    for setting in settings {
        command.extend(["-c".to_owned(), setting]);
    }
    let daemon = launch(&command, &root, port);
    Postgres {
        daemons: Mutex::new(vec![daemon]),
        command,
        port,
        socket: root,
        authority,
    }
}

fn launch(command: &[String], root: &Path, port: u16) -> Daemon {
    // QUIT: PostgreSQL's immediate shutdown, which ends its children too.
    let daemon = Daemon::start(command, "QUIT", root, &root.join("log"));
    let socket = root.join(format!(".s.PGSQL.{port}"));
    daemon.wait("PostgreSQL", || is_open(port, &socket));
    daemon
}

/// PostgreSQL refuses to run as root; Debian's package comes with a user for it.
fn as_postgres(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    if is_root() {
        let switch = [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ];
        switch
            .map(str::to_owned)
            .into_iter()
            .chain([program])
            .collect()
    } else {
        vec![program]
    }
}

/// Where Debian keeps the programs, newest version first.
fn binaries() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let mut found: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    found.sort();
    found.reverse();
    found
}
