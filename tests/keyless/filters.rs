//! `[select.where]` chooses calls by whatever columns the source has.

use crate::crm::Crm;
use crate::stage::{CONSTANTS, Row, Stage, at, config, missed};

#[test]
fn a_row_that_is_left_out_says_why_to_those_who_ask() {
    let crm = Crm::good();
    let row = Row {
        dcontext: "from-internal",
        uniqueid: "1763190000.7".to_owned(),
        ..missed("02125550142", 600)
    };
    let stage = at(&crm, &[row]);
    let ran = stage.run(&["sync", "--dry-run", "-v"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains(
            "row 1763190000.7 is left out: its `dcontext` is `from-internal`, and select.where.dcontext wants `from-queue`\n"
        ),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("1 excluded"), "{ran:?}");
}

#[test]
fn a_filter_on_a_column_that_is_not_there_reads_nothing() {
    let crm = Crm::good();
    let stage = Stage::new(&[missed("02125550142", 600)]);
    let text = config(&crm.url(), CONSTANTS).replace("dcontext = [", "agent = [");
    stage.program.configure(&text);
    for verb in ["sync", "check"] {
        let ran = stage.run(&[verb]);
        assert_eq!(ran.code, 5, "{ran:?}");
        let why = "`select.where.agent` names a column that the source does not have; correct the name, or say in `source.columns.agent` what the column is called there";
        assert!(
            format!("{}{}", ran.stdout, ran.stderr).contains(why),
            "{ran:?}"
        );
    }
    // `check` looks at everything else all the same, and runs no class.
    for request in crm.requests() {
        assert!(request.parameters().iter().all(|(name, _)| name != "class"));
    }
}

#[test]
fn a_file_is_filtered_like_a_table() {
    let crm = Crm::good();
    let stage = Stage::new(&[]);
    let at = chrono::DateTime::from_timestamp(crate::stage::now() - 600, 0).unwrap();
    let at = at.format("%Y-%m-%d %H:%M:%S").to_string();
    let line = |src: &str, context: &str, id: &str| {
        format!(
            "\"\",\"{src}\",\"999\",\"{context}\",\"\",\"PJSIP/trunk-1\",\"\",\"Queue\",\"\",\"{at}\",,\"{at}\",0,0,\"NO ANSWER\",\"DOCUMENTATION\",\"{id}\",\"\"\n"
        )
    };
    let lines = [
        line("02125550142", "from-queue", "1.1"),
        line("02125550143", "from-internal", "1.2"),
    ];
    stage.program.write("Master.csv", &lines.concat());
    let text = config(&crm.url(), "").replace("sqlite://cdr.db", "csv:Master.csv");
    stage.program.configure(&text);
    let report = stage.sync(&[], 0);
    assert_eq!(report["rows"]["skipped"]["excluded"], 1, "{report}");
    assert_eq!(crm.numbers(), ["02125550142"]);
}
