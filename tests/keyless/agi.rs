//! AGI: a pipe as Asterisk makes it, and FastAGI over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cdrelay::sandbox::{Sandbox, SandboxOptions};

use crate::closed_port::closed_port;
use crate::crm::{Answer, Crm, ok};
use crate::stage::{PASSWORD, Row, Stage, missed, now};

/// What `[agi]` says in these tests.
pub(crate) const SET: &str = "[agi]\ntimeout = \"10s\"\n[agi.set]\nCRM_PROCESS = \"data.process.id\"\nCRM_NOTHING = \"data.none\"\n";

pub(crate) fn stage(crm: &Crm) -> Stage {
    stage_with(crm, "")
}

pub(crate) fn stage_with(crm: &Crm, more: &str) -> Stage {
    let stage = Stage::new(&[]);
    stage.point_at(&crm.url(), &format!("{more}\n{SET}"));
    stage
}

/// What Asterisk says at the beginning of a call.
pub(crate) fn environment(
    callerid: &str,
    name: &str,
    uniqueid: &str,
    arguments: &[&str],
) -> String {
    let mut text = format!(
        "agi_request: cdrelay\nagi_channel: PJSIP/trunk-00000001\nagi_language: en\nagi_type: PJSIP\n\
         agi_uniqueid: {uniqueid}\nagi_version: 20.5.0\nagi_callerid: {callerid}\nagi_calleridname: {name}\n\
         agi_callingpres: 0\nagi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: unknown\n\
         agi_rdnis: unknown\nagi_context: callback-offer\nagi_extension: 1\nagi_priority: 1\nagi_enhanced: 0.0\n\
         agi_accountcode: \nagi_threadid: 1\n"
    );
    for (n, argument) in arguments.iter().enumerate() {
        text.push_str(&format!("agi_arg_{}: {argument}\n", n + 1));
    }
    text + "\n"
}

pub(crate) fn uniqueid(n: u32) -> String {
    format!("{}.{n}", now() - 30)
}

/// Asterisk's side of a conversation: it says its environment, and sets every variable that it is told.
pub(crate) fn asterisk(
    mut to: impl Write,
    from: impl Read,
    environment: &str,
) -> Vec<(String, String)> {
    to.write_all(environment.as_bytes()).unwrap();
    let mut set = Vec::new();
    for line in BufReader::new(from).lines() {
        let line = line.unwrap();
        let rest = line
            .strip_prefix("SET VARIABLE ")
            .unwrap_or_else(|| panic!("no AGI command: {line}"));
        let (name, value) = rest.split_once(' ').unwrap();
        let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        set.push((name.to_owned(), value.to_owned()));
        if to.write_all(b"200 result=1\n").is_err() {
            break;
        }
    }
    set
}

pub(crate) fn started(stage: &Stage, arguments: &[&str]) -> Child {
    let mut all = vec!["agi"];
    all.extend(arguments);
    stage
        .program
        .command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// One call through a pipe: what was set, how the program ended, and what it said on stderr.
pub(crate) fn through_a_pipe(
    stage: &Stage,
    arguments: &[&str],
    environment: &str,
) -> (Vec<(String, String)>, i32, String) {
    let mut child = started(stage, arguments);
    let set = asterisk(
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        environment,
    );
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("CANARY"), "{stderr}");
    (set, output.status.code().unwrap(), stderr)
}

#[track_caller]
pub(crate) fn status(set: &[(String, String)]) -> &str {
    let found: Vec<&str> = set
        .iter()
        .filter(|(name, _)| name == "CDRELAY_STATUS")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(found.len(), 1, "{set:?}");
    found[0]
}

#[test]
fn the_dialplan_is_told_what_the_crm_answered() {
    let crm = Crm::good();
    let stage = stage_with(&crm, crate::stage::CONSTANTS);
    let id = uniqueid(1);
    let (set, code, _) = through_a_pipe(&stage, &[], &environment("02125550142", "Jane", &id, &[]));
    let expected = [
        ("CRM_NOTHING", ""),
        ("CRM_PROCESS", "4711"),
        ("CDRELAY_STATUS", "DELIVERED"),
    ];
    let set: Vec<(&str, &str)> = set.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!((&set[..], code), (&expected[..], 0));
    assert_eq!(
        crm.requests()[0].body,
        "action=runDynamicClass&class=org.example.crm.CallBack&sub=dndoperator&aon=02125550142\
         &authToSession=0&responseType=json&j_username=pbx-user&j_password=CANARY+pass%26word"
    );
}

