//! A whole stage: generated rows in a SQLite `cdr`, a configuration, practice CRMs, and the check that closes a play.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cdrelay::sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::Value;

use super::golden::{self, Golden, Row};
use super::program::{Program, Ran, private};
use super::unruly::Reply;

#[path = "closed_port.rs"]
mod closed_port;
#[allow(
    unused_imports,
    reason = "every test binary compiles all of it and uses some"
)]
pub(crate) use closed_port::closed_port;

/// What Asterisk on FreePBX has, as far as it is read here.
const TABLE: &str = "CREATE TABLE cdr (calldate TEXT NOT NULL, src TEXT, dst TEXT, duration INTEGER, billsec INTEGER, \
                     disposition TEXT, uniqueid TEXT, recordingfile TEXT, sequence INTEGER);\
                     CREATE INDEX cdr_calldate ON cdr (calldate);";

/// Longest that anything here is waited for; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows in a source, and a program that is set up for them.
pub struct Scene {
    pub program: Program,
    pub rows: Vec<Row>,
}

impl Scene {
    /// So many generated rows of the last seven days.
    pub fn generated(count: usize, seed: u64) -> Self {
        Self::of(golden::rows(count, now(), 7, seed))
    }

    /// These rows.
    pub fn of(rows: Vec<Row>) -> Self {
        let scene = Self {
            program: Program::new(""),
            rows,
        };
        let db = scene.source();
        db.execute_batch(TABLE).expect("the table");
        for insert in golden::inserts("cdr", &scene.rows) {
            db.execute_batch(&insert).expect("rows");
        }
        scene
    }

    /// The source, to change it.
    pub fn source(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.program.path("cdr.db")).expect("a database")
    }

    /// Points the program at a CRM.
    pub fn point_at(&self, crm: &str) {
        self.point_at_with(crm, str::to_owned);
    }

    /// The same, with another configuration.
    pub fn point_at_with(&self, crm: &str, edit: impl FnOnce(&str) -> String) {
        self.program.configure(&edit(&self.config(crm)));
    }

    /// The configuration that golden assumes.
    pub fn config(&self, crm: &str) -> String {
        golden::config("url = \"sqlite://cdr.db\"", crm)
    }

    /// What the CRM must hold in the end.
    pub fn golden(&self) -> Golden {
        golden::golden(&self.rows)
    }

    /// An undisturbed full run against a new practice CRM settles everything, and the CRM holds every call once.
    #[track_caller]
    pub fn settles_undisturbed(&self) {
        let crm = sandbox();
        self.settles_at(&crm, str::to_owned);
    }

    /// A full run against this CRM settles everything, and the CRM holds every call once.
    #[track_caller]
    pub fn settles_at(&self, crm: &RunningSandbox, edit: impl FnOnce(&str) -> String) -> Value {
        self.point_at_with(crm.url.as_str(), edit);
        let report = self.program.sync(&["--full"], 0);
        self.check(crm);
        report
    }

    /// The CRM holds every call exactly once, and so does the ledger.
    #[track_caller]
    pub fn check(&self, crm: &RunningSandbox) {
        let golden = self.golden();
        same(&held(crm), &golden);
        assert_eq!(crm.calls().len(), golden.len(), "no call is there twice");
        let states = self.states();
        assert_eq!(
            states
                .iter()
                .map(|(state, n)| (state.as_str(), *n))
                .collect::<Vec<_>>(),
            [("delivered", golden.len())],
            "what the ledger holds"
        );
    }

    /// How many calls the ledger holds in which state.
    #[track_caller]
    pub fn states(&self) -> Vec<(String, usize)> {
        let mut states = std::collections::BTreeMap::new();
        for call in self.listed() {
            *states
                .entry(call["state"].as_str().expect("a state").to_owned())
                .or_insert(0) += 1;
        }
        states.into_iter().collect()
    }

    /// What `calls` lists, collisions left out.
    #[track_caller]
    pub fn listed(&self) -> Vec<Value> {
        let ran = self.program.run(&["calls", "--output", "json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .filter(|call: &Value| call.get("collision").is_none())
            .collect()
    }

    /// How a run ended and what it said, in full.
    #[track_caller]
    pub fn said(&self, ran: &Ran, code: i32, stdout: &str, stderr: &str) {
        said(&self.program, ran, code, stdout, stderr);
    }
}

/// How a run ended and what it said, in full; the program's directory and what [`plain`] names replaced.
#[track_caller]
pub fn said(program: &Program, ran: &Ran, code: i32, stdout: &str, stderr: &str) {
    let directory = program.dir.path().display().to_string();
    let out = plain(&ran.stdout.replace(&directory, "DIR"));
    let err = plain(&ran.stderr.replace(&directory, "DIR"));
    assert_eq!(
        (ran.code, out.as_str(), err.as_str()),
        (code, stdout, stderr),
        "\n--- stdout\n{out}\n--- stderr\n{err}"
    );
}

/// Replaces ports, and in a report the window, the number of requests, speeds and times.
pub fn plain(text: &str) -> String {
    let rules = [
        (r"(127\.0\.0\.1|\[::1\]):\d+", "$1:PORT"),
        (
            r"(?m)^(  window    )[-\d]+ [:\d]+ to [-\d]+ [:\d]+ \(",
            "${1}SINCE to UNTIL (",
        ),
        (r"(?m)^(  requests  )\d+ sent, .*$", "${1}SENT"),
        (
            r"(?m)^(  time      )[\d.]+ s \([\d.]+ s reading, [\d.]+ s sending\)$",
            "${1}TIME",
        ),
    ];
    rules.iter().fold(text.to_owned(), |text, (from, to)| {
        regex::Regex::new(from)
            .expect("a pattern")
            .replace_all(&text, *to)
            .into_owned()
    })
}

/// Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    i64::try_from(since.as_secs()).expect("not yet")
}

