//! What `check` measures in the table beside its clock: how late rows come, and which calls have one key.

use chrono_tz::Tz;

use crate::scene::now;
use crate::stage::{Kind, Stage, call, calls};

fn caracas(_: i64) -> Tz {
    Tz::America__Caracas
}

#[tokio::test]
async fn the_longest_call_is_held_against_the_lookback() {
    let mut rows = calls(400, 100, caracas);
    rows[200].duration = 5 * 3600;
    for kind in Kind::ALL {
        let stage = Stage::of(kind, &rows).await;
        stage.configure(|config| format!("{config}\n[select]\nlookback = \"8h\"\n"));
        let (result, text) = stage.line("lookback", 0);
        assert_eq!(result, "warning", "{kind:?}: {text}");
        assert!(
            text.starts_with("select.lookback is 8h, less than twice what was seen: of ")
                && text.contains(" the longest took 5h, and "),
            "{kind:?}: {text}"
        );
        assert!(
            text.ends_with(
                "; set it to 10h or more, or calls wait for the next `cdrelay sync --full`"
            ),
            "{kind:?}: {text}"
        );
        stage.configure(|config| config);
        let (result, text) = stage.line("lookback", 0);
        assert_eq!(result, "ok", "{kind:?}: {text}");
    }
}

#[tokio::test]
async fn a_row_that_was_written_long_after_its_call_is_found_by_the_order_of_writing() {
    // In the order of writing: one call, over 50 hours before, stands among those of the last day.
    let from = now() - 86_400 * 5;
    let mut rows: Vec<_> = (0..400)
        .map(|n| call(n, from + n * 1_000, &caracas))
        .collect();
    for row in &mut rows {
        row.duration = 60;
    }
    let late = rows.remove(150);
    rows.insert(330, late);
    let seconds = |text: &str| {
        let (_, rest) = text.split_once("a row came ").unwrap();
        let (span, _) = rest.split_once(" or more after").unwrap();
        humantime::parse_duration(span).unwrap().as_secs()
    };
    for (kind, key) in [
        (Kind::MariaDb, "id integer AUTO_INCREMENT PRIMARY KEY"),
        (Kind::Postgres, "id serial PRIMARY KEY"),
        (Kind::Sqlite, "id"),
    ] {
        let column = match kind {
            Kind::MariaDb => "datetime",
            Kind::Postgres => "timestamp",
            Kind::Sqlite | Kind::Csv => "TEXT",
        };
        let stage = Stage::typed(kind, &rows, &format!("{column} NOT NULL, {key}")).await;
        let (_, text) = stage.line("lookback", 0);
        let found = seconds(&text);
        // By the row that stands half-way among the nine before it.
        let truth = (330 - 150) * 1_000;
        assert!(
            (truth - 10_000..truth).contains(&found),
            "{kind:?}: {found}: {text}"
        );
        assert!(text.contains("(by the order of the rows)"), "{text}");
    }
    // Without a key the server keeps no order, and nothing is made up.
    let stage = Stage::of(Kind::MariaDb, &rows).await;
    let (_, text) = stage.line("lookback", 0);
    assert!(
        text.ends_with("and no row came later than its call ended, as far as can be known"),
        "{text}"
    );
}

#[tokio::test]
async fn a_row_that_an_earlier_run_did_not_find_is_known_by_the_ledger() {
    let rows = calls(50, 5, caracas);
    let stage = Stage::of(Kind::MariaDb, &rows).await;
    let begun = now();
    stage.program.sync(&[], 0);
    let late = call(999, begun - 40_000, &caracas);
    let over = i64::try_from(late.duration).unwrap();
    let name = stage.source.rsplit('/').next().unwrap().to_owned();
    let database = crate::support::mariadb::Database {
        server: crate::support::mariadb::server(),
        name,
    };
    // The clock of the runs counts whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    for sql in crate::golden::inserts("cdr", &[late]) {
        database.run(&sql).await;
    }
    stage.program.sync(&[], 0);
    let (_, text) = stage.line("lookback", 0);
    let (_, rest) = text.split_once("a row came ").unwrap();
    let (span, known_by) = rest
        .split_once(" or more after its call had ended (by ")
        .unwrap();
    let found = i64::try_from(humantime::parse_duration(span).unwrap().as_secs()).unwrap();
    assert!((-2..120).contains(&(found + over - 40_000)), "{text}");
    assert!(
        known_by.starts_with("the ledger: an earlier run did not find ")
            && known_by.contains("7039 -> 92000999"),
        "{text}"
    );
}

#[tokio::test]
async fn calls_that_would_have_one_key_are_counted_and_named() {
    let mut rows = calls(300, 5, caracas);
    let mut twin = rows[20].clone();
    // Dialled with the area code: the rules make one number of both.
    twin.dst = format!("90212{}", &rows[20].dst[1..]);
    twin.duration = rows[20].duration + 5;
    twin.uniqueid = format!("{}1", rows[20].uniqueid);
    rows.push(twin);
    let mut near = rows[40].clone();
    near.wall += 1;
    near.uniqueid = format!("{}1", rows[40].uniqueid);
    rows.push(near);
    for kind in Kind::ALL {
        let stage = Stage::of(kind, &rows).await;
        let (result, text) = stage.line("same key", 0);
        assert_eq!(result, "ok", "{kind:?}: {text}");
        let start = crate::golden::stamp(rows[20].wall, ' ');
        assert_eq!(
            text,
            format!(
                "of 302 calls of the last 200h, 1 call would be kept out by another with the same key (second, caller and number \
                 as sent), in 1 group: {start} 7020 -> 902122000020 keeps out {start} 7020 -> 92000020. The CRM keeps one: the \
                 one that was sent first, else the answered, the longest, the one written first; 1 pair one second apart; 0 on \
                 record as kept out"
            ),
            "{kind:?}"
        );
        stage.program.sync(&[], 0);
        let (_, text) = stage.line("same key", 0);
        assert!(text.ends_with("; 1 on record as kept out"), "{text}");
    }
}

#[tokio::test]
async fn a_rule_that_makes_many_numbers_equal_is_a_warning() {
    // Pairs in one second, to two numbers.
    let mut rows = calls(200, 5, caracas);
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut twin = row.clone();
            twin.dst = format!("9{}", 3_000_000 + row.sequence);
            twin.uniqueid = format!("{}1", row.uniqueid);
            twin
        })
        .collect();
    rows.extend(pairs);
    let stage = Stage::of(Kind::Sqlite, &rows).await;
    stage.configure(|config| {
        config.replace("rewrite = \"0212${EXTEN:1}\"", "rewrite = \"02120000000\"")
    });
    let (result, text) = stage.line("same key", 0);
    assert_eq!(result, "warning", "{text}");
    assert!(
        text.contains("200 calls would be kept out")
            && text.contains("in 200 groups")
            && text
                .ends_with("see by `cdrelay explain` whether a rule makes different numbers equal"),
        "{text}"
    );
}