#[test]
fn a_key_that_is_pressed_twice_opens_one_process() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let environment = environment("02125550142", "", &uniqueid(1), &[]);
    for _ in 0..2 {
        let (set, ..) = through_a_pipe(&stage, &[], &environment);
        assert_eq!(status(&set), "DELIVERED");
    }
    // Also after a run has taken the call up.
    assert_eq!(stage.sync(&[], 0)["agi"]["taken_up"], 1);
    let (set, ..) = through_a_pipe(&stage, &[], &environment);
    assert_eq!(status(&set), "DELIVERED");
    assert_eq!(crm.requests().len(), 1);
    assert_eq!(stage.sync(&[], 0)["agi"]["taken_up"], 0);
    // Another call of the same number is another call.
    let other = self::environment("02125550142", "", &uniqueid(2), &[]);
    through_a_pipe(&stage, &[], &other);
    assert_eq!(crm.requests().len(), 2);
}

#[test]
fn the_number_comes_from_the_argument_or_from_asterisk_and_a_name_is_none() {
    let crm = Crm::good();
    let stage = stage(&crm);
    for (n, (arguments, callerid, name, sent)) in [
        (
            &["02125550150"][..],
            "02125550142",
            "Jane",
            Some("02125550150"),
        ),
        (&["Doe", "Jane"], "02125550142", "Jane", Some("02125550142")),
        (&[], "unknown", "02125550143", Some("02125550143")),
        (&[], "anonymous", "Anonymous", None),
        (&[], "unknown", "unknown", None),
        (&["--", "--listen"], "", "", None),
    ]
    .into_iter()
    .enumerate()
    {
        let before = crm.requests().len();
        let id = uniqueid(u32::try_from(n).unwrap());
        let text = environment(callerid, name, &id, &[]);
        let (set, code, _) = through_a_pipe(&stage, arguments, &text);
        assert_eq!(code, 0);
        let requests = crm.requests();
        match sent {
            Some(number) => {
                assert_eq!(status(&set), "DELIVERED");
                assert_eq!(requests.last().unwrap().parameter("aon"), number);
            }
            None => {
                assert_eq!(status(&set), "NO_NUMBER");
                assert_eq!(requests.len(), before);
            }
        }
    }
}

#[test]
fn what_could_not_be_delivered_is_sent_by_the_next_sync_without_a_row() {
    let stage = Stage::new(&[]);
    stage.point_at(&format!("http://127.0.0.1:{}", closed_port()), SET);
    let environment = environment("02125550142", "", &uniqueid(1), &[]);
    let (set, code, _) = through_a_pipe(&stage, &[], &environment);
    assert_eq!((status(&set), code), ("PENDING", 0));
    // Still nobody there: it is on record, and stays due.
    let report = stage.sync(&[], 4);
    assert_eq!(report["agi"]["pending"], 1, "{report}");
    let reason = report["exit"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("1 call from `cdrelay agi` pending: no connection to the CRM"),
        "{reason}"
    );
    let crm = Crm::good();
    stage.point_at(&crm.url(), SET);
    let report = stage.sync(&[], 0);
    assert_eq!(report["agi"]["delivered"], 1, "{report}");
    assert_eq!(report["agi"]["pending"], 0);
    assert_eq!(crm.numbers(), ["02125550142"]);
    stage.sync(&["--full"], 0);
    assert_eq!(crm.requests().len(), 1);
    let (set, ..) = through_a_pipe(&stage, &[], &environment);
    assert_eq!(status(&set), "DELIVERED");
    stage.holds(&[("delivered", 1)]);
}

