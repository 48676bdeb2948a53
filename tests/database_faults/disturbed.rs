//! What happens to a database while it is read: connections killed, the server restarted, limits met, the table locked,
//! dropped or altered.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::cutting_proxy::{Fault, Proxy};
use crate::program::Ran;
use crate::scene::{finish, sandbox, until};
use crate::soak;
use crate::stage::{Database, Kind, Stage, tries_again, wait};
use crate::support::{mariadb, postgres};

/// Starts a run that stops in the middle of a slice, until the proxy is lifted.
fn halfway(stage: &Stage, total: u64) -> std::process::Child {
    stage.proxy.set(Fault::Mute { after: total / 2 });
    let args = ["sync", "--full", "--output", "json", "-v"];
    let child = stage.program.spawn(&args);
    until("half of the window is read", || {
        stage.proxy.passed() >= total / 2
    });
    child
}

/// Ends every connection of a user's.
fn kill_connections(stage: &Stage, user: &str) {
    match &stage.database {
        Database::MariaDb(database) => wait(async {
            let mut connection = database.server.connect("mysql").await;
            let list = "SELECT id FROM information_schema.processlist WHERE user = ?";
            let ids: Vec<i64> = sqlx::query_scalar(list)
                .bind(user)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            for id in ids {
                // It may have gone by itself.
                let _ = (&mut connection)
                    .execute(sqlx::raw_sql(AssertSqlSafe(format!(
                        "KILL CONNECTION {id}"
                    ))))
                    .await;
            }
        }),
        Database::Postgres(database) => wait(async {
            let mut connection = database.server.connect("postgres").await;
            sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
            )
            .bind(user)
            .execute(&mut connection)
            .await
            .unwrap();
        }),
    }
}

/// A user who may read the table and nothing else.
fn reader(stage: &mut Stage, user: &str, with: &str) {
    match stage.kind {
        Kind::MariaDb => stage.database.run(&format!(
            "CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'canary-of-the-source' {with}; \
             GRANT SELECT ON cdr TO {user}@'127.0.0.1'"
        )),
        Kind::Postgres => stage.database.run(&format!(
            "CREATE ROLE {user} LOGIN PASSWORD 'canary-of-the-source' {with}; GRANT SELECT ON cdr TO {user}"
        )),
    }
    stage.program.write("db.password", "canary-of-the-source\n");
    stage.log_in_as(user);
    stage.source("password_file = \"db.password\"");
}

#[track_caller]
fn ended_with_5(stage: &Stage, ran: &Ran, expected: &str) {
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(stage.last_word(ran), format!("cdrelay: {expected}"));
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
}

#[test]
fn a_connection_killed_at_any_instant_is_made_again() {
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        let user = format!("killed_{}", stage.database.name());
        reader(&mut stage, &user, "");
        let total = stage.measure();
        // Stretches a run, so that a kill meets it where it was meant to.
        stage.proxy.delay(Duration::from_millis(2));
        let mut tried_again = 0;
        let rounds = soak::count(4, 100) as u64;
        for round in 0..rounds {
            let crm = sandbox();
            stage.forget();
            stage.point_at(crm.url.as_str());
            stage.proxy.set(Fault::None);
            let args = ["sync", "--full", "--output", "json", "-v"];
            let child = stage.program.spawn(&args);
            let instant = total * round / rounds;
            until("so much is read", || {
                stage.proxy.connections() > 0 && stage.proxy.passed() >= instant
            });
            kill_connections(&stage, &user);
            let ran = finish(child);
            stage.complete(&ran);
            stage.check(&crm);
            tried_again += tries_again(&ran);
        }
        assert!(tried_again > 0, "no kill met a connection in use");
    }
}

/// A server of its own is stopped in mid-run: started again in time, the run is whole; else it ends with 5.
fn restarted(kind: Kind, stop: impl Fn(), start: impl Fn(), database: Database) {
    let stage = Stage::on(kind, database, "");
    let total = stage.measure();
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let child = halfway(&stage, total);
    stop();
    start();
    stage.proxy.lift();
    let ran = finish(child);
    stage.complete(&ran);
    stage.check(&crm);
    assert_eq!(tries_again(&ran), 1, "{ran:?}");

    let crm = sandbox();
    stage.forget();
    stage.point_at(crm.url.as_str());
    let child = halfway(&stage, total);
    stop();
    stage.proxy.lift();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(tries_again(&ran), 3, "{ran:?}");
    start();
    stage.settles(&crm);
}

