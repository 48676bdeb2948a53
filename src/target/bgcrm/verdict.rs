//! What a reply of BGCRM means for a call. Pure.
//!
//! Delivered is one thing only: status 200 and one JSON object whose `status` is `ok`. The forms of its refusals come from
//! its sources: `AuthFilter` answers a wrong login with 401 and a text, or with its login page where it takes the caller
//! for a browser; everything else that goes wrong is `"status":"error"` with a `message`, under 200.
//!
//! Whatever is neither leaves open whether the class has run.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use url::Url;

use crate::target::http::Secrets;
use crate::target::{Outcome, Receipt, Trouble, TroubleKind};

/// Most characters of the CRM's own words that a reason carries.
const WORDS_LIMIT: usize = 300;

/// What of a reply matters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Header `Location`.
    pub location: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// What became of a call that the CRM answered so. `hidden` is struck out of its words.
#[must_use]
pub fn classify(answer: &Answer<'_>, hidden: &Secrets) -> Outcome {
    let status = answer.status;
    let said = said(answer.body, hidden);
    match status {
        200 => in_words(answer, hidden),
        300..=399 => broken(redirect(answer, hidden)),
        401 => broken(format!(
            "user or password refused: the CRM answered 401{said}; check `target.username` and `target.password_file`"
        )),
        403 => broken(format!(
            "the CRM answered 403{said}: it forbids the request; ask its administrator whether this user may run classes"
        )),
        404 | 405 | 410 => broken(format!(
            "the CRM answered {status}, so there is no such service; check `target.url` and `target.path`"
        )),
        407 => broken(
            "a proxy answered 407 and wants credentials; cdrelay uses no proxy, so let it reach `target.url` directly"
                .to_owned(),
        ),
        // The server says that it did not take the request up (RFC 8470, RFC 6585).
        425 | 429 => trouble(
            TroubleKind::Busy,
            format!("the CRM answered {status}{said}: it asks for less"),
        ),
        408 | 504 => trouble(
            TroubleKind::Timeout,
            format!("the CRM answered {status} (timeout){said}"),
        ),
        500..=599 => trouble(
            TroubleKind::ServerError,
            format!("the CRM answered {status} (server error){said}"),
        ),
        _ => trouble(
            TroubleKind::Garbled,
            format!("the CRM answered {status}, which says nothing about the call{said}"),
        ),
    }
}

/// A reply under 200: the body decides.
fn in_words(answer: &Answer<'_>, hidden: &Secrets) -> Outcome {
    let body = answer.body.trim_ascii();
    if body.is_empty() {
        return trouble(
            TroubleKind::Garbled,
            "the CRM answered 200, but the reply is empty".to_owned(),
        );
    }
    if body.first() == Some(&b'<') {
        return page(body);
    }
    let reply: Words = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(why) if why.is_data() => {
            return trouble(
                TroubleKind::Garbled,
                "the CRM answered 200, but the reply is JSON of another shape".to_owned(),
            );
        }
        Err(_) => {
            return trouble(
                TroubleKind::Garbled,
                "the CRM answered 200, but the reply is no JSON".to_owned(),
            );
        }
    };
    let words = words(&reply.message, hidden);
    match reply.status.as_str() {
        "ok" => Outcome::Delivered(Receipt::default()),
        // `Action '…' is denied.`: the user may log in, and not run classes. True of every call.
        "error" if reply.message.contains("is denied") => broken(format!(
            "the CRM refused: {words}; give the user of `target.username` the right to run classes"
        )),
        "error" if words.is_empty() => Outcome::Rejected {
            reason: "the CRM refused the call without a word".to_owned(),
        },
        "error" => Outcome::Rejected { reason: words },
        other => {
            let other = cut(&hidden.strike(other));
            trouble(
                TroubleKind::Garbled,
                format!(
                    "the CRM answered with the status `{other}`, which is neither ok nor error: {words}"
                ),
            )
        }
    }
}

