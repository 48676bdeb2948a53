//! Every point, every kind of fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::scenarios::{ALL, scenario};
use super::soak;
use super::stage::Scenario;

/// Jobs that one test runs at the same time.
const WORKERS: usize = 4;

/// Of the points that an earlier job was tried at, every so manieth is tried again.
const EARLIER: usize = 4;

#[test]
fn a_first_run_survives_a_fault_at_every_point() {
    sweep("first");
}

#[test]
fn a_full_run_after_a_change_of_rules_survives_a_fault_at_every_point() {
    sweep("changed");
}

#[test]
fn a_deletion_survives_a_fault_at_every_point() {
    sweep("deletion");
}

#[test]
fn the_run_after_a_killed_deletion_survives_a_fault_at_every_point() {
    sweep("after_deletion");
}

#[test]
fn accepting_a_new_ledger_survives_a_fault_at_every_point() {
    sweep("accepted");
}

#[test]
fn a_run_from_a_spooled_file_survives_a_fault_at_every_point() {
    sweep("csv");
}

#[test]
fn a_rebuild_survives_a_fault_at_every_point() {
    sweep("rebuild");
}

#[test]
fn the_run_that_takes_up_a_rebuild_survives_a_fault_at_every_point() {
    sweep("taken_up");
}

#[test]
fn bringing_an_older_ledger_up_to_date_survives_a_fault_at_every_point() {
    sweep("older");
}

#[test]
fn a_run_that_finds_a_row_gone_survives_a_fault_at_every_point() {
    sweep("row_gone");
}

/// Runs the job with the faults that are due, each on a copy of its own.
#[track_caller]
fn sweep(name: &str) {
    let scenario = scenario(name);
    let faults = if soak::long() {
        every_passage(scenario)
    } else {
        every_point(scenario)
    };
    let begun = Instant::now();
    let met = survived(scenario, &faults);
    println!(
        "{name}: {} passages, {} faults, {met} of them met, {:.1} s",
        scenario.passages.len(),
        faults.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(met * 10 >= faults.len() * 9, "{met} of {}", faults.len());
    let result = format!(
        "{met} met (the order of passages varies), at {} passages; all golden afterwards",
        scenario.passages.len()
    );
    soak::note(&format!("fault points: {name}"), faults.len(), &result);
}

/// Runs the job with each of the faults, several at a time: mostly they wait for a disk or for a pause to pass. Gives how
/// many were met.
#[track_caller]
pub(crate) fn survived(scenario: &Scenario, faults: &[String]) -> usize {
    let next = AtomicUsize::new(0);
    let met = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if scenario.survives(fault) {
                        met.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    met.into_inner()
}

/// Each kind of fault at each passage.
fn every_passage(scenario: &Scenario) -> Vec<String> {
    let kinds = ["kill", "error", "full"];
    (1..=scenario.passages.len())
        .flat_map(|n| kinds.map(|kind| format!("{n}:{kind}")))
        .collect()
}

/// Each kind of fault at the first passage through each point that no earlier job has, a kill at the last one, and one
/// kind at some of the points that another job is tried at.
fn every_point(scenario: &Scenario) -> Vec<String> {
    let earlier: BTreeSet<&str> = ALL
        .iter()
        .take_while(|other| other.name != scenario.name)
        .flat_map(|other| other.passages.iter().map(|passage| passage.point.as_str()))
        .collect();
    let mut points: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for passage in &scenario.passages {
        points
            .entry(&passage.point)
            .or_insert((0, passage.can_fail))
            .0 += 1;
    }
    let mut faults = Vec::new();
    for (turn, (point, (passages, can_fail))) in points.into_iter().enumerate() {
        let kinds: &[&str] = if can_fail {
            &["kill", "error", "full"]
        } else {
            &["kill"]
        };
        if earlier.contains(point) {
            if turn % EARLIER == 0 {
                faults.push(format!("{point}#1:{}", kinds[turn / EARLIER % kinds.len()]));
            }
            continue;
        }
        faults.extend(kinds.iter().map(|kind| format!("{point}#1:{kind}")));
        if passages > 1 {
            faults.push(format!("{point}#{passages}:kill"));
        }
    }
    faults
}