#[test]
fn a_refused_call_is_not_blocked_and_a_refused_login_leaves_it_due() {
    for (answer, expected, code) in [
        (
            Answer::Says(200, r#"{"status":"error","message":"no"}"#.to_owned()),
            "REJECTED",
            0,
        ),
        (Answer::Says(401, format!("{PASSWORD}?")), "PENDING", 6),
        (Answer::Says(429, String::new()), "PENDING", 4),
        (Answer::Says(500, String::new()), "UNKNOWN", 3),
        (Answer::Raw(""), "UNKNOWN", 3),
    ] {
        let again = answer.clone();
        let crm = Crm::start(move |_, _| again.clone());
        let stage = stage(&crm);
        let environment = environment("02125550142", "", &uniqueid(1), &[]);
        let (set, ended, _) = through_a_pipe(&stage, &[], &environment);
        assert_eq!((status(&set), ended), (expected, 0), "{answer:?}");
        let sent = crm.requests().len();
        // Who is asked to slow down asks again until the time is up.
        let most: &[&str] = if code == 4 {
            &["--max-runtime", "1s"]
        } else {
            &[]
        };
        let report = stage.sync(most, code);
        assert!(!report.to_string().contains("CANARY"));
        // What may have had its effect is not sent again.
        if expected == "UNKNOWN" {
            assert_eq!(crm.requests().len(), sent);
            assert_eq!(report["agi"]["held"], 1);
            assert_eq!(stage.run(&["held", "02125550142", "--resend"]).code, 0);
            crm.change(|_, _| ok());
            assert_eq!(stage.sync(&[], 0)["agi"]["delivered"], 1);
        }
    }
}

#[test]
fn a_slow_crm_does_not_keep_the_call_and_its_answer_is_not_lost() {
    let crm = Crm::start(|_, _| Answer::After(Duration::from_secs(10), Box::new(ok())));
    let stage = Stage::new(&[]);
    let text = crate::stage::config(&crm.url(), SET)
        .replace("\"2s\"", "\"20s\"")
        .replace("\"10s\"", "\"1s\"");
    stage.program.configure(&text);
    let mut child = started(&stage, &[]);
    let begun = Instant::now();
    let set = asterisk(
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        &environment("02125550142", "", &uniqueid(1), &[]),
    );
    // The pipe has ended, which is the end of the program for Asterisk.
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(status(&set), "UNKNOWN");
    // Asterisk sends SIGHUP then.
    signal(&child, "HUP");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let report = stage.sync(&[], 0);
    assert_eq!(report["agi"]["taken_up"], 1, "{report}");
    stage.holds(&[("delivered", 1)]);
    assert_eq!(crm.requests().len(), 1);
}

#[test]
fn a_caller_who_hangs_up_is_told_all_the_same() {
    let gone = Arc::new(AtomicBool::new(false));
    let crm = Crm::start({
        let gone = Arc::clone(&gone);
        move |_, _| {
            let begun = Instant::now();
            while !gone.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
            Answer::After(Duration::from_millis(300), Box::new(ok()))
        }
    });
    let stage = Stage::new(&[]);
    stage.point_patiently_at(&crm.url(), SET);
    let mut child = started(&stage, &[]);
    let mut stdin = child.stdin.take().unwrap();
    let environment = environment("02125550142", "", &uniqueid(1), &[]);
    stdin.write_all(environment.as_bytes()).unwrap();
    crm.wait_for(1);
    signal(&child, "HUP");
    drop(stdin);
    gone.store(true, Ordering::SeqCst);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    stage.sync(&[], 0);
    stage.holds(&[("delivered", 1)]);
}

#[test]
fn after_a_kill_nobody_knows_and_a_person_decides() {
    let crm = Crm::start(|_, _| Answer::Silence);
    let stage = Stage::new(&[]);
    // So long that it is the kill that ends the waiting.
    stage.point_patiently_at(&crm.url(), SET);
    let mut child = started(&stage, &[]);
    let mut stdin = child.stdin.take().unwrap();
    let environment = environment("02125550142", "", &uniqueid(1), &[]);
    stdin.write_all(environment.as_bytes()).unwrap();
    crm.wait_for(1);
    // While it is being told, a run leaves it alone.
    assert_eq!(stage.sync(&[], 0)["agi"]["taken_up"], 0);
    child.kill().unwrap();
    child.wait().unwrap();
    crm.change(|_, _| ok());
    let report = stage.sync(&[], 3);
    assert_eq!(report["agi"]["held"], 1, "{report}");
    assert_eq!(crm.requests().len(), 1);
    let listed = stage.run(&["held"]);
    assert!(
        listed
            .stdout
            .contains("it was told by a program that was killed before an answer was on record"),
        "{listed:?}"
    );
}

#[test]
fn a_row_of_a_channel_that_was_told_is_passed_over() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let row = missed("02125550142", 600);
    let text = environment("02125550142", "", &row.uniqueid, &[]);
    through_a_pipe(&stage, &[], &text);
    stage.add(&row);
    stage.add(&Row {
        uniqueid: format!("{}.77", now() - 500),
        ..missed("02125550142", 500)
    });
    for args in [&["--dry-run"][..], &[], &["--full"]] {
        let report = stage.sync(args, 0);
        let fresh = if args.is_empty() {
            "created"
        } else {
            "unchanged"
        };
        if args == ["--dry-run"] {
            assert_eq!(report["calls"]["pending"], 1, "{report}");
        } else {
            assert_eq!(
                report["calls"][fresh],
                if args.is_empty() { 1 } else { 2 },
                "{report}"
            );
        }
        assert_eq!(report["calls"]["total"], 2);
    }
    assert_eq!(crm.requests().len(), 2);
}

