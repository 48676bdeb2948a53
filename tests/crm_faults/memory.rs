//! Memory stays under 64 MiB, whatever a reply unpacks to or however long it goes on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::scene::{closed_port, kib, pass_on, signal};
use super::stage::{Backstage, Patience, WATCHDOG, configured, in_parallel, scene};
use super::tricks::{gzip_bomb, then_flood};
use super::unruly::{FLOOD, Reply, Unruly};

/// In KiB, as /proc has it.
const LIMIT: u64 = 64 * 1024;

type Heavy = (&'static str, fn() -> Reply);

const HEAVY: [Heavy; 9] = [
    ("a gzip bomb", || {
        let body = gzip_bomb(64);
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        reply.extend(body);
        Reply::Raw(reply)
    }),
    ("a gibibyte in chunks", || {
        then_flood(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            &format!("10000\r\n{}\r\n", "x".repeat(65_536)),
        )
    }),
    ("a chunk of a gibibyte", || {
        then_flood(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
            "xxxxxxxx",
        )
    }),
    ("a gibibyte declared", || {
        then_flood(
            "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
            "xxxxxxxx",
        )
    }),
    ("a gibibyte until the end", || {
        then_flood("HTTP/1.1 200 OK\r\n\r\n", "xxxxxxxx")
    }),
    ("a gibibyte behind a 500", || {
        then_flood("HTTP/1.1 500 Oops\r\n\r\n", "xxxxxxxx")
    }),
    ("an endless header", || {
        then_flood("HTTP/1.1 200 OK\r\nx: ", "yyyyyyyy")
    }),
    ("endless headers", || {
        then_flood("HTTP/1.1 200 OK\r\n", "a: b\r\n")
    }),
    ("endless interim replies", || {
        then_flood("", "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n")
    }),
];

/// Waits for a process, which is asked to stop once there was enough of it, and gives its exit code and the most memory
/// that it ever held, in KiB.
fn peak(child: &mut Child, enough: impl Fn() -> bool) -> (i32, u64) {
    let began = Instant::now();
    let mut peak = 0;
    let mut asked = false;
    loop {
        peak = peak.max(kib(child, "VmHWM").unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), peak);
        }
        assert!(began.elapsed() < WATCHDOG, "it hangs");
        if !asked && enough() {
            signal(child, "TERM");
            asked = true;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn no_reply_takes_more_than_64_mib() {
    // Alone at the start, and with the full number of requests in flight.
    let cases: Vec<(Heavy, usize)> = HEAVY
        .iter()
        .flat_map(|heavy| [(*heavy, 0), (*heavy, 150)])
        .collect();
    let failures = in_parallel(&cases, 4, |((name, reply), good)| {
        let stage = Backstage::new();
        let honest = stage.honest.addr;
        let (reply, good) = (reply(), *good);
        let crm = Unruly::start(move |n, line| {
            if n < good {
                pass_on(honest, line)
            } else {
                reply.clone()
            }
        });
        let scene = scene(400);
        scene.point_at_with(&crm.url(), |config| {
            configured(config, true, Patience::Short)
        });
        let mut child = scene
            .program
            .command(&["sync"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let full = if good == 0 { 5 } else { good + 33 };
        let (code, peak) = peak(&mut child, || crm.seen().len() >= full);
        // Stopped, or the CRM was given up before.
        assert!([4, 143].contains(&code), "{name} after {good}: {code}");
        let requests = crm.seen().len();
        assert!(requests > good, "{name} after {good}: {requests}");
        assert!(peak > 1024, "{name}: not measured");
        assert!(peak < LIMIT, "{name} after {good}: {peak} KiB");
        // Interim replies are lawful in any number, so only the deadline ends them.
        assert!(
            name.contains("interim") || crm.flooded() < FLOOD,
            "{name} after {good}: the client did not hang up before {} bytes had gone",
            crm.flooded()
        );
        println!("{name} after {good}: {peak} KiB, {requests} requests");
    });
    assert!(failures.is_empty(), "{failures:#?}");
    // What a run takes that meets nobody.
    let scene = scene(400);
    scene.point_at(&format!("http://127.0.0.1:{}", closed_port()));
    let mut child = scene
        .program
        .command(&["sync"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (_, peak) = peak(&mut child, || false);
    assert!(peak < LIMIT, "nobody there: {peak} KiB");
    println!("nobody there: {peak} KiB");
}
