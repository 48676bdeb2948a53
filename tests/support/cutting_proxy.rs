//! A TCP proxy in front of a real server that does to its connections what networks do.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What becomes of the server's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They pass.
    None,
    /// The connection ends after so many bytes of them.
    Cut {
        /// Bytes that pass.
        after: u64,
        /// Counted over all connections, and cut only once; else counted in each connection, and each is cut.
        once: bool,
        /// By a reset, as of a firewall or a host that died; else by a regular end.
        reset: bool,
    },
    /// After so many bytes, counted over all connections, no answer moves any more on any connection, until another fault
    /// is set. The proxy takes nothing from the server either: what that sends stays in buffers.
    Mute {
        /// Bytes that pass.
        after: u64,
    },
}

/// A running proxy; it ends when dropped.
pub struct Proxy {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Changes what a server said.
pub type Forge = fn(&mut Vec<u8>);

struct Shared {
    server: SocketAddr,
    fault: Mutex<Fault>,
    /// Connections that are reset as soon as they are accepted.
    refuse: AtomicU64,
    delay: Mutex<Duration>,
    connections: AtomicU64,
    /// Bytes of the server's answers that have passed.
    passed: AtomicU64,
    /// What clients sent, in the order of its coming.
    sent: Mutex<Vec<u8>>,
    /// What the server sent and what passed of it.
    answered: Mutex<Vec<u8>>,
    /// Replaces bytes of the server's first answer on each connection.
    forge: Mutex<Option<Forge>>,
    ended: AtomicBool,
}

impl Proxy {
    /// In front of `port` of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], port)),
            fault: Mutex::new(Fault::None),
            refuse: AtomicU64::new(0),
            delay: Mutex::new(Duration::ZERO),
            connections: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            sent: Mutex::new(Vec::new()),
            answered: Mutex::new(Vec::new()),
            forge: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.ended() {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    shared.accept(stream);
                }
            }
        });
        Self {
            addr,
            shared,
            thread: Some(thread),
        }
    }

    /// From now on; the count of bytes begins anew.
    pub fn set(&self, fault: Fault) {
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.connections.store(0, Ordering::SeqCst);
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Lets everything pass from now on; the counts go on.
    pub fn lift(&self) {
        *self.shared.fault.lock().unwrap() = Fault::None;
    }

    /// Resets the next so many connections.
    pub fn refuse(&self, connections: u64) {
        self.shared.refuse.store(connections, Ordering::SeqCst);
    }

    /// Keeps each chunk of the server's answers back so long.
    pub fn delay(&self, each: Duration) {
        *self.shared.delay.lock().unwrap() = each;
    }

    /// Has the server's first words of each connection changed.
    pub fn forge(&self, how: Forge) {
        *self.shared.forge.lock().unwrap() = Some(how);
    }

    /// Connections since [`Proxy::set`], refused ones included.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes of answers that have passed since [`Proxy::set`].
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// Whether what clients or the server sent, as it went over the wire, holds these bytes.
    pub fn saw(&self, bytes: &[u8]) -> bool {
        let holds = |all: &[u8]| all.windows(bytes.len()).any(|part| part == bytes);
        holds(&self.shared.sent.lock().unwrap()) || holds(&self.shared.answered.lock().unwrap())
    }

    /// How many bytes clients have sent.
    pub fn sent(&self) -> usize {
        self.shared.sent.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How often a thread that waits looks whether the proxy has ended.
const LOOK: Duration = Duration::from_millis(20);

impl Shared {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let refuse = self
            .refuse
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if refuse.is_ok() {
            reset(client);
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else {
            reset(client);
            return;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(LOOK)).unwrap();
        }
        let over = Arc::new(AtomicBool::new(false));
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let questions = std::thread::spawn({
            let (shared, over) = (Arc::clone(self), Arc::clone(&over));
            move || shared.pump_questions(&from, &to, &over)
        });
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            let rst = shared.pump_answers(&server, &client, &over);
            over.store(true, Ordering::SeqCst);
            // Only the last handle's end resets a connection.
            let _ = questions.join();
            if rst {
                reset(client);
            }
        });
    }

    fn pump_questions(&self, from: &TcpStream, mut to: &TcpStream, over: &AtomicBool) {
        let mut chunk = vec![0; 16 << 10];
        while let Some(n) = self.read(from, &mut chunk, over) {
            self.sent.lock().unwrap().extend_from_slice(&chunk[..n]);
            if to.write_all(&chunk[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Gives whether the client's connection is to be reset.
    fn pump_answers(&self, from: &TcpStream, mut to: &TcpStream, over: &AtomicBool) -> bool {
        let mut chunk = vec![0; 16 << 10];
        let mut here = 0;
        loop {
            // Looked at before anything is taken: what a mute connection does not take stays with the server.
            let fault = *self.fault.lock().unwrap();
            if let Fault::Mute { after } = fault
                && self.passed.load(Ordering::SeqCst) >= after
            {
                self.wait_while_mute();
                continue;
            }
            let Some(n) = self.read(from, &mut chunk, over) else {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return false;
            };
            let delay = *self.delay.lock().unwrap();
            std::thread::sleep(delay);
            let mut all = chunk[..n].to_vec();
            if here == 0
                && let Some(forge) = *self.forge.lock().unwrap()
            {
                forge(&mut all);
            }
            let total = all.len() as u64;
            let allowed = self.allowed(here, total);
            let part = &all[..usize::try_from(allowed).unwrap()];
            self.note(part);
            here += allowed;
            if to.write_all(part).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                return false;
            }
            if allowed == total {
                continue;
            }
            let fault = *self.fault.lock().unwrap();
            return match fault {
                Fault::None => false,
                Fault::Cut { once, reset, .. } => {
                    if once {
                        *self.fault.lock().unwrap() = Fault::None;
                    }
                    if !reset {
                        let _ = to.shutdown(Shutdown::Both);
                    }
                    let _ = from.shutdown(Shutdown::Both);
                    reset
                }
                Fault::Mute { .. } => {
                    self.wait_while_mute();
                    let rest = &all[usize::try_from(allowed).unwrap()..];
                    self.note(rest);
                    here += rest.len() as u64;
                    if to.write_all(rest).is_ok() {
                        continue;
                    }
                    false
                }
            };
        }
    }

    /// Notes what passes.
    fn note(&self, part: &[u8]) {
        self.answered.lock().unwrap().extend_from_slice(part);
        self.passed.fetch_add(part.len() as u64, Ordering::SeqCst);
    }

    /// How many of the next `n` bytes pass, of which `here` have passed on this connection.
    fn allowed(&self, here: u64, n: u64) -> u64 {
        let passed = self.passed.load(Ordering::SeqCst);
        let left = match *self.fault.lock().unwrap() {
            Fault::None => n,
            Fault::Cut {
                after, once: false, ..
            } => after.saturating_sub(here),
            Fault::Cut {
                after, once: true, ..
            }
            | Fault::Mute { after } => after.saturating_sub(passed),
        };
        n.min(left)
    }

    fn wait_while_mute(&self) {
        while !self.ended() && matches!(*self.fault.lock().unwrap(), Fault::Mute { .. }) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// `None` at the end of the stream, of the connection, or of the proxy.
    fn read(&self, mut from: &TcpStream, chunk: &mut [u8], over: &AtomicBool) -> Option<usize> {
        loop {
            if self.ended() || over.load(Ordering::SeqCst) {
                return None;
            }
            match from.read(chunk) {
                Ok(0) => return None,
                Ok(n) => return Some(n),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Closes a connection by a reset: what closing without lingering does (tcp(7), SO_LINGER in socket(7)).
fn reset(stream: TcpStream) {
    let socket = tokio::net::TcpSocket::from_std_stream(stream);
    let _ = socket.set_zero_linger();
}
