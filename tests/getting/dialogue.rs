//! `init` at a terminal: a real one, by script(1), and what a person reads and types there.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::here;
use super::machine::{CONFIG, Machine};
use super::scene::sandbox;

/// A program that runs on a terminal of its own.
struct Terminal {
    child: Child,
    reader: JoinHandle<()>,
    shown: Arc<Mutex<String>>,
    seen: usize,
}

impl Terminal {
    /// `init` on this machine; `None` where there is no script(1).
    fn start(machine: &Machine, arguments: &[&str]) -> Option<Self> {
        here("script")?;
        let root = machine.root.path().to_str().unwrap();
        let line = format!(
            "{} init --root {root} {}",
            env!("CARGO_BIN_EXE_cdrelay"),
            arguments.join(" ")
        );
        Some(Self::start_line(machine, &line))
    }

    /// A line of the shell.
    fn start_line(machine: &Machine, line: &str) -> Self {
        let root = machine.root.path();
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                line,
                "/dev/null",
            ])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", root)
            .env("SHELL", "/bin/sh")
            .env("TERM", "dumb")
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let mut stdout = child.stdout.take().unwrap();
        let writer = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut bytes) {
                writer
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self {
            child,
            reader,
            shown,
            seen: 0,
        }
    }

    /// Waits for a text that was not waited for before.
    #[track_caller]
    fn reads(&mut self, text: &str) {
        let since = Instant::now();
        loop {
            let shown = self.shown.lock().unwrap().clone();
            if let Some(at) = shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "waited for `{text}`:\n{shown}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a question and answers it.
    #[track_caller]
    fn answers(&mut self, question: &str, answer: &str) {
        self.reads(question);
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(answer.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for the end; gives the exit code and everything that was to be seen.
    fn ends(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let shown = self.shown.lock().unwrap().replace('\r', "");
        (status.code(), shown)
    }
}

/// A machine whose settings lead to a SQLite table with one call of today.
fn machine() -> Machine {
    let machine = Machine::new();
    machine.write(
        "/etc/asterisk/cdr_sqlite3_custom.conf",
        "[master]\ntable => cdr\ncolumns => calldate, src, dst\n",
    );
    machine.write("/etc/timezone", "America/Caracas\n");
    let path = machine.write("/var/log/asterisk/master.db", "");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, calldate, src, dst, duration, disposition);
         CREATE INDEX cdr_calldate ON cdr (calldate);
         INSERT INTO cdr VALUES (1, datetime('now', '-1 day'), '7222', '92853348', 33, 'ANSWERED')",
    )
    .unwrap();
    machine
}

#[test]
fn a_person_is_asked_what_matters_and_gets_a_configuration_that_runs() {
    let machine = machine();
    let crm = sandbox();
    let Some(mut terminal) = Terminal::start(&machine, &[]) else {
        return;
    };
    terminal.reads("This writes ");
    terminal.reads("Found: sqlite://");
    terminal.answers("Where are the calls? [sqlite://", "");
    terminal.reads("The source answers: SQLite");
    terminal.answers(
        "Zone that the PBX writes its times in [America/Caracas]: ",
        "Caracas",
    );
    terminal.reads("That is no zone of the list");
    terminal.answers(
        "Zone that the PBX writes its times in [America/Caracas]: ",
        "",
    );
    terminal.answers(
        "Address of the CRM: ",
        crm.url.as_str().trim_end_matches('/'),
    );
    terminal.answers("Token of the CRM, not shown: ", "sandbox");
    terminal.answers("Start [utc]: ", "");
    terminal.answers("outside line, such as 9 (-: none) [-]: ", "9");
    terminal.answers("such as 0212 (-: none) [-]: ", "0212");
    terminal.answers("Ledger, the record of what was sent [", "");
    terminal.reads("92853348             is sent as 02122853348");
    terminal.answers("and beside it nimbox.token? (n: ask again) [Y/n] ", "");
    terminal.reads("Written, readable by their owner alone");
    terminal.answers("to see whether it takes the token. [y/N] ", "y");
    terminal.reads("2 rules; 2 examples fulfilled");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        !shown.contains("sandbox"),
        "what is typed as a token is not shown: {shown}"
    );
    assert_eq!(
        machine.listing("/etc/cdrelay"),
        ["cdrelay.toml", "nimbox.token"]
    );
    let sync = machine.cdrelay(&["sync"]);
    assert_eq!(sync.code, 0, "{sync:?}");
    assert_eq!(crm.calls().len(), 1);
    assert_eq!(crm.calls()[0].destination, "02122853348");
}

