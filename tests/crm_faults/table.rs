//! The table of faults: every case is played, and all that went otherwise are reported together.

use std::collections::BTreeSet;

use super::stage::{Case, in_parallel};
use super::{
    answers, connections, echoes, framing, logins, redirects, statuses, strict, suspicions, tls,
};

/// So many cases are on the stage at a time; nearly all of their time they wait for a deadline or a pause.
const AT_A_TIME: usize = 64;

#[test]
fn every_fault_leaves_the_calls_as_the_table_says_and_an_undisturbed_run_brings_golden() {
    let wanted = std::env::var("CDRELAY_CASE").unwrap_or_default();
    let cases: Vec<Case> = [
        // The slow ones first.
        connections::cases(),
        framing::cases(),
        strict::cases(),
        statuses::cases(),
        answers::cases(),
        suspicions::cases(),
        echoes::cases(),
        logins::cases(),
        redirects::cases(),
        tls::cases(),
    ]
    .into_iter()
    .flatten()
    .filter(|case| case.name.contains(&wanted))
    .collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name twice");
    assert!(cases.len() >= 100 || !wanted.is_empty(), "{}", cases.len());
    let failures = in_parallel(&cases, AT_A_TIME, Case::play);
    let told: Vec<String> = failures
        .iter()
        .map(|(n, why)| format!("{}: {why}", cases[*n].name))
        .collect();
    assert!(
        told.is_empty(),
        "{} of {} cases went otherwise:\n{}",
        told.len(),
        cases.len(),
        told.join("\n")
    );
}
