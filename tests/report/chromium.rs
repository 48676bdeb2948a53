//! A headless Chromium, spoken to over a pipe by its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>): no port is opened, and nothing is asked of any network.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest that an answer is waited for; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. It ends with the pipe, however the test ends.
pub(crate) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What happened on the page since it was opened.
    events: Vec<Value>,
    directory: tempfile::TempDir,
}

/// How the page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

pub(crate) const PHONE: Look = Look {
    width: 390,
    height: 844,
    dark: false,
};

pub(crate) const DESK: Look = Look {
    width: 1280,
    height: 900,
    dark: false,
};

impl Look {
    pub(crate) fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

impl Chromium {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = std::fs::File::create(directory.path().join("log")).expect("a log");
        // The browser reads from descriptor 3 and writes to 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(super::support::program("chromium", &[]))
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--remote-debugging-pipe",
            ])
            .arg(format!(
                "--user-data-dir={}",
                directory.path().join("profile").display()
            ))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let to = child.stdin.take().expect("a pipe");
        let out = child.stdout.take().expect("a pipe");
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0) {
                let Ok(message) = message else { break };
                let Ok(message) = serde_json::from_slice(&message) else {
                    break;
                };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            last: 0,
            session: None,
            events: Vec::new(),
            directory,
        };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.ask(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a file, and waits until it is there with everything that belongs to it.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.ask("Page.navigate", &json!({"url": url}));
        while !self.happened("Page.loadEventFired") {
            let event = self.next();
            self.events.push(event);
        }
    }

    pub(crate) fn look(&mut self, look: Look) {
        self.ask("Emulation.setDeviceMetricsOverride", &json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600}),
        );
        let scheme = if look.dark { "dark" } else { "light" };
        self.ask(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    /// What an expression comes to on the page. The policy of the page does not concern the debugger.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.ask(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// A picture of the page, whole or of its upper part only.
    pub(crate) fn screenshot(&mut self, file: &Path, height: Option<u32>) {
        let metrics = self.ask("Page.getLayoutMetrics", &json!({}));
        let size = &metrics["cssContentSize"];
        let height = height.map_or_else(|| size["height"].clone(), |height| json!(height));
        let picture = self.ask(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": true,
                   "clip": {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}}),
        );
        std::fs::write(file, bytes(&picture)).expect("written");
    }

    /// The page as it is printed.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        let printed = self.ask("Page.printToPDF", &json!({"printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": true}),
        );
        bytes(&printed)
    }

    /// Everything that the page asked for, and every complaint of the browser about it.
    pub(crate) fn requests_and_complaints(&self) -> (Vec<String>, Vec<String>) {
        let texts = |method: &str, pointer: &str| -> Vec<String> {
            self.events
                .iter()
                .filter(|event| event["method"] == method)
                .filter_map(|event| event.pointer(pointer))
                .map(|text| {
                    text.as_str()
                        .map_or_else(|| text.to_string(), str::to_owned)
                })
                .collect()
        };
        let requests = texts("Network.requestWillBeSent", "/params/request/url");
        let mut complaints = texts("Log.entryAdded", "/params/entry/text");
        complaints.extend(texts("Runtime.consoleAPICalled", "/params/args"));
        complaints.extend(texts("Runtime.exceptionThrown", "/params/exceptionDetails"));
        (requests, complaints)
    }

    fn happened(&self, method: &str) -> bool {
        self.events.iter().any(|event| event["method"] == method)
    }

    fn next(&mut self) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            panic!("the browser does not answer:\n{}", log.unwrap_or_default())
        })
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.to.write_all(&text).expect("the browser listens");
        loop {
            let mut message = self.next();
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Base64 under `data`.
fn bytes(answer: &Value) -> Vec<u8> {
    let text = answer["data"].as_str().expect("data");
    let alphabet = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let plain = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(plain.len() * 3 / 4);
    for chunk in plain.chunks(4) {
        let bits = (0..4).fold(0, |bits, n| {
            bits << 6 | chunk.get(n).map_or(0, |c| alphabet(*c))
        });
        for n in 0..chunk.len() - 1 {
            bytes.push((bits >> (16 - 8 * n)) as u8);
        }
    }
    bytes
}
