//! A window of any size is spooled in bounded memory. A process of its own, so that nothing else counts.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]
#![cfg(target_os = "linux")]

use cdrelay::call::{ColumnTime, Disposition, Origin};
use cdrelay::source::spool::Spool;
use cdrelay::source::{CdrRow, DurationCell, StartCell};

/// The most memory that this process ever had, in KiB (proc(5), `VmHWM`).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn two_hundred_thousand_rows_take_no_more_memory_than_two_slices() {
    let row = |n: i64| CdrRow {
        // Nearly in order, as calls are hung up.
        start: StartCell::At(ColumnTime(n / 3 + n % 101)),
        source: format!("1001{n}"),
        destination: "5".repeat(400),
        duration: DurationCell::Seconds(7),
        disposition: Disposition::Answered,
        origin: Origin {
            uniqueid: Some(n.to_string()),
            ..Origin::default()
        },
        extra: vec![Some("out-5550100.wav".to_owned())],
    };
    let before = peak();
    let mut spool = Spool::new().unwrap();
    for block in 0..100 {
        spool
            .append((block * 2_000..(block + 1) * 2_000).map(row).collect())
            .unwrap();
    }
    let mut spooled = spool.finish(ColumnTime(0)..ColumnTime(100_000)).unwrap();
    assert_eq!(spooled.rows(), 200_000);
    let mut read = 0;
    while let Some(slice) = spooled.next().unwrap() {
        read += slice.rows.len();
    }
    assert_eq!(read, 200_000);
    // The rows' text alone is over 80 MB.
    let grown = peak() - before;
    assert!(grown < 32 << 10, "{grown} KiB");
}
