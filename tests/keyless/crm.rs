//! A BGCRM on loopback that answers by script and remembers every request. It speaks HTTP as far as cdrelay does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use url::form_urlencoded;

/// No thread waits longer for a client.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status and body, as JSON, text or HTML.
    Says(u16, String),
    /// These bytes, and then the connection is closed.
    Raw(&'static str),
    /// Nothing until the client has gone.
    Silence,
    /// The same after so long.
    After(Duration, Box<Answer>),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST /admin/dynamic.do`, with the query, where there is one.
    pub(crate) line: String,
    pub(crate) body: String,
}

impl Request {
    /// Its parameters, from wherever a servlet takes them.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let query = self.line.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes())
            .chain(form_urlencoded::parse(self.body.as_bytes()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    #[track_caller]
    pub(crate) fn parameter(&self, name: &str) -> String {
        let all = self.parameters();
        let mut found = all.iter().filter(|(key, _)| key == name);
        let value = found.next().unwrap_or_else(|| panic!("{name}: {all:?}"));
        assert!(found.next().is_none(), "{name} twice: {all:?}");
        value.1.clone()
    }
}

/// A running one; it ends when dropped.
pub(crate) struct Crm {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

type Script = dyn Fn(usize, &Request) -> Answer + Send + Sync;

struct Shared {
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

/// What a class that did its work answers.
pub(crate) fn ok() -> Answer {
    let body = r#"{"status":"ok","message":"","data":{"process":{"id":4711}},"eventList":[]}"#;
    Answer::Says(200, body.to_owned())
}

impl Crm {
    /// `script` gets the number of the request, from 0.
    pub(crate) fn start(
        script: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let crm = Self {
            addr: listener.local_addr().unwrap(),
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        crm
    }

    /// One whose class does its work.
    pub(crate) fn good() -> Self {
        Self::start(|_, _| ok())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Answers by another script from now on.
    pub(crate) fn change(
        &self,
        script: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The callers' numbers of all requests so far, in their order.
    pub(crate) fn numbers(&self) -> Vec<String> {
        let requests = self.requests();
        requests.iter().map(|r| r.parameter("aon")).collect()
    }

    /// Waits until so many requests are in.
    #[track_caller]
    pub(crate) fn wait_for(&self, requests: usize) {
        for _ in 0..3000 {
            if self.requests().len() >= requests {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} of {requests} requests", self.requests().len());
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.addr);
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut requests = shared.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let script = Arc::clone(&shared.script.lock().unwrap());
        let mut answer = script(number, &request);
        while let Answer::After(pause, next) = answer {
            std::thread::sleep(pause);
            answer = *next;
        }
        let stream = reader.get_mut();
        match answer {
            Answer::Says(status, body) => {
                let length = body.len();
                let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
                if stream.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes());
                return;
            }
            Answer::Silence => {
                let _ = stream.read(&mut [0; 64]);
                return;
            }
            Answer::After(..) => unreachable!("unfolded above"),
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.rsplit_once(" HTTP/").unwrap().0.to_owned(),
        body: String::from_utf8(body).unwrap(),
    })
}
