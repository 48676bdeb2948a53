//! A purge takes old runs away; the sums over all runs, and what the last runs came to, stay.

use cdrelay::call::ColumnTime;
use cdrelay::ledger::{Access, Ledger, RunRecord, RunStart};
use cdrelay::report::metrics::Metrics;

async fn run(ledger: &Ledger, mode: &str, started: i64, exit_code: u8) {
    let run = ledger
        .start_run(RunStart {
            mode: mode.to_owned(),
            window: 0..started,
            settings: "s".to_owned(),
            started,
        })
        .await
        .unwrap();
    let record = RunRecord {
        ended: started + 10,
        exit_code,
        reason: String::new(),
        counts: "{\"timings\":{\"total_s\":9.5}}".to_owned(),
        requests_sent: 100,
        requests_retried: 3,
    };
    ledger.finish_run(run, record).await.unwrap();
}

#[tokio::test]
async fn counters_never_go_backwards_and_the_last_success_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let open = || Ledger::open(&path, "pbx", Access::ReadWrite, 5);
    let (ledger, _) = open().await.unwrap();
    // Never run: the ledger's birth is all there is.
    assert_eq!(ledger.born().await.unwrap(), Some(5));
    run(&ledger, "full", 1_000, 0).await;
    run(&ledger, "incremental", 2_000, 0).await;
    for at in 3..20 {
        run(&ledger, "incremental", at * 1_000, 4).await;
    }
    // Killed.
    ledger
        .start_run(RunStart {
            mode: "full".to_owned(),
            window: 0..1,
            settings: "s".to_owned(),
            started: 20_000,
        })
        .await
        .unwrap();
    assert_eq!(ledger.born().await.unwrap(), Some(1_000));
    let before = Metrics::read(&ledger, "pbx").await.unwrap();
    assert_eq!(before.requests, Some(1_900));
    assert_eq!(before.retries, Some(57));
    assert_eq!(before.last_success, Some(2_010));
    assert_eq!(before.last_run.unwrap().ended, 19_010);
    assert_eq!(before.durations.len(), 2);
    assert_eq!(before.durations["full"], 9.5);
    // Another job's runs are its own.
    let (other, _) = Ledger::open(&path, "other", Access::ReadOnly, 5)
        .await
        .unwrap();
    assert_eq!(other.totals().await.unwrap().requests_sent, 0);
    other.close().await.unwrap();
    for cut in [5_000, 15_000, 1_000_000, 1_000_000] {
        let announced = ledger.doomed(ColumnTime(0), cut).await.unwrap().runs;
        let before_it = ledger.runs(100).await.unwrap().len() as u64;
        ledger.purge(ColumnTime(0), cut).await.unwrap();
        let after_it = ledger.runs(100).await.unwrap().len() as u64;
        assert_eq!(announced, before_it - after_it, "{cut}");
        assert_eq!(
            Metrics::read(&ledger, "pbx").await.unwrap(),
            before,
            "{cut}"
        );
    }
    let left: Vec<i64> = ledger
        .runs(100)
        .await
        .unwrap()
        .iter()
        .map(|run| run.start.started)
        .collect();
    assert_eq!(
        left,
        [19_000, 2_000, 1_000],
        "the last of each mode, and its last success"
    );
    ledger.close().await.unwrap();
    // On record, not only in memory.
    let (ledger, _) = open().await.unwrap();
    assert_eq!(Metrics::read(&ledger, "pbx").await.unwrap(), before);
    run(&ledger, "incremental", 30_000, 0).await;
    let after = Metrics::read(&ledger, "pbx").await.unwrap();
    assert_eq!(after.requests, Some(2_000));
    assert_eq!(after.retries, Some(60));
    assert_eq!(after.last_success, Some(30_010));
    ledger.close().await.unwrap();
}
