//! `monitor.ping_url`: what an address is told about a run, and what becomes of a run whose address misbehaves.

use std::time::{Duration, Instant};

use cdrelay::ledger::LedgerLock;

use super::program::Ran;
use super::scene::{Scene, closed_port, pass_on, sandbox, with};
use super::unruly::{Reply, Unruly, reply};

/// What nobody but the address's owner may read.
const SECRET: &str = "5f9c2d-canary";

/// Longest that a run may be held up by an address that does not answer, 5 s at its beginning and 5 s at its end; the rest is
/// for a busy machine. A server here holds on for 30 s.
const HELD_UP: Duration = Duration::from_secs(25);

fn pinging(config: &str, url: &str) -> String {
    with(config, "monitor", &format!("ping_url = \"{url}\""))
}

fn watcher() -> Unruly {
    Unruly::always(Reply::Json(200, "OK".to_owned()))
}

fn address(watcher: &Unruly) -> String {
    format!("{}/{SECRET}?a=1", watcher.url())
}

fn asked(ends: &[&str]) -> Vec<String> {
    ends.iter()
        .map(|end| format!("GET /{SECRET}{end}?a=1 HTTP/1.1"))
        .collect()
}

#[track_caller]
fn run(scene: &Scene, args: &[&str], code: i32) -> Ran {
    let ran = scene.program.run(args);
    assert_eq!(ran.code, code, "{ran:?}");
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("canary"), "{ran:?}");
    }
    ran
}

#[test]
fn start_success_and_failure_are_told_and_nothing_is_sent_along() {
    let scene = Scene::generated(40, 100);
    let crm = sandbox();
    let watcher = watcher();
    scene.point_at_with(crm.url.as_str(), |config| {
        pinging(config, &address(&watcher))
    });
    let ran = run(&scene, &["sync", "-vvv"], 0);
    assert!(ran.stderr.contains("a request goes out"), "{ran:?}");
    assert_eq!(watcher.seen(), asked(&["/start", ""]));
    for head in watcher.heads() {
        let head = head.to_ascii_lowercase();
        for word in ["referer", "authorization", "content-length", "cookie"] {
            assert!(!head.contains(word), "{head}");
        }
    }
    // The CRM refuses the token: 6.
    scene.program.write("crm.token", "other\n");
    run(&scene, &["sync", "--full", "--resend"], 6);
    assert_eq!(watcher.seen(), asked(&["/start", "", "/start", "/fail"]));
    scene.program.write("crm.token", "sandbox\n");
    // A rule that breaks its example: 2, and no run begins.
    scene.point_at_with(crm.url.as_str(), |config| {
        let config = pinging(config, &address(&watcher));
        format!("{config}\n[[rule_tests]]\nnumber = \"95550142\"\nbecomes = \"1\"\n")
    });
    run(&scene, &["sync"], 2);
    assert_eq!(watcher.seen()[4..], asked(&["/fail"]));
    // A slip of the pen on the command line, and a dry run, are nobody's business.
    scene.point_at_with(crm.url.as_str(), |config| {
        pinging(config, &address(&watcher))
    });
    run(&scene, &["sync", "--since", "soon"], 2);
    run(&scene, &["sync", "--dry-run"], 0);
    run(&scene, &["status"], 0);
    assert_eq!(watcher.seen().len(), 5);
}

#[test]
fn calls_that_were_rejected_are_a_success() {
    let scene = Scene::generated(40, 101);
    let behind = sandbox();
    let addr = behind.addr;
    let crm = Unruly::start(move |n, line| match n {
        5 => Reply::Json(
            200,
            r#"{"error":true,"errors":{"duration":"no"}}"#.to_owned(),
        ),
        _ => pass_on(addr, line),
    });
    let watcher = watcher();
    scene.point_at_with(&crm.url(), |config| pinging(config, &address(&watcher)));
    run(&scene, &["sync"], 3);
    assert_eq!(watcher.seen(), asked(&["/start", ""]));
}

