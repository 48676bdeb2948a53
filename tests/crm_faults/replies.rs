//! Mutilated replies: every truncation, and thousands of mutations, against an opinion of its own on what a reply says.

use std::sync::LazyLock;
use std::time::Duration;

use cdrelay::call::{PhoneNumber, WireForm};
use cdrelay::config::secret::Secret;
use cdrelay::config::{InitiatedAs, NimboxConfig, TargetConfig, TargetKind};
use cdrelay::target::http::Secrets;
use cdrelay::target::nimbox::verdict::{Answer, Reading, classify};
use cdrelay::target::{Outcome, connect};

use super::soak::{self, Chance};
use super::unruly::{Reply, Unruly, reply};

/// A created, an existing, an unmatched and a rejected call.
const GOOD: [&str; 4] = [
    r#"{ "error": false, "contactId": 12334, "phonecallId": 3241 }"#,
    r#"{"error":true,"errors":{"call":"La llamada ya existe"}}"#,
    r#"{ "error": true, "errors": { "destination": "no se consiguió el número de destino en la base de datos" } }"#,
    r#"{"error":true,"errors":{"source":"n\u00famero inv\u00e1lido","initiated":["x",1.5e3,null]}}"#,
];

const PATTERNS: [&str; 3] = ["ya existe", "already exist", "duplicad"];

/// RFC 8259, section 6.
static NUMBER: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?").unwrap()
});

/// What a reply says of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Created,
    Existing,
    Unmatched,
    Rejected,
    Token,
    Nothing,
}

fn word(outcome: &Outcome) -> Word {
    match outcome {
        Outcome::Delivered(receipt) if receipt.existing => Word::Existing,
        Outcome::Delivered(_) => Word::Created,
        Outcome::Unmatched { .. } => Word::Unmatched,
        Outcome::Rejected { .. } => Word::Rejected,
        Outcome::Broken { .. } => Word::Token,
        Outcome::NoVerdict(_) => Word::Nothing,
        Outcome::NotSent => panic!("a reply is never `NotSent`"),
    }
}

fn found(body: &[u8]) -> Word {
    let answer = Answer {
        status: 200,
        body,
        ..Answer::default()
    };
    word(&classify(
        &answer,
        &Reading {
            already_exists: &PATTERNS.map(ToOwned::to_owned),
            hidden: &Secrets::default(),
            now: chrono::DateTime::UNIX_EPOCH,
        },
    ))
}

/// JSON, as far as it matters here.
enum Json {
    Bool(bool),
    /// Null and numbers, as they are shown.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// RFC 8259 to the letter, and no key twice in an object: written for this test, with nothing of the program.
struct Strict<'a> {
    text: &'a str,
}

