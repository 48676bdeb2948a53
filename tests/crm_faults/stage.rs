//! One case: a CRM, what is expected of the program, and how it is played.

use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cdrelay::sandbox::{RunningSandbox, SandboxOptions};

use super::canary;
use super::golden::Row;
use super::program::{Program, Ran, check_sums};
use super::scene::{Scene, now, plain, sandbox_with, with};
use super::unruly::{Reply, Unruly};

/// No run here lasts so long unless it hangs.
pub const WATCHDOG: Duration = Duration::from_secs(90);

/// What stands behind a misbehaving CRM.
pub struct Backstage {
    /// An honest CRM that a misbehaving one may pass requests on to, and that has to reach golden.
    pub honest: RunningSandbox,
    /// A server that must never see a connection.
    pub trap: Unruly,
    /// A directory for certificates.
    pub dir: tempfile::TempDir,
}

type Build = dyn Fn(&Backstage) -> Unruly + Send + Sync;
type Edit = dyn Fn(&str, &Backstage) -> String + Send + Sync;

/// One row of the table.
pub struct Case {
    pub name: &'static str,
    crm: Box<Build>,
    edit: Option<Box<Edit>>,
    calls: usize,
    login: bool,
    code: i32,
    states: &'static str,
    words: Vec<String>,
    requests: RangeInclusive<usize>,
    retried: Option<u64>,
    patience: Patience,
}

/// How long a request, or connecting, may take.
#[derive(Clone, Copy)]
pub enum Patience {
    /// 20 s: only a fault takes so long.
    Usual,
    /// 1 s, where silence is what the test is about.
    Short,
}

/// A case with this CRM, and what the program says in the end: all of stderr that is its own word and not its log. Unless
/// told otherwise there are two calls, which stay pending after three requests each.
pub fn case(
    name: &'static str,
    words: &'static str,
    crm: impl Fn(&Backstage) -> Unruly + Send + Sync + 'static,
) -> Case {
    Case {
        name,
        crm: Box::new(crm),
        edit: None,
        calls: 2,
        login: true,
        code: 4,
        states: "pending 2",
        words: vec![words.to_owned()],
        requests: 6..=6,
        retried: None,
        patience: if words.contains("within 1s") {
            Patience::Short
        } else {
            Patience::Usual
        },
    }
}

/// A case whose CRM answers every request alike.
pub fn always(name: &'static str, words: &'static str, reply: Reply) -> Case {
    case(name, words, move |_| Unruly::always(reply.clone()))
}

