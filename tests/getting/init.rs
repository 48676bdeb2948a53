//! `init` without a terminal: everything by flags, files and what the machine says.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use super::machine::{CONFIG, Machine};
use super::program::{Ran, check_sums};
use super::scene::sandbox;
use super::support::{cdr_table, is_root, mariadb};

const PASSWORD: &str = "canary-pass'\"#;";

/// A machine with FreePBX's settings for a real MariaDB, whose table holds calls of the last days.
async fn freepbx() -> Machine {
    let database = mariadb::server().database().await;
    database.run(cdr_table::FREEPBX).await;
    let first = super::scene::now() - 4 * 3600 - 150 * 3600;
    let mut samples = cdr_table::samples(2000, first, 1);
    for (n, sample) in samples.iter_mut().enumerate() {
        // The channel's epoch is an instant, and the column's clock is Caracas'.
        sample.uniqueid = format!("{}.{n}", sample.start + 4 * 3600);
    }
    for insert in cdr_table::inserts("calldate", &samples) {
        database.run(&insert).await;
    }
    let user = format!("u{}", database.name);
    database
        .run(&format!(
            "CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{}'; GRANT SELECT ON {}.cdr TO '{user}'@'127.0.0.1'",
            PASSWORD.replace('\'', "''"),
            database.name
        ))
        .await;
    let machine = Machine::new();
    let written = PASSWORD.replace('\'', "\\'");
    machine.write(
        "/etc/freepbx.conf",
        &format!(
            "<?php\n$amp_conf['AMPDBUSER'] = '{user}';\n$amp_conf['AMPDBPASS'] = '{written}';\n\
             $amp_conf['AMPDBHOST'] = '127.0.0.1';\n$amp_conf['CDRDBPORT'] = '{}';\n$amp_conf['CDRDBNAME'] = '{}';\n",
            database.server.port, database.name
        ),
    );
    machine.write("/etc/timezone", "America/Caracas\n");
    machine.write("/token", "sandbox\n");
    machine
}

#[tokio::test]
async fn freepbx_is_replicated_by_what_init_writes() {
    let machine = freepbx().await;
    let crm = sandbox();
    let token = machine.path("/token");
    let ran = machine.init(&[
        "--yes",
        "--target-url",
        crm.url.as_str().trim_end_matches('/'),
        "--token-file",
        token.to_str().unwrap(),
        "--outside-line",
        "9",
        "--area-code",
        "0212",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let root = if is_root() { " (root)" } else { "" };
    let note = if is_root() {
        "There is no user `cdrelay` here, as whom units and cron file run it. Make one (useradd --system), and give it these files \
         and the ledger (chown).\n"
    } else {
        ""
    };
    assert_eq!(
        machine.plain(&ran.stdout),
        format!(
            "Written, readable by their owner alone{root}:\n  ROOT/etc/cdrelay/db.password\n  ROOT/etc/cdrelay/nimbox.token\n  \
             ROOT/etc/cdrelay/cdrelay.toml\n{note}\nNext:\n  \
             cdrelay check            is everything ready?\n  \
             cdrelay sync --dry-run   what would be sent; sends nothing\n  \
             cdrelay sync --quiet     by cron, each hour; `sync --full --quiet` each night: see contrib/cron\n"
        )
    );
    assert_eq!(
        machine.listing("/etc/cdrelay"),
        ["cdrelay.toml", "db.password", "nimbox.token"]
    );
    for name in machine.listing("/etc/cdrelay") {
        let file = machine.path("/etc/cdrelay").join(&name);
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600, "{name}");
    }
    // Even where root's umask would shut the owner of the files out.
    let directory = machine.path("/etc/cdrelay").metadata().unwrap();
    assert_eq!(directory.mode() & 0o7777, 0o755);
    assert!(ran.stderr.starts_with("The source answers: "), "{ran:?}");
    assert!(ran.stderr.contains(" is sent as 0212"), "{ran:?}");
    assert_eq!(
        machine.read("/etc/cdrelay/db.password"),
        format!("{PASSWORD}\n")
    );
    let config = machine.read(CONFIG);
    assert!(
        config.contains("timezone = \"America/Caracas\""),
        "{config}"
    );
    assert!(!config.contains("canary"), "{config}");

    let check = machine.cdrelay(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(
        check.stdout.contains("2 rules; 2 examples fulfilled"),
        "{check:?}"
    );
    let sync = machine.cdrelay(&["sync", "--output", "json"]);
    assert_eq!(sync.code, 0, "{sync:?}");
    let report = serde_json::from_str(&sync.stdout).unwrap();
    check_sums(&report);
    assert_eq!(report["calls"]["created"], crm.calls().len(), "{report}");
    assert!(crm.calls().len() > 1000, "{report}");
    let calls = crm.calls();
    let local = calls
        .iter()
        .filter(|call| call.destination.starts_with("0212"));
    assert!(local.count() > 1000);
    let dialled = |number: &str| number.len() == 8 && number.starts_with('9');
    assert!(!calls.iter().any(|call| dialled(&call.destination)));
}

#[tokio::test]
async fn what_is_said_shows_numbers_and_never_a_secret() {
    let machine = freepbx().await;
    let said = |ran: &Ran| assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    machine.write("/token", "canary-token\n");
    let token = machine.path("/token");
    let arguments = [
        "--target-url",
        "https://crm.example.com",
        "--token-file",
        token.to_str().unwrap(),
        "--output",
        "json",
        "-vvv",
    ];
    let ran = machine.init(&arguments);
    said(&ran);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["job"], "cdrelay");
    assert_eq!(report["next"].as_array().unwrap().len(), 3);
    assert!(
        report["source"]["calls"].as_u64().unwrap() > 1000,
        "{report}"
    );
    let numbers = report["source"]["numbers"].as_array().unwrap();
    assert!(
        !numbers.is_empty() && numbers.iter().all(|n| n["number"] == n["sent"]),
        "{report}"
    );
    // A wrong password: the server's refusal says nothing of it.
    let mut wrong = arguments.to_vec();
    let file = machine.write("/wrong", "canary-wrong\n");
    wrong.extend(["--force", "--source-password-file", file.to_str().unwrap()]);
    let ran = machine.init(&wrong);
    said(&ran);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.stderr
            .contains("nothing was written: the source cannot be read: "),
        "{ran:?}"
    );
    assert_eq!(
        machine.read("/etc/cdrelay/db.password"),
        format!("{PASSWORD}\n")
    );
}