#[test]
fn what_heals_by_itself_is_told_only_once_it_has_not_for_too_long() {
    let scene = Scene::generated(40, 102);
    let crm = sandbox();
    let watcher = watcher();
    let config = |config: &str| pinging(config, &address(&watcher));
    scene.point_at_with(crm.url.as_str(), config);
    run(&scene, &["sync"], 0);
    let down = super::overdue::down();
    scene.point_at_with(&down.url(), config);
    run(&scene, &["sync", "--resend"], 4);
    assert_eq!(watcher.seen()[2..], asked(&["/start"]));
    let lock = LedgerLock::try_acquire(&scene.program.path("ledger.db")).unwrap();
    run(&scene, &["sync"], 11);
    drop(lock);
    assert_eq!(
        watcher.seen().len(),
        3,
        "a run that did not begin says nothing"
    );
    super::overdue::age(&scene, 7 * 3600);
    run(&scene, &["sync"], 4);
    assert_eq!(watcher.seen()[3..], asked(&["/start", "/fail"]));
    let lock = LedgerLock::try_acquire(&scene.program.path("ledger.db")).unwrap();
    run(&scene, &["sync"], 11);
    drop(lock);
    assert_eq!(watcher.seen()[5..], asked(&["/fail"]));
}

/// A run whose address does `reply` for every call ends as it would without, soon, and warns in these words.
#[track_caller]
fn misbehaves(seed: u64, address: &str, why: &str) {
    let scene = Scene::generated(20, seed);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), |config| pinging(config, address));
    let began = Instant::now();
    let ran = run(&scene, &["sync"], 0);
    assert!(began.elapsed() < HELD_UP, "{:?}", began.elapsed());
    let said: Vec<&str> = ran
        .stderr
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    let warning = |what: &str| {
        format!(
            " WARN monitor.ping_url was not told that the run {what}: {why}; the run itself is not affected"
        )
    };
    assert_eq!(said, [warning("began"), warning("succeeded")]);
    scene.check(&crm);
    let quiet = run(&scene, &["sync", "--quiet"], 0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn an_address_that_misbehaves_fails_no_run_and_delays_it_by_seconds() {
    let mute = Unruly::always(Reply::Silence);
    misbehaves(103, &address(&mute), "no answer in time");
    let endless = Unruly::always(Reply::Drip(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec(),
        b"x".to_vec(),
    ));
    misbehaves(104, &address(&endless), "no complete answer");
    let closed = format!("http://127.0.0.1:{}/{SECRET}", closed_port());
    misbehaves(105, &closed, "no connection");
    let hanging_up = Unruly::always(Reply::Close);
    misbehaves(106, &address(&hanging_up), "no complete answer");
    let garbage = Unruly::always(Reply::Raw(b"no HTTP at all\r\n\r\n".to_vec()));
    misbehaves(107, &address(&garbage), "no complete answer");
}

#[test]
fn a_failing_address_is_asked_twice_and_no_redirect_is_followed() {
    let failing = Unruly::always(Reply::Json(500, SECRET.to_owned()));
    misbehaves(108, &address(&failing), "it answered with HTTP 500");
    let once = asked(&["/start", "/start", "", ""]);
    assert_eq!(failing.seen(), [once.clone(), once].concat(), "two runs");
    let elsewhere = watcher();
    let location = format!("{}/elsewhere", elsewhere.url());
    let moved = Unruly::always(Reply::Send(reply(302, &[("Location", &location)], "")));
    misbehaves(
        109,
        &address(&moved),
        "it answered with a redirect (HTTP 302), which is not followed",
    );
    assert_eq!(elsewhere.connections(), 0);
    // The first answer fails, the second does not: told after all.
    let shaky = Unruly::start(|n, _| Reply::Json(if n == 0 { 503 } else { 200 }, String::new()));
    let scene = Scene::generated(20, 110);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), |config| pinging(config, &address(&shaky)));
    assert_eq!(run(&scene, &["sync"], 0).stderr, "");
    assert_eq!(shaky.seen(), asked(&["/start", "/start", ""]));
}

#[test]
fn no_proxy_of_the_environment_is_asked() {
    let scene = Scene::generated(20, 111);
    let crm = sandbox();
    let (watcher, proxy) = (watcher(), watcher());
    scene.point_at_with(crm.url.as_str(), |config| {
        pinging(config, &address(&watcher))
    });
    let mut command = scene.program.command(&["sync"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy.url());
    }
    assert!(command.output().unwrap().status.success());
    assert_eq!(watcher.seen().len(), 2);
    assert_eq!(proxy.connections(), 0);
}