#[test]
fn a_mariadb_restarted_in_mid_run_costs_a_retry_or_a_run_and_no_call() {
    let server = mariadb::private();
    let database = Database::MariaDb(wait(server.database()));
    restarted(
        Kind::MariaDb,
        || wait(server.stop()),
        || server.start_again(),
        database,
    );

    // "Too many connections", which a private server can be brought to.
    let database = Database::MariaDb(wait(server.database()));
    let mut stage = Stage::on(Kind::MariaDb, database, "");
    reader(&mut stage, "late", "");
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let taken = wait(async {
        let mut taken = vec![server.connect("mysql").await];
        (&mut taken[0])
            .execute(sqlx::raw_sql("SET GLOBAL max_connections = 10"))
            .await
            .unwrap();
        while taken.len() < 10 {
            taken.push(server.connect("mysql").await);
        }
        taken
    });
    let ran = stage.sync();
    ended_with_5(
        &stage,
        &ran,
        "MySQL at 127.0.0.1:PORT failed while connecting; run again, it may be back: Too many connections (08004)",
    );
    assert_eq!(tries_again(&ran), 3, "{ran:?}");
    drop(taken);
    until("there is room again", || stage.sync().code == 0);
    stage.settles(&crm);
}

#[test]
fn a_postgresql_restarted_in_mid_run_costs_a_retry_or_a_run_and_no_call() {
    let server = postgres::private();
    let database = Database::Postgres(wait(server.database()));
    restarted(
        Kind::Postgres,
        || wait(server.stop()),
        || {
            server.start_again();
            // It takes connections before it lets anybody in.
            drop(wait(server.connect("postgres")));
        },
        database,
    );
}

#[test]
fn a_user_without_a_connection_left_is_tried_again_and_told() {
    let mut stage = Stage::new(Kind::Postgres);
    let user = format!("limited_{}", stage.database.name());
    reader(&mut stage, &user, "CONNECTION LIMIT 0");
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let ran = stage.sync();
    ended_with_5(
        &stage,
        &ran,
        &format!(
            "PostgreSQL at 127.0.0.1:PORT failed while connecting; run again, it may be back: too many connections for role \
             \"{user}\" (53300)"
        ),
    );
    assert_eq!(tries_again(&ran), 3, "{ran:?}");
    stage
        .database
        .run(&format!("ALTER ROLE {user} CONNECTION LIMIT -1"));
    stage.settles(&crm);
}

/// Holds a lock on the table that keeps readers out, while `work` is done.
fn locked<T>(stage: &Stage, work: impl FnOnce() -> T) -> T {
    match &stage.database {
        Database::MariaDb(database) => wait(async {
            let mut holder = database.server.connect(&database.name).await;
            let lock = sqlx::raw_sql("LOCK TABLES cdr WRITE");
            (&mut holder).execute(lock).await.unwrap();
            let done = work();
            holder.close().await.unwrap();
            done
        }),
        Database::Postgres(database) => wait(async {
            let mut holder = database.server.connect(&database.name).await;
            let lock = sqlx::raw_sql("BEGIN; LOCK TABLE cdr IN ACCESS EXCLUSIVE MODE");
            (&mut holder).execute(lock).await.unwrap();
            let done = work();
            holder.close().await.unwrap();
            done
        }),
    }
}

#[test]
fn a_table_that_another_has_locked_is_waited_for_and_then_told() {
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        let crm = sandbox();
        stage.source("timeout = \"2s\"");
        stage.point_at(crm.url.as_str());
        let ran = locked(&stage, || stage.sync());
        ended_with_5(
            &stage,
            &ran,
            &format!(
                "{} at 127.0.0.1:PORT did not answer within 2s while describing the table; run again when it is less \
                 busy, or raise `source.timeout`",
                kind.product()
            ),
        );
        assert_eq!(tries_again(&ran), 3, "{ran:?}");
        // With the usual patience, a lock that ends is only waited for.
        stage.source("");
        stage.point_at(crm.url.as_str());
        let child = locked(&stage, || {
            let child = stage
                .program
                .spawn(&["sync", "--full", "--output", "json", "-v"]);
            std::thread::sleep(Duration::from_millis(800));
            child
        });
        let ran = finish(child);
        stage.complete(&ran);
        assert_eq!(tries_again(&ran), 0, "{ran:?}");
        stage.check(&crm);
    }
}

