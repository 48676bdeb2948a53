//! A CRM on raw TCP that misbehaves on command, in plain text or behind TLS. It records the head of every request.
//!
//! What it does with a request is a value, a [`Reply`]; the short ones have names, and [`Reply::Acts`] is whatever else a
//! server can do to a connection, one [`Act`] after another. `tricks` has the replies that tests share.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// No thread waits longer for a client, whatever that does.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes that one [`Act::Flood`] sends: 1 GiB.
pub const FLOOD: u64 = 1 << 30;

/// What it does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A well-framed answer.
    Json(u16, String),
    /// A well-framed answer with more header lines, each with its line end.
    With(u16, String, String),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, and the connection stays.
    Send(Vec<u8>),
    /// These bytes, then the second ones one at a time and again and again, until the client has gone.
    Drip(Vec<u8>, Vec<u8>),
    /// Nothing, and the connection stays open until the other side gives up.
    Silence,
    /// The connection is closed at once.
    Close,
    /// One act after another; the connection stays, unless one of them ends it.
    Acts(Vec<Act>),
}

/// One thing that a server can do to a connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes.
    Write(Vec<u8>),
    /// Does nothing for so long.
    Pause(Duration),
    /// Sends these bytes one at a time, again and again, so long apart, until the client has gone.
    Drip(Vec<u8>, Duration),
    /// Sends these bytes again and again as fast as they go, until the client has gone or [`FLOOD`] is reached.
    Flood(Vec<u8>),
    /// Says nothing until the client has gone.
    Mute,
    /// Ends its own direction and goes on listening.
    HalfClose,
    /// Ends the connection by a reset: what was sent and not read yet is lost.
    Reset,
    /// Ends the connection in order.
    Close,
}

/// A running one; it ends when dropped.
pub struct Unruly {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What it gets for each request: its number, from 0, and its head or its first line.
type Script = dyn Fn(usize, &str) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    /// Whether the script wants whole heads.
    heads_wanted: bool,
    /// What happens to a connection before its first request.
    greeting: Vec<Act>,
    tls: Option<Arc<ServerConfig>>,
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    flooded: AtomicU64,
    held_ms: AtomicU64,
    ended: AtomicBool,
}

/// An HTTP reply with a Content-Length.
pub fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

impl Unruly {
    /// `answer` gets the number of the request, from 0, and its request line.
    pub fn start(answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(None, Vec::new(), false, Box::new(answer))
    }

    /// The same, and `answer` gets the whole head.
    pub fn with_heads(answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(None, Vec::new(), true, Box::new(answer))
    }

    /// The same behind TLS.
    pub fn with_tls(
        tls: Arc<ServerConfig>,
        answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(tls), Vec::new(), true, Box::new(answer))
    }

    /// Does this to every connection before it reads anything.
    pub fn greeting(
        acts: Vec<Act>,
        answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(None, acts, false, Box::new(answer))
    }

    /// Answers every request alike.
    pub fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone())
    }

    fn run(
        tls: Option<Arc<ServerConfig>>,
        greeting: Vec<Act>,
        heads_wanted: bool,
        script: Box<Script>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script,
            heads_wanted,
            greeting,
            tls,
            heads: Mutex::default(),
            connections: AtomicUsize::new(0),
            flooded: AtomicU64::new(0),
            held_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &for_thread));
        Self {
            addr,
            shared,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        let scheme = match self.shared.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.addr)
    }

    /// The request lines so far.
    pub fn seen(&self) -> Vec<String> {
        self.heads().iter().map(|head| first_line(head)).collect()
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().expect("not poisoned").clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The longest time that a client has put up with an act that ends only when it goes.
    pub fn held(&self) -> Duration {
        Duration::from_millis(self.shared.held_ms.load(Ordering::SeqCst))
    }

    /// Bytes that floods have sent so far.
    pub fn flooded(&self) -> u64 {
        self.shared.flooded.load(Ordering::SeqCst)
    }
}

