//! A person settles what nobody knew.

use crate::crm::{Answer, Crm, ok};
use crate::stage::{Stage, at, missed};

/// Three held calls, two of them from one number.
fn three() -> (Crm, Stage) {
    let crm = Crm::start(|_, _| Answer::Says(500, String::new()));
    let rows = [
        missed("02125550142", 600),
        missed("02125550142", 500),
        missed("02125550143", 400),
    ];
    let stage = at(&crm, &rows);
    assert_eq!(stage.sync(&[], 3)["calls"]["held"], 3);
    crm.change(|_, _| ok());
    (crm, stage)
}

#[test]
fn a_call_that_the_crm_does_not_have_is_sent_again() {
    let (crm, stage) = three();
    let ran = stage.run(&["held", "02125550143", "--resend"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            0,
            "1 call due again; the next `cdrelay sync` sends what its window covers.\n"
        )
    );
    let report = stage.sync(&[], 3);
    assert_eq!(report["calls"]["created"], 1);
    assert_eq!(report["calls"]["held"], 2);
    let requests = crm.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[2].body, requests[3].body);
}

#[test]
fn a_call_that_the_crm_has_is_delivered_and_never_sent() {
    let (crm, stage) = three();
    let ran = stage.run(&["held", "--all", "--delivered"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "3 calls recorded as delivered.\n")
    );
    assert_eq!(stage.sync(&["--full"], 0)["calls"]["unchanged"], 3);
    assert_eq!(crm.requests().len(), 3);
    let ran = stage.run(&["held"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "No call is held.\n"));
}

#[test]
fn several_calls_of_one_number_are_told_apart() {
    let (_crm, stage) = three();
    let listed = stage.run(&["held"]);
    assert_eq!(listed.code, 0);
    assert_eq!(listed.stdout.matches("\n            uniqueid ").count(), 3);
    assert!(
        listed.stdout.ends_with(
            "\nLook in the CRM whether it acted upon the call. If it did: `cdrelay held CALL --delivered`. If not: \
             `cdrelay held CALL --resend`, and the next `cdrelay sync` sends it again. CALL is its uniqueid, or the \
             caller's number.\n"
        ),
        "{listed:?}"
    );
    let ran = stage.run(&["held", "02125550142", "--resend"]);
    let first = listed.stdout.lines().nth(1).unwrap();
    let second = listed.stdout.lines().nth(3).unwrap();
    let id = |line: &str| line.trim().strip_prefix("uniqueid ").unwrap().to_owned();
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            2,
            format!(
                "cdrelay: 2 calls are held with `02125550142`: {}, {}; name one by its uniqueid, or add --all for every one of them\n",
                id(first),
                id(second)
            )
            .as_str()
        )
    );
    assert_eq!(stage.run(&["held", &id(first), "--resend"]).code, 0);
    stage.holds(&[("held", 2), ("pending", 1)]);
    assert_eq!(
        stage
            .run(&["held", "02125550142", "--all", "--delivered"])
            .code,
        0
    );
    stage.holds(&[("delivered", 1), ("held", 1), ("pending", 1)]);
}

#[test]
fn what_is_named_wrongly_changes_nothing() {
    let (_crm, stage) = three();
    for (args, stderr) in [
        (
            &["held", "--resend"][..],
            "cdrelay: name the calls by uniqueid or number, or say --all; `cdrelay held` lists them\n",
        ),
        (
            &["held", "no\u{1b}body", "--delivered"],
            "cdrelay: no held call has the uniqueid or the number `no\\u{1b}body`; `cdrelay held` lists them\n",
        ),
    ] {
        let ran = stage.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (2, stderr));
    }
    stage.holds(&[("held", 3)]);
    let json = stage.program.json(&["held"], 0);
    assert_eq!(json["calls"].as_array().unwrap().len(), 3);
}
