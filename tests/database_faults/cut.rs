//! A connection that ends after any byte: the broken slice is read again, three times, then the run ends with 5.

use std::time::Duration;

use crate::cutting_proxy::Fault;
use crate::program::{Ran, check_sums};
use crate::scene::sandbox;
use crate::soak;
use crate::stage::{Kind, Stage, tries_again};

/// Byte counts from the first greeting to the end of the last slice: half of them in the first 8 KiB, where the connection
/// is made and the table described.
fn places(total: u64, count: usize) -> Vec<u64> {
    let count = count as u64;
    let early = count / 2;
    let first = (0..early).map(|n| n * 8192 / early + n % 7);
    let rest = (1..=count - early).map(|n| total * n / (count - early + 1));
    first.chain(rest).collect()
}

/// What a run says whose every connection is cut, whatever byte it is cut at.
fn is_full_message(kind: Kind, word: &str) -> bool {
    let product = kind.product();
    let pattern = format!(
        r"^cdrelay: {product} at 127\.0\.0\.1:PORT failed while (connecting|describing the table|looking for an index|reading calls); run again, it may be back: [^;]+$"
    );
    regex::Regex::new(&pattern).unwrap().is_match(word)
}

fn cut_everywhere(kind: Kind) {
    let stage = Stage::new(kind);
    let total = stage.measure();
    let mut ended_with_5 = 0;
    let count = soak::count(12, 200);
    let places = places(total, count);
    // The short version takes turns.
    let both = count > 24;
    let mut cut_in_each = 0;
    for (number, &after) in places.iter().enumerate() {
        let reset = number / 2 % 2 == 0;
        if both || number % 2 == 0 {
            // Once, wherever that is: the run is whole.
            let crm = sandbox();
            stage.forget();
            stage.point_at(crm.url.as_str());
            stage.proxy.set(Fault::Cut {
                after,
                once: true,
                reset,
            });
            let ran = stage.sync();
            stage.complete(&ran);
            stage.check(&crm);
            assert_eq!(tries_again(&ran), 1, "after {after}: {ran:?}");
        }
        if !both && number % 2 == 0 {
            continue;
        }
        cut_in_each += 1;

        // In each connection: whole, or 5 with the message in full, and nothing is lost.
        let crm = sandbox();
        stage.forget();
        stage.point_at(crm.url.as_str());
        stage.proxy.set(Fault::Cut {
            after,
            once: false,
            reset,
        });
        let ran = stage.sync();
        if ran.code == 0 {
            stage.complete(&ran);
        } else {
            ended_with_5 += 1;
            gave_up(&stage, &ran);
        }
        stage.settles(&crm);
    }
    assert!(
        ended_with_5 >= cut_in_each / 4 && ended_with_5 < cut_in_each,
        "{ended_with_5} of {cut_in_each} ended with 5: the cuts are not where they should be"
    );
    let result = format!(
        "cut once: whole, one slice read again; cut in each connection: {ended_with_5} of {cut_in_each} ended with 5, \
         the rest whole; all golden afterwards"
    );
    soak::note(
        &format!("{} cut after byte n", kind.product()),
        count,
        &result,
    );
}

#[track_caller]
fn gave_up(stage: &Stage, ran: &Ran) {
    assert_eq!(ran.code, 5, "{ran:?}");
    let word = stage.last_word(ran);
    assert!(is_full_message(stage.kind, &word), "{word}");
    assert!(tries_again(ran) >= 3, "{ran:?}");
    let report = serde_json::from_str(&ran.stdout).unwrap();
    check_sums(&report);
}

#[test]
fn mariadb_cut_after_any_byte_loses_and_doubles_nothing() {
    cut_everywhere(Kind::MariaDb);
}

#[test]
fn postgresql_cut_after_any_byte_loses_and_doubles_nothing() {
    cut_everywhere(Kind::Postgres);
}

#[test]
fn where_every_connection_is_cut_it_is_tried_four_times_in_all() {
    for kind in Kind::BOTH {
        let stage = Stage::new(kind);
        let crm = sandbox();
        stage.point_at(crm.url.as_str());
        for reset in [false, true] {
            stage.proxy.set(Fault::Cut {
                after: 0,
                once: false,
                reset,
            });
            let ran = stage.sync();
            gave_up(&stage, &ran);
            assert_eq!(stage.proxy.connections(), 4, "{ran:?}");
        }
        stage.proxy.set(Fault::None);
        stage.proxy.refuse(u64::MAX);
        let ran = stage.sync();
        gave_up(&stage, &ran);
        assert_eq!(stage.proxy.connections(), 4, "{ran:?}");
        // Three that are refused are made up for.
        stage.proxy.set(Fault::None);
        stage.proxy.refuse(3);
        stage.complete(&stage.sync());
        assert_eq!(stage.proxy.connections(), 4);
        assert_eq!(crm.stats().existing, 0);
        stage.settles(&crm);
    }
}

#[test]
fn a_slow_network_is_no_fault() {
    for kind in Kind::BOTH {
        let stage = Stage::new(kind);
        let crm = sandbox();
        stage.point_at(crm.url.as_str());
        stage.proxy.delay(Duration::from_millis(5));
        let ran = stage.sync();
        stage.complete(&ran);
        stage.check(&crm);
        assert_eq!(tries_again(&ran), 0, "{ran:?}");
    }
}
