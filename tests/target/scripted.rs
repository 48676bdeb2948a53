//! A server that answers by script, byte for byte, with or without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use url::Url;

/// What to do about a request.
pub(crate) enum Step {
    /// Send these bytes, keep the connection.
    Send(Vec<u8>),
    /// Send these bytes, close it.
    SendAndClose(Vec<u8>),
    /// Send these bytes, then the second ones one at a time and again and again, until the client has gone.
    Drip(Vec<u8>, Vec<u8>),
    /// Say nothing until the client has gone.
    Silence,
}

/// The script: it gets the number of the request, from 0, and its head.
type Script = dyn Fn(usize, &str) -> Step + Send + Sync;

/// A server at work. It ends with its value.
pub(crate) struct Scripted {
    pub(crate) url: Url,
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    stop: AtomicBool,
}

/// An HTTP reply with a Content-Length.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(usize, &str) -> Step + Send + Sync + 'static) -> Self {
        Self::start_with(None, script)
    }

    pub(crate) fn start_with(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(usize, &str) -> Step + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            script: Box::new(script),
            tls,
            heads: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &for_thread));
        Self {
            url: Url::parse(&format!("{scheme}://{addr}/")).unwrap(),
            addr,
            shared,
            thread: Some(thread),
        }
    }

    /// Always the same reply.
    pub(crate) fn always(bytes: Vec<u8>) -> Self {
        Self::start(move |_, _| Step::Send(bytes.clone()))
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        // Whatever a client does, no thread outlives the test by much.
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || match &shared.tls {
            None => serve(stream, &shared),
            Some(tls) => {
                let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                serve(StreamOwned::new(connection, stream), &shared);
            }
        });
    }
}

fn serve(mut stream: impl Read + Write, shared: &Shared) {
    while let Some(head) = read_head(&mut stream) {
        let number = {
            let mut heads = shared.heads.lock().unwrap();
            heads.push(head.clone());
            heads.len() - 1
        };
        match (shared.script)(number, &head) {
            Step::Send(bytes) => {
                if stream
                    .write_all(&bytes)
                    .and_then(|()| stream.flush())
                    .is_err()
                {
                    return;
                }
            }
            Step::SendAndClose(bytes) => {
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
                return;
            }
            Step::Drip(start, drops) => {
                if stream.write_all(&start).is_err() {
                    return;
                }
                for drop in drops.iter().cycle() {
                    std::thread::sleep(Duration::from_millis(5));
                    if stream
                        .write_all(&[*drop])
                        .and_then(|()| stream.flush())
                        .is_err()
                    {
                        return;
                    }
                }
            }
            Step::Silence => {
                let _ = stream.read(&mut [0; 1]);
                return;
            }
        }
    }
}

/// A request's head, or `None` when the client has gone.
fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
    String::from_utf8(head).ok()
}
