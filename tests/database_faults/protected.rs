//! The connection to a database is protected as the configuration says, or there is none: what passes is looked at on the
//! wire.

use crate::cutting_proxy::{Fault, Proxy};
use crate::scene::sandbox;
use crate::stage::{Database, Kind, Stage, tries_again, wait};
use crate::support::tls::Authority;
use crate::support::{mariadb, postgres};

const PASSWORD: &str = "canary-of-the-source";

/// The CA of the server that tests share.
pub fn authority(kind: Kind) -> &'static Authority {
    match kind {
        Kind::MariaDb => &mariadb::server().authority,
        Kind::Postgres => &postgres::server().authority,
    }
}

/// A stage with a user who has a password, and TLS as asked for.
fn with_password(mut stage: Stage, user: &str, with: &str, source: &str) -> Stage {
    let create = match stage.kind {
        Kind::MariaDb => format!(
            "CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' {with}; GRANT SELECT ON cdr TO {user}@'127.0.0.1'"
        ),
        Kind::Postgres => {
            format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON cdr TO {user}")
        }
    };
    stage.database.run(&create);
    stage.program.write("db.password", &format!("{PASSWORD}\n"));
    stage.log_in_as(user);
    stage.source(&format!("password_file = \"db.password\"\n{source}"));
    stage
}

/// Neither password nor user nor table passes in the clear.
#[track_caller]
fn nothing_in_the_clear(stage: &Stage, proxy: &Proxy, user: &str) {
    for secret in [PASSWORD, user, "7001", "calldate", &stage.rows[0].uniqueid] {
        assert!(
            !proxy.saw(secret.as_bytes()),
            "`{secret}` passed in the clear"
        );
    }
}

#[track_caller]
fn refused(stage: &Stage, user: &str, expected: &str) {
    let crm = sandbox();
    stage.point_at(crm.url.as_str());
    let before = stage.proxy.connections();
    let ran = stage.sync();
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(stage.last_word(&ran), format!("cdrelay: {expected}"));
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    assert_eq!(tries_again(&ran), 0, "to try again would not help");
    assert_eq!(stage.proxy.connections() - before, 1);
    nothing_in_the_clear(stage, &stage.proxy, user);
    assert_eq!(crm.stats().requests, 0);
}

const VERIFY: &str = "tls = \"verify\"\nca_file = \"ca.pem\"";

#[test]
fn a_server_that_insists_on_tls_is_read_over_tls_and_refuses_plaintext() {
    for kind in Kind::BOTH {
        let stage = Stage::new(kind);
        let (user, with) = match kind {
            Kind::MariaDb => (format!("insists_{}", stage.database.name()), "REQUIRE SSL"),
            Kind::Postgres => ("tlsonly".to_owned(), ""),
        };
        let mut stage = with_password(stage, &user, with, VERIFY);
        authority(kind).write_ca(&stage.program.path("ca.pem"));
        let crm = sandbox();
        stage.settles(&crm);
        assert!(stage.proxy.sent() > 500, "what was read has gone this way");
        nothing_in_the_clear(&stage, &stage.proxy, &user);

        stage.source("password_file = \"db.password\"\ntls = \"plaintext\"");
        stage.point_at(crm.url.as_str());
        let ran = stage.sync();
        assert_eq!(ran.code, 5, "{ran:?}");
        let said = match kind {
            Kind::MariaDb => format!(
                "MySQL at 127.0.0.1:PORT refused user `{user}`: Access denied for user '{user}'@'127.0.0.1' (using \
                 password: YES); check the user in `source.url` and the password in `source.password_file`"
            ),
            Kind::Postgres => {
                "PostgreSQL at 127.0.0.1:PORT refused user `tlsonly`: pg_hba.conf rejects connection for host \
                 \"127.0.0.1\", user \"tlsonly\", database \"DATABASE\", no encryption; check the user in `source.url`, \
                 the password in `source.password_file`, and pg_hba.conf there"
                    .replace("DATABASE", stage.database.name())
            }
        };
        assert_eq!(stage.last_word(&ran), format!("cdrelay: {said}"));
        assert!(!stage.proxy.saw(PASSWORD.as_bytes()), "not even then");
    }
}