#[test]
fn a_run_that_holds_the_ledger_keeps_no_call_waiting() {
    let crm = Crm::start(|_, request| {
        if request.parameter("aon") == "02125550199" {
            Answer::After(Duration::from_secs(2), Box::new(ok()))
        } else {
            ok()
        }
    });
    let stage = stage(&crm);
    stage.add(&missed("02125550199", 600));
    let run = stage.program.spawn(&["sync"]);
    crm.wait_for(1);
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let (set, ..) = through_a_pipe(&stage, &[], &text);
    assert_eq!(status(&set), "DELIVERED");
    assert_eq!(crm.requests().len(), 2);
    assert!(run.wait_with_output().unwrap().status.code().is_some());
}

#[test]
fn what_cannot_be_recorded_is_not_sent() {
    let crm = Crm::good();
    let stage = stage(&crm);
    // A file where the directory would be.
    stage.program.write("ledger.db.agi", "");
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let (set, code, stderr) = through_a_pipe(&stage, &[], &text);
    assert_eq!((status(&set), code), ("FAILED", 12), "{stderr}");
    assert!(crm.requests().is_empty());
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_to_the_dialplan_too() {
    let crm = Crm::good();
    let stage = stage(&crm);
    stage.program.configure("nonsense");
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let (set, code, _) = through_a_pipe(&stage, &[], &text);
    assert_eq!((status(&set), code), ("FAILED", 2));
}

#[test]
fn the_log_goes_where_it_is_sent_and_hides_numbers() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let text = environment("02125550142", "", &uniqueid(1), &[]);
    let (_, code, stderr) = through_a_pipe(&stage, &["-v", "--log", "agi.log"], &text);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let log = std::fs::read_to_string(stage.program.path("agi.log")).unwrap();
    assert!(
        log.contains("the CRM took the call from xxxxxxxx142"),
        "{log}"
    );
    assert!(
        !log.contains("02125550142") && !log.contains("CANARY"),
        "{log}"
    );
}

