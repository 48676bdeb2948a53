//! Replies that several cases share.

use std::io::Write as _;
use std::sync::Mutex;

use super::scene::pass_on;
use super::stage::{Backstage, Case, case};
use super::unruly::{Act, Reply, Unruly};

/// A strict reply that delivers; each with an id of its own.
pub fn created(id: usize) -> String {
    format!(
        r#"{{"error":false,"contactId":12334,"phonecallId":{}}}"#,
        5000 + id
    )
}

/// A 200 with this body.
pub fn ok(body: impl Into<String>) -> Reply {
    Reply::Json(200, body.into())
}

/// These bytes, then the connection is closed.
pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::Raw(bytes.into())
}

/// A whole reply with these header lines in place of a Content-Length, then the connection is closed.
pub fn framed(headers: &str, body: &str) -> Reply {
    raw(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}"))
}

/// A chunked reply, its chunks written by the test.
pub fn chunked(chunks: &str) -> Reply {
    framed("Transfer-Encoding: chunked\r\n", chunks)
}

/// This much, then nothing.
pub fn then_mute(bytes: &str) -> Reply {
    Reply::Acts(vec![Act::Write(bytes.as_bytes().to_vec()), Act::Mute])
}

/// This much, then the same bytes without end.
pub fn then_flood(bytes: &str, flood: &str) -> Reply {
    Reply::Acts(vec![
        Act::Write(bytes.as_bytes().to_vec()),
        Act::Flood(flood.as_bytes().to_vec()),
    ])
}

/// A gzip file that unpacks to so many mebibytes of blanks and a reply that delivers.
pub fn gzip_bomb(mebibytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..mebibytes {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    encoder.write_all(created(0).as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An honest CRM whose answers are put into another shape.
pub fn reshaped(
    name: &'static str,
    words: &'static str,
    shape: impl Fn(usize, u16, &str) -> Reply + Clone + Send + Sync + 'static,
) -> Case {
    case(name, words, move |stage: &Backstage| {
        let honest = stage.honest.addr;
        let shape = shape.clone();
        Unruly::start(move |n, line| {
            let (status, body) = answer(pass_on(honest, line));
            shape(n, status, &body)
        })
    })
}

/// An honest CRM with a fault for each call's first request, before or after its effect.
pub fn first_request_fails(
    name: &'static str,
    words: &'static str,
    effect: bool,
    fault: impl Fn() -> Reply + Clone + Send + Sync + 'static,
) -> Case {
    case(name, words, move |stage: &Backstage| {
        let honest = stage.honest.addr;
        let fault = fault.clone();
        let known = Mutex::new(std::collections::HashSet::new());
        Unruly::start(move |_, line| {
            if known.lock().unwrap().insert(line.to_owned()) {
                if effect {
                    pass_on(honest, line);
                }
                fault()
            } else {
                pass_on(honest, line)
            }
        })
    })
}

/// Status and body of a framed answer.
pub fn answer(reply: Reply) -> (u16, String) {
    let Reply::Json(status, body) = reply else {
        panic!("not a framed answer: {reply:?}");
    };
    (status, body)
}
