//! A CRM that acts on a request at once and answers it later: what is killed while it waits was sent and not recorded.
//!
//! It shares no code with the program or its practice CRM, keeps every call with the number of times it was created, and
//! can hold back all answers for as long as a test needs to look around.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::golden::Golden;

/// Start, source and destination, as they came.
pub type Key = (String, String, String);

/// How it behaves.
pub struct Manners {
    /// A second create of a key creates nothing; otherwise every request creates a call.
    pub keyed: bool,
    /// A second create of a key is told `error:false` with the ids of the first, instead of "ya existe".
    pub silent: bool,
    /// Between acting and answering.
    pub latency: Duration,
    /// Whether a contact has this destination.
    pub knows: fn(&str) -> bool,
    /// Whether this source is refused for good.
    pub refuses: fn(&str) -> bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            keyed: true,
            silent: false,
            latency: Duration::ZERO,
            knows: |_| true,
            refuses: |_| false,
        }
    }
}

/// What it has seen and holds.
#[derive(Debug, Default, Clone)]
pub struct Book {
    /// Requests, whatever came of them.
    pub requests: u64,
    /// Calls created.
    pub created: u64,
    /// Creates of calls that it held.
    pub existing: u64,
    /// Creates for numbers without a contact.
    pub unmatched: u64,
    /// Creates refused for good.
    pub refused: u64,
    /// Requests that were none: no request line, no key, the wrong token.
    pub nonsense: u64,
    /// Every call, and how often it was created.
    pub calls: BTreeMap<Key, Call>,
}

/// A call that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub duration: u64,
    pub url: Option<String>,
    pub times: u64,
    pub id: i64,
}

/// A running one; it ends when dropped.
pub struct Crm {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    manners: Manners,
    book: Mutex<Book>,
    ended: AtomicBool,
    /// Connections that are served.
    serving: AtomicUsize,
    holding: Mutex<bool>,
    released: Condvar,
}

impl Crm {
    pub fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            manners,
            book: Mutex::default(),
            ended: AtomicBool::new(false),
            serving: AtomicUsize::new(0),
            holding: Mutex::new(false),
            released: Condvar::new(),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    shared.serving.fetch_add(1, Ordering::SeqCst);
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || {
                        serve(stream, &shared);
                        shared.serving.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self {
            addr,
            shared,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it has seen so far, to look at while it goes on.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().expect("not poisoned")
    }

    pub fn requests(&self) -> u64 {
        self.book().requests
    }

    /// What it holds, in golden's form.
    pub fn held(&self) -> Golden {
        self.book()
            .calls
            .iter()
            .map(|(key, call)| (key.clone(), (call.duration, call.url.clone())))
            .collect()
    }

    /// Whether a repeat is told apart from a first create by its answer.
    pub fn tells(&self) -> bool {
        !self.shared.manners.silent
    }

    /// Whether bytes or connections have reached its sockets that it has not taken yet (proc(5), `/proc/net/tcp`: of a
    /// listening socket the queue counts connections).
    pub fn has_unread(&self) -> bool {
        let port = format!(":{:04X}", self.addr.port());
        std::fs::read_to_string("/proc/net/tcp")
            .expect("the kernel's list of sockets")
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next()?;
                let queues = fields.nth(2)?;
                local.ends_with(&port).then_some(queues)
            })
            .any(|queues| !queues.ends_with(":00000000"))
    }

    /// Waits until it is done with all that had reached it. For when its clients have gone.
    #[track_caller]
    pub fn rests(&self) {
        let since = Instant::now();
        let mut looks = 0;
        while looks < 3 {
            assert!(since.elapsed() < Duration::from_secs(60), "it never rests");
            let busy = self.has_unread() || self.shared.serving.load(Ordering::SeqCst) > 0;
            looks = if busy { 0 } else { looks + 1 };
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// From here on it reads requests and acts on them, and answers none.
    pub fn hold(&self) {
        *self.shared.holding.lock().expect("not poisoned") = true;
    }

    /// Answers everything that was held back.
    pub fn release(&self) {
        *self.shared.holding.lock().expect("not poisoned") = false;
        self.shared.released.notify_all();
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.release();
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(n) => buffer.extend_from_slice(&chunk[..n]),
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let body = act(shared, &String::from_utf8_lossy(&head));
        if !shared.manners.latency.is_zero() {
            std::thread::sleep(shared.manners.latency);
        }
        let mut holding = shared.holding.lock().expect("not poisoned");
        while *holding && !shared.ended.load(Ordering::SeqCst) {
            holding = shared.released.wait(holding).expect("not poisoned");
        }
        drop(holding);
        let reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Does what a request asks for, and gives the answer.
fn act(shared: &Shared, head: &str) -> String {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut fields: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let mut field = |name: &str| fields.remove(name);
    let mut book = shared.book.lock().expect("not poisoned");
    book.requests += 1;
    let known_path = path == "/direct/items/phonecalls/create";
    let (Some("sandbox"), Some(initiated), Some(source), Some(destination), Some(duration), true) = (
        field("token").as_deref(),
        field("initiated"),
        field("source"),
        field("destination"),
        field("duration").and_then(|text| text.parse().ok()),
        known_path,
    ) else {
        book.nonsense += 1;
        return r#"{"error":true,"errors":{"initiated":"falta algo"}}"#.to_owned();
    };
    if (shared.manners.refuses)(&source) {
        book.refused += 1;
        // The number goes into the words: a CRM that says one and the same thing of ten calls would be disbelieved.
        let plain: String = source.chars().filter(char::is_ascii_alphanumeric).collect();
        return format!(
            r#"{{"error":true,"errors":{{"source":"origen {plain} no admitido {}"}}}}"#,
            book.requests
        );
    }
    if !(shared.manners.knows)(&destination) {
        book.unmatched += 1;
        return r#"{"error":true,"errors":{"destination":"no se consiguió el número de destino en la base de datos"}}"#
            .to_owned();
    }
    let url = field("url");
    let fresh = book.calls.len() as i64 + 1;
    let call = book
        .calls
        .entry((initiated, source, destination))
        .or_insert(Call {
            duration,
            url,
            times: 0,
            id: fresh,
        });
    let id = call.id;
    if call.times > 0 && shared.manners.keyed {
        book.existing += 1;
        if !shared.manners.silent {
            return r#"{"error":true,"errors":{"phonecall":"la llamada ya existe"}}"#.to_owned();
        }
    } else {
        call.times += 1;
        book.created += 1;
    }
    format!(r#"{{"error":false,"contactId":77,"phonecallId":{id}}}"#)
}
