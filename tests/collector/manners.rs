//! What a collector does about strangers, slow clients, nonsense, a second collector, a signal, and a store that fails.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Stage, ask, outbound, post, try_ask, wait};
use crate::support::mariadb;
use crate::{INBOUND, OUTBOUND};

const CANARY: &str = "CANARY+secret/1";

#[test]
fn without_the_secret_nobody_is_heard_and_it_is_nowhere_to_be_seen() {
    let mut stage = Stage::new("settle = \"300ms\"\nsecret_file = \"collector.secret\"");
    stage
        .program
        .write("collector.secret", &format!("{CANARY}\n"));
    stage.start();
    let message = OUTBOUND[0];
    for (path, headers) in [
        ("/astercc", ""),
        ("/astercc", "X-Cdrelay-Secret: wrong\r\n"),
        ("/astercc/CANARY", ""),
        ("/astercc/astercc", ""),
        ("/cti_bridge?action=request&uuid=1&number=2", ""),
        ("/freeswitch/", ""),
        ("/metrics", ""),
    ] {
        let reply = stage.post(path, headers, message);
        assert!(matches!(reply.status, 403..=405), "{path}: {reply:?}");
        assert!(!reply.body.contains("CANARY"), "{reply:?}");
    }
    let header = format!("x-cdrelay-secret: {CANARY}\r\n");
    for message in &OUTBOUND {
        assert_eq!(stage.post("/astercc", &header, message).status, 200);
    }
    let in_path = format!("/astercc/{}", CANARY.replace('/', "%2F"));
    for message in &INBOUND {
        assert_eq!(stage.post(&in_path, "", message).status, 200);
    }
    wait(|| stage.rows().len() == 2, || format!("{:?}", stage.rows()));
    let metrics = stage.get(&format!("/metrics/{}", CANARY.replace('/', "%2F")));
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .contains("cdrelay_collector_unauthorized_total{job=\"cdrelay\"} 5\n"),
        "{}",
        metrics.body
    );
    assert!(metrics.body.contains(
        "cdrelay_collector_events_total{job=\"cdrelay\",dialect=\"astercc\",outcome=\"taken\"} 13\n"
    ));
    assert!(!metrics.body.contains("CANARY"));
    assert_eq!(stage.get("/healthz").status, 200);
    let ran = stage.stop();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("CANARY"), "{}", ran.stderr);
    for entry in std::fs::read_dir(stage.program.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "collector.secret" {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(6).any(|part| part == b"CANARY"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn beyond_loopback_a_secret_is_needed() {
    let stage = Stage::new("");
    let config = std::fs::read_to_string(stage.program.path("cdrelay.toml")).unwrap();
    stage
        .program
        .configure(&config.replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:8098\""));
    let ran = stage.program.run(&["collect"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "cdrelay: cdrelay.toml:17: `collector.listen` is 0.0.0.0:8098, which others can reach, and there is no secret; set `collector.secret_file`, or listen on 127.0.0.1:8098\n"
    );
}

#[test]
fn five_hundred_slow_clients_do_not_keep_a_good_one_out() {
    let stage = Stage::running("connections = 64");
    let addr = stage.addr();
    let connect = || {
        let stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        stream
    };
    // A third says nothing, a third begins a head, a third promises a body.
    let slow: Vec<TcpStream> = (0..500)
        .map(|n| {
            let mut stream = connect();
            let begun = match n % 3 {
                0 => "",
                1 => "POST /astercc HTTP/1.1\r\nHost: x\r\nX-",
                _ => "POST /astercc HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsource=",
            };
            // The collector may have closed it already.
            let _ = stream.write_all(begun.as_bytes());
            if n % 25 == 0 {
                let message = OUTBOUND[n / 25 % OUTBOUND.len()];
                let reply = try_ask(addr, &post("/astercc", "", message)).unwrap();
                assert_eq!(reply.status, 200, "behind {n} slow ones");
            }
            stream
        })
        .collect();
    // All the while, another one sends its bytes one by one.
    for message in OUTBOUND.iter().chain(&INBOUND) {
        for mut stream in slow.iter().take(3) {
            let _ = stream.write_all(b"x");
        }
        assert_eq!(ask(addr, &post("/astercc", "", message)).status, 200);
    }
    wait(|| stage.rows().len() == 2, || format!("{:?}", stage.rows()));
    let metrics = stage.get("/metrics").body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("cdrelay_collector_connections_displaced_total{"))
        .unwrap();
    let displaced: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(displaced >= 400, "{displaced}");
    drop(slow);
}

#[test]
fn who_never_finishes_a_request_is_let_go() {
    let stage = Stage::running("");
    let begin = |begun: &str| {
        let mut stream = TcpStream::connect(stage.addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        stream
    };
    let begun = [
        begin(""),
        begin("POST /astercc HTTP/1.1\r\nHost: x\r\nX-"),
        begin(
            "POST /astercc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\nsource=",
        ),
    ];
    let ends = begun.map(|mut stream| {
        let mut answer = Vec::new();
        // The end of the connection, not of this test's patience.
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert!(ends[2].starts_with("HTTP/1.1 408 "), "{ends:?}");
    assert!(
        ends[2].ends_with("the body did not come in time\n"),
        "{ends:?}"
    );
}

#[test]
fn nonsense_is_refused_with_a_reason_and_costs_nobody_else_anything() {
    let stage = Stage::running("");
    for (path, headers, body, status, reason) in [
        (
            "/astercc",
            "",
            "hello",
            400,
            "the message has no `sessionid`, so nothing says which call it is about\n",
        ),
        (
            "/astercc",
            "",
            "sessionid=1&source=AGENT",
            400,
            "the message has no `event`\n",
        ),
        (
            "/astercc",
            "",
            "sessionid=a%00b&source=AGENT&event=answer",
            400,
            "the call's id must be 1 to 128 visible ASCII characters\n",
        ),
        (
            "/astercc",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nsession",
            400,
            "the message cannot be read: it does not come in the parts that its type announces\n",
        ),
        (
            "/freeswitch",
            "",
            "{}",
            400,
            "the message has no `variables`\n",
        ),
        (
            "/nowhere",
            "",
            "",
            404,
            "there is nothing here; events go to /astercc, /cti_bridge and /freeswitch\n",
        ),
    ] {
        let reply = stage.post(path, headers, body);
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, reason),
            "{path} {body}"
        );
    }
    let long = format!(
        "POST /astercc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        2 << 20
    );
    assert_eq!(ask(stage.addr(), &long).status, 413);
    let delete = "DELETE /astercc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(stage.addr(), delete).status, 405);
    // What is no HTTP at all.
    let mut stream = TcpStream::connect(stage.addr()).unwrap();
    stream.write_all(b"\x16\x03\x01\x00\xff\r\n\r\n").unwrap();
    let _ = stream.read(&mut [0; 64]);
    for message in &OUTBOUND {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    stage.wait_for_rows(&[outbound()]);
}

#[test]
fn hostile_text_in_an_event_stays_text() {
    let mut stage = Stage::running("");
    let number = "1'); DROP TABLE cdr; --\u{1b}[2J\u{202e}";
    for message in &OUTBOUND {
        let message = message.replace("0138888888888", &crate::stage::encoded(number));
        assert_eq!(stage.post("/astercc", "", &message).status, 200);
    }
    let refused = stage.post("/astercc", "", "source=%1b[2J&event=x");
    assert_eq!(refused.status, 400);
    let mut hostile = outbound();
    hostile.2 = number.to_owned();
    stage.wait_for_rows(&[hostile]);
    let ran = stage.stop();
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[test]
fn a_second_collector_on_the_same_store_is_refused() {
    let stage = Stage::running("");
    let ran = stage.program.run(&["collect"]);
    assert_eq!(ran.code, 11, "{ran:?}");
    let path = stage.program.path("collector.db");
    assert_eq!(
        ran.stderr,
        format!(
            "cdrelay: another collector holds the store `{}`; stop it first, or give this one another `collector.store`\n",
            path.display()
        )
    );
    assert_eq!(
        stage
            .program
            .run(&["collect", "--from", "cdrelay.toml"])
            .code,
        11
    );
}

#[test]
fn a_signal_lets_those_who_are_there_finish_and_a_restart_goes_on() {
    // Later than the first collector ends.
    let mut stage = Stage::new("settle = \"5s\"");
    stage.start();
    for message in &OUTBOUND {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    // Half of a request is here when the signal comes; its other half comes after it.
    let whole = post("/astercc", "Expect: 100-continue\r\n", INBOUND[0]);
    let (first, second) = whole.split_at(whole.len() - 20);
    let mut stream = TcpStream::connect(stage.addr()).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    // It says so once it reads the body.
    let goes_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; goes_on.len()];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(said, goes_on);
    crate::stage::terminate(&stage.running.as_ref().unwrap().child);
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(second.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    let mut running = stage.running.take().unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    // Nothing has settled yet. Whoever comes next sees to it.
    assert_eq!(stage.rows(), []);
    stage.start();
    stage.wait_for_rows(&[outbound()]);
    for message in &INBOUND[1..] {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    stage.wait_for_rows(&[outbound(), crate::stage::inbound()]);
}

#[tokio::test]
async fn while_the_store_is_down_nothing_is_acknowledged_and_calls_are_still_answered() {
    let database = mariadb::private().database().await;
    let mut stage = Stage::with_store(
        "settle = \"300ms\"\n[collector.cti_bridge]\nanswer_within = \"30s\"\n[[collector.cti_bridge.routes]]\ngateway = \"gw\"\n[collector.cti_bridge.fallback]\ngateway = \"reserve\"",
        &database.url(),
        &database.url(),
    );
    stage.start();
    let request = |n: u32| format!("/cti_bridge?action=request&uuid=u-{n}&number=0414000000{n}");
    let told = |reply: &crate::stage::Reply| serde_json::from_str::<Value>(&reply.body).unwrap();
    let first = told(&stage.get(&request(1)));
    assert_eq!(first["dial"]["gateway"], "gw");
    assert_eq!(stage.post("/astercc", "", OUTBOUND[0]).status, 200);
    database.server.stop().await;
    let refused = stage.post("/astercc", "", OUTBOUND[1]);
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (503, "the event could not be kept; send it again\n")
    );
    let reply = stage.get(&request(2));
    assert_eq!(reply.status, 200);
    assert_eq!(
        told(&reply),
        json!({"dial": {"type": "gateway", "number": "04140000002", "gateway": "reserve"}})
    );
    assert_eq!(stage.get("/healthz").status, 503);
    database.server.start_again();
    wait(
        || stage.post("/astercc", "", OUTBOUND[1]).status == 200,
        || "the store never came back".to_owned(),
    );
    for message in &OUTBOUND {
        assert_eq!(stage.post("/astercc", "", message).status, 200);
    }
    let mut rows = 0;
    for _ in 0..600 {
        rows = database.number("SELECT count(*) FROM cdr").await;
        if rows > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows, 1);
    assert_eq!(stage.get("/healthz").status, 200);
    let ran = stage.stop();
    assert!(
        ran.stderr
            .contains("events are refused with 503 until it works again"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("the collector's store works again"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_store_that_cannot_be_is_named_with_the_mend() {
    let stage = Stage::with_store("", "sqlite:cdrelay.toml/collector.db", "sqlite:x.db");
    let ran = stage.program.run(&["collect"]);
    assert_eq!(ran.code, 12, "{ran:?}");
    let stage = Stage::with_store("", "sqlite:cdrelay.toml", "sqlite:x.db");
    let ran = stage.program.run(&["collect"]);
    assert_eq!(ran.code, 12, "{ran:?}");
    let path = stage.program.path("cdrelay.toml");
    assert_eq!(
        ran.stderr,
        format!(
            "cdrelay: the collector's store `{}` cannot be opened; set `collector.store` to a file that cdrelay's user can write: file is not a database\n",
            path.display()
        )
    );
}