#[test]
fn nimbox_is_told_too_and_the_row_that_follows_is_not_sent_again() {
    let crm = Sandbox::start(SandboxOptions::default()).unwrap();
    let stage = Stage::new(&[]);
    let text = format!(
        "[source]\nurl = \"sqlite://cdr.db\"\ntimezone = \"UTC\"\n[select]\nmin_destination_length = 0\n\
         [target]\nurl = \"{}\"\ntoken_file = \"crm.token\"\ninitiated_as = \"utc\"\n[ledger]\npath = \"ledger.db\"\n\
         [agi.set]\nCRM_CALL = \"phonecallId\"\n",
        crm.url
    );
    stage.program.configure(&text);
    let row = missed("104", 600);
    let (set, code, _) = through_a_pipe(&stage, &[], &environment("104", "", &row.uniqueid, &[]));
    assert_eq!((status(&set), code), ("DELIVERED", 0), "{set:?}");
    assert_eq!(set[0].0, "CRM_CALL");
    assert!(set[0].1.parse::<i64>().is_ok(), "{set:?}");
    stage.add(&row);
    let report = stage.program.sync(&[], 0);
    assert_eq!(report["calls"]["unchanged"], 1, "{report}");
    let once = |what: &str| {
        let held = crm.calls();
        assert_eq!(held.len(), 1, "{what}");
        let call = (held[0].source.as_str(), held[0].destination.as_str());
        assert_eq!(call, ("104", "1"), "{what}");
    };
    once("told");
    // What a deletion takes along comes back as it was told, and only once, whatever the deletion is for.
    let day = |offset: i64| {
        let at = chrono::DateTime::from_timestamp(now() + offset * 86_400, 0).unwrap();
        at.format("%Y-%m-%d").to_string()
    };
    let (from, to) = (day(-1), day(1));
    for verb in ["delete", "rebuild"] {
        let ran = stage.run(&[verb, "--from", &from, "--to", &to, "--yes"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(crm.calls().len(), 0, "{verb}: {ran:?}");
        let report = stage.program.sync(&["--full"], 0);
        assert_eq!(report["agi"]["delivered"], 1, "{verb}: {report}");
        once(verb);
    }
    let ran = stage.run(&[
        "delete",
        "--from",
        &from,
        "--to",
        &to,
        "--for-good",
        "--yes",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    stage.program.sync(&["--full"], 0);
    assert_eq!(crm.calls().len(), 0, "for good");
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// A FastAGI server, and its address.
pub(crate) fn server(stage: &Stage) -> (Child, String, std::thread::JoinHandle<String>) {
    let mut child = started(stage, &["--listen", "127.0.0.1:0"]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let address = line
        .split("agi://")
        .nth(1)
        .unwrap_or_else(|| panic!("{line}"))
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    (child, address, rest)
}

#[test]
fn fastagi_takes_many_calls_at_a_time_and_ends_with_a_signal() {
    let crm = Crm::start(|_, _| Answer::After(Duration::from_millis(300), Box::new(ok())));
    let stage = stage_with(&crm, "concurrency = 8");
    let (mut child, address, rest) = server(&stage);
    let threads: Vec<_> = (0..20)
        .map(|n| {
            let address = address.clone();
            std::thread::spawn(move || {
                let stream = TcpStream::connect(address).unwrap();
                let text = "agi_network: yes\nagi_network_script: cdrelay\n".to_owned()
                    + &environment("unknown", "", &uniqueid(n), &[&format!("021255501{n:02}")]);
                asterisk(stream.try_clone().unwrap(), stream, &text)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(status(&thread.join().unwrap()), "DELIVERED");
    }
    let mut numbers = crm.numbers();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 20);
    // Not Asterisk, and one that says nothing more: neither keeps the server busy.
    let mut stranger = TcpStream::connect(&address).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let silent = TcpStream::connect(&address).unwrap();
    signal(&child, "HUP");
    let stream = TcpStream::connect(&address).unwrap();
    let text = environment("02125550142", "", &uniqueid(99), &[]);
    let set = asterisk(stream.try_clone().unwrap(), stream, &text);
    assert_eq!(status(&set), "DELIVERED");
    drop((stranger, silent));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let said = rest.join().unwrap();
    assert!(
        !said.contains("CANARY") && !said.contains("0212555"),
        "{said}"
    );
    assert_eq!(stage.sync(&[], 0)["agi"]["taken_up"], 21);
    stage.holds(&[("delivered", 21)]);
}

#[test]
fn fastagi_has_no_password_and_stays_on_loopback() {
    let crm = Crm::good();
    let stage = stage(&crm);
    let ran = stage.run(&["agi", "--listen", "0.0.0.0:4573"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            2,
            "cdrelay: --listen 0.0.0.0:4573: FastAGI has no password, so cdrelay listens on loopback only, such as 127.0.0.1:4573\n"
        )
    );
}
