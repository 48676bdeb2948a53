//! `kill -9` at any instant, with a sender that repeats what was not acknowledged: nothing is lost, nothing is doubled.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::soak::{self, Chance};
use crate::stage::{Row, Stage, post, row, try_ask, wait, wait_every};
use crate::{INBOUND, OUTBOUND};

/// Events of one job, so that its rows can be waited for.
const EVENTS_A_JOB: usize = 1_300;

/// The documented calls again, each as a call of its own: another session, another customer, another minute.
fn call(n: usize) -> (Vec<String>, Row) {
    let session = format!("{n:032x}");
    let customer = format!("0139{n:09}");
    let hour = format!("{:02}", n / 60 % 24);
    let minute = format!("{:02}", n % 60);
    let (messages, mut row) = if n.is_multiple_of(2) {
        let messages = OUTBOUND
            .iter()
            .map(|message| message.replace("efeb7b374a3408b0d0954f30a1504d83", &session));
        let time = format!("2010-01-01 {hour}:{minute}:");
        let messages: Vec<String> = messages
            .map(|message| message.replace("2010-01-01 08:22:", &time))
            .collect();
        let row = row(
            &format!("{time}01"),
            ["041139735857", &customer],
            [46, 38],
            "ANSWERED",
            &session,
            "",
        );
        (messages, row)
    } else {
        let messages = INBOUND
            .iter()
            .map(|message| message.replace("1f10eab01f5b1b36230b8e91aef34810", &session));
        // All of it within one minute, which shortens the call.
        let time = format!("2010-01-02 {hour}:{minute}:");
        let messages: Vec<String> = messages
            .map(|message| {
                message
                    .replace("2010-01-01 11:11:", &time)
                    .replace("2010-01-01 11:12:", &time)
            })
            .collect();
        let row = row(
            &format!("{time}07"),
            [&customer, "041139735857"],
            [47, 44],
            "ANSWERED",
            &session,
            "800888",
        );
        (messages, row)
    };
    let messages = messages
        .into_iter()
        .map(|message| message.replace("0138888888888", &customer))
        .collect();
    row.6 = session;
    (messages, row)
}

#[test]
fn a_kill_at_any_instant_loses_no_acknowledged_event_and_doubles_no_row() {
    let events = soak::count(EVENTS_A_JOB / 2, 10_400);
    let (mut sent_in_all, mut kills, mut repeats) = (0, 0, 0);
    let mut chance = Chance(0x5eed_0018);
    while sent_in_all < events {
        let wanted = EVENTS_A_JOB.min(events - sent_in_all).max(13);
        let (sent, killed, repeated) = job(wanted, &mut chance);
        sent_in_all += sent;
        kills += killed;
        repeats += repeated;
    }
    assert!(kills >= soak::count(5, 120), "{kills}");
    soak::note(
        "collector: kill -9 with a repeating sender",
        sent_in_all,
        &format!("0 lost, 0 double rows; {kills} kills, {repeats} events sent again"),
    );
}

/// Sends some events in a random order from several senders while the collector is killed again and again. Gives how many
/// events, kills and repetitions there were.
fn job(events: usize, chance: &mut Chance) -> (usize, usize, usize) {
    let calls: Vec<_> = (0..)
        .map(call)
        .scan(0, |sum, call| {
            (*sum < events).then(|| {
                *sum += call.0.len();
                call
            })
        })
        .collect();
    let mut expected: Vec<Row> = calls.iter().map(|(_, row)| row.clone()).collect();
    expected.sort();
    let mut queue: Vec<String> = calls
        .into_iter()
        .flat_map(|(messages, _)| messages)
        .collect();
    for at in (1..queue.len()).rev() {
        queue.swap(at, chance.below(at + 1));
    }
    let total = queue.len();
    let mut stage = Stage::new("settle = \"50ms\"");
    stage.start();
    let queue = Arc::new(Mutex::new(queue));
    let addr = Arc::new(Mutex::new(stage.addr()));
    let (acknowledged, repeated) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..6)
        .map(|_| {
            let (queue, addr, acknowledged, repeated) = (
                Arc::clone(&queue),
                Arc::clone(&addr),
                Arc::clone(&acknowledged),
                Arc::clone(&repeated),
            );
            std::thread::spawn(move || {
                let next = || queue.lock().unwrap().pop();
                while let Some(message) = next() {
                    // Until somebody says that it is kept: that is what such senders do.
                    loop {
                        let to = *addr.lock().unwrap();
                        let reply = try_ask(to, &post("/astercc", "", &message));
                        if reply.is_ok_and(|reply| reply.status == 200) {
                            break;
                        }
                        repeated.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut kills = 0;
    let every = (total / 30).max(1);
    while acknowledged.load(Ordering::Relaxed) < total {
        let until = acknowledged.load(Ordering::Relaxed) + every / 2 + chance.below(every);
        // Looked at often: a fast disk is through with everything in a moment.
        wait_every(
            Duration::from_millis(1),
            || acknowledged.load(Ordering::Relaxed) >= until.min(total),
            || "nothing is acknowledged".to_owned(),
        );
        if acknowledged.load(Ordering::Relaxed) >= total {
            break;
        }
        stage.kill();
        kills += 1;
        stage.start();
        *addr.lock().unwrap() = stage.addr();
    }
    for sender in senders {
        sender.join().unwrap();
    }
    let sorted = || {
        let mut rows = stage.rows();
        rows.sort();
        rows
    };
    // Everything was acknowledged, so all of it comes to be there, each call once.
    wait(
        || sorted().len() >= expected.len(),
        || format!("{} of {} rows", sorted().len(), expected.len()),
    );
    wait(
        || sorted() == expected,
        || {
            let found: BTreeSet<Row> = sorted().into_iter().collect();
            let wanted: BTreeSet<Row> = expected.iter().cloned().collect();
            format!(
                "missing {:?}, too many {:?}",
                wanted.difference(&found).next(),
                found.difference(&wanted).next()
            )
        },
    );
    (total, kills, repeated.load(Ordering::Relaxed))
}
