//! A collector at work, and plain HTTP to talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cdrelay::sandbox::{RunningSandbox, Sandbox, SandboxOptions};

use crate::program::{Program, Ran};

/// One row of `cdr`, as far as tests look at it: calldate, src, dst, duration, billsec, disposition, uniqueid, did.
pub type Row = (String, String, String, i64, i64, String, String, String);

/// The columns of a [`Row`].
pub const COLUMNS: &str = "calldate, src, dst, duration, billsec, disposition, uniqueid, did";

/// The documented outbound call.
pub fn outbound() -> Row {
    row(
        "2010-01-01 08:22:01",
        ["041139735857", "0138888888888"],
        [46, 38],
        "ANSWERED",
        "efeb7b374a3408b0d0954f30a1504d83",
        "",
    )
}

/// The documented inbound call.
pub fn inbound() -> Row {
    row(
        "2010-01-01 11:11:07",
        ["0138888888888", "041139735857"],
        [107, 104],
        "ANSWERED",
        "1f10eab01f5b1b36230b8e91aef34810",
        "800888",
    )
}

pub fn row(
    calldate: &str,
    [src, dst]: [&str; 2],
    [duration, billsec]: [i64; 2],
    disposition: &str,
    uniqueid: &str,
    did: &str,
) -> Row {
    (
        calldate.to_owned(),
        src.to_owned(),
        dst.to_owned(),
        duration,
        billsec,
        disposition.to_owned(),
        uniqueid.to_owned(),
        did.to_owned(),
    )
}

/// A folder with a configuration, the practice CRM, and a collector that may be running.
pub struct Stage {
    pub program: Program,
    pub crm: RunningSandbox,
    pub running: Option<Running>,
}

/// A collector's process.
pub struct Running {
    pub child: Child,
    pub addr: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Stage {
    /// With a SQLite store; `collector` are more lines of `[collector]`, sections included.
    pub fn new(collector: &str) -> Self {
        Self::with_store(collector, "sqlite:collector.db", "sqlite:collector.db")
    }

    /// With a store, and the same as a source.
    pub fn with_store(collector: &str, store: &str, source: &str) -> Self {
        let crm = Sandbox::start(SandboxOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..SandboxOptions::default()
        })
        .unwrap();
        let program = Program::new(&format!(
            "[source]\nurl = \"{source}\"\ntimezone = \"Asia/Shanghai\"\n[select]\nmin_destination_length = 0\n\
             [target]\nurl = \"{}\"\ntoken_file = \"crm.token\"\ninitiated_as = \"utc\"\n[ledger]\npath = \"ledger.db\"\n\
             [[rules]]\nname = \"outside line\"\nmatch = \"_9X.\"\nstrip_prefix = \"9\"\n\
             [collector]\nlisten = \"127.0.0.1:0\"\nstore = \"{store}\"\ntimezone = \"Asia/Shanghai\"\n{collector}\n",
            crm.url.as_str().trim_end_matches('/')
        ));
        Self {
            program,
            crm,
            running: None,
        }
    }

    /// With a collector that settles fast.
    pub fn running(collector: &str) -> Self {
        let mut stage = Self::new(&format!("settle = \"300ms\"\n{collector}"));
        stage.start();
        stage
    }

    pub fn start(&mut self) {
        self.running = Some(start(&self.program));
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addr
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> Ran {
        let mut running = self.running.take().unwrap();
        terminate(&running.child);
        let mut stderr = String::new();
        let mut pipe = running.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        let status = running.child.wait().unwrap();
        Ran {
            code: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr,
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        drop(self.running.take().unwrap());
    }

    pub fn get(&self, path: &str) -> Reply {
        ask(
            self.addr(),
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
    }

    /// A POST with these header lines.
    pub fn post(&self, path: &str, headers: &str, body: &str) -> Reply {
        ask(self.addr(), &post(path, headers, body))
    }

    /// The rows of the SQLite store.
    pub fn rows(&self) -> Vec<Row> {
        let db = rusqlite::Connection::open(self.program.path("collector.db")).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let mut statement = db
            .prepare(&format!(
                "SELECT {COLUMNS} FROM cdr ORDER BY calldate, uniqueid"
            ))
            .unwrap();
        let rows = statement.query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Waits until there are these rows.
    #[track_caller]
    pub fn wait_for_rows(&self, expected: &[Row]) {
        wait(|| self.rows() == expected, || format!("{:#?}", self.rows()));
    }

    /// `sync` over the days of the documented calls, and what the CRM then holds: source, destination, duration.
    #[track_caller]
    pub fn synced(&self, since: &str, until: &str) -> Vec<(String, String, Option<u64>)> {
        self.program.sync(&["--since", since, "--until", until], 0);
        let calls = self.crm.calls().into_iter();
        calls
            .map(|call| (call.source, call.destination, call.duration))
            .collect()
    }
}

/// Starts `collect` and waits until it listens.
pub fn start(program: &Program) -> Running {
    let mut child = program
        .command(&["collect"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let Some(addr) = line.trim().strip_prefix("collecting at http://") else {
        let ran = Ran::of(child.wait_with_output().unwrap());
        panic!("{line:?} {ran:?}");
    };
    let addr = addr.parse().unwrap();
    Running { child, addr }
}

pub fn terminate(child: &Child) {
    let status = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Sends a request and reads the answer; status 0 where there was none.
pub fn ask(addr: SocketAddr, request: &str) -> Reply {
    try_ask(addr, request).unwrap_or(Reply {
        status: 0,
        body: String::new(),
    })
}

pub fn try_ask(addr: SocketAddr, request: &str) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.get(9..12).and_then(|code| code.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(Reply {
        status: status.unwrap_or(0),
        body: body.to_owned(),
    })
}

/// Waits for something that comes by itself. How long it takes proves nothing, so the limit is far away.
#[track_caller]
pub fn wait(done: impl Fn() -> bool, state: impl Fn() -> String) {
    wait_every(Duration::from_millis(20), done, state);
}

/// The same, looking that often.
#[track_caller]
pub fn wait_every(every: Duration, done: impl Fn() -> bool, state: impl Fn() -> String) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", state());
        std::thread::sleep(every);
    }
}

/// A text as a query or form carries it.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