#[test]
fn a_server_that_cannot_do_tls_or_is_made_to_seem_so_gets_nothing() {
    for kind in Kind::BOTH {
        let (product, place) = (kind.product(), "127.0.0.1:PORT");
        let reason = "server does not support TLS";
        let expected = format!(
            "no TLS with {product} at {place}: {reason}; switch TLS on there, or set `source.tls = \"plaintext\"` if the \
             network between is trusted"
        );
        let user = format!("careful_{}", kind.product().to_lowercase());
        let database = match kind {
            Kind::MariaDb => Database::MariaDb(wait(mariadb::server_without_tls().database())),
            Kind::Postgres => Database::Postgres(wait(postgres::server_without_tls().database())),
        };
        let stage = with_password(Stage::on(kind, database, ""), &user, "", VERIFY);
        authority(kind).write_ca(&stage.program.path("ca.pem"));
        refused(&stage, &user, &expected);

        // One that can, behind somebody who takes the offer out of its greeting.
        let stage = with_password(Stage::new(kind), &user, "", VERIFY);
        authority(kind).write_ca(&stage.program.path("ca.pem"));
        stage.proxy.forge(match kind {
            // CLIENT_SSL, 0x0800, in the lower two bytes of the capabilities, which follow the server's version, four
            // bytes of thread id, eight of salt and one filler ("Initial Handshake Packet", MariaDB's documentation).
            Kind::MariaDb => |greeting: &mut Vec<u8>| {
                let version = greeting[5..].iter().position(|&byte| byte == 0).unwrap();
                greeting[5 + version + 1 + 4 + 8 + 1 + 1] &= !0x08;
            },
            Kind::Postgres => |answer: &mut Vec<u8>| answer[0] = b'N',
        });
        refused(&stage, &user, &expected);
    }
}

#[test]
fn another_ca_and_an_expired_certificate_are_refused_before_the_login() {
    for kind in Kind::BOTH {
        let user = format!("wary_{}", kind.product().to_lowercase());
        let stage = with_password(Stage::new(kind), &user, "", VERIFY);
        Authority::new().write_ca(&stage.program.path("ca.pem"));
        let product = kind.product();
        refused(
            &stage,
            &user,
            &format!(
                "the certificate of {product} at 127.0.0.1:PORT is not accepted: invalid peer certificate: UnknownIssuer; \
                 set `source.ca_file` to the CA that signed it, and use the host name that it was issued for in \
                 `source.url`"
            ),
        );
    }
    let server = mariadb::private();
    let expired = Authority::expired();
    let database = Database::MariaDb(wait(server.database()));
    let stage = with_password(Stage::on(Kind::MariaDb, database, ""), "wary", "", VERIFY);
    let ca = wait(server.present(&expired));
    std::fs::copy(ca, stage.program.path("ca.pem")).unwrap();
    let crm = sandbox();
    stage.proxy.set(Fault::None);
    stage.point_at(crm.url.as_str());
    let ran = stage.sync();
    assert_eq!(ran.code, 5, "{ran:?}");
    let word = stage.last_word(&ran);
    // The day and the seconds since stand between these two.
    assert!(
        word.starts_with(
            "cdrelay: the certificate of MySQL at 127.0.0.1:PORT is not accepted: invalid peer certificate: certificate \
             expired: "
        ) && word.ends_with(
            "; set `source.ca_file` to the CA that signed it, and use the host name that it was issued for in `source.url`"
        ),
        "{word}"
    );
    nothing_in_the_clear(&stage, &stage.proxy, "wary");
    // Renewed, it serves.
    let good = Authority::new();
    let ca = wait(server.present(&good));
    std::fs::copy(ca, stage.program.path("ca.pem")).unwrap();
    stage.settles(&crm);
}

#[test]
fn a_user_with_the_right_to_select_alone_is_enough_and_its_password_is_never_shown() {
    for kind in Kind::BOTH {
        let user = format!("modest_{}", kind.product().to_lowercase());
        let mut stage = with_password(Stage::new(kind), &user, "", "");
        let crm = sandbox();
        stage.settles(&crm);
        stage.source("password_file = \"db.password\"\ntimeout = \"300ms\"");
        stage.point_at(crm.url.as_str());
        let total = stage.proxy.passed();
        // Every kind of fault, at the highest level of detail.
        for fault in [
            Fault::Cut {
                after: 10,
                once: false,
                reset: true,
            },
            Fault::Cut {
                after: 300,
                once: false,
                reset: false,
            },
            Fault::Mute { after: total / 2 },
            Fault::Mute { after: 90 },
        ] {
            stage.proxy.set(fault);
            let ran = stage.sync();
            assert_eq!(ran.code, 5, "{ran:?}");
            assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
        }
        stage.proxy.set(Fault::None);
        stage.source("password_file = \"db.password\"");
        stage.point_at(crm.url.as_str());
        stage.program.write("db.password", "canary-that-is-wrong\n");
        for args in [&["sync", "-vvv"][..], &["check", "-vvv"]] {
            let ran = stage.program.run(args);
            assert_eq!(ran.code, 5, "{ran:?}");
            assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
        }
        assert!(
            !stage.proxy.saw(PASSWORD.as_bytes()),
            "both servers ask for a proof of the password, not for the password"
        );
        stage.program.write("db.password", &format!("{PASSWORD}\n"));
        stage.settles(&crm);
    }
}