impl Strict<'_> {
    fn document(body: &[u8]) -> Option<Json> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut strict = Strict {
            text: std::str::from_utf8(body).ok()?,
        };
        let value = strict.value()?;
        strict.text.is_empty().then_some(value)
    }

    fn blanks(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, wanted: &str) -> bool {
        match self.text.strip_prefix(wanted) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Json> {
        self.blanks();
        let value = if self.take("{") {
            self.object()?
        } else if self.take("[") {
            self.list()?
        } else if self.take("\"") {
            Json::Text(self.string()?)
        } else if self.take("true") {
            Json::Bool(true)
        } else if self.take("false") {
            Json::Bool(false)
        } else if self.take("null") {
            Json::Bare(String::new())
        } else {
            self.number()?
        };
        self.blanks();
        Some(value)
    }

    fn object(&mut self) -> Option<Json> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        self.blanks();
        if self.take("}") {
            return Some(Json::Object(fields));
        }
        loop {
            self.blanks();
            if !self.take("\"") {
                return None;
            }
            let key = self.string()?;
            self.blanks();
            if fields.iter().any(|(known, _)| *known == key) || !self.take(":") {
                return None;
            }
            let value = self.value()?;
            fields.push((key, value));
            if self.take("}") {
                return Some(Json::Object(fields));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn list(&mut self) -> Option<Json> {
        let mut values = Vec::new();
        self.blanks();
        if self.take("]") {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value()?);
            if self.take("]") {
                return Some(Json::List(values));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = self.text.chars().next()?;
            self.text = &self.text[c.len_utf8()..];
            match c {
                '"' => return String::from_utf16(&units).ok(),
                '\\' => {
                    let escape = self.text.chars().next()?;
                    self.text = &self.text[escape.len_utf8()..];
                    units.push(match escape {
                        '"' | '\\' | '/' => escape as u16,
                        'b' => 8,
                        'f' => 12,
                        'n' => 10,
                        'r' => 13,
                        't' => 9,
                        'u' => {
                            let digits = self.text.get(..4)?;
                            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                                return None;
                            }
                            self.text = &self.text[4..];
                            u16::from_str_radix(digits, 16).ok()?
                        }
                        _ => return None,
                    });
                }
                c if (c as u32) < 0x20 => return None,
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let number = NUMBER.find(self.text)?.as_str();
        self.text = &self.text[number.len()..];
        number
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())?;
        Some(Json::Bare(number.to_owned()))
    }
}

/// Whether a text under this value means that the call is there.
fn says_exists(value: &Json) -> bool {
    match value {
        Json::Text(text) => PATTERNS
            .iter()
            .any(|pattern| text.to_lowercase().contains(pattern)),
        Json::List(values) => values.iter().any(says_exists),
        Json::Object(fields) => fields.iter().any(|(_, value)| says_exists(value)),
        Json::Bool(_) | Json::Bare(_) => false,
    }
}

fn expected(body: &[u8]) -> Word {
    let Some(Json::Object(fields)) = Strict::document(body) else {
        return Word::Nothing;
    };
    let get = |wanted: &str| {
        fields
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value)
    };
    let keys: Vec<&str> = match get("errors") {
        Some(Json::Object(errors)) => errors.iter().map(|(key, _)| key.as_str()).collect(),
        _ => Vec::new(),
    };
    match get("error") {
        Some(Json::Bool(false)) => Word::Created,
        Some(Json::Bool(true)) if keys.contains(&"token") => Word::Token,
        Some(Json::Bool(true))
            if ["errors", "message"]
                .iter()
                .any(|key| get(key).is_some_and(says_exists)) =>
        {
            Word::Existing
        }
        Some(Json::Bool(true)) if keys == ["destination"] => Word::Unmatched,
        Some(Json::Bool(true)) => Word::Rejected,
        _ => Word::Nothing,
    }
}

/// A reply with one byte changed, or with a byte or some bytes inserted, deleted, swapped or doubled.
fn mutated(chance: &mut Chance, kind: usize) -> Vec<u8> {
    let mut body = chance.pick(&GOOD).as_bytes().to_vec();
    let at = chance.below(body.len());
    let other = chance.below(body.len());
    // Half of the bytes are such that JSON gives them a meaning.
    let byte = if chance.below(2) == 0 {
        chance.pick(b"{}[]\",:\\0123456789eE+-. truefalsn")
    } else {
        u8::try_from(chance.below(256)).unwrap()
    };
    let (from, to) = (at.min(other), at.max(other));
    match kind {
        0 => body[at] = byte,
        1 => body.insert(at, byte),
        2 => drop(body.drain(from..(from + 1 + chance.below(3)).min(body.len()))),
        3 => body.swap(at, other),
        _ => {
            let part = body[from..to].to_vec();
            body.splice(to..to, part);
        }
    }
    body
}

/// The mutations of this run: most change one byte.
fn mutations() -> Vec<Vec<u8>> {
    let mut chance = Chance(10);
    let single = soak::count(2_000, 10_000);
    let several = soak::count(2_000, 10_000);
    (0..single)
        .map(|_| 0)
        .chain((0..several).map(|n| 1 + n % 4))
        .collect::<Vec<usize>>()
        .into_iter()
        .map(|kind| mutated(&mut chance, kind))
        .collect()
}

fn target(crm: &Unruly) -> Box<dyn cdrelay::target::CrmTarget> {
    connect(&TargetConfig {
        kind: TargetKind::Nimbox(NimboxConfig {
            token: Secret::new("canary".to_owned()).unwrap(),
            already_exists: PATTERNS.map(ToOwned::to_owned).to_vec(),
        }),
        url: crm.url().parse().unwrap(),
        credentials: None,
        ca_file: None,
        certificate_sha256: None,
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        concurrency: 8,
        max_rps: None,
        initiated_as: InitiatedAs::Utc,
        empty_source: None,
        recording_url: None,
    })
    .unwrap()
}

fn call() -> WireForm {
    WireForm {
        initiated: "2012-08-23T16:00:07Z".to_owned(),
        source: PhoneNumber("+582121234567".to_owned()),
        destination: PhoneNumber("02129876543".to_owned()),
        duration: 61,
        url: None,
        form: None,
    }
}

#[test]
fn the_good_replies_are_read_alike_by_both() {
    let words = [
        Word::Created,
        Word::Existing,
        Word::Unmatched,
        Word::Rejected,
    ];
    for (reply, word) in GOOD.iter().zip(words) {
        assert_eq!(found(reply.as_bytes()), word, "{reply}");
        assert_eq!(expected(reply.as_bytes()), word, "{reply}");
    }
}

#[test]
fn no_truncated_body_is_a_word() {
    for reply in GOOD {
        for end in 0..reply.len() {
            let body = &reply.as_bytes()[..end];
            assert_eq!(found(body), Word::Nothing, "{end} of {reply}");
            assert_eq!(expected(body), Word::Nothing, "{end} of {reply}");
        }
    }
}

#[test]
fn no_mutation_is_taken_for_what_it_does_not_say() {
    let bodies = mutations();
    let mut said = 0;
    for body in &bodies {
        let shown = String::from_utf8_lossy(body);
        let word = expected(body);
        assert_eq!(found(body), word, "{shown}");
        said += usize::from(word != Word::Nothing);
    }
    // Were it none or all, the comparison would prove nothing.
    assert!(
        said > bodies.len() / 20 && said < bodies.len() * 19 / 20,
        "{said}"
    );
    soak::note(
        "P10: mutated replies against an independent reading",
        bodies.len(),
        &format!("0 false deliveries, 0 panics; {said} still said something, and the same to both"),
    );
}

#[tokio::test]
async fn no_truncated_reply_is_a_word_over_http() {
    let whole: Vec<Vec<u8>> = GOOD.iter().map(|body| reply(200, &[], body)).collect();
    let pieces: Vec<Vec<u8>> = whole
        .iter()
        .flat_map(|reply| (0..reply.len()).map(|end| reply[..end].to_vec()))
        .collect();
    let count = pieces.len();
    let crm = Unruly::start({
        let pieces = pieces.clone();
        move |n, _| Reply::Raw(pieces[n].clone())
    });
    let target = target(&crm);
    for piece in &pieces {
        let outcome = target.deliver(&call()).await;
        let shown = String::from_utf8_lossy(piece);
        assert_eq!(word(&outcome), Word::Nothing, "{shown}: {outcome:?}");
    }
    assert_eq!(crm.seen().len(), count, "each was asked for once");
    soak::note(
        "P10: truncated replies over HTTP",
        count,
        "0 verdicts, 0 panics",
    );
}

#[tokio::test]
async fn mutations_are_read_alike_over_http() {
    let bodies: Vec<Vec<u8>> = mutations().into_iter().step_by(20).collect();
    let crm = Unruly::start({
        let bodies = bodies.clone();
        move |n, _| {
            let mut bytes = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                bodies[n].len()
            )
            .into_bytes();
            bytes.extend_from_slice(&bodies[n]);
            Reply::Send(bytes)
        }
    });
    let target = target(&crm);
    for body in &bodies {
        let outcome = target.deliver(&call()).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(word(&outcome), expected(body), "{shown}: {outcome:?}");
    }
    soak::note("P10: mutated replies over HTTP", bodies.len(), "read alike");
}
