//! The first sentence: is everything there, and if not, what is to be done?

use std::time::Duration;

use cdrelay::cdr::window::Window;
use cdrelay::config::Side;
use cdrelay::ledger::State;
use cdrelay::number::chain::Chain;
use cdrelay::report::figures::gather::{Gather, Known};
use cdrelay::report::figures::{Figures, place};
use cdrelay::report::summary::{Standing, headline};
use cdrelay::text::mask::Privacy;

const NOW: i64 = 1_795_737_600;

/// The figures of an empty ledger, after a run an hour ago.
fn figures() -> Figures {
    let window = Window {
        since: NOW - 360 * 86_400,
        until: NOW + 86_400,
    };
    let mut figures = Gather::new(window, chrono_tz::UTC, false).figures(Known {
        job: "cdrelay",
        now: NOW,
        privacy: Privacy::Whole,
        rules: &[],
        destination: &Chain::new(Side::Destination),
        source: &Chain::new(Side::Source),
        last_success: Some(NOW - 3_600),
        left_out: None,
        last_instants: Vec::new(),
        words: Vec::new(),
    });
    figures.runs.runs = 1;
    figures
}

#[track_caller]
fn says(edit: impl FnOnce(&mut Figures), standing: Standing, sentence: &str) {
    let mut figures = figures();
    edit(&mut figures);
    figures.calls.total = figures.calls.states.iter().sum();
    let said = headline(&figures, Duration::from_secs(6 * 3_600));
    assert_eq!(said, (standing, sentence.to_owned()));
}

fn set(figures: &mut Figures, state: State, n: u64) {
    figures.calls.states[place(state)] = n;
}

#[test]
fn everything_is_there_and_says_so() {
    says(
        |figures| set(figures, State::Delivered, 2_430),
        Standing::Good,
        "Everything is there: 2,430 calls.",
    );
    says(
        |figures| set(figures, State::Delivered, 1),
        Standing::Good,
        "Everything is there: 1 call.",
    );
    says(
        |_| {},
        Standing::Good,
        "The ledger holds no call of this window.",
    );
}

#[test]
fn what_is_settled_without_being_in_the_crm_is_named_with_the_way_to_see_it() {
    says(
        |figures| {
            set(figures, State::Delivered, 2_000);
            set(figures, State::Unmatched, 179);
            set(figures, State::Rejected, 2);
        },
        Standing::Settled,
        "Everything is settled: 2,181 calls; 179 for numbers that no contact has: add the contacts, or mend the rules \
         (`cdrelay calls --state unmatched`); 2 refused by the CRM for good (`cdrelay calls --state rejected`).",
    );
    says(
        |figures| set(figures, State::Held, 3),
        Standing::Act,
        "Everything is settled: 3 calls; 3 held until a person decides (`cdrelay calls --state held`).",
    );
    says(
        |figures| {
            set(figures, State::Delivered, 5);
            set(figures, State::Pending, 2);
            figures.look.row_gone.calls = 2;
        },
        Standing::Settled,
        "Everything is settled: 7 calls; 2 due without a row to send (`cdrelay calls --state pending`).",
    );
}

#[test]
fn what_is_due_waits_for_the_next_run_or_for_a_person() {
    says(
        |figures| {
            set(figures, State::Delivered, 90);
            set(figures, State::Pending, 9);
            set(figures, State::InFlight, 1);
        },
        Standing::Waiting,
        "Not everything is there yet: 10 of 100 calls are due, and the next run sends them by itself.",
    );
    says(
        |figures| {
            set(figures, State::Pending, 1);
            figures.look.stuck.calls = 1;
        },
        Standing::Act,
        "Not everything is there yet: 1 of 1 call is due, and the next run tries again, but 1 got no verdict in several \
         (`cdrelay calls --state pending`).",
    );
    says(
        |figures| {
            set(figures, State::Delivered, 4);
            figures.calls.due_before = 7;
        },
        Standing::Act,
        "Everything is settled: 4 calls; 7 calls from before this window are still open (`cdrelay calls --state pending`): \
         run `cdrelay sync --since …`.",
    );
}

#[test]
fn a_replication_that_stands_still_says_what_to_ask() {
    says(
        |figures| {
            set(figures, State::Delivered, 4);
            set(figures, State::Pending, 1);
            figures.runs.last_success = Some(NOW - 3 * 86_400);
        },
        Standing::Act,
        "Not up to date: the last success was 3 d ago; `cdrelay status` shows how the last run ended, `cdrelay check` what \
         is wrong; 1 call is due meanwhile.",
    );
    says(
        |figures| figures.runs.last_success = None,
        Standing::Act,
        "No run has succeeded yet: `cdrelay check` says what is missing.",
    );
    says(
        |figures| {
            figures.runs.last_success = None;
            figures.runs.runs = 0;
        },
        Standing::Act,
        "Nothing was copied yet: begin with `cdrelay check`, then `cdrelay sync`.",
    );
    // A window that is over is not made stale by what came later.
    says(
        |figures| {
            set(figures, State::Delivered, 4);
            figures.window.until = NOW - 86_400;
            figures.runs.last_success = Some(NOW - 3 * 86_400);
        },
        Standing::Good,
        "Everything is there: 4 calls.",
    );
}
