//! A disk that is full, for real: the ledger lies on a small tmpfs in a mount namespace of its own, which the kernel
//! gives to anybody where it is not forbidden. Beside it, a limit on the size of files, which needs nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::prompt::{ended, prompt};
use super::scene::{Scene, sandbox};
use super::soak;

/// Runs the program on a tmpfs with these options (`$1`), keeps what the ledger's directory held then, and, once it is
/// told to, makes room and runs it again. `$2` is the mount point, `$3` the directory for what is kept.
const SCRIPT: &str = r#"
mount -t tmpfs -o "$1" none "$2" || exit 99
mnt=$2 kept=$3
shift 3
echo mounted
"$@" >"$kept/first.out" 2>"$kept/first.err"; echo "first $?"
mkdir "$kept/ledger" && cp "$mnt"/* "$kept/ledger/" 2>/dev/null
mount -o remount,size=64m,nr_inodes=1000 "$mnt" || exit 98
echo kept
read -r go
"$@" >"$kept/second.out" 2>"$kept/second.err"; echo "second $?"
cp "$mnt"/ledger.db* "$kept/ledger/"
echo done
read -r go
"#;

/// The script under way.
struct Namespace {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Namespace {
    /// `None` where this machine forbids it.
    fn start(scene: &Scene, options: &str) -> Option<Self> {
        let dir = scene.program.dir.path();
        for name in ["mnt", "kept"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        let mut child = Command::new("unshare")
            .args(["-rm", "sh", "-c", SCRIPT, "sh", options])
            .arg(dir.join("mnt"))
            .arg(dir.join("kept"))
            .arg(env!("CARGO_BIN_EXE_cdrelay"))
            .args(["--config", "cdrelay.toml", "sync", "--full"])
            .env_clear()
            .env("HOME", dir)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut namespace = Self { child, lines };
        match namespace.line().as_deref() {
            Some("mounted") => Some(namespace),
            _ => {
                namespace.child.wait().unwrap();
                None
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// The exit code after this word.
    #[track_caller]
    fn code(&mut self, word: &str) -> i32 {
        let line = self.line().expect("the script goes on");
        let (said, code) = line.split_once(' ').expect("a word and a code");
        assert_eq!(said, word);
        code.parse().unwrap()
    }

    fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"go\n").unwrap();
    }
}

/// What a full disk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stopped {
    BeforeALedger,
    BeforeARequest,
    AmidRequests,
    AfterTheLast,
    NotAtAll,
}

const CALLS: usize = 260;

/// Wire keys that the ledger in this directory has on record.
fn intents(ledger: &Path) -> BTreeSet<(String, String, String)> {
    let db = rusqlite::Connection::open(ledger).unwrap();
    db.prepare("SELECT initiated, source, destination FROM wire_forms")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Messages that a full disk may give, the ledger's directory as DIR. Each names the file and says what to do.
fn is_full_disk(said: &str) -> bool {
    let own = "cdrelay: the disk of the ledger `DIR/mnt/ledger.db` is full; free some space and run again: nothing that was recorded is lost: ";
    let file = |verb: &str, name: &str| {
        format!(
            "cdrelay: cannot {verb} `DIR/mnt/ledger.db{name}`: its disk is full; free some space and run again: No space left on device (os error 28)\n"
        )
    };
    let causes = [
        "database or disk is full: Error code 13: database or disk is full\n",
        "disk I/O error: Error code 4874: disk I/O error\n",
    ];
    // SQLite does not say why it could not make its log.
    if said
        == "cdrelay: the ledger `DIR/mnt/ledger.db` cannot be opened for writing; run as the user who owns it, let that user write its directory, and see that its disk has room for another file: unable to open database file: Error code 14: unable to open database file\n"
    {
        return true;
    }
    causes.iter().any(|cause| said == format!("{own}{cause}"))
        || ["create", "open", "write"].iter().any(|verb| {
            [".new", ".lock", ""]
                .iter()
                .any(|name| said == file(verb, name))
        })
}

/// One run with too little room, one with enough. `None` where this machine forbids it.
#[track_caller]
fn full(options: &str) -> Option<Stopped> {
    let scene = Scene::generated(CALLS, 500);
    let crm = sandbox();
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("\"ledger.db\"", "\"mnt/ledger.db\"")
    });
    let mut namespace = Namespace::start(&scene, options)?;
    let code = namespace.code("first");
    assert_eq!(namespace.line().as_deref(), Some("kept"), "{options}");
    let dir = scene.program.dir.path();
    let kept = dir.join("kept");
    let said = std::fs::read_to_string(kept.join("first.err"))
        .unwrap()
        .replace(&dir.display().to_string(), "DIR");
    let golden = scene.golden().len();
    let sent = crm.calls();
    let ledger = kept.join("ledger/ledger.db");
    let stopped = if code == 0 {
        assert_eq!(said, "", "{options}");
        Stopped::NotAtAll
    } else {
        assert_eq!(code, 12, "{options}: {said}");
        assert!(is_full_disk(&said), "{options}: {said}");
        match (ledger.exists(), sent.len()) {
            (false, _) => Stopped::BeforeALedger,
            (true, 0) => Stopped::BeforeARequest,
            (true, n) if n < golden => Stopped::AmidRequests,
            (true, _) => Stopped::AfterTheLast,
        }
    };
    // What was sent is on record as an intent at least.
    let recorded = if ledger.exists() {
        intents(&ledger)
    } else {
        BTreeSet::new()
    };
    for call in &sent {
        let key = (
            call.initiated.clone(),
            call.source.clone(),
            call.destination.clone(),
        );
        assert!(
            recorded.contains(&key),
            "{options}: {key:?} was sent without an intent"
        );
    }
    assert_eq!(crm.stats().requests, sent.len() as u64, "{options}");
    // Room is made, and the next run goes on.
    namespace.go();
    let second = namespace.code("second");
    let said = std::fs::read_to_string(kept.join("second.err")).unwrap();
    assert_eq!((second, said.as_str()), (0, ""), "{options}");
    assert_eq!(namespace.line().as_deref(), Some("done"), "{options}");
    namespace.go();
    namespace.child.wait().unwrap();
    scene.point_at_with(crm.url.as_str(), |config| {
        config.replace("\"ledger.db\"", "\"kept/ledger/ledger.db\"")
    });
    scene.check(&crm);
    let ran = prompt(&scene.program, &["check"]);
    assert_eq!(ran.code, 0, "{options}: {ran:?}");
    Some(stopped)
}

#[test]
fn a_full_disk_at_any_moment_lets_nothing_out_that_is_not_on_record() {
    let steps = soak::count(22, 220);
    // From less than a lock file to more than all of it needs, however many commits the answers of a slow machine come to.
    let most = 1_100;
    let mut counts = std::collections::BTreeMap::new();
    for step in 1..=steps {
        let room = most * step / steps;
        let Some(stopped) = full(&format!("size={}k", room.max(4))) else {
            println!(
                "this machine allows no mount namespace: the small file system is NOT tested here, only the limit on files"
            );
            return;
        };
        *counts.entry(stopped).or_insert(0) += 1;
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(what, n)| format!("{what:?}: {n}"))
        .collect();
    soak::note("ledger's disk full", steps, &words.join(", "));
    for needed in [
        Stopped::BeforeALedger,
        Stopped::AmidRequests,
        Stopped::NotAtAll,
    ] {
        assert!(
            counts.contains_key(&needed),
            "{needed:?} never came: {counts:?}"
        );
    }
}

#[test]
fn a_file_system_without_room_for_another_name_is_full_too() {
    // The root has one; lock, new ledger, its log and index need the others.
    for names in 1..=6 {
        let Some(stopped) = full(&format!("size=8m,nr_inodes={names}")) else {
            println!(
                "this machine allows no mount namespace: file systems without names are NOT tested here"
            );
            return;
        };
        if names == 1 {
            assert_eq!(stopped, Stopped::BeforeALedger);
        }
    }
}

#[test]
fn a_limit_on_the_size_of_files_stops_a_run_as_a_full_disk_does() {
    let steps = soak::count(8, 60);
    let mut refused = 0;
    for step in 1..=steps {
        let scene = Scene::generated(CALLS, 501);
        let crm = sandbox();
        scene.point_at(crm.url.as_str());
        // In blocks of 512 bytes (POSIX, ulimit).
        let limit = 8 + 2_400 * step / steps;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
                "sh",
            ])
            .arg(limit.to_string())
            .arg(env!("CARGO_BIN_EXE_cdrelay"))
            .args(["--config", "cdrelay.toml", "sync", "--full"])
            .env_clear()
            .env("HOME", scene.program.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(scene.program.dir.path())
            .stdin(Stdio::null());
        let ran = ended(command, "a limited run");
        let ledger = scene.program.path("ledger.db");
        if ran.code != 0 {
            // The log's index alone has 32 KiB, and is the first to want room.
            let said = if limit < 64 {
                "cdrelay: the disk of the ledger `DIR/ledger.db` is full; free some space and run again: nothing that was recorded is lost: disk I/O error: Error code 4874: disk I/O error\n"
            } else {
                "cdrelay: the ledger `DIR/ledger.db` cannot be read or written; check its disk: disk I/O error: Error code 778: disk I/O error\n"
            };
            scene.said(&ran, 12, "", said);
            refused += 1;
            let recorded = if ledger.exists() {
                intents(&ledger)
            } else {
                BTreeSet::new()
            };
            for call in crm.calls() {
                assert!(recorded.contains(&(call.initiated, call.source, call.destination)));
            }
        }
        scene.settles_at(&crm, str::to_owned);
    }
    assert!(refused > 0 && refused < steps, "{refused} of {steps}");
    soak::note(
        "limit on the size of the ledger's files",
        steps,
        &format!("{refused} stopped with 12, nothing sent without an intent"),
    );
}
