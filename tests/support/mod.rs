//! Real servers for tests: private ones on a free port of the loopback interface, in a temporary directory, gone with the
//! test binary however it ends.

#![allow(
    dead_code,
    reason = "every test binary compiles all of it and uses some"
)]

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) mod cdr_table;
pub(crate) mod mariadb;
pub(crate) mod postgres;
pub(crate) mod tls;

/// A server process. It lives as long as this test process and not a moment longer: a shell waits for the end of the pipe
/// that this process holds, which closes when it ends, by whatever means, and then ends the server and removes its files.
pub(crate) struct Daemon {
    /// Holds the writing end of the pipe.
    _watchdog: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` under the watchdog. `signal` ends it at once, with all its children; `directory` is removed then.
    pub(crate) fn start(command: &[String], signal: &str, directory: &Path, log: &Path) -> Self {
        let output = std::fs::File::create(log).expect("the log of a server can be created");
        let script = "\
            signal=$1 directory=$2; shift 2; \
            \"$@\" & server=$!; \
            read -r _; \
            kill \"-$signal\" \"$server\"; wait \"$server\"; rm -rf \"$directory\"";
        let watchdog = Command::new("sh")
            .args(["-c", script, "watchdog", signal])
            .arg(directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            // A group of its own: what interrupts the tests from the terminal must not end the watchdog first.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        Self {
            _watchdog: watchdog,
            log: log.to_owned(),
        }
    }

    /// Waits until `ready` says so.
    pub(crate) fn wait(&self, what: &str, ready: impl Fn() -> bool) {
        let begin = Instant::now();
        while !ready() {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{what} did not start:\n{}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A port on which nobody listens. It lies below those that Linux hands out by itself (from 32768 on, unless somebody changed
/// `net.ipv4.ip_local_port_range`): no test that asks for any port, and no connection, takes it before its server does.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run at the same time look in different places.
    let begin = std::process::id() % COUNT * 61;
    (0..COUNT)
        .map(|_| FIRST + (begin + TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("below 32,000"))
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("the loopback interface has a free port")
}

/// Whether a server takes connections at both of its doors. The file of a socket is there before anybody listens behind it.
pub(crate) fn is_open(port: u16, socket: &Path) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok() && UnixStream::connect(socket).is_ok()
}

/// Finds a program in the usual directories, or says what to do.
pub(crate) fn program(name: &str, beside: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")];
    beside
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .chain(sbin)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("`{name}` is not installed: run contrib/test, which installs the servers that the tests need")
        })
}

/// Runs a program to its end, and shows what it said where it fails.
pub(crate) fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether this process is root's, which servers refuse to be.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A directory that is removed once this process has ended, however it ends: before a server runs in it, too.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = tempfile::Builder::new()
        .prefix(&format!("cdrelay-{name}-"))
        .tempdir()
        .expect("a temporary directory can be created")
        .keep();
    let keeper = Command::new("sh")
        // Two seconds are for whatever still writes there.
        .args(["-c", "read -r _; sleep 2; rm -rf \"$1\"", "keeper"])
        .arg(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh can be started");
    // Its pipe closes with this process and not before.
    std::mem::forget(keeper);
    directory
}

/// A name that no other test of this process uses.
pub(crate) fn fresh_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
