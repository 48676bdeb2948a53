//! A private MariaDB. Its zone is America/Caracas, its sql_mode lets zero dates in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::tls::Authority;
use super::{Daemon, directory, free_port, fresh_name, is_open, program, run};

/// The running server.
pub(crate) struct MariaDb {
    daemons: Mutex<Vec<Daemon>>,
    command: Vec<String>,
    root: PathBuf,
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
    /// The CA that signed its certificate.
    pub(crate) authority: Authority,
}

/// The server of this test binary, started when first asked for.
pub(crate) fn server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| start(true, &[]))
}

/// One that offers no TLS.
pub(crate) fn server_without_tls() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| start(false, &[]))
}

/// One that no other test uses: it may be stopped, and its limits changed.
pub(crate) fn private() -> &'static MariaDb {
    Box::leak(Box::new(start(true, &[])))
}

/// One that holds a million rows in memory, as a phone system's does, so that reading them is what is measured.
pub(crate) fn for_measuring() -> &'static MariaDb {
    // The last word counts.
    let room = [
        "--innodb-buffer-pool-size=1G",
        "--innodb-log-file-size=256M",
    ];
    Box::leak(Box::new(start(false, &room)))
}

/// One that has each transaction on disk before it says so, as servers come.
pub(crate) fn durable() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    let as_it_comes = [
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-buffer-pool-size=128M",
        "--innodb-log-file-size=96M",
    ];
    SERVER.get_or_init(|| start(false, &as_it_comes))
}

/// A database of its own for one test.
pub(crate) struct Database {
    pub(crate) server: &'static MariaDb,
    pub(crate) name: String,
}

impl MariaDb {
    /// Creates an empty database.
    pub(crate) async fn database(&'static self) -> Database {
        let database = Database {
            server: self,
            name: fresh_name("cdr"),
        };
        let mut connection = self.connect("mysql").await;
        let create = format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database.name);
        (&mut connection)
            .execute(sqlx::raw_sql(AssertSqlSafe(create)))
            .await
            .expect("a database can be created");
        database
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.root.join("pid")).expect("the server runs");
        text.trim().parse().expect("a number")
    }

    /// Ends the server in an orderly way, as a restart of its service does, and waits for its end.
    pub(crate) async fn stop(&self) {
        let mut connection = self.connect("mysql").await;
        // Its goodbye may come before its answer.
        let _ = (&mut connection).execute(sqlx::raw_sql("SHUTDOWN")).await;
        let pid = self.root.join("pid");
        let begin = std::time::Instant::now();
        while pid.exists() {
            assert!(begin.elapsed().as_secs() < 60, "MariaDB did not stop");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Starts it once more, on the same data and port.
    pub(crate) fn start_again(&self) {
        let daemon = launch(&self.command, &self.root, self.port);
        self.daemons.lock().expect("not poisoned").push(daemon);
    }

    /// Has it present another certificate, and the CA that signed it.
    pub(crate) async fn present(&self, authority: &Authority) -> PathBuf {
        let files = authority.write(&self.root);
        let mut connection = self.connect("mysql").await;
        (&mut connection)
            .execute(sqlx::raw_sql("FLUSH SSL"))
            .await
            .expect("certificates are read anew");
        files.ca
    }

    /// A connection of root's.
    pub(crate) async fn connect(&self, database: &str) -> MySqlConnection {
        MySqlConnectOptions::new()
            .socket(&self.socket)
            .username("root")
            .database(database)
            .ssl_mode(MySqlSslMode::Disabled)
            .connect()
            .await
            .expect("root can log in to the private MariaDB")
    }
}

impl Database {
    /// Runs statements, separated by `;`, as root, in the server's own zone and without strict mode.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.server.connect(&self.name).await;
        let sql = format!("SET SESSION sql_mode = '', time_zone = 'SYSTEM'; {sql}");
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

    /// For `source.url`, over TCP, as root, who has no password.
    pub(crate) fn url(&self) -> String {
        self.url_of("root")
    }

    /// For `source.url`, over TCP.
    pub(crate) fn url_of(&self, user: &str) -> String {
        format!(
            "mysql://{user}@127.0.0.1:{}/{}",
            self.server.port, self.name
        )
    }

    /// For `source.url`, over the local socket.
    pub(crate) fn socket_url(&self) -> String {
        format!(
            "mysql://root@localhost/{}?socket={}",
            self.name,
            self.server.socket.display()
        )
    }
}

fn start(with_tls: bool, more: &[&str]) -> MariaDb {
    let root = directory("mariadb");
    let (data, socket, port) = (root.join("data"), root.join("s"), free_port());
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let user = if super::is_root() {
        "root"
    } else {
        user.as_str()
    };
    run(Command::new(program("mariadb-install-db", &[]))
        .args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ])
        .arg(format!("--user={user}"))
        .arg(format!("--datadir={}", data.display())));
    let authority = Authority::new();
    let mut command = vec![
        "env".to_owned(),
        "TZ=America/Caracas".to_owned(),
        program("mariadbd", &[]).display().to_string(),
        "--no-defaults".to_owned(),
        format!("--user={user}"),
        format!("--datadir={}", data.display()),
        format!("--port={port}"),
        format!("--socket={}", socket.display()),
        format!("--pid-file={}", root.join("pid").display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--skip-log-bin".to_owned(),
        "--sql-mode=".to_owned(),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
        "--innodb-buffer-pool-size=32M".to_owned(),
        "--innodb-log-file-size=32M".to_owned(),
        "--key-buffer-size=8M".to_owned(),
        "--aria-pagecache-buffer-size=8M".to_owned(),
        "--performance-schema=OFF".to_owned(),
    ];
    if with_tls {
        let files = authority.write(&root);
        command.push(format!("--ssl-ca={}", files.ca.display()));
        command.push(format!("--ssl-cert={}", files.certificate.display()));
        command.push(format!("--ssl-key={}", files.key.display()));
    } else {
        command.push("--skip-ssl".to_owned());
    }
    command.extend(more.iter().map(|&option| option.to_owned()));
    let daemon = launch(&command, &root, port);
    MariaDb {
        daemons: Mutex::new(vec![daemon]),
        command,
        root,
        port,
        socket,
        authority,
    }
}

fn launch(command: &[String], root: &Path, port: u16) -> Daemon {
    let daemon = Daemon::start(command, "KILL", root, &root.join("log"));
    let socket = root.join("s");
    daemon.wait("MariaDB", || is_open(port, &socket));
    daemon
}