impl Drop for Unruly {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection, and how far reading has come.
struct Connection {
    wire: Wire,
    unread: Vec<u8>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// Whether a connection can take another request.
#[derive(PartialEq)]
enum Connected {
    Yes,
    No,
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        // Acts arrive one by one, and not when the kernel sees fit.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let wire = match &shared.tls {
                None => Wire::Plain(stream),
                Some(tls) => {
                    let connection = ServerConnection::new(Arc::clone(tls)).expect("TLS");
                    Wire::Tls(Box::new(StreamOwned::new(connection, stream)))
                }
            };
            let connection = Connection {
                wire,
                unread: Vec::new(),
            };
            serve(connection, &shared);
        });
    }
}

fn serve(mut connection: Connection, shared: &Shared) {
    if connection.act(&shared.greeting, shared) == Connected::No {
        return;
    }
    while let Some(head) = connection.head() {
        let number = {
            let mut heads = shared.heads.lock().expect("not poisoned");
            heads.push(head.clone());
            heads.len() - 1
        };
        let reply = if shared.heads_wanted {
            (shared.script)(number, &head)
        } else {
            (shared.script)(number, &first_line(&head))
        };
        if connection.act(&acts(reply), shared) == Connected::No {
            return;
        }
    }
}

fn first_line(head: &str) -> String {
    head.lines().next().unwrap_or_default().to_owned()
}

/// What a reply comes to.
fn acts(reply: Reply) -> Vec<Act> {
    let framed = |status: u16, headers: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        vec![Act::Write((head + body).into_bytes())]
    };
    match reply {
        Reply::Json(status, body) => framed(status, "", &body),
        Reply::With(status, headers, body) => framed(status, &headers, &body),
        Reply::Raw(bytes) => vec![Act::Write(bytes), Act::Close],
        Reply::Send(bytes) => vec![Act::Write(bytes)],
        Reply::Drip(first, drops) => vec![
            Act::Write(first),
            Act::Drip(drops, Duration::from_millis(5)),
        ],
        Reply::Silence => vec![Act::Mute],
        Reply::Close => vec![Act::Close],
        Reply::Acts(acts) => acts,
    }
}

impl Connection {
    /// A request's head, or `None` when the client has gone.
    fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..at + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            let mut chunk = [0; 4096];
            match self.wire.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
            }
        }
    }

    fn act(&mut self, acts: &[Act], shared: &Shared) -> Connected {
        for act in acts {
            let began = Instant::now();
            let done = match act {
                Act::Write(bytes) => self.write(bytes),
                Act::Pause(time) => {
                    std::thread::sleep(*time);
                    Ok(())
                }
                Act::Drip(bytes, apart) => self.drip(bytes, *apart),
                Act::Flood(bytes) => self.flood(bytes, shared),
                Act::Mute => self.wait_for_the_end(),
                Act::HalfClose => self.wire.tcp().shutdown(Shutdown::Write),
                Act::Reset => self.reset(),
                Act::Close => Err(io::ErrorKind::NotConnected.into()),
            };
            if matches!(act, Act::Drip(..) | Act::Flood(_) | Act::Mute) {
                let held = u64::try_from(began.elapsed().as_millis()).unwrap();
                shared.held_ms.fetch_max(held, Ordering::SeqCst);
            }
            if done.is_err() {
                return Connected::No;
            }
        }
        Connected::Yes
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }

    fn drip(&mut self, bytes: &[u8], apart: Duration) -> io::Result<()> {
        for drop in bytes.iter().cycle() {
            std::thread::sleep(apart);
            self.write(&[*drop])?;
        }
        Ok(())
    }

    fn flood(&mut self, bytes: &[u8], shared: &Shared) -> io::Result<()> {
        let block = bytes.repeat((64 * 1024 / bytes.len()).max(1));
        let mut sent = 0;
        while sent < FLOOD {
            self.write(&block)?;
            sent += block.len() as u64;
            shared
                .flooded
                .fetch_add(block.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    fn wait_for_the_end(&mut self) -> io::Result<()> {
        while self.wire.read(&mut [0; 1024])? > 0 {}
        Err(io::ErrorKind::NotConnected.into())
    }

    fn reset(&mut self) -> io::Result<()> {
        // The standard library cannot set SO_LINGER; tokio can, within a runtime.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let _inside = runtime.enter();
        let stream = self.wire.tcp().try_clone()?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)?.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