#[test]
fn a_time_limit_of_the_server_is_told() {
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        let user = format!("hurried_{}", stage.database.name());
        let with = match kind {
            Kind::MariaDb => "WITH MAX_STATEMENT_TIME 0.3",
            Kind::Postgres => "",
        };
        reader(&mut stage, &user, with);
        if kind == Kind::Postgres {
            stage.database.run(&format!(
                "ALTER ROLE {user} SET statement_timeout = '300ms'"
            ));
        }
        let crm = sandbox();
        stage.point_at(crm.url.as_str());
        let ran = locked(&stage, || stage.sync());
        let (why, product) = match kind {
            Kind::MariaDb => (
                "Query execution was interrupted (max_statement_time exceeded) (70100)",
                "MySQL",
            ),
            Kind::Postgres => (
                "canceling statement due to statement timeout (57014)",
                "PostgreSQL",
            ),
        };
        ended_with_5(
            &stage,
            &ran,
            &format!(
                "{product} at 127.0.0.1:PORT failed while describing the table; run again, it may be back: {why}"
            ),
        );
        stage.settles(&crm);
    }
}

#[test]
fn a_table_dropped_or_altered_between_two_slices_ends_a_run_or_changes_nothing() {
    for kind in Kind::BOTH {
        let stage = Stage::new(kind);
        let total = stage.measure();
        let crm = sandbox();
        stage.point_at(crm.url.as_str());

        // Gone: told, and the calls that were read are sent.
        let child = halfway(&stage, total);
        stage.database.run("ALTER TABLE cdr RENAME TO gone");
        stage.proxy.lift();
        let ran = finish(child);
        let said = match kind {
            Kind::MariaDb => format!(
                "MySQL at 127.0.0.1:PORT refused while reading calls: Table '{}.cdr' doesn't exist",
                stage.database.name()
            ),
            Kind::Postgres => "PostgreSQL at 127.0.0.1:PORT refused while reading calls: relation \"public.cdr\" does not \
                               exist"
                .to_owned(),
        };
        ended_with_5(&stage, &ran, &said);
        stage.database.run("ALTER TABLE gone RENAME TO cdr");
        stage.settles(&crm);

        // A column in use is gone.
        let crm = sandbox();
        stage.forget();
        stage.point_at(crm.url.as_str());
        let child = halfway(&stage, total);
        stage
            .database
            .run("ALTER TABLE cdr RENAME COLUMN disposition TO outcome");
        stage.proxy.lift();
        let ran = finish(child);
        assert_eq!(ran.code, 5, "{ran:?}");
        let said = match kind {
            // In 'field list', say older servers, in 'SELECT' newer ones.
            Kind::MariaDb => {
                "MySQL at 127.0.0.1:PORT refused while reading calls: Unknown column 'disposition' in '"
            }
            Kind::Postgres => {
                "PostgreSQL at 127.0.0.1:PORT refused while reading calls: column \"disposition\" does not exist"
            }
        };
        let word = stage.last_word(&ran);
        assert!(word.starts_with(&format!("cdrelay: {said}")), "{word}");
        stage
            .database
            .run("ALTER TABLE cdr RENAME COLUMN outcome TO disposition");
        stage.settles(&crm);

        // A column more, in front where the server can do that, changes nothing.
        let crm = sandbox();
        stage.forget();
        stage.point_at(crm.url.as_str());
        let child = halfway(&stage, total);
        let first = match kind {
            Kind::MariaDb => " FIRST",
            Kind::Postgres => "",
        };
        stage.database.run(&format!(
            "ALTER TABLE cdr ADD COLUMN peeraccount varchar(80){first}"
        ));
        stage.proxy.lift();
        stage.complete(&finish(child));
        stage.check(&crm);
    }
}

#[test]
fn a_port_on_which_another_service_answers_is_told() {
    // An HTTP server speaks only when spoken to, and so does not greet as MySQL does.
    let crm = sandbox();
    let port = crm.url.port().unwrap();
    for kind in Kind::BOTH {
        let mut stage = Stage::new(kind);
        stage.proxy = Proxy::to(port);
        stage.source("timeout = \"2s\"");
        stage.point_at(crm.url.as_str());
        let ran = stage.sync();
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(
            stage
                .last_word(&ran)
                .starts_with(&format!("cdrelay: {} at 127.0.0.1:PORT ", kind.product())),
            "{ran:?}"
        );
        assert_eq!(crm.stats().created, 0);
    }
}
