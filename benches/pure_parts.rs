//! The steps between a row and a request that do no input and no output, one by one: `contrib/bench --pure`.

#![allow(
    missing_docs,
    reason = "criterion's macros make items that nobody documents"
)]

use std::hint::black_box;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cdrelay::call::{
    Call, ColumnTime, Disposition, Fold, Identity, Origin, PhoneNumber, RawNumber, TimeKind,
};
use cdrelay::cdr::clock::Clock;
use cdrelay::cdr::window::Window;
use cdrelay::cdr::{Assembly, wire};
use cdrelay::config::{self, Config};
use cdrelay::intake::Settings;
use cdrelay::ledger::{Entry, Missing, PlanContext, State, plan};
use cdrelay::number::dialplan::Pattern;
use cdrelay::source::{CdrRow, DurationCell, SLICE_ROWS, StartCell};
use cdrelay::target::Receipt;
use cdrelay::target::http::Secrets;
use cdrelay::target::nimbox::verdict::{Answer, Reading, classify};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// 2026-02-01 00:00:00 on the column's clock.
const FIRST: i64 = 1_769_904_000;

/// The configuration that users start from, read as the program reads it.
fn config(directory: &Path) -> Config {
    let private = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("a mode can be set");
        path
    };
    private("db.password", "secret\n");
    private("nimbox.token", "secret\n");
    let path = private(
        "cdrelay.toml",
        include_str!("../examples/quickstart-freepbx.toml"),
    );
    config::load(&path, &|_| None).expect("the example is a configuration")
}

/// A full slice, one call a minute.
fn rows() -> Vec<CdrRow> {
    (0..SLICE_ROWS as i64)
        .map(|n| CdrRow {
            start: StartCell::At(ColumnTime(FIRST + 60 * n)),
            source: format!("{}", 200 + n % 80),
            destination: format!("90212555{:04}", n % 9000),
            duration: DurationCell::Seconds(120),
            disposition: Disposition::Answered,
            origin: Origin {
                // Caracas is four hours behind.
                uniqueid: Some(format!("{}.{n}", FIRST + 60 * n + 4 * 3600)),
                linkedid: Some(format!("{}.{n}", FIRST + 60 * n + 4 * 3600)),
                sequence: Some(n),
            },
            extra: vec![Some(format!("out-90212555{:04}-{n}.wav", n % 9000))],
        })
        .collect()
}

fn numbers(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = config(directory.path());
    let settings = Settings::new(&config).expect("the example's rules");
    let mut group = c.benchmark_group("numbers");
    for (name, number) in [
        ("rules/local", "95550142"),
        ("rules/long distance", "902125550142"),
        ("rules/extension", "7222"),
    ] {
        let number = RawNumber(number.to_owned());
        group.bench_function(name, |b| {
            b.iter(|| settings.destination.apply(black_box(&number)));
        });
    }
    for (name, pattern, number) in [
        ("dialplan/literal and N", "_9NXXXXXX", "95550142"),
        ("dialplan/any length", "_9X.", "902125550142"),
        ("dialplan/sets", "_0[24]XXXXXXXXX", "02125550142"),
        ("dialplan/no match", "_*.", "902125550142"),
    ] {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        group.bench_function(name, |b| {
            b.iter(|| pattern.is_match(black_box(number)));
        });
    }
    group.finish();
}

fn calls(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = config(directory.path());
    let clock = Clock::new(TimeKind::Wall, config.source.timezone);
    let extra = ["recordingfile".to_owned()];
    let assembly = Assembly {
        clock: &clock,
        window: Window {
            since: FIRST - 86_400,
            until: FIRST + 366 * 86_400,
        },
        select: &config.select,
        empty_source: None,
        extra_roles: &extra,
    };
    let rows = rows();
    let assembled = assembly.assemble(rows.clone());
    assert_eq!(assembled.calls.len(), SLICE_ROWS, "{:?}", assembled.counts);
    let mut group = c.benchmark_group("calls");
    group.throughput(Throughput::Elements(SLICE_ROWS as u64));
    group.bench_function("rows to calls, one slice", |b| {
        let fresh = || rows.clone();
        b.iter_batched(fresh, |rows| assembly.assemble(rows), BatchSize::LargeInput);
    });
    group.throughput(Throughput::Elements(1));
    let call = &assembled.calls[0];
    let form = |call: &Call| {
        wire::wire_form(
            call,
            PhoneNumber("200".to_owned()),
            PhoneNumber("02125550142".to_owned()),
            &clock,
            config.target.initiated_as,
            config.target.recording_url.as_ref(),
            &extra,
        )
    };
    assert!(form(call).url.is_some());
    group.bench_function("wire form", |b| b.iter(|| form(black_box(call))));
    let wire = form(call);
    group.bench_function("key of a wire form", |b| {
        b.iter(|| black_box(&wire).key_hash());
    });
    group.bench_function("content of a wire form", |b| {
        b.iter(|| black_box(&wire).content_hash());
    });
    group.finish();
}

fn decisions(c: &mut Criterion) {
    let entry = Entry {
        identity: Identity {
            start: ColumnTime(FIRST),
            fold: Fold(0),
            source: RawNumber("200".to_owned()),
            destination: RawNumber("902125550142".to_owned()),
        },
        state: State::Delivered,
        pending: None,
        attempts: 1,
        unanswered: 0,
        last_attempt: Some(FIRST),
        content_hash: 42,
        drift: false,
        missing: Missing::Nothing,
        receipt: Receipt::default(),
        wire: None,
    };
    let context = PlanContext {
        full: true,
        resend: false,
        recheck_before: FIRST,
    };
    let mut group = c.benchmark_group("decisions");
    group.bench_function("plan/unchanged call", |b| {
        b.iter(|| {
            plan(
                black_box(Some(entry.standing())),
                black_box(Some(42)),
                &context,
            )
        });
    });
    group.bench_function("plan/new call", |b| {
        b.iter(|| plan(black_box(None), black_box(Some(42)), &context));
    });
    let (hidden, exists) = (Secrets::default(), ["ya existe".to_owned()]);
    let reading = Reading {
        already_exists: &exists,
        hidden: &hidden,
        now: chrono::DateTime::UNIX_EPOCH,
    };
    for (name, body) in [
        (
            "verdict/created",
            r#"{"error":false,"contactId":12334,"phonecallId":3241}"#,
        ),
        (
            "verdict/no contact",
            r#"{"error":true,"errors":{"destination":"no se consiguió el número de destino en la base de datos"}}"#,
        ),
    ] {
        let answer = Answer {
            status: 200,
            body: body.as_bytes(),
            ..Answer::default()
        };
        group.bench_function(name, |b| {
            b.iter(|| classify(black_box(&answer), &reading));
        });
    }
    group.finish();
}

criterion_group!(benches, numbers, calls, decisions);
criterion_main!(benches);
