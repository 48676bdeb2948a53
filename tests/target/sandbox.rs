//! The practice CRM's semantics, through the real target and through raw requests.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use cdrelay::sandbox::{
    Contacts, DayZone, DeleteReading, Duplicates, HeldCall, RunningSandbox, Sandbox, SandboxOptions,
};
use cdrelay::target::{CrmTarget, Deletion, Outcome, Probe, Receipt};
use chrono::FixedOffset;

use super::{TOKEN, assert_broken, call, config, target};

fn start(change: impl FnOnce(&mut SandboxOptions)) -> (RunningSandbox, Box<dyn CrmTarget>) {
    let mut options = SandboxOptions {
        token: TOKEN.to_owned(),
        ..SandboxOptions::default()
    };
    change(&mut options);
    let sandbox = Sandbox::start(options).unwrap();
    let target = target(&config(&sandbox.url));
    (sandbox, target)
}

/// Status line and body of a raw GET.
fn get(sandbox: &RunningSandbox, path: &str) -> (String, String) {
    request(sandbox, "GET", path)
}

fn request(sandbox: &RunningSandbox, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(sandbox.addr).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn receipt(existing: bool, call_id: Option<i64>, contact_id: Option<i64>) -> Outcome {
    Outcome::Delivered(Receipt {
        existing,
        contact_id,
        call_id,
    })
}

#[tokio::test]
async fn a_call_is_created_once_and_told_apart_by_its_three_texts() {
    let (sandbox, target) = start(|_| {});
    assert_eq!(
        target.deliver(&call(0)).await,
        receipt(false, Some(1), Some(10_001))
    );
    let mut longer = call(0);
    longer.duration = 99;
    assert_eq!(target.deliver(&longer).await, receipt(true, None, None));
    let mut other = call(0);
    other.source.0.push('1');
    other.url = Some("https://pbx.example/a b".to_owned());
    assert_eq!(
        target.deliver(&other).await,
        receipt(false, Some(2), Some(10_001))
    );
    let mut elsewhere = call(0);
    elsewhere.destination.0.push('1');
    assert_eq!(
        target.deliver(&elsewhere).await,
        receipt(false, Some(3), Some(10_002))
    );

    let held = |form: &cdrelay::call::WireForm, phonecall_id, contact_id| HeldCall {
        initiated: form.initiated.clone(),
        source: form.source.0.clone(),
        destination: form.destination.0.clone(),
        duration: Some(form.duration),
        url: form.url.clone(),
        phonecall_id,
        contact_id,
    };
    assert_eq!(
        sandbox.calls(),
        [
            held(&call(0), 1, 10_001),
            held(&elsewhere, 3, 10_002),
            held(&other, 2, 10_001)
        ]
    );
    let (status, body) = get(&sandbox, "/stats");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(
        body,
        r#"{"calls":3,"requests":4,"created":3,"existing":1,"unmatched":0,"refused":0,"deletes":0,"deleted":0,"connections":2,"in_flight_max":1}"#
    );
    let (_, lines) = get(&sandbox, "/calls");
    assert_eq!(
        lines.lines().next().unwrap(),
        r#"{"initiated":"2012-08-23T16:00:00Z","source":"+582121234567","destination":"02129876543","duration":61,"url":null,"phonecallId":1,"contactId":10001}"#
    );
    assert_eq!(lines.lines().count(), 3);
}

#[tokio::test]
async fn a_silent_crm_gives_the_ids_that_it_has() {
    let (sandbox, target) = start(|options| options.duplicates = Duplicates::Silent);
    for _ in 0..3 {
        assert_eq!(
            target.deliver(&call(0)).await,
            receipt(false, Some(1), Some(10_001))
        );
    }
    assert_eq!((sandbox.stats().created, sandbox.stats().existing), (1, 2));
}

#[tokio::test]
async fn a_number_without_a_contact_is_unmatched_in_the_documented_words() {
    let contacts = Contacts::parse("\u{feff}# ours\n 0212555 # desk\n\n*72#1\n");
    let numbers = ["0212555", "*72#1"].map(ToOwned::to_owned);
    assert_eq!(contacts, Contacts::Numbers(HashSet::from(numbers)));
    let (sandbox, target) = start(|options| options.contacts = contacts);
    let reason = "destination: no se consiguió el número de destino en la base de datos".to_owned();
    assert_eq!(
        target.deliver(&call(0)).await,
        Outcome::Unmatched { reason }
    );
    let mut known = call(0);
    known.destination.0 = "*72#1".to_owned();
    assert_eq!(
        target.deliver(&known).await,
        receipt(false, Some(1), Some(10_001))
    );
    assert_eq!(sandbox.stats().unmatched, 1);
}

#[tokio::test]
async fn a_probe_creates_nothing_and_tells_a_good_token_from_a_bad_one() {
    let (sandbox, target) = start(|_| {});
    assert_eq!(
        target.probe().await,
        Probe::Ready("reachable, token accepted".to_owned())
    );
    let (other, target) = start(|options| options.token = "another".to_owned());
    let Probe::Broken(reason) = target.probe().await else {
        panic!("accepted");
    };
    assert_eq!(
        reason,
        "the CRM refused the token: token: el token no es válido; check `target.token_file`"
    );
    assert_broken(&target.deliver(&call(0)).await, "refused the token");
    assert_eq!((sandbox.stats().calls, other.stats().calls), (0, 0));
    assert_eq!((sandbox.stats().refused, other.stats().refused), (1, 2));
}

#[tokio::test]
async fn what_is_missing_or_unreadable_is_named() {
    let (sandbox, _) = start(|options| options.token = "t".to_owned());
    let create = "/direct/items/phonecalls/create?token=t";
    #[track_caller]
    fn check(sandbox: &RunningSandbox, path: &str, fields: &[&str]) {
        let (status, body) = get(sandbox, path);
        assert_eq!(status, "HTTP/1.1 200 OK");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(json["error"], true, "{body}");
        let found: Vec<_> = json["errors"].as_object().unwrap().keys().collect();
        assert_eq!(found, fields, "{path}");
    }
    check(&sandbox, create, &["destination", "initiated", "source"]);
    check(
        &sandbox,
        &format!("{create}&initiated=2012-08-23&source=1&destination=2&duration=x"),
        &["duration", "initiated"],
    );
    check(&sandbox, "/direct/items/phonecalls/create", &["token"]);
    check(
        &sandbox,
        "/direct/items/phonecalls/delete?token=t&from=2012-01-01T00:00:00",
        &["from", "to"],
    );
    for (method, path, expected) in [
        ("GET", "/", "HTTP/1.1 404 Not Found"),
        ("GET", "/direct/items/phonecalls", "HTTP/1.1 404 Not Found"),
        ("POST", create, "HTTP/1.1 405 Method Not Allowed"),
    ] {
        let (status, body) = request(&sandbox, method, path);
        assert_eq!(status, expected);
        assert!(
            serde_json::from_str::<serde_json::Value>(&body).is_ok(),
            "{body}"
        );
    }
    assert_eq!(sandbox.stats().calls, 0);
}

/// Creates calls around two days, deletes the day between, and gives the starts that stay.
async fn stay(days: DeleteReading, day_zone: DayZone, starts: &[&str]) -> Vec<String> {
    let (sandbox, target) = start(|options| {
        options.days = days;
        options.day_zone = day_zone;
    });
    for start in starts {
        let mut call = call(0);
        call.initiated = (*start).to_owned();
        target.deliver(&call).await;
    }
    let day = "2012-08-23".parse().unwrap();
    let bounds = target.delete_bounds(day, day).unwrap();
    let deletion = target.delete(bounds).await;
    let left: Vec<String> = sandbox.calls().into_iter().map(|c| c.initiated).collect();
    let count = (starts.len() - left.len()) as u64;
    assert_eq!(deletion, Deletion::Deleted { count });
    let stats = sandbox.stats();
    assert_eq!(
        (stats.deletes, stats.deleted, stats.calls),
        (1, count, left.len() as u64)
    );
    left
}

#[tokio::test]
async fn a_deletion_follows_the_chosen_reading() {
    let starts = [
        "2012-08-22T00:00:00Z",
        "2012-08-22T00:00:01Z",
        "2012-08-22T23:59:59Z",
        "2012-08-23T00:00:00Z",
        "2012-08-23T23:59:59Z",
        "2012-08-24T00:00:00Z",
        "2012-08-24T00:00:01Z",
    ];
    assert_eq!(
        stay(DeleteReading::NamedDaysStay, DayZone::WireText, &starts).await,
        [starts[0], starts[1], starts[2], starts[5], starts[6]]
    );
    assert_eq!(
        stay(DeleteReading::NamedDaysGo, DayZone::WireText, &starts).await,
        [starts[0], starts[5], starts[6]]
    );
}

#[tokio::test]
async fn the_day_of_a_call_follows_the_chosen_zone() {
    let caracas = DayZone::Fixed(FixedOffset::west_opt(16_200).unwrap());
    let starts = ["2012-08-23T03:00:00Z", "2012-08-24T03:00:00Z"];
    let reading = DeleteReading::NamedDaysStay;
    assert_eq!(stay(reading, DayZone::WireText, &starts).await, [starts[1]]);
    assert_eq!(stay(reading, caracas, &starts).await, [starts[0]]);
}

#[test]
fn only_this_machine_can_reach_it() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let error = Sandbox::start(SandboxOptions {
            listen: listen.parse().unwrap(),
            ..SandboxOptions::default()
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.starts_with("the sandbox listens on this machine only"),
            "{error}"
        );
    }
}

#[test]
fn a_taken_port_is_said_and_a_stopped_sandbox_gives_it_back() {
    let (sandbox, _) = start(|_| {});
    let again = SandboxOptions {
        listen: sandbox.addr,
        ..SandboxOptions::default()
    };
    let error = Sandbox::start(again.clone()).unwrap_err();
    assert!(
        error.to_string().contains("choose another port"),
        "{error:#}"
    );
    sandbox.stop();
    Sandbox::start(again).unwrap().stop();
}