#[test]
fn answers_that_do_not_hold_together_are_asked_again_with_what_was_said() {
    let machine = machine();
    let Some(mut terminal) = Terminal::start(
        &machine,
        &[
            "--timezone",
            "America/Bogota",
            "--initiated-as",
            "local",
            "--area-code",
            "''",
            "--outside-line",
            "9",
        ],
    ) else {
        return;
    };
    terminal.answers("Where are the calls? [", "sqlite:///nowhere/cdr.db");
    terminal.answers("Table [cdr]: ", "");
    terminal.reads("The source cannot be read: ");
    terminal.answers("Give other answers? [Y/n] ", "");
    terminal.answers(
        "Where are the calls? [sqlite:///nowhere/cdr.db]: ",
        "mysql://u:secret@127.0.0.1/x",
    );
    terminal.reads("Leave the password out of the address");
    let path = format!(
        "sqlite://{}",
        machine.path("/var/log/asterisk/master.db").display()
    );
    terminal.answers("Where are the calls? [", &path);
    // Flags have answered zone, start and numbers.
    terminal.answers("Address of the CRM: ", "http://crm.example.com");
    terminal.answers("Token of the CRM, not shown: ", "");
    terminal.answers("Token of the CRM, not shown: ", "t");
    terminal.answers("Ledger, the record", "");
    terminal.reads("That does not hold together:");
    terminal.reads("would send the token to crm.example.com unencrypted");
    // Now everything is asked, with the answers so far.
    terminal.answers("Where are the calls? [", "");
    terminal.answers("in [America/Bogota]: ", "");
    terminal.answers(
        "Address of the CRM [http://crm.example.com]: ",
        "https://crm.example.com",
    );
    terminal.answers("Token of the CRM, not shown (Enter: as it is): ", "");
    terminal.answers("Start [local]: ", "");
    terminal.answers("(-: none) [9]: ", "-");
    terminal.answers("(-: none) [-]: ", "");
    terminal.answers("Ledger, the record", "");
    terminal.answers("(n: ask again) [Y/n] ", "y");
    terminal.answers("[y/N] ", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    let config = machine.read(CONFIG);
    assert!(
        config.contains("url = \"https://crm.example.com\""),
        "{config}"
    );
    assert!(config.contains("initiated_as = \"local\""), "{config}");
    assert!(!config.contains("[[rules]]"), "{config}");
    assert_eq!(machine.read("/etc/cdrelay/nimbox.token"), "t\n");
}

#[test]
fn an_interrupt_or_the_end_of_the_input_writes_nothing_and_gives_the_terminal_back() {
    for (key, code, said) in [
        (
            "\u{3}",
            130,
            "cdrelay: stopped by SIGINT before anything was sent\n",
        ),
        (
            "\u{4}",
            2,
            "cdrelay: the input ended; nothing was written\n",
        ),
    ] {
        let machine = machine();
        let root = machine.root.path().to_str().unwrap().to_owned();
        if here("script").is_none() {
            return;
        }
        let program = env!("CARGO_BIN_EXE_cdrelay");
        // The shell asks the terminal afterwards whether it shows again what is typed.
        let file = machine.write(
            "/run.sh",
            &format!("trap : INT\n{program} init --root {root} --target-url https://crm.example.com\necho \"code $?\"\nstty -a | grep -ow -e '-echo' -e echo\n"),
        );
        let mut terminal = Terminal::start_line(&machine, &format!("sh {}", file.display()));
        terminal.answers("Where are the calls? [", "");
        terminal.answers("Zone that the PBX writes its times in [", "");
        terminal.reads("Token of the CRM, not shown: ");
        let stdin = terminal.child.stdin.as_mut().unwrap();
        stdin.write_all(key.as_bytes()).unwrap();
        stdin.flush().unwrap();
        terminal.reads(&format!("code {code}"));
        let (_, shown) = terminal.ends();
        assert!(shown.contains(said), "{shown}");
        assert!(shown.trim_end().ends_with("\necho"), "{shown}");
        assert!(!machine.path("/etc/cdrelay").exists(), "{shown}");
    }
}
