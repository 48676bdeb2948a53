//! Where the report goes, and what it says on a terminal, masked, and when something is wrong.

use std::os::unix::fs::PermissionsExt as _;

use super::golden::stamp;
use super::stage::{Entry, Fate, HOSTILE, OFFSET, Ran, fill, now, program};

#[test]
fn the_summary_begins_with_the_answer() {
    let now = now();
    let program = program();
    let called = now - 3 * 3_600;
    fill(
        &program,
        &[Ran::ended(now - 3_600, 0)],
        &[
            Entry::delivered(called, "92853348"),
            Entry::delivered(called + 1, "904141234567").with(Fate::Unmatched),
            Entry::delivered(called + 2, "02125550142"),
        ],
    );
    let ran = program.run(&["report"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let local = |at: i64| stamp(at - OFFSET, ' ')[..16].to_owned();
    let expected = format!(
        "Everything is settled: 3 calls; 1 for numbers that no contact has: add the contacts, or mend the rules (`cdrelay calls --state unmatched`).\n\n\
         \x20 window      {} to {} (America/Caracas)\n\
         \x20 calls       3: 2 delivered, 1 unmatched\n",
        local(now - 360 * 86_400),
        local(now + 86_400)
    );
    // The clock may have gone on by a second, and with it a minute.
    let shown = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("  window"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let printed = shown(&ran.stdout);
    assert_eq!(printed[..3], shown(&expected)[..]);
    let rest = printed[3..].join("\n");
    for line in [
        "  duration    1 min (median), 1 min (95 %), 1 min (longest)".to_owned(),
        format!(
            "  no contact  04141234567  1 call, last {}",
            local(called + 1)
        ),
        "  rule        local (line 6): 1 number".to_owned(),
        "  rule        outside line (line 12): 1 number".to_owned(),
        "  no rule     1 number".to_owned(),
    ] {
        assert!(rest.contains(&line), "{line}\n{rest}");
    }
}

#[test]
fn the_page_is_written_whole_and_named() {
    let now = now();
    let program = program();
    fill(
        &program,
        &[Ran::ended(now - 60, 0)],
        &[Entry::delivered(now - 600, "92853348")],
    );
    program.write("report.html", "old");
    let ran = program.run(&["report", "--html", "report.html"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (
            0,
            "Everything is there: 1 call.\n\nThe page is in report.html.\n",
            ""
        )
    );
    let page = std::fs::read_to_string(program.path("report.html")).unwrap();
    assert!(
        page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"),
        "{page}"
    );
    // The umask's mode, not that of the old file, which was private.
    let mode = |name: &str| program.path(name).metadata().unwrap().permissions().mode();
    std::fs::write(program.path("plain"), "").unwrap();
    assert_eq!(mode("report.html"), mode("plain"));
    let quiet = program.run(&["report", "--html", "report.html", "--quiet"]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (0, ""));
    let mut names: Vec<String> = std::fs::read_dir(program.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("report"))
        .collect();
    names.sort();
    assert_eq!(names, ["report.html"]);
    let stdout = program.run(&["report", "--html", "-"]);
    // What follows names the minute.
    let head = |page: &str| page.split("<p class=\"meta\">").next().unwrap().to_owned();
    assert_eq!(head(&stdout.stdout), head(&page));
    let both = program.run(&["report", "--html", "both.html", "--output", "json"]);
    let figures: serde_json::Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!(figures["headline"], "Everything is there: 1 call.");
    assert!(program.path("both.html").exists());
}

#[test]
fn what_is_wrong_is_said_with_the_mend() {
    let program = program();
    for (args, code, said) in [
        (
            &["report", "--html", "-", "--output", "json"][..],
            2,
            "cdrelay: stdout cannot carry both the page and the JSON object: give `--html FILE`, or leave `--output json` out\n",
        ),
        (
            &["report", "--html", "missing/report.html"],
            2,
            "cdrelay: the page cannot be written to `missing/report.html`: No such file or directory (os error 2); give another FILE, in a directory that this user may write to\n",
        ),
        (
            &["report", "--since", "2026-11-20", "--until", "2026-11-20"],
            2,
            "cdrelay: the window is empty: it would end before it begins; give an --until after --since\n",
        ),
        (
            &["report", "--since", "2026-02-30"],
            2,
            "cdrelay: --since: there is no day 2026-02-30 in the calendar\n",
        ),
    ] {
        let ran = program.run(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (code, "", said),
            "{args:?}"
        );
    }
}

#[test]
fn masked_numbers_stand_nowhere_whole() {
    let now = now();
    let program = program();
    let numbers = ["92853348", "904141234567", "02125550142", "900582129991111"];
    let mut entries = Vec::new();
    for (n, number) in numbers.into_iter().enumerate() {
        let at = now - 600 - 60 * n as i64;
        let said = format!("destination {} no existe", &number[1..]);
        for (m, fate) in [
            Fate::Unmatched,
            Fate::Rejected(said.clone()),
            Fate::Pending(3, said.clone()),
            Fate::Held(said),
            Fate::Delivered,
        ]
        .into_iter()
        .enumerate()
        {
            let entry = Entry::delivered(at - m as i64, number).with(fate);
            entries.push(Entry {
                source: "02129876543".to_owned(),
                drift: m == 4,
                ..entry
            });
        }
    }
    let mut run = Ran::ended(now - 60, 6);
    run.end = Some((6, "stopped at 02125550142".to_owned()));
    fill(&program, &[run], &entries);
    for args in [
        &["report"][..],
        &["report", "--output", "json"],
        &["report", "--html", "-"],
    ] {
        let whole = program.run(args).stdout;
        assert!(
            whole.contains("904141234567") || whole.contains("04141234567"),
            "{whole}"
        );
        let mut masked = args.to_vec();
        masked.push("--mask");
        let text = program.run(&masked).stdout;
        assert!(text.contains("xxx567"), "{text}");
        for number in numbers.into_iter().chain(["02129876543"]) {
            let tail = &number[number.len() - 5..];
            assert!(!text.contains(tail), "{args:?}: {tail} in {text}");
        }
    }
}

#[test]
fn hostile_texts_are_shown_escaped_in_every_form() {
    let now = now();
    let program = program();
    let entries: Vec<Entry> = HOSTILE
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let entry = Entry::delivered(now - 600 - n as i64, text);
            Entry {
                source: (*text).to_owned(),
                ..entry.with(Fate::Unmatched)
            }
        })
        .collect();
    let mut run = Ran::ended(now - 60, 4);
    run.end = Some((4, HOSTILE[8].to_owned()));
    fill(&program, &[run], &entries);
    for args in [
        &["report"][..],
        &["report", "--html", "-"],
        &["report", "--output", "json"],
    ] {
        let printed = program.run(args).stdout;
        assert!(printed.contains("FORGED"), "{args:?}: {printed}");
        let raw = printed.chars().find(|c| {
            *c != '\n'
                && (c.is_control() || matches!(u32::from(*c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff))
        });
        assert_eq!(raw, None, "{args:?}");
        assert!(
            !printed
                .lines()
                .any(|line| line.trim_start().starts_with("FORGED"))
        );
    }
    let page = program.run(&["report", "--html", "-"]).stdout;
    for tag in [
        "<script",
        "<img",
        "onerror=\"",
        "onmouseover=\"",
        "<style>*{",
    ] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert_eq!(page.matches("<style>").count(), 1);
}
