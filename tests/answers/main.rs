//! What an administrator is told when somebody asks "where is my call?": by the real program, about real sources.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on says so by panicking; the support files serve several tests"
)]

#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/unruly.rs"]
mod unruly;

mod lab;
mod lists;
mod why;

use cdrelay::sandbox::{Contacts, RunningSandbox, SandboxOptions};

use golden::Row;
use program::Ran;
use scene::{Scene, at_any_date, pass_on, sandbox_with};
use unruly::{Reply, Unruly};

/// 2026-03-02 09:00:00 in Caracas, as a wall clock.
pub const BEGUN: i64 = 1_772_442_000;

/// The same as an instant.
pub const INSTANT: i64 = BEGUN + 4 * 3600;

/// Arguments of a run over the days of the rows.
pub const WINDOW: [&str; 4] = ["--since", "2026-03-01", "--until", "2026-03-10"];

pub fn row(minutes: i64, src: &str, dst: &str, disposition: &'static str, sequence: u64) -> Row {
    Row {
        wall: BEGUN + minutes * 60,
        src: src.to_owned(),
        dst: dst.to_owned(),
        duration: 40 + sequence,
        disposition,
        uniqueid: format!("{}.{sequence}", INSTANT + minutes * 60),
        sequence,
        recordingfile: if sequence == 1 {
            format!("out-{dst}-{src}.wav")
        } else {
            String::new()
        },
    }
}

/// One call of every kind, for a CRM that has four contacts and refuses one caller.
pub struct Stage {
    pub scene: Scene,
    pub crm: Unruly,
    behind: RunningSandbox,
}

impl Stage {
    /// Nothing was sent yet.
    pub fn fresh() -> Self {
        Self::of(vec![
            row(0, "7001", "92853348", "ANSWERED", 1),
            row(1, "7002", "904145550002", "NO ANSWER", 2),
            row(2, "7003\u{1b}[31m", "0414555\n0003", "BUSY", 3),
            // Two ways to dial one number in one second: the answered one stays.
            row(3, "7004", "92853349", "NO ANSWER", 4),
            row(3, "7004", "902122853349", "ANSWERED", 5),
            row(4, "=1+7002", "+584145550002", "ANSWERED", 6),
            row(5, "7009", "904145550002", "BUSY", 7),
            row(24 * 60, "7005", "902125550005", "ANSWERED", 8),
            row(25 * 60, "7001", "7002", "ANSWERED", 9),
            // Two phones rang: the unanswered leg was written first.
            row(26 * 60, "7006", "902125550005", "NO ANSWER", 10),
            row(26 * 60, "7006", "902125550005", "ANSWERED", 11),
        ])
    }

    pub fn of(rows: Vec<Row>) -> Self {
        let scene = Scene::of(rows);
        let behind = sandbox_with(SandboxOptions {
            contacts: Contacts::parse("02122853348\n02122853349\n0414555\n02125550005\n"),
            ..SandboxOptions::default()
        });
        let addr = behind.addr;
        let crm = Unruly::start(move |_, line| {
            if line.contains("source=7003") {
                Reply::Json(
                    200,
                    r#"{"error":true,"errors":{"source":"origen\u202e 04145550003 desconocido"}}"#
                        .to_owned(),
                )
            } else {
                pass_on(addr, line)
            }
        });
        scene.point_at_with(&crm.url(), at_any_date);
        Self { scene, crm, behind }
    }

    /// A run over all of it.
    pub fn synced() -> Self {
        let stage = Self::fresh();
        let mut args = vec!["sync"];
        args.extend(WINDOW);
        let ran = stage.run(&args);
        assert_eq!(ran.code, 3, "{ran:?}");
        stage
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.scene.program.run(args)
    }

    /// What a command that succeeds prints, in full.
    #[track_caller]
    pub fn prints(&self, args: &[&str], stdout: &str) {
        self.scene.said(&self.run(args), 0, stdout, "");
    }

    /// The command line is refused with these words.
    #[track_caller]
    pub fn refuses(&self, args: &[&str], stderr: &str) {
        self.scene.said(&self.run(args), 2, "", stderr);
    }
}