/// A page where JSON was due: the login page says that the login failed, any other one says nothing.
fn page(body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let login = text.contains("j_password")
        || text.contains("type=\"password\"")
        || text.contains("type='password'");
    if login {
        return broken(
            "user or password refused: the CRM answered with its login page; check `target.username` and \
             `target.password_file`"
                .to_owned(),
        );
    }
    trouble(
        TroubleKind::Html,
        "the CRM answered 200, but the reply is an HTML page".to_owned(),
    )
}

/// The two texts of a reply that say how it went. Each stands there once, or the reply is none.
struct Words {
    status: String,
    message: String,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `status`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Words, A::Error> {
                let (mut status, mut message) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let place = match key.as_str() {
                        "status" => &mut status,
                        "message" => &mut message,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if place.is_some() {
                        return Err(A::Error::custom("a key twice"));
                    }
                    *place = Some(map.next_value::<Option<String>>()?.unwrap_or_default());
                }
                Ok(Words {
                    status: status.ok_or_else(|| A::Error::missing_field("status"))?,
                    message: message.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// What a body says that is no JSON reply, for a reason: nothing, or `: ` and its words.
fn said(body: &[u8], hidden: &Secrets) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let text = match serde_json::from_str::<Words>(text) {
        Ok(reply) => reply.message,
        Err(_) if text.starts_with('<') => String::new(),
        Err(_) => text.to_owned(),
    };
    let words = words(&text, hidden);
    if words.is_empty() {
        words
    } else {
        format!(": {words}")
    }
}

/// The first line of the CRM's words (a stack trace may follow), secrets struck out, cut to 300 characters.
fn words(text: &str, hidden: &Secrets) -> String {
    // Struck out before it is cut: half a secret is one, too.
    let struck = hidden.strike(text);
    cut(struck.trim().lines().next().unwrap_or_default().trim_end())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WORDS_LIMIT {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(WORDS_LIMIT - 1).collect();
    short.push('…');
    short
}

/// Names the host that a redirect points to, and nothing else of it: the rest may repeat the query.
fn redirect(answer: &Answer<'_>, hidden: &Secrets) -> String {
    let host = answer.location.and_then(|location| {
        let absolute = match location.strip_prefix("//") {
            Some(rest) => Url::parse(&format!("http://{rest}")),
            None => Url::parse(location),
        };
        absolute.ok()?.host_str().map(ToOwned::to_owned)
    });
    let place = match host {
        Some(host) => format!("to {}", cut(&hidden.strike(&host))),
        None => "elsewhere".to_owned(),
    };
    format!(
        "the CRM answered {} and points {place}; redirects are not followed: set `target.url` to the address that answers \
         itself",
        answer.status
    )
}

fn broken(reason: String) -> Outcome {
    Outcome::Broken { reason }
}

fn trouble(kind: TroubleKind, reason: String) -> Outcome {
    Outcome::NoVerdict(Trouble {
        kind,
        reason,
        retry_after: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Outcome {
        let hidden = Secrets::default().with("canary-password");
        let answer = Answer {
            status,
            location: Some("https://user:pw@login.example.com/?j_password=canary-password"),
            body: body.as_bytes(),
        };
        classify(&answer, &hidden)
    }

    #[track_caller]
    fn no_verdict(status: u16, body: &str, kind: TroubleKind, reason: &str) {
        let Outcome::NoVerdict(trouble) = of(status, body) else {
            panic!("{status} {body}: {:?}", of(status, body));
        };
        assert_eq!((trouble.kind, trouble.reason.as_str()), (kind, reason));
    }

    #[track_caller]
    fn is_broken(status: u16, body: &str, reason: &str) {
        let reason = reason.to_owned();
        assert_eq!(of(status, body), Outcome::Broken { reason });
    }

    #[test]
    fn only_status_ok_under_200_is_delivered() {
        for body in [
            r#"{"status":"ok","message":"","data":{"process":{"id":7}},"eventList":[]}"#,
            r#" {"data":{"status":"error"},"status":"ok","message":null} "#,
        ] {
            assert_eq!(of(200, body), Outcome::Delivered(Receipt::default()));
        }
        let garbled = TroubleKind::Garbled;
        for body in [
            "{}",
            "[]",
            "\"ok\"",
            r#"{"status":true}"#,
            r#"{"status":"ok","status":"ok"}"#,
            r#"{"status":"ok","message":1}"#,
        ] {
            no_verdict(
                200,
                body,
                garbled,
                "the CRM answered 200, but the reply is JSON of another shape",
            );
        }
        for body in [
            r#"{"status":"ok""#,
            r#"{"status":"ok"}{}"#,
            r#"cb({"status":"ok"})"#,
            "ok",
        ] {
            no_verdict(
                200,
                body,
                garbled,
                "the CRM answered 200, but the reply is no JSON",
            );
        }
        no_verdict(
            200,
            " ",
            garbled,
            "the CRM answered 200, but the reply is empty",
        );
        no_verdict(
            200,
            r#"{"status":"message","message":"look"}"#,
            garbled,
            "the CRM answered with the status `message`, which is neither ok nor error: look",
        );
        no_verdict(
            201,
            r#"{"status":"ok"}"#,
            garbled,
            "the CRM answered 201, which says nothing about the call",
        );
    }

    #[test]
    fn status_error_refuses_the_call_in_the_first_line_of_its_words() {
        let reason = "java.lang.IllegalStateException: no queue for ***".to_owned();
        let body = r#"{"status":"error","message":"java.lang.IllegalStateException: no queue for canary-password\n\tat org.example"}"#;
        assert_eq!(of(200, body), Outcome::Rejected { reason });
        let reason = "the CRM refused the call without a word".to_owned();
        assert_eq!(
            of(200, r#"{"status":"error"}"#),
            Outcome::Rejected { reason }
        );
    }

    #[test]
    fn what_a_person_has_to_mend_decides_nothing_about_the_call() {
        is_broken(
            401,
            "Login failed for canary-password",
            "user or password refused: the CRM answered 401: Login failed for ***; check `target.username` and `target.password_file`",
        );
        is_broken(
            200,
            "<!DOCTYPE html><form><input name=\"j_username\"><input name=\"j_password\"></form>",
            "user or password refused: the CRM answered with its login page; check `target.username` and `target.password_file`",
        );
        is_broken(
            200,
            r#"{"status":"error","message":"Action 'org.example:runClass' is denied."}"#,
            "the CRM refused: Action 'org.example:runClass' is denied.; give the user of `target.username` the right to run classes",
        );
        is_broken(
            302,
            "",
            "the CRM answered 302 and points to login.example.com; redirects are not followed: set `target.url` to the address that answers itself",
        );
        is_broken(
            404,
            "<html>",
            "the CRM answered 404, so there is no such service; check `target.url` and `target.path`",
        );
        is_broken(
            403,
            "no",
            "the CRM answered 403: no: it forbids the request; ask its administrator whether this user may run classes",
        );
    }

    #[test]
    fn what_says_nothing_about_the_call_may_have_acted_but_where_the_server_says_no() {
        no_verdict(
            200,
            "<html><body>maintenance</body></html>",
            TroubleKind::Html,
            "the CRM answered 200, but the reply is an HTML page",
        );
        no_verdict(
            500,
            "java.lang.NullPointerException\n\tat x",
            TroubleKind::ServerError,
            "the CRM answered 500 (server error): java.lang.NullPointerException",
        );
        no_verdict(
            503,
            "<html>",
            TroubleKind::ServerError,
            "the CRM answered 503 (server error)",
        );
        no_verdict(
            504,
            "",
            TroubleKind::Timeout,
            "the CRM answered 504 (timeout)",
        );
        no_verdict(
            429,
            "",
            TroubleKind::Busy,
            "the CRM answered 429: it asks for less",
        );
        for (kind, acted) in [
            (TroubleKind::Html, true),
            (TroubleKind::ServerError, true),
            (TroubleKind::Timeout, true),
            (TroubleKind::Garbled, true),
            (TroubleKind::Busy, false),
            (TroubleKind::Unreachable, false),
        ] {
            assert_eq!(kind.may_have_acted(), acted, "{kind:?}");
        }
    }
}