/// A practice CRM that knows every number.
pub fn sandbox() -> RunningSandbox {
    sandbox_with(SandboxOptions::default())
}

pub fn sandbox_with(options: SandboxOptions) -> RunningSandbox {
    Sandbox::start(options).expect("a sandbox")
}

/// A practice CRM that takes so long for every answer.
pub fn slow_sandbox(milliseconds: u64) -> RunningSandbox {
    sandbox_with(SandboxOptions {
        latency: Some(Duration::from_millis(milliseconds)),
        ..SandboxOptions::default()
    })
}

/// What a CRM holds, in golden's form.
pub fn held(crm: &RunningSandbox) -> Golden {
    crm.calls()
        .into_iter()
        .map(|call| {
            (
                (call.initiated, call.source, call.destination),
                (call.duration.expect("a duration"), call.url),
            )
        })
        .collect()
}

/// Two sets of calls are equal; says which calls are not.
#[track_caller]
pub fn same(found: &Golden, expected: &Golden) {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(key, call)| found.get(*key) != Some(*call))
        .take(3)
        .collect();
    let surplus: Vec<_> = found
        .iter()
        .filter(|(key, call)| expected.get(*key) != Some(*call))
        .take(3)
        .collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{} found, {} expected; missing: {missing:?}; surplus: {surplus:?}",
        found.len(),
        expected.len()
    );
}

/// Hands a request on to a practice CRM, and its answer back.
pub fn pass_on(crm: SocketAddr, line: &str) -> Reply {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(crm)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "{line}\r\nHost: {crm}\r\nConnection: close\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply = ask().expect("the sandbox answers");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    Reply::Json(status, body.to_owned())
}

/// Rows of a given date are neither too old for a full run nor for the ledger, whenever this runs.
pub fn at_any_date(config: &str) -> String {
    let config = with(config, "select", "full_lookback = \"30000d\"");
    with(&config, "ledger", "retention = \"36000d\"")
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process that a test started.
#[track_caller]
pub fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .expect("a shell");
    assert!(sent.success(), "{name}");
}

/// Waits until a process says itself what is to be done on SIGINT and SIGTERM: before that, they end it.
#[track_caller]
pub fn listens(child: &Child) {
    const BOTH: u64 = 1 << 1 | 1 << 14;
    until("it listens for signals", || {
        signals(child, "SigCgt") & BOTH == BOTH
    });
}

/// Waits until a process has got all signals that were sent to it: two of one kind that wait together are one to the kernel.
#[track_caller]
pub fn heard(child: &Child) {
    until("it has got its signals", || {
        signals(child, "SigPnd") | signals(child, "ShdPnd") == 0
    });
}

/// What the kernel says of a program's memory, in KiB (proc(5), `/proc/PID/status`), such as `VmHWM`, the most that it ever
/// had. `None` where the program has ended or not begun: a child that is about to become one still has the memory of this
/// process, and its name.
pub fn kib(child: &Child, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    if word(&status, "Name")? != "cdrelay" {
        return None;
    }
    word(&status, field)?.parse().ok()
}

/// The first word of a field of `/proc/PID/status`.
fn word<'s>(status: &'s str, field: &str) -> Option<&'s str> {
    let mut lines = status.lines();
    let rest = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    rest.split_whitespace().next()
}

/// A set of signals, the first one as the lowest bit (proc(5), `/proc/PID/status`); empty where the process has ended.
fn signals(child: &Child, set: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    word(&status.unwrap_or_default(), set)
        .map_or(0, |bits| u64::from_str_radix(bits, 16).expect("a number"))
}

/// Waits for a process, and gives what it said.
pub fn finish(child: Child) -> Ran {
    Ran::of(child.wait_with_output().expect("it ends"))
}

/// Writes bytes to a file that only its owner can read.
pub fn write_bytes(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
    private(path);
}

/// Names of everything in a directory, with length and hash: two listings are equal where nothing was written.
pub fn listing(directory: &std::path::Path) -> std::collections::BTreeMap<String, (usize, u64)> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let bytes = std::fs::read(entry.path()).expect("a file");
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, (bytes.len(), hasher.finish()))
        })
        .collect()
}

/// Inserts lines into a section of a configuration, behind its head.
pub fn with(config: &str, section: &str, lines: &str) -> String {
    let head = format!("[{section}]\n");
    if config.contains(&head) {
        config.replacen(&head, &format!("{head}{lines}\n"), 1)
    } else {
        format!("{config}\n{head}{lines}\n")
    }
}
