//! Recorded messages, from a file and from stdin.

use crate::program::Ran;
use crate::stage::{Stage, inbound, outbound};
use crate::{INBOUND, OUTBOUND};

/// The format sample at the head of the documentation.
const SAMPLE: &str = "calleridnum=041139735857&didnumber=8008008&activenum=041139735855&source=AGENT&event=ringing&uniqueid=78969&sessionid=efeb7b374a3408b0d0954f30a1504d83&eventTime=2010-01-01 08:21:58&AgentTeamId=20&modeltype=Campaign&model_id=10&AgentGroupId=100&calltype=dialout&channel=Local/015967121144@hosted-dialout-408a;1&from=dialout&";

#[test]
fn a_recording_becomes_rows_and_again_changes_nothing() {
    let stage = Stage::new("");
    let lines: Vec<&str> = OUTBOUND.iter().chain(&INBOUND).copied().collect();
    stage
        .program
        .write("messages.txt", &(lines.join("\n") + "\n\n# the end\n"));
    let ran = stage.program.run(&["collect", "--from", "messages.txt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stdout,
        "13 messages read, 13 of them new; 2 rows written, 0 corrected, 0 calls not ended\n"
    );
    assert_eq!(stage.rows(), [outbound(), inbound()]);
    let ran = stage
        .program
        .run(&["collect", "--from", "messages.txt", "--output", "json"]);
    assert_eq!(
        ran.stdout,
        "{\"messages\":13,\"new\":0,\"refused\":0,\"rows\":0,\"corrected\":0,\"open\":0,\"complaints\":[]}\n"
    );
    assert_eq!(stage.synced("2010-01-01", "2010-01-02").len(), 2);
}

#[test]
fn the_documentation_itself_is_a_recording() {
    let stage = Stage::new("");
    let quoted = |message: &str| format!("* step: <code>message=\"{message}\";</code> ");
    let page: String = OUTBOUND
        .iter()
        .chain(&INBOUND)
        .map(|message| quoted(message))
        .collect();
    let page = format!("function sonAccept(message) {{ }} {}{page}", quoted(SAMPLE));
    let mut command = stage.program.command(&["collect", "--from", "-"]);
    let ran = Ran::fed(&mut command, page.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(stage.rows(), [outbound(), inbound()]);
}

#[test]
fn lines_that_are_none_are_named_and_the_others_taken() {
    let stage = Stage::new("");
    let text = format!(
        "{}\nhello\u{1b}[2J\n{}\nsessionid=1&source=AGENT\n",
        OUTBOUND.join("\n"),
        INBOUND[0]
    );
    stage.program.write("messages.txt", &text);
    let ran = stage.program.run(&["collect", "--from", "messages.txt"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        ran.stderr,
        "cdrelay: 2 lines in messages.txt could not be read: line 8: the message has no `sessionid`, so nothing says which call it is about; line 10: the message has no `event`\n"
    );
    assert!(
        ran.stdout.starts_with(
            "8 messages read, 8 of them new; 1 row written, 0 corrected, 1 call not ended\n"
        ),
        "{}",
        ran.stdout
    );
    assert_eq!(stage.rows(), [outbound()]);
    let ran = stage.program.run(&["collect", "--from", "none.txt"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "cdrelay: cannot read none.txt: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_configuration_with_nothing_but_a_collector_collects() {
    let stage = Stage::new("");
    stage
        .program
        .configure("[collector]\ntimezone = \"Asia/Shanghai\"\nstore = \"sqlite:collector.db\"\n");
    stage.program.write("messages.txt", &OUTBOUND.join("\n"));
    let ran = stage.program.run(&["collect", "--from", "messages.txt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(stage.rows(), [outbound()]);
    // `sync` stays strict.
    let ran = stage.program.run(&["sync"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("`source.url` is missing"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_demonstration_of_events_plays_both_calls_through_to_the_crm() {
    let stage = Stage::new("");
    let demo = ["demo", "--events", "--dir", "demo"];
    let ran = Ran::of(stage.program.bare(&demo).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let held = "\nThe CRM now holds:\n  2010-01-01T00:22:01Z 041139735857 -> 0138888888888, 46 s\n  2010-01-01T03:11:07Z 0138888888888 -> 041139735857, 107 s\n";
    assert!(ran.stdout.contains(held), "{}", ran.stdout);
    assert_eq!(
        ran.stdout.matches(" 200 OK\n").count(),
        13,
        "{}",
        ran.stdout
    );
    let again = Ran::of(stage.program.bare(&demo).output().unwrap());
    assert_ne!(again.code, 0);
    assert!(
        again
            .stderr
            .contains("demo holds a demonstration already; give another --dir"),
        "{again:?}"
    );
}

#[test]
fn the_example_recording_is_the_two_documented_calls() {
    let stage = Stage::new("");
    let messages = include_str!("../../examples/astercc-messages.txt");
    stage.program.write("messages.txt", messages);
    assert_eq!(
        stage
            .program
            .run(&["collect", "--from", "messages.txt"])
            .code,
        0
    );
    assert_eq!(stage.rows(), [outbound(), inbound()]);
}
