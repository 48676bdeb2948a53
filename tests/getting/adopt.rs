//! `adopt`: what the reference script sent is found, what it missed is sent, and nothing is there twice.

use super::golden::{self, Row, stamp};
use super::machine::Machine;
use super::program::Ran;
use super::scene::{Scene, now, pass_on, said, sandbox};
use super::unruly::Reply;

/// The key that the script gave to a row; `None` where it sent none.
fn script_key(row: &Row) -> Option<(String, String, String)> {
    if row.dst.chars().count() < 7 || row.src.is_empty() {
        return None;
    }
    let destination = match row.dst.strip_prefix('9') {
        Some(rest) if rest.chars().count() == 7 => format!("0212{rest}"),
        Some(rest) => rest.to_owned(),
        None => row.dst.clone(),
    };
    Some((stamp(row.wall, 'T') + "Z", row.src.clone(), destination))
}

fn scene() -> Scene {
    let rows = golden::rows(400, now(), 7, 2012);
    Scene::of(
        rows.into_iter()
            .filter(|row| !row.src.contains(['+', '&']))
            .collect(),
    )
}

/// The rules and the rendering of `examples/reference-keys.toml`.
fn to_the_letter(scene: &Scene, crm: &str) -> String {
    let example = include_str!("../../examples/reference-keys.toml");
    let (_, rules) = example.split_once("\n[[rules]]\n").unwrap();
    let (rules, _) = rules.split_once("\n[target]\n").unwrap();
    let config = scene.config(crm);
    let (head, rest) = config.split_once("\n[[rules]]\n").unwrap();
    let (_, target) = rest.split_once("\n[target]\n").unwrap();
    let target = target
        .replace("initiated_as = \"utc\"", "initiated_as = \"local-z\"")
        .lines()
        .filter(|line| !line.starts_with("recording_url"))
        .collect::<Vec<_>>()
        .join("\n");
    format!("{head}\n[[rules]]\n{rules}\n[target]\n{target}\n")
}

/// Sends what the script would have sent of these rows.
fn sent_by_the_script(crm: std::net::SocketAddr, rows: &[Row]) -> usize {
    let mut keys: Vec<_> = rows.iter().filter_map(script_key).collect();
    keys.sort();
    keys.dedup();
    for (initiated, source, destination) in &keys {
        let destination = destination.replace('#', "%23").replace('*', "%2A");
        let line = format!(
            "GET /direct/items/phonecalls/create?token=sandbox&initiated={initiated}&source={source}&destination={destination}&duration=1 HTTP/1.1"
        );
        assert!(
            matches!(pass_on(crm, &line), Reply::Json(200, body) if body.contains("\"error\":false"))
        );
    }
    keys.len()
}

fn adopt(scene: &Scene, machine: &Machine, more: &[&str]) -> Ran {
    let mut arguments = vec!["adopt", "--root", machine.root.path().to_str().unwrap()];
    arguments.extend(more);
    scene.program.run(&arguments)
}

#[test]
fn what_the_script_sent_is_found_and_what_it_missed_is_sent() {
    let scene = scene();
    let crm = sandbox();
    let (before, _) = scene.rows.split_at(scene.rows.len() / 2);
    let known = sent_by_the_script(crm.addr, before);
    scene.point_at_with(crm.url.as_str(), |_| {
        to_the_letter(&scene, crm.url.as_str())
    });
    let machine = Machine::new();
    machine.write(
        "/etc/cron.d/nimbox",
        "MAILTO=root\n# phonecalls\n0 * * * * root /usr/local/bin/replicate\n5 4 * * * root true\n",
    );
    machine.write(
        "/usr/local/bin/replicate",
        "#!/bin/sh\nHOUR=$(date +\"%H\")\nif [ $HOUR == '23' ]; then /opt/nimbox/phonecalls -f\nelse /opt/nimbox/phonecalls\nfi\n",
    );
    machine.write(
        "/var/spool/cron/crontabs/asterisk",
        "30 * * * * perl /opt/phonecalls.pl\n",
    );

    let dry = adopt(&scene, &machine, &["--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(
        dry.stdout.contains(
            " would be asked about; the CRM says of each whether it was there. Nothing was sent.\n"
        ),
        "{dry:?}"
    );
    assert_eq!(crm.calls().len(), known);

    let ran = adopt(&scene, &machine, &[]);
    let all = crm.calls().len();
    assert_eq!(all, scene.golden().len());
    assert!(known > 50 && all > known + 50, "{known} of {all}");
    let text = ran
        .stdout
        .replace(machine.root.path().to_str().unwrap(), "ROOT");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        text.starts_with("Keys: ")
            && text
                .contains(" calls of the window, each with the key that the script gave it.\n\n"),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "Taken over: of {all} calls, {known} were in the CRM already, {} were missing and created now, 0 for numbers that no \
             contact has.\n",
            all - known
        )),
        "{text}"
    );
    let config = scene.program.path("cdrelay.toml").display().to_string();
    let (_, cron) = text.split_once("\nCron: ").unwrap();
    assert_eq!(
        cron,
        format!(
            "replace\n  ROOT/etc/cron.d/nimbox:3  0 * * * * root /usr/local/bin/replicate\n  \
             ROOT/var/spool/cron/crontabs/asterisk:1  30 * * * * perl /opt/phonecalls.pl\nby\n  \
             7 0-22 * * *  cdrelay  cdrelay --config {config} sync --quiet\n  \
             17 23 * * *   cdrelay  cdrelay --config {config} sync --full --quiet --wait 30m\n\
             or take systemd's timers (README, \"First run\"), not both.\n"
        )
    );

    // From now on it is an ordinary replication: nothing is left to send.
    let report = scene.program.sync(&["--full"], 0);
    assert_eq!(report["calls"]["unchanged"], all, "{report}");
    let json = adopt(&scene, &machine, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["keys"]["other"], 0, "{report}");
    assert_eq!(report["cron"][0]["line"], 3, "{report}");
    assert_eq!(crm.calls().len(), all);
}