impl Case {
    /// So many calls.
    pub fn calls(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    /// Another configuration.
    pub fn edit(self, edit: impl Fn(&str, &Backstage) -> String + Send + Sync + 'static) -> Self {
        Self {
            edit: Some(Box::new(edit)),
            ..self
        }
    }

    /// No user and no password.
    pub fn without_login(self) -> Self {
        Self {
            login: false,
            ..self
        }
    }

    /// Something that is waited for does not come.
    pub fn impatient(self) -> Self {
        Self {
            patience: Patience::Short,
            ..self
        }
    }

    /// How the run ends, and in which states the calls are then.
    pub fn ends(self, code: i32, states: &'static str) -> Self {
        Self {
            code,
            states,
            ..self
        }
    }

    /// What it says instead where the kernel was faster with one side's news than with the other's.
    pub fn or_says(mut self, words: &[&str]) -> Self {
        self.words
            .extend(words.iter().map(|&words| words.to_owned()));
        self
    }

    /// How many requests the CRM sees.
    pub fn requests(self, requests: RangeInclusive<usize>) -> Self {
        Self { requests, ..self }
    }

    /// How many of the requests the retry budget paid for.
    pub fn retried(self, retried: u64) -> Self {
        Self {
            retried: Some(retried),
            ..self
        }
    }

    /// Plays the case.
    ///
    /// # Panics
    /// It went otherwise.
    pub fn play(&self) {
        let stage = Backstage::new();
        let crm = (self.crm)(&stage);
        let scene = scene(self.calls);
        let edit = |config: &str| {
            let config = configured(config, self.login, self.patience);
            match &self.edit {
                Some(edit) => edit(&config, &stage),
                None => config,
            }
        };
        scene.point_at_with(&crm.url(), edit);
        let ran = run(&scene.program, &["sync", "-vvv", "--output", "json"], &[]);
        let said = own_words(&ran.stderr);
        let requests = crm.seen().len();
        let states = states(&scene);
        assert!(
            ran.code == self.code
                && states == self.states
                && self.words.contains(&said)
                && self.requests.contains(&requests),
            "\n  found: code {}, {states}, {requests} requests\n  {said:?}\n  expected: code {}, {}, {:?} requests\n  {:?}",
            ran.code,
            self.code,
            self.states,
            self.requests,
            self.words,
        );
        if ran.code != 2 {
            let report = serde_json::from_str(&ran.stdout).unwrap();
            check_sums(&report);
            assert_eq!(report["exit"]["code"], self.code, "{report}");
            if let Some(retried) = self.retried {
                assert_eq!(report["requests"]["retried"], retried, "{report}");
            }
        }
        assert!(
            ran.stderr.contains("TRACE a request goes out") || requests == 0,
            "the log shows every request: {}",
            ran.stderr
        );
        canary::absent("stdout", ran.stdout.as_bytes());
        canary::absent("stderr", ran.stderr.as_bytes());
        canary::absent_below(scene.program.dir.path());
        assert_eq!(stage.trap.connections(), 0, "the trap saw a connection");
        drop(crm);
        scene.settles_at(&stage.honest, |config| {
            configured(config, true, Patience::Usual)
        });
    }
}

impl Backstage {
    /// An honest CRM, a trap, an empty directory.
    pub fn new() -> Self {
        Self {
            honest: sandbox_with(SandboxOptions {
                token: canary::TOKEN.to_owned(),
                ..SandboxOptions::default()
            }),
            trap: Unruly::always(Reply::Json(200, r#"{"error":false}"#.to_owned())),
            dir: tempfile::tempdir().unwrap(),
        }
    }
}

/// A source with so many calls, and canaries for every secret.
pub fn scene(calls: usize) -> Scene {
    let scene = Scene::of(rows(calls));
    scene.program.write("crm.token", canary::TOKEN);
    scene.program.write("crm.password", canary::PASSWORD);
    scene.program.write("db.password", canary::DATABASE);
    scene
}

/// Calls that differ in everything; the duration is each one's own mark.
pub fn rows(count: usize) -> Vec<Row> {
    let now = now();
    (0..count)
        .map(|n| {
            let sequence = n as u64 + 1;
            let number = 5_550_000 + n;
            Row {
                wall: now - 4 * 3600 - 600 * (count - n) as i64,
                src: format!("7{n:03}"),
                dst: format!("9{number}"),
                duration: 1000 + sequence,
                disposition: "ANSWERED",
                uniqueid: format!("{}.{sequence}", now - 600),
                sequence,
                recordingfile: format!("out-{number}.wav"),
            }
        })
        .collect()
}

/// The configuration of the stage: deadlines and every secret.
pub fn configured(config: &str, login: bool, patience: Patience) -> String {
    let seconds = match patience {
        Patience::Usual => 20,
        Patience::Short => 1,
    };
    let mut lines = format!("timeout = \"{seconds}s\"\nconnect_timeout = \"{seconds}s\"");
    if login {
        lines.push_str(&format!(
            "\nusername = \"{}\"\npassword_file = \"crm.password\"",
            canary::USER
        ));
    }
    let config = with(config, "source", "password_file = \"db.password\"");
    with(&config, "target", &lines)
}

/// `delivered 1, pending 1`
pub fn states(scene: &Scene) -> String {
    scene
        .states()
        .iter()
        .map(|(state, n)| format!("{state} {n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The lines of stderr that are the program's word on how it ended, ports, digests and seconds since 1970 replaced; log lines begin with a time.
pub fn own_words(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("20"))
        .collect();
    let rules = [(r"\b\d{9,}\b", "N"), (r"\b[0-9a-f]{64}\b", "HEX")];
    rules
        .iter()
        .fold(plain(&lines.join("\n")), |text, (from, to)| {
            let pattern = regex::Regex::new(from).unwrap();
            pattern.replace_all(&text, *to).into_owned()
        })
}

/// Runs the program; one that hangs is ended and fails the test.
pub fn run(program: &Program, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = program.command(args);
    command.envs(env.iter().copied());
    watched(command, WATCHDOG)
}

/// Runs a command for at most so long.
pub fn watched(mut command: Command, limit: Duration) -> Ran {
    // Into files: a full pipe would hold the program up.
    let dir = tempfile::tempdir().unwrap();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let mut child = command
        .stdout(Stdio::from(std::fs::File::create(&out).unwrap()))
        .stderr(Stdio::from(std::fs::File::create(&err).unwrap()))
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() > limit => {
                child.kill().unwrap();
                child.wait().unwrap();
                let said = std::fs::read(&err).unwrap();
                panic!("it hangs: {}", String::from_utf8_lossy(&said));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Ran {
        code: status.code().unwrap_or(-1),
        stdout: read(&out),
        stderr: read(&err),
    }
}

/// Does something for each of many, so many at a time, and gives what went wrong. Most of them only wait.
pub fn in_parallel<T: Sync>(
    items: &[T],
    at_a_time: usize,
    work: impl Fn(&T) + Sync,
) -> Vec<(usize, String)> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = Arc::new(std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(item) = items.get(n) else { return };
                    let done =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(item)));
                    if let Err(why) = done {
                        let text = why
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| why.downcast_ref::<&str>().map(|&s| s.to_owned()))
                            .unwrap_or_default();
                        failures.lock().unwrap().push((n, text));
                    }
                }
            });
        }
    });
    let mut failures = std::mem::take(&mut *failures.lock().unwrap());
    failures.sort();
    failures
}
