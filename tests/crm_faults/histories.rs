//! Every attempt for a call carries identical bytes, whatever happens between them: random histories of runs against a
//! CRM with faults, edits of rules, zone and rendering, another TZ, and kills.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::scene::pass_on;
use super::soak::{self, Chance};
use super::stage::{Backstage, Patience, configured, in_parallel, run, scene};
use super::unruly::{Reply, Unruly};

const CALLS: usize = 40;

/// A configuration that differs from the last one in what makes a wire form.
fn edited(config: &str, chance: &mut Chance) -> String {
    let zone = chance.pick(&[
        "America/Caracas",
        "America/Bogota",
        "Europe/Madrid",
        "Asia/Kolkata",
    ]);
    let area = chance.pick(&["0212${EXTEN:1}", "0412${EXTEN:1}", "58212${EXTEN:1}"]);
    let rendering = chance.pick(&["utc", "offset", "local", "local-z"]);
    let link = chance.pick(&["/rec/", "/other/"]);
    config
        .replace("America/Caracas", zone)
        .replace("0212${EXTEN:1}", area)
        .replace(
            "initiated_as = \"utc\"",
            &format!("initiated_as = \"{rendering}\""),
        )
        .replace("/rec/", link)
}

/// What the CRM does with a request.
fn fault(chance: &mut Chance, honest: std::net::SocketAddr, line: &str) -> Reply {
    match chance.below(10) {
        0 => Reply::Json(500, String::new()),
        1 => Reply::Close,
        2 => {
            pass_on(honest, line);
            Reply::Close
        }
        3 => {
            pass_on(honest, line);
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"error\":false".to_vec())
        }
        4 => Reply::With(503, "Retry-After: 1\r\n".to_owned(), String::new()),
        5 => Reply::Json(200, r#"{"error":"false"}"#.to_owned()),
        _ => {
            std::thread::sleep(Duration::from_millis(5));
            pass_on(honest, line)
        }
    }
}

/// Plays a history; gives how many requests were made, and how often the program was killed.
fn play(seed: u64) -> (usize, usize) {
    let mut chance = Chance(seed);
    let stage = Backstage::new();
    let honest = stage.honest.addr;
    let sane = Arc::new(AtomicBool::new(false));
    let crm = Unruly::start({
        let sane = Arc::clone(&sane);
        let chance = Mutex::new(Chance(seed ^ 0xfa17));
        move |_, line| {
            if sane.load(Ordering::SeqCst) {
                return pass_on(honest, line);
            }
            // The lock is free again before anything is waited for.
            let mut own = Chance(chance.lock().unwrap().draw());
            fault(&mut own, honest, line)
        }
    });
    let scene = scene(CALLS);
    scene.point_at_with(&crm.url(), |config| {
        configured(config, true, Patience::Short)
    });
    let mut kills = 0;
    for _ in 0..5 + chance.below(4) {
        if chance.below(2) == 0 {
            scene.point_at_with(&crm.url(), |config| {
                edited(&configured(config, true, Patience::Short), &mut chance)
            });
        }
        let zone = chance.pick(&["UTC", "Asia/Tokyo", "America/St_Johns", "nonsense"]);
        let args: &[&str] = match chance.below(4) {
            0 => &["sync", "--max-runtime", "1s"],
            1 => &["sync", "--full", "--max-runtime", "1s"],
            2 => &["sync", "--full", "--resend", "--max-runtime", "1s"],
            _ => &["sync", "--since", "2020-01-01", "--max-runtime", "1s"],
        };
        let env = [
            ("TZ", zone),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("SOURCE_DATE_EPOCH", "0"),
        ];
        if chance.below(3) == 0 {
            let mut command = scene.program.command(args);
            command
                .envs(env)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(chance.draw() % 300));
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        } else {
            let ran = run(&scene.program, args, &env);
            assert!([0, 4].contains(&ran.code), "seed {seed}: {ran:?}");
        }
    }
    sane.store(true, Ordering::SeqCst);
    let ran = run(&scene.program, &["sync", "--full"], &[]);
    assert_eq!(ran.code, 0, "seed {seed}: {ran:?}");
    let seen = crm.seen();
    let mut attempts: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for line in &seen {
        let mark = line.split("&duration=").nth(1).unwrap();
        attempts
            .entry(mark.split(['&', ' ']).next().unwrap())
            .or_default()
            .push(line);
    }
    assert_eq!(attempts.len(), CALLS, "seed {seed}: every call was sent");
    for lines in attempts.values() {
        assert!(
            lines.iter().all(|line| line == &lines[0]),
            "seed {seed}: {lines:#?}"
        );
    }
    let mut held: Vec<u64> = stage
        .honest
        .calls()
        .iter()
        .map(|call| call.duration.unwrap())
        .collect();
    held.sort_unstable();
    let all: Vec<u64> = scene.rows.iter().map(|row| row.duration).collect();
    assert_eq!(held, all, "seed {seed}: the CRM holds each call once");
    assert_eq!(
        super::stage::states(&scene),
        format!("delivered {CALLS}"),
        "seed {seed}"
    );
    (seen.len(), kills)
}

#[test]
fn every_attempt_carries_identical_bytes_whatever_the_history() {
    let count = soak::count(8, 200);
    let seeds: Vec<u64> = (1..=count as u64).collect();
    let (requests, killed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = in_parallel(&seeds, 8, |seed| {
        let (sent, kills) = play(*seed);
        requests.fetch_add(sent, Ordering::SeqCst);
        killed.fetch_add(kills, Ordering::SeqCst);
    });
    assert!(failures.is_empty(), "{failures:#?}");
    let (requests, killed) = (requests.into_inner(), killed.into_inner());
    assert!(
        requests > count * CALLS,
        "no call was ever sent twice: {requests}"
    );
    assert!(killed > 0, "nothing was ever killed");
    soak::note(
        "P5: histories of faults, edits and kills",
        count,
        &format!(
            "{requests} requests, {killed} kills; every attempt for a call carried the same bytes"
        ),
    );
}