#[test]
fn other_keys_than_the_scripts_are_shown_and_refused() {
    let scene = Scene::of(
        golden::rows(3, now(), 1, 5)
            .into_iter()
            .take(1)
            .map(|row| Row {
                wall: now() / 3600 * 3600 - 8 * 3600,
                src: "7222".to_owned(),
                dst: "92853348".to_owned(),
                ..row
            })
            .collect(),
    );
    let crm = sandbox();
    scene.point_at(crm.url.as_str());
    let machine = Machine::new();
    let ran = adopt(&scene, &machine, &[]);
    let local = stamp(scene.rows[0].wall, 'T') + "Z";
    let utc = stamp(scene.rows[0].wall + 4 * 3600, 'T') + "Z";
    let shown = format!(
        "Keys: 1 of 1 call would get another key than the script's, and so be in the CRM a second time:\n  \
         script  {local} 7222 -> 02122853348\n  now     {utc} 7222 -> 02122853348\n  \
         `target.initiated_as` is \"utc\", and the script sent what \"local-z\" sends.\n"
    );
    said(
        &scene.program,
        &ran,
        2,
        &shown,
        "cdrelay: nothing was sent: 1 call would be in the CRM twice, once by the script's key and once by today's; take \
         `initiated_as`, [[rules]] and [select] of examples/reference-keys.toml, look with `cdrelay adopt --dry-run`, or repeat \
         with --yes where that is meant\n",
    );
    assert_eq!(crm.calls().len(), 0);
    // Nobody is refused without having been shown why.
    let quiet = adopt(&scene, &machine, &["--quiet"]);
    assert!(
        quiet.stdout.is_empty() && quiet.stderr.starts_with(&shown),
        "{quiet:?}"
    );
    let dry = adopt(&scene, &machine, &["--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.starts_with(&shown), "{dry:?}");
    let ran = adopt(&scene, &machine, &["--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(crm.calls().len(), 1);
}

#[test]
fn a_window_and_a_source_that_the_script_mangled() {
    let mut row = golden::rows(3, now(), 1, 5).remove(0);
    row.wall = now() - 3 * 86_400;
    row.src = "+582125550101".to_owned();
    row.dst = "92853348".to_owned();
    let scene = Scene::of(vec![row]);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), |_| {
        to_the_letter(&scene, crm.url.as_str())
    });
    let machine = Machine::new();
    let since = stamp(now() - 86_400, ' ')[..10].to_owned();
    let none = adopt(&scene, &machine, &["--since", &since]);
    assert!(
        none.stdout.starts_with("Keys: 0 calls of the window"),
        "{none:?}"
    );
    assert!(
        none.stdout.contains(
            "Cron: no line that runs `phonecalls` was found; where it runs, replace it by\n"
        ),
        "{none:?}"
    );
    let ran = adopt(&scene, &machine, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains(
            "  1 call with + & # or % in the source: the script sent them mangled, so they are created under their true source.\n"
        ),
        "{ran:?}"
    );
}