#[tokio::test]
async fn the_owner_gets_the_files_and_the_ledgers_directory() {
    if !is_root() {
        eprintln!("left out: only root can give files away");
        return;
    }
    let machine = freepbx().await;
    machine.write(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\ncdrelay:x:4711:4712::/var/lib/cdrelay:/usr/sbin/nologin\n",
    );
    machine.write("/usr/lib/systemd/system/cdrelay.timer", "");
    let (token, ledger) = (
        machine.path("/token"),
        machine.path("/var/lib/cdrelay/ledger.db"),
    );
    fs::create_dir_all(machine.path("/var/lib")).unwrap();
    let ran = machine.init(&[
        "--target-url",
        "https://crm.example.com",
        "--token-file",
        token.to_str().unwrap(),
        "--ledger-path",
        ledger.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .starts_with("Written, readable by their owner alone (cdrelay):\n"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.ends_with(
            "Next:\n  sudo -u cdrelay cdrelay check                                  is everything ready?\n  sudo -u cdrelay cdrelay sync --dry-run                         what would be sent; sends nothing\n  sudo systemctl enable --now cdrelay.timer cdrelay-full.timer   each hour, and each night\n"
        ),
        "{}",
        ran.stdout
    );
    for name in machine.listing("/etc/cdrelay") {
        let file = machine.path("/etc/cdrelay").join(&name).metadata().unwrap();
        assert_eq!(
            (file.uid(), file.gid(), file.mode() & 0o7777),
            (4711, 4712, 0o600),
            "{name}"
        );
    }
    let directory = machine.path("/var/lib/cdrelay").metadata().unwrap();
    assert_eq!((directory.uid(), directory.mode() & 0o7777), (4711, 0o700));
}

#[test]
fn every_missing_answer_is_said_at_once() {
    let machine = Machine::new();
    let ran = machine.init(&["--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(
        machine.plain(&ran.stderr),
        "cdrelay: nothing was written: 3 answers are missing, and there is nobody to ask (standard input is no terminal, or \
         --yes was given)\n\
         --source-url URL: no settings of FreePBX or Asterisk name a database; say where the calls are, such as \
         mysql://cdrelay@127.0.0.1/asteriskcdrdb, sqlite:///var/log/asterisk/master.db or \
         csv:/var/log/asterisk/cdr-csv/Master.csv\n\
         --target-url URL: the CRM's address, such as https://crm.example.com\n\
         --token-file FILE: a file whose first line is the CRM's token (`-` reads standard input), or CDRELAY_TARGET_TOKEN in the \
         environment, or the token in ROOT/etc/cdrelay/nimbox.token\n"
    );
    assert!(!machine.path("/etc/cdrelay").exists());
}

/// Flags that lack nothing, for a table in SQLite.
fn complete(machine: &Machine) -> Vec<String> {
    let database = machine.path("/cdr.db");
    if !database.exists() {
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch("CREATE TABLE cdr (calldate TEXT, src TEXT, dst TEXT, duration INTEGER, disposition TEXT)")
            .unwrap();
    }
    let token = machine.write("/token", "sandbox\n");
    [
        "--source-url",
        &format!("sqlite://{}", database.display()),
        "--timezone",
        "America/Caracas",
        "--target-url",
        "https://crm.example.com",
        "--token-file",
        token.to_str().unwrap(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn init(machine: &Machine, flags: &[String], more: &[&str]) -> Ran {
    let all: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    machine.init(&all)
}

#[track_caller]
fn refused(machine: &Machine, ran: &Ran, expected: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(machine.plain(&ran.stderr), format!("cdrelay: {expected}\n"));
}

#[test]
fn nothing_is_written_over_without_force() {
    let machine = Machine::new();
    let flags = complete(&machine);
    machine.write(CONFIG, "mine");
    refused(
        &machine,
        &init(&machine, &flags, &[]),
        "ROOT/etc/cdrelay/cdrelay.toml is there already; nothing was written: edit it, give another file with --config, or \
         write over it with --force",
    );
    assert_eq!(machine.read(CONFIG), "mine");
    fs::remove_file(machine.path(CONFIG)).unwrap();
    machine.write("/etc/cdrelay/nimbox.token", "other\n");
    refused(
        &machine,
        &init(&machine, &flags, &[]),
        "ROOT/etc/cdrelay/nimbox.token is there already; nothing was written: leave the other secret out to keep it, or write \
         over it with --force",
    );
    assert_eq!(machine.listing("/etc/cdrelay"), ["nimbox.token"]);
    // Left out, it is kept and used.
    let kept = init(&machine, &flags[..6], &[]);
    assert_eq!(kept.code, 0, "{kept:?}");
    assert_eq!(machine.read("/etc/cdrelay/nimbox.token"), "other\n");
    assert!(
        machine
            .read(CONFIG)
            .contains("token_file = \"nimbox.token\"")
    );
    let forced = init(&machine, &flags, &["--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_eq!(machine.read("/etc/cdrelay/nimbox.token"), "sandbox\n");
}

#[test]
fn what_cannot_be_taken_is_said_with_its_flag_and_nothing_stays() {
    let machine = Machine::new();
    let flags = complete(&machine);
    let with = |flag: &str, value: &str| {
        let mut flags = flags.clone();
        flags.extend([flag.to_owned(), value.to_owned()]);
        flags
    };
    let mut by_password = flags.clone();
    by_password[1] = "mysql://u:canary@127.0.0.1/x".to_owned();
    let ran = init(&machine, &by_password, &[]);
    refused(
        &machine,
        &ran,
        "--source-url holds a password, which everybody on this machine can see; leave it out, and give --source-password-file",
    );
    let ran = init(&machine, &with("--outside-line", "nine"), &[]);
    refused(
        &machine,
        &ran,
        "--outside-line: `nine` is not up to 8 digits; give \"\" for none",
    );
    fs::set_permissions(machine.path("/token"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = init(&machine, &flags, &[]);
    refused(
        &machine,
        &ran,
        "--token-file: secret file ROOT/token can be read by others (mode 0644); run `chmod 600 ROOT/token`",
    );
    let flags = complete(&machine);
    let mut wrong = flags.clone();
    wrong[3] = "America/Carcas".to_owned();
    wrong[5] = "crm.example.com".to_owned();
    let ran = init(&machine, &wrong, &["--initiated-as", "iso"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let said = machine.plain(&ran.stderr);
    for problem in [
        "\"America/Carcas\" is no IANA time zone",
        "`target.url` is no web address",
        "\"iso\" is not known",
    ] {
        assert!(said.contains(problem), "{said}");
    }
    assert!(
        said.contains("ROOT/etc/cdrelay/cdrelay.toml:"),
        "the file by its final name: {said}"
    );
    let mut gone = flags.clone();
    gone[1] = format!("sqlite://{}", machine.path("/no.db").display());
    let ran = init(&machine, &gone, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran:?}");
    assert!(
        ran.stderr
            .contains("or --untested to write them all the same"),
        "{ran:?}"
    );
    assert!(
        !machine.path("/etc/cdrelay").exists(),
        "nothing of all that stays"
    );
    let ran = init(&machine, &gone, &["--untested"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn secrets_come_from_standard_input_and_the_environment_too() {
    let machine = Machine::new();
    let flags = complete(&machine);
    let mut command = machine.command(&["init", "--root", machine.root.path().to_str().unwrap()]);
    command.args(&flags[..6]).args(["--token-file", "-"]);
    let ran = Ran::fed(&mut command, b"from-stdin\r\nrest\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(machine.read("/etc/cdrelay/nimbox.token"), "from-stdin\n");

    let mut command = machine.command(&[
        "init",
        "--root",
        machine.root.path().to_str().unwrap(),
        "--force",
    ]);
    let ran = Ran::of(
        command
            .args(&flags[..6])
            .env("CDRELAY_TARGET_TOKEN", "from-env")
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(machine.read("/etc/cdrelay/nimbox.token"), "from-env\n");
}

/// What is written, for a table of its own name, an area code alone, and a second configuration beside the first.
#[test]
fn every_answer_stands_in_the_file() {
    let machine = Machine::new();
    let flags = complete(&machine);
    let config = machine.path("/etc/cdrelay/branch.toml");
    let ran = init(
        &machine,
        &flags,
        &[
            "--config",
            config.to_str().unwrap(),
            "--area-code",
            "0261",
            "--local-length",
            "8",
            "--initiated-as",
            "local-z",
            "--recording-url",
            "https://pbx.example.com/rec/{recordingfile}",
        ],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        machine.listing("/etc/cdrelay"),
        ["branch.nimbox.token", "branch.toml"]
    );
    let text = machine.read("/etc/cdrelay/branch.toml");
    for line in [
        "match = \"_NXXXXXXX\"\nrewrite = \"0261${EXTEN}\"",
        "number = \"28533481\"\nbecomes = \"026128533481\"",
        "token_file = \"branch.nimbox.token\"",
        "initiated_as = \"local-z\"",
        "recording_url = \"https://pbx.example.com/rec/{recordingfile}\"",
        "/etc/cdrelay/branch.db\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let explained = machine.run(&["--config", config.to_str().unwrap(), "explain", "28533481"]);
    assert!(
        explained.stdout.ends_with("  = 026128533481\n"),
        "{explained:?}"
    );
    assert!(
        ran.stdout
            .contains(&format!("cdrelay --config {} check", config.display())),
        "{ran:?}"
    );
}

#[test]
fn a_folder_of_somebody_else_is_refused_before_anything_is_asked() {
    if is_root() {
        let refused = Command::new("setpriv").arg("--version").output();
        if refused.is_err() {
            eprintln!("left out: root may write anywhere, and `setpriv` is not installed");
            return;
        }
    }
    let machine = Machine::new();
    machine.write("/etc/cdrelay/x", "");
    fs::set_permissions(
        machine.path("/etc/cdrelay"),
        fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    fs::set_permissions(machine.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            env!("CARGO_BIN_EXE_cdrelay"),
        ]);
        command
            .env("HOME", "/")
            .current_dir("/")
            .stdin(Stdio::null());
        command
    } else {
        machine.command(&[])
    };
    let ran = Ran::of(
        command
            .args(["init", "--root", machine.root.path().to_str().unwrap()])
            .output()
            .unwrap(),
    );
    refused(
        &machine,
        &ran,
        "cannot write to ROOT/etc/cdrelay: Permission denied (os error 13); run this as root (sudo cdrelay init), or give a \
         file of your own with --config",
    );
}
