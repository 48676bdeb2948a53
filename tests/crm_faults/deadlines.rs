//! No request outlives its deadline, and no run outlives `--max-runtime` plus one deadline, whatever trickles in.

use std::time::{Duration, Instant};

use super::scene::with;
use super::stage::{Patience, configured, in_parallel, scene, states, watched};
use super::tricks::{created, ok, then_flood, then_mute};
use super::unruly::{Act, Reply, Unruly};

/// A request may take 1 s, connecting 1 s, the run 5 s; the rest is for a busy machine. A server here holds on for 30 s.
const GENEROUS: Duration = Duration::from_secs(25);

/// A server, and whether it is to be spoken to over TLS.
type Slow = (&'static str, fn() -> Unruly, bool);

const SLOW: [Slow; 12] = [
    (
        "a body drop by drop",
        || {
            Unruly::always(Reply::Drip(
                b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{".to_vec(),
                b" ".to_vec(),
            ))
        },
        false,
    ),
    (
        "chunks drop by drop",
        || {
            Unruly::always(Reply::Drip(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                b"1\r\n \r\n".to_vec(),
            ))
        },
        false,
    ),
    (
        "a head drop by drop",
        || {
            Unruly::always(Reply::Drip(
                b"HTTP/1.1 200 OK\r\nx: ".to_vec(),
                b"y".to_vec(),
            ))
        },
        false,
    ),
    (
        "headers drop by drop",
        || {
            Unruly::always(Reply::Drip(
                b"HTTP/1.1 200 OK\r\n".to_vec(),
                b"a: b\r\n".to_vec(),
            ))
        },
        false,
    ),
    (
        "interim replies drop by drop",
        || {
            Unruly::always(Reply::Drip(
                Vec::new(),
                b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(),
            ))
        },
        false,
    ),
    (
        "interim replies at full speed",
        || Unruly::always(then_flood("", "HTTP/1.1 100 Continue\r\n\r\n")),
        false,
    ),
    (
        "mute after the connection",
        || Unruly::greeting(vec![Act::Mute], |_, _| ok(created(0))),
        false,
    ),
    (
        "mute after the request",
        || Unruly::always(Reply::Silence),
        false,
    ),
    (
        "mute after the head",
        || Unruly::always(then_mute("HTTP/1.1 200 OK\r\nContent-Length: 59\r\n\r\n")),
        false,
    ),
    (
        "mute after an overload",
        || Unruly::always(then_mute("HTTP/1.1 503 Busy\r\nContent-Length: 59\r\n\r\n")),
        false,
    ),
    (
        "mute in the handshake",
        || Unruly::greeting(vec![Act::Mute], |_, _| Reply::Close),
        true,
    ),
    (
        "a handshake drop by drop",
        || {
            Unruly::greeting(
                vec![
                    Act::Write(vec![22, 3, 3, 64, 0, 2, 0, 63, 252]),
                    Act::Drip(vec![0], Duration::from_millis(5)),
                ],
                |_, _| Reply::Close,
            )
        },
        true,
    ),
];

#[test]
fn no_request_and_no_run_outlives_its_deadline() {
    let failures = in_parallel(&SLOW, SLOW.len(), |(name, server, tls)| {
        let crm = server();
        let scene = scene(30);
        scene.point_at_with(&crm.url(), |config| {
            let config = configured(config, true, Patience::Short);
            if *tls {
                let pin = "0".repeat(64);
                let config = config.replacen("http://127", "https://127", 1);
                with(
                    &config,
                    "target",
                    &format!("certificate_sha256 = \"{pin}\""),
                )
            } else {
                config
            }
        });
        let began = Instant::now();
        let command = scene.program.command(&["sync", "--max-runtime", "5s"]);
        let ran = watched(command, GENEROUS);
        assert_eq!(ran.code, 4, "{name}: {ran:?}");
        assert_eq!(states(&scene), "pending 30", "{name}");
        assert!(crm.connections() > 0, "{name}: never asked");
        assert!(
            crm.held() < GENEROUS,
            "{name}: a request took {:?}",
            crm.held()
        );
        println!(
            "{name}: the run {:?}, the longest request {:?}",
            began.elapsed(),
            crm.held()
        );
    });
    assert!(failures.is_empty(), "{failures:#?}");
}
