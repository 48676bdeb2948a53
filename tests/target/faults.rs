//! What a broken or hostile server can do: each is a fault of its kind, within the deadline, and shows no secret.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdrelay::target::{Deletion, Outcome, Probe, TroubleKind};
use url::Url;

use super::closed_port::closed_port;
use super::unruly::{Reply, Unruly, reply};
use super::{
    GOOD, address, assert_broken, assert_created, assert_no_canary, assert_no_verdict, call,
    config, target, with_credentials,
};

/// Delivers one call to a server that answers so; also probes and deletes, and looks for secrets in all three.
async fn deliver_to(step: impl Fn() -> Reply + Send + Sync + 'static) -> Outcome {
    deliver_within(Duration::from_secs(10), step).await
}

/// The same, and no request takes longer than this.
async fn deliver_within(
    patience: Duration,
    step: impl Fn() -> Reply + Send + Sync + 'static,
) -> Outcome {
    let crm = Unruly::with_heads(move |_, _| step());
    let mut config = with_credentials(config(&address(&crm)));
    config.timeout = patience;
    let target = target(&config);
    let outcome = target.deliver(&call(0)).await;
    assert_no_canary(&outcome);
    assert_no_canary(&target.probe().await);
    let day = "2024-01-01".parse().unwrap();
    let deletion = target.delete(target.delete_bounds(day, day).unwrap()).await;
    assert_no_canary(&deletion);
    assert!(
        !matches!(deletion, Deletion::Deleted { .. }),
        "{deletion:?}"
    );
    outcome
}

fn send(bytes: impl Into<Vec<u8>>) -> impl Fn() -> Reply + Send + Sync + 'static {
    let bytes = bytes.into();
    move || Reply::Raw(bytes.clone())
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let url = format!("http://127.0.0.1:{}", closed_port());
    let target = target(&config(&Url::parse(&url).unwrap()));
    let outcome = target.deliver(&call(0)).await;
    assert_no_verdict(
        &outcome,
        TroubleKind::Unreachable,
        "no connection to the CRM: tcp connect error: Connection refused",
    );
    assert!(matches!(target.probe().await, Probe::Unavailable(_)));
    let day = "2024-01-01".parse().unwrap();
    let deletion = target.delete(target.delete_bounds(day, day).unwrap()).await;
    assert!(matches!(deletion, Deletion::NotSent { .. }), "{deletion:?}");
}

#[tokio::test]
async fn every_broken_framing_is_garbled() {
    let garbled = [
        "".to_owned(),
        "HTTP/1.1 20".to_owned(),
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        "<html>not HTTP</html>\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"error\":false}".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n{\"error\":false}"
            .to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"error\":false}\r\n"
            .to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"error\":false}\r\n0\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 200 OK\r\n\r\n{\"error\":fal".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\u{1f}\u{8}\u{8}x"
            .to_owned(),
    ];
    for bytes in garbled {
        let shown = bytes.chars().take(60).collect::<String>();
        let outcome = deliver_to(send(bytes)).await;
        let Outcome::NoVerdict(trouble) = &outcome else {
            panic!("{shown}: {outcome:?}");
        };
        assert_eq!(trouble.kind, TroubleKind::Garbled, "{shown}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_whole_reply_counts_whatever_its_framing() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\ne\r\n\"error\":false}\r\n0\r\n\r\n".to_owned(),
        format!("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{GOOD}"),
        format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{GOOD}",
            GOOD.len()
        ),
    ] {
        assert_created(&deliver_to(send(bytes)).await);
    }
}

#[tokio::test]
async fn a_megabyte_is_cut_at_the_limit_however_it_is_framed() {
    let declared = reply(200, &[], &"x".repeat(1_000_000));
    assert_no_verdict(
        &deliver_to(send(declared)).await,
        TroubleKind::Garbled,
        "longer than 64 KiB",
    );
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..1000 {
        chunked.extend_from_slice(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes());
    }
    assert_no_verdict(
        &deliver_to(send(chunked)).await,
        TroubleKind::Garbled,
        "longer than 64 KiB",
    );
    let until_close = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(1_000_000));
    assert_no_verdict(
        &deliver_to(send(until_close)).await,
        TroubleKind::Garbled,
        "longer than 64 KiB",
    );
}

#[tokio::test]
async fn a_status_that_says_all_needs_no_readable_body() {
    let long = "x".repeat(1_000_000);
    assert_no_verdict(
        &deliver_to(send(reply(503, &[("Retry-After", "7")], &long))).await,
        TroubleKind::Busy,
        "503",
    );
    assert_no_verdict(
        &deliver_to(send(reply(500, &[], &long))).await,
        TroubleKind::ServerError,
        "500",
    );
    assert_broken(&deliver_to(send(reply(403, &[], &long))).await, "403");
    assert_broken(&deliver_to(send(reply(302, &[], &long))).await, "302");
}

#[tokio::test]
async fn no_request_outlives_its_deadline() {
    let steps: [fn() -> Reply; 5] = [
        // A body, an endless head, endless interim replies: drop by drop.
        || {
            Reply::Drip(
                b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{".to_vec(),
                b" ".to_vec(),
            )
        },
        || Reply::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), b"y".to_vec()),
        || Reply::Drip(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        || Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n".to_vec()),
        || Reply::Silence,
    ];
    for step in steps {
        assert_no_verdict(
            &deliver_within(Duration::from_millis(300), step).await,
            TroubleKind::Timeout,
            "no complete reply within 300ms",
        );
    }
}

#[tokio::test]
async fn a_crm_that_repeats_its_secrets_does_not_put_them_into_reasons() {
    // Everything that a request carries, in the words of a refusal, of a failure and of a redirect.
    let crm = Unruly::with_heads(|n, head| {
        let echo: String = head
            .chars()
            .map(|c| {
                if c.is_control() || matches!(c, '"' | '\\') {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        let body =
            format!(r#"{{"error":true,"errors":{{"source":"{echo}","raw":"canary+tok/en"}}}}"#);
        match n % 4 {
            0 => Reply::Send(reply(
                401,
                &[("WWW-Authenticate", "Basic realm=\"x\"")],
                &body,
            )),
            1 => Reply::Send(reply(422, &[], &body)),
            2 => Reply::Send(reply(500, &[], &body)),
            _ => Reply::Send(reply(302, &[("Location", "//canary%2Btok%2Fen/")], &body)),
        }
    });
    let target = target(&with_credentials(config(&address(&crm))));
    let refused = target.deliver(&call(0)).await;
    let Outcome::Rejected { reason } = &refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("token=***&initiated="), "{reason}");
    assert!(reason.contains("authorization: Basic ***"), "{reason}");
    for _ in 0..2 {
        assert_no_canary(&target.deliver(&call(0)).await);
    }
    assert_no_canary(&refused);
    assert_eq!(crm.heads().len(), 4);
}

/// Log lines, as they would go to stderr.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_of_any_level_shows_a_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what the other tests log meanwhile is looked at too.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let crm = Unruly::with_heads(|n, _| match n {
        0 => Reply::Send(reply(
            401,
            &[("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"")],
            "",
        )),
        1 => Reply::Send(reply(200, &[], GOOD)),
        _ => Reply::Raw(b"HTTP/1.1 what?\r\n\r\n".to_vec()),
    });
    let target = target(&with_credentials(config(&address(&crm))));
    assert_created(&target.deliver(&call(0)).await);
    let outcome = target.deliver(&call(1)).await;
    assert_no_verdict(&outcome, TroubleKind::Garbled, "");
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the CRM replied status=200"), "{text}");
    assert_no_canary(&text);
}
