//! What goes over the wire, and over how many connections.

use std::sync::Arc;

use cdrelay::sandbox::{Sandbox, SandboxOptions};
use cdrelay::target::dry_run::DryRun;
use cdrelay::target::{CrmTarget, Deletion, Outcome, Probe, TroubleKind};

use super::unruly::{Reply, Unruly, reply};
use super::{
    GOOD, address, assert_broken, assert_created, assert_no_verdict, call, config, target,
};

#[tokio::test]
async fn a_request_is_these_bytes_and_the_second_one_the_same() {
    let crm = Unruly::always(Reply::Send(reply(200, &[], GOOD)));
    let target = target(&config(&address(&crm)));
    assert_created(&target.deliver(&call(7)).await);
    assert_created(&target.deliver(&call(7)).await);
    let url = address(&crm);
    let host = url.authority();
    let expected = format!(
        "GET /direct/items/phonecalls/create?token=canary%2Btok%2Fen&initiated=2012-08-23T16%3A00%3A07Z\
         &source=%2B582121234567&destination=02129876543&duration=61 HTTP/1.1\r\n\
         accept: */*\r\nuser-agent: cdrelay/{}\r\nhost: {host}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(crm.heads(), [expected.clone(), expected]);
    assert_eq!(crm.connections(), 1);
}

#[tokio::test]
async fn one_connection_serves_one_call_after_another() {
    let sandbox = Sandbox::start(SandboxOptions {
        token: super::TOKEN.to_owned(),
        ..SandboxOptions::default()
    })
    .unwrap();
    let target = target(&config(&sandbox.url));
    for n in 0..40 {
        assert_created(&target.deliver(&call(n)).await);
    }
    let stats = sandbox.stats();
    assert_eq!((stats.created, stats.connections), (40, 1));
    sandbox.stop();
}

#[tokio::test]
async fn concurrent_calls_keep_their_connections() {
    let sandbox = Sandbox::start(SandboxOptions {
        token: super::TOKEN.to_owned(),
        latency: Some(std::time::Duration::from_millis(2)),
        ..SandboxOptions::default()
    })
    .unwrap();
    let target = target(&config(&sandbox.url));
    for round in 0..10 {
        let calls: Vec<_> = (0..8).map(|n| call(round * 8 + n)).collect();
        let outcomes =
            futures_util::future::join_all(calls.iter().map(|call| target.deliver(call))).await;
        outcomes.iter().for_each(assert_created);
    }
    let stats = sandbox.stats();
    assert_eq!(stats.created, 80);
    // The pool opens one more now and then, while another request's connection is on its way back.
    assert!((2..40).contains(&stats.connections), "{stats:?}");
    assert!((2..=8).contains(&stats.in_flight_max), "{stats:?}");
}

#[tokio::test]
async fn cookies_are_kept() {
    let crm = Unruly::with_heads(|n, _| {
        let header: &[(&str, &str)] = if n == 0 {
            &[("Set-Cookie", "session=abc; Path=/; HttpOnly")]
        } else {
            &[]
        };
        Reply::Send(reply(200, header, GOOD))
    });
    let target = target(&config(&address(&crm)));
    assert_created(&target.deliver(&call(0)).await);
    assert_created(&target.deliver(&call(1)).await);
    let heads = crm.heads();
    assert!(!heads[0].contains("cookie:"), "{}", heads[0]);
    assert!(heads[1].contains("cookie: session=abc\r\n"), "{}", heads[1]);
}

#[test]
fn no_proxy_of_the_environment_is_used() {
    // The test above once more, in a process whose environment names a proxy that takes no connections.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "http::cookies_are_kept"]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "all_proxy",
        "ALL_PROXY",
    ] {
        again.env(name, &proxy);
    }
    let output = again
        .env("no_proxy", "")
        .env("NO_PROXY", "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed_and_name_the_host() {
    let elsewhere = Unruly::always(Reply::Send(reply(200, &[], GOOD)));
    for status in [301, 302, 303, 307, 308] {
        let location = address(&elsewhere)
            .join("/login?token=canary")
            .unwrap()
            .to_string();
        let crm = Unruly::always(Reply::Send(reply(
            status,
            &[("Location", location.as_str())],
            "",
        )));
        let outcome = target(&config(&address(&crm))).deliver(&call(0)).await;
        assert_broken(
            &outcome,
            &format!("answered {status} and points to 127.0.0.1"),
        );
        assert_eq!(crm.heads().len(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_call() {
    // The second request meets a server that hangs up instead of answering; the third is the repetition.
    let crm = Unruly::with_heads(|n, _| match n {
        1 => Reply::Raw(Vec::new()),
        _ => Reply::Send(reply(200, &[], GOOD)),
    });
    let target = target(&config(&address(&crm)));
    assert_created(&target.deliver(&call(0)).await);
    assert_created(&target.deliver(&call(1)).await);
    let heads = crm.heads();
    assert_eq!(heads.len(), 3);
    assert_eq!(heads[1], heads[2]);
    assert_eq!(crm.connections(), 2);
}

#[tokio::test]
async fn a_server_that_always_hangs_up_is_asked_once_more_and_no_further() {
    let crm = Unruly::with_heads(|n, _| match n {
        0 => Reply::Send(reply(200, &[], GOOD)),
        _ => Reply::Raw(Vec::new()),
    });
    let target = target(&config(&address(&crm)));
    assert_created(&target.deliver(&call(0)).await);
    for n in 1..4 {
        let outcome = target.deliver(&call(n)).await;
        assert_no_verdict(&outcome, TroubleKind::Garbled, "no complete reply");
    }
    // One good, one repeated, two not repeated: no connection was idle any more.
    assert_eq!(crm.heads().len(), 1 + 2 + 2);
}

#[tokio::test]
async fn a_deletion_is_never_repeated() {
    let crm = Unruly::with_heads(|n, _| match n {
        0 => Reply::Send(reply(200, &[], GOOD)),
        _ => Reply::Raw(Vec::new()),
    });
    let target = target(&config(&address(&crm)));
    assert_created(&target.deliver(&call(0)).await);
    let day = "2024-01-01".parse().unwrap();
    let bounds = target.delete_bounds(day, day).unwrap();
    let deletion = target.delete(bounds).await;
    assert!(matches!(deletion, Deletion::Unknown { .. }), "{deletion:?}");
    assert_eq!(crm.heads().len(), 2);
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_may_probe() {
    let crm = Unruly::always(Reply::Send(reply(
        200,
        &[],
        r#"{"error":true,"errors":{"initiated":"x"}}"#,
    )));
    let target = DryRun(target(&config(&address(&crm))));
    assert_eq!(target.deliver(&call(0)).await, Outcome::NotSent);
    let day = "2024-01-01".parse().unwrap();
    let bounds = target.delete_bounds(day, day).unwrap();
    let deletion = target.delete(bounds).await;
    assert!(matches!(deletion, Deletion::NotSent { .. }), "{deletion:?}");
    assert_eq!(crm.connections(), 0);
    let probe = target.probe().await;
    assert_eq!(probe, Probe::Ready("reachable, token accepted".to_owned()));
    assert!(
        crm.heads()[0].starts_with(
            "GET /direct/items/phonecalls/create?token=canary%2Btok%2Fen HTTP/1.1\r\n"
        )
    );
}

#[tokio::test]
async fn a_request_too_long_for_a_web_server_is_refused_without_being_sent() {
    let crm = Unruly::always(Reply::Send(reply(200, &[], GOOD)));
    let mut long = call(0);
    long.url = Some(format!("https://pbx.example/{}", "ñ".repeat(2000)));
    let outcome = target(&config(&address(&crm))).deliver(&long).await;
    let Outcome::Rejected { reason } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        reason.starts_with("not sent: the request would be 12"),
        "{reason}"
    );
    assert_eq!(crm.connections(), 0);
}

#[test]
fn a_target_is_shared_between_threads() {
    fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn CrmTarget>();
    shared::<Arc<dyn CrmTarget>>();
}
