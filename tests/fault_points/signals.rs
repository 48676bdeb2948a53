//! SIGTERM at every point, a kill while a signal is being obeyed, disks that stay full, connections that stay lost.

use super::scenarios::scenario;
use super::soak;
use super::stage::Scenario;
use super::sweep::survived;

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
    let faults: Vec<String> = if soak::long() {
        (1..=scenario.passages.len())
            .map(|n| format!("{n}:term"))
            .collect()
    } else {
        let points = points(scenario).into_iter().step_by(3);
        points.map(|(point, _)| format!("{point}#1:term")).collect()
    };
    assert_eq!(survived(scenario, &faults), faults.len());
}

#[test]
fn a_kill_while_a_signal_is_obeyed_loses_nothing() {
    let scenario = scenario("first");
    for fault in [
        "target.before_request#1:term,signal.heard#1:kill",
        "target.before_request#1:term,ledger.outcomes.before_commit#1:kill",
        "target.before_request#1:term,ledger.run_finish.after_commit#1:kill",
        "ledger.intents.after_commit#1:term,ledger.close.checkpointed#1:kill",
    ] {
        assert!(scenario.survives(fault), "{fault}");
    }
}

#[test]
fn a_disk_that_stays_full_ends_the_run_and_loses_nothing() {
    let scenario = scenario("first");
    let every = if soak::long() { 1 } else { 3 };
    let faults: Vec<String> = points(scenario)
        .into_iter()
        .filter(|(point, can_fail)| *can_fail && point.starts_with("ledger."))
        .step_by(every)
        .map(|(point, _)| format!("{point}#1+:full"))
        .collect();
    assert_eq!(survived(scenario, &faults), faults.len());
}

#[test]
fn a_source_that_stays_away_and_a_crm_that_does_are_told_and_lose_nothing() {
    let faults = [
        "source.connect#1+:error",
        "source.row#3+:error",
        "source.slice_read#1+:error",
        "target.before_request#3+:error",
    ];
    let faults: Vec<String> = faults.map(str::to_owned).into();
    assert_eq!(survived(scenario("first"), &faults), faults.len());
}

#[test]
fn a_retry_that_is_killed_loses_nothing() {
    let faults = [
        "target.before_request#1:error,target.before_request#2:kill",
        "target.answered#1:error,target.before_request#2:kill",
        "target.answered#1:error,target.answered#2:kill",
        "target.replied#2:error,ledger.outcomes.before_commit#2:kill",
        "target.replied#1:error,target.replied#2:error",
        "source.row#1:error,source.row#2:kill",
        "source.drained#1:error,source.statement#2:kill",
    ];
    let faults: Vec<String> = faults.map(str::to_owned).into();
    assert_eq!(survived(scenario("first"), &faults), faults.len());
}
