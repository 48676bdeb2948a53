//! SIGTERM at every point, a kill while a signal is being obeyed, disks that stay full, connections that stay lost.

use super::scenarios::scenario;
use super::stage::Scenario;
use super::sweep::long;

/// The points of a job, each once, in order.
fn points(scenario: &Scenario) -> Vec<(&str, bool)> {
    let mut points: Vec<(&str, bool)> = Vec::new();
    for passage in &scenario.passages {
        if !points.iter().any(|(point, _)| *point == passage.point) {
            points.push((&passage.point, passage.can_fail));
        }
    }
    points
}

#[test]
fn a_run_survives_sigterm_at_every_point() {
    let scenario = scenario("first");
    if long() {
        for n in 1..=scenario.passages.len() {
            scenario.survives(&format!("{n}:term"));
        }
        return;
    }
    for (point, _) in points(scenario).into_iter().step_by(3) {
        assert!(scenario.survives(&format!("{point}#1:term")), "{point}");
    }
}

#[test]
fn a_kill_while_a_signal_is_obeyed_loses_nothing() {
    let scenario = scenario("first");
    // The first word counts as the fault: the one that is looked for in the list.
    for fault in [
        "target.before_request#1:term,signal.heard#1:kill",
        "target.before_request#1:term,ledger.outcomes.before_commit#1:kill",
        "target.before_request#1:term,ledger.run_finish.after_commit#1:kill",
        "ledger.intents.after_commit#1:term,ledger.close.checkpointed#1:kill",
    ] {
        scenario.survives(fault);
    }
}

#[test]
fn a_disk_that_stays_full_and_a_source_that_stays_away_end_the_run_and_lose_nothing() {
    let first = scenario("first");
    for (turn, (point, can_fail)) in points(first).into_iter().enumerate() {
        let due = long() || turn % 3 == 0;
        let what = match point.split('.').next() {
            Some("ledger") => "full",
            Some("source") => "error",
            _ => continue,
        };
        if can_fail && due {
            assert!(first.survives(&format!("{point}#1+:{what}")), "{point}");
        }
    }
}

#[test]
fn a_retry_that_is_killed_loses_nothing() {
    let scenario = scenario("first");
    for (first, then) in [
        (
            "target.before_request#1:error",
            "target.before_request#2:kill",
        ),
        ("target.answered#1:error", "target.before_request#2:kill"),
        ("target.answered#1:error", "target.answered#2:kill"),
        (
            "target.replied#2:error",
            "ledger.outcomes.before_commit#2:kill",
        ),
        ("target.replied#1:error", "target.replied#2:error"),
        ("source.row#1:error", "source.row#2:kill"),
        ("source.drained#1:error", "source.statement#2:kill"),
    ] {
        assert!(scenario.survives(&format!("{first},{then}")));
    }
}
