//! A database that accepts connections and falls silent hangs no run.

use std::time::{Duration, Instant};

use crate::cutting_proxy::Fault;
use crate::scene::{finish, sandbox, signal, until};
use crate::stage::{Kind, Stage, tries_again};

/// Only a run that hangs takes so long.
const HANGS: Duration = Duration::from_secs(60);

/// `source` is what the stage's `[source]` needs. Only the run that meets silence is impatient: a machine may be slow.
fn mute_at(stage: &mut Stage, source: &str, after: u64, doing: &str) {
    let crm = sandbox();
    stage.forget();
    stage.source(&format!("timeout = \"2s\"\n{source}"));
    stage.point_at(crm.url.as_str());
    stage.source(source);
    stage.proxy.set(Fault::Mute { after });
    let since = Instant::now();
    let ran = stage.sync();
    assert!(since.elapsed() < HANGS, "{:?}", since.elapsed());
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(tries_again(&ran), 3, "{ran:?}");
    let product = stage.kind.product();
    // The fourth try meets a server that is mute from the first byte on.
    assert_eq!(
        stage.last_word(&ran),
        format!(
            "cdrelay: {product} at 127.0.0.1:PORT did not answer within 2s while connecting; run again when it is less \
             busy, or raise `source.timeout`"
        )
    );
    assert!(
        ran.stderr.contains(&format!("within 2s while {doing}")),
        "after {after}: {ran:?}"
    );
    stage.settles(&crm);
}

fn mute(kind: Kind) {
    let mut stage = Stage::new(kind);
    let total = stage.measure();
    // At once, in the greeting or login, in the description, in the middle of a slice.
    mute_at(&mut stage, "", 0, "connecting");
    mute_at(&mut stage, "", 30, "connecting");
    mute_at(&mut stage, "", total / 2, "reading calls");
}

#[test]
fn a_mute_mariadb_ends_a_run_with_5() {
    mute(Kind::MariaDb);
}

#[test]
fn a_mute_postgresql_ends_a_run_with_5() {
    mute(Kind::Postgres);
}

#[test]
fn a_server_that_falls_mute_in_the_tls_handshake_ends_a_run_with_5() {
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        let ca = stage.program.path("ca.pem");
        crate::protected::authority(kind).write_ca(&ca);
        let verified = "tls = \"verify\"\nca_file = \"ca.pem\"";
        stage.source(verified);
        let crm = sandbox();
        stage.settles(&crm);
        stage.forget();
        // Behind the greeting, and behind PostgreSQL's one byte that agrees to TLS.
        let agreed = match kind {
            Kind::MariaDb => 120,
            Kind::Postgres => 2,
        };
        mute_at(&mut stage, verified, agreed, "connecting");
        mute_at(&mut stage, verified, agreed + 500, "connecting");
    }
}

#[test]
fn a_signal_and_the_end_of_the_run_are_heard_while_the_database_is_mute() {
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        stage.source("timeout = \"10m\"");
        let total = stage.measure();
        for after in [0, total / 2] {
            for (name, code) in [("TERM", 143), ("INT", 130)] {
                let crm = sandbox();
                stage.forget();
                stage.point_at(crm.url.as_str());
                stage.proxy.set(Fault::Mute { after });
                let child = stage.program.spawn(&["sync", "--full", "-q"]);
                until("the database is mute", || {
                    stage.proxy.passed() >= after && stage.proxy.connections() > 0
                });
                std::thread::sleep(Duration::from_millis(100));
                let since = Instant::now();
                signal(&child, name);
                let ran = finish(child);
                assert_eq!(ran.code, code, "{ran:?}");
                assert!(since.elapsed() < HANGS, "{:?}", since.elapsed());
                stage.settles(&crm);
            }
        }
        // The connection deadline of 10 s would come later than this.
        let crm = sandbox();
        stage.forget();
        let source = format!("url = \"{}\"\ntimeout = \"10m\"", stage.url());
        let config = crate::golden::config(&source, crm.url.as_str())
            .replace("token_file", "timeout = \"1s\"\ntoken_file");
        stage.program.configure(&config);
        stage.proxy.set(Fault::Mute { after: total / 2 });
        let since = Instant::now();
        let ran = stage
            .program
            .run(&["sync", "--full", "--max-runtime", "1s"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(since.elapsed() < HANGS, "{:?}", since.elapsed());
        stage.settles(&crm);
    }
}
