//! What a reply means for a call. Pure; `now` is passed in.
//!
//! Only one thing counts as delivered: status 200 or 201 and one strict JSON object with `error: false`, or a refusal
//! whose words say that the call exists. A status that promises nothing (5xx, and 4xx without a well-formed body) never
//! rejects a call.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use url::Url;

use super::strict::{NotStrict, StrictReply};
use crate::target::http::Secrets;
use crate::target::{Outcome, Receipt, Trouble, TroubleKind};

/// Most characters of the CRM's own words that a reason carries.
const WORDS_LIMIT: usize = 300;

/// Longest `Retry-After` that is passed on; no honest server asks for more, and the engine gives up far earlier.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What of a reply matters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Header `Location`.
    pub location: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// How to read it.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Texts in a refusal that mean "is there already", compared without regard to case; empty ones match nothing.
    pub already_exists: &'a [String],
    /// What is struck out of the CRM's words before they are cut and quoted: secrets that it may repeat.
    pub hidden: &'a Secrets,
    /// The instant that a date in `Retry-After` is counted from.
    pub now: DateTime<Utc>,
}

/// What became of a call that the CRM answered so.
#[must_use]
pub fn classify(answer: &Answer<'_>, reading: &Reading<'_>) -> Outcome {
    match status_verdict(answer, reading) {
        Some(outcome) => outcome,
        None => match (is_success(answer.status), StrictReply::read(answer.body)) {
            (true, Ok(reply)) if !reply.error => Outcome::Delivered(receipt(&reply, false)),
            (_, Ok(reply)) if reply.error => refusal(&reply, reading),
            (_, Ok(_)) => trouble(
                answer,
                reading,
                TroubleKind::Garbled,
                format!(
                    "the CRM answered {} and `error: false`, which contradict each other",
                    answer.status
                ),
            ),
            (_, Err(why)) => unreadable(answer, reading, &why),
        },
    }
}

/// What the status alone decides; `None` where the body has a say.
pub(super) fn status_verdict(answer: &Answer<'_>, reading: &Reading<'_>) -> Option<Outcome> {
    let status = answer.status;
    let no_verdict = |kind, what: &str| {
        let words = StrictReply::read(answer.body)
            .map(|reply| words(&reply, reading))
            .unwrap_or_default();
        let reason = if words.is_empty() {
            format!("the CRM answered {status} ({what})")
        } else {
            format!("the CRM answered {status} ({what}): {words}")
        };
        Some(trouble(answer, reading, kind, reason))
    };
    match status {
        200 | 201 => None,
        300..=399 => Some(broken(redirect(answer, reading))),
        401 => Some(broken(
            "the CRM answered 401: it wants a user and a password; set `target.username` and `target.password_file`"
                .to_owned(),
        )),
        403 => Some(broken(
            "the CRM answered 403: it forbids the request; ask its administrator whether this machine and user may use \
             the web service"
                .to_owned(),
        )),
        407 => Some(broken(
            "a proxy answered 407 and wants credentials; cdrelay uses no proxy, so let it reach `target.url` directly"
                .to_owned(),
        )),
        408 => no_verdict(TroubleKind::Timeout, "request timeout"),
        425 => no_verdict(TroubleKind::Busy, "too early"),
        429 => no_verdict(TroubleKind::Busy, "too many requests"),
        400..=499 => None,
        503 => no_verdict(TroubleKind::Busy, "service unavailable"),
        504 => no_verdict(TroubleKind::Timeout, "gateway timeout"),
        500..=599 => no_verdict(TroubleKind::ServerError, "server error"),
        _ => no_verdict(TroubleKind::Garbled, "not a status of this service"),
    }
}

/// A body that is no strict reply, under a status that left the verdict to it.
pub(super) fn unreadable(answer: &Answer<'_>, reading: &Reading<'_>, why: &NotStrict) -> Outcome {
    let status = answer.status;
    if matches!(status, 404 | 405 | 410) {
        return broken(format!(
            "the CRM answered {status} and not in the words of the web service; check the address in `target.url`"
        ));
    }
    let kind = match why {
        NotStrict::Html => TroubleKind::Html,
        NotStrict::Empty | NotStrict::TooLong | NotStrict::NotJson(_) | NotStrict::Shape(_) => {
            TroubleKind::Garbled
        }
    };
    trouble(
        answer,
        reading,
        kind,
        format!("the CRM answered {status}, but {why}"),
    )
}

/// `errors.token`: the CRM does not accept the token. `None` where the refusal is about something else.
pub(super) fn token_refused(reply: &StrictReply, reading: &Reading<'_>) -> Option<String> {
    if !reply.error_fields().any(|field| field == "token") {
        return None;
    }
    let words = words(reply, reading);
    let said = if words.is_empty() {
        words
    } else {
        format!(": {words}")
    };
    Some(format!(
        "the CRM refused the token{said}; check `target.token_file`"
    ))
}

/// The CRM's words: `field: message`, joined, secrets struck out, cut to 300 characters.
pub(super) fn words(reply: &StrictReply, reading: &Reading<'_>) -> String {
    let mut text = String::new();
    for (field, message) in reply.messages() {
        if !text.is_empty() {
            text.push_str("; ");
        }
        if !field.is_empty() {
            text.push_str(field);
            text.push_str(": ");
        }
        text.push_str(&message);
    }
    cut(reading.hidden.strike(&text))
}

/// A strict `error: true` under a status that may carry one.
fn refusal(reply: &StrictReply, reading: &Reading<'_>) -> Outcome {
    if let Some(reason) = token_refused(reply, reading) {
        return broken(reason);
    }
    if says_exists(reply, reading.already_exists) {
        return Outcome::Delivered(receipt(reply, true));
    }
    let mut reason = words(reply, reading);
    if reason.is_empty() {
        "the CRM refused the call without a word".clone_into(&mut reason);
    }
    if reply.error_fields().eq(["destination"]) {
        Outcome::Unmatched { reason }
    } else {
        Outcome::Rejected { reason }
    }
}

fn says_exists(reply: &StrictReply, patterns: &[String]) -> bool {
    let messages = reply.messages();
    patterns.iter().filter(|p| !p.is_empty()).any(|pattern| {
        let pattern = pattern.to_lowercase();
        messages
            .iter()
            .any(|(_, message)| message.to_lowercase().contains(&pattern))
    })
}

fn receipt(reply: &StrictReply, existing: bool) -> Receipt {
    Receipt {
        existing,
        contact_id: reply.id("contactId"),
        call_id: reply.id("phonecallId"),
    }
}

fn is_success(status: u16) -> bool {
    matches!(status, 200 | 201)
}

fn broken(reason: String) -> Outcome {
    Outcome::Broken { reason }
}

fn trouble(
    answer: &Answer<'_>,
    reading: &Reading<'_>,
    kind: TroubleKind,
    reason: String,
) -> Outcome {
    Outcome::NoVerdict(Trouble {
        kind,
        reason,
        retry_after: answer
            .retry_after
            .and_then(|header| retry_after(header, reading.now)),
    })
}

/// Names the host that a redirect points to, and nothing else of it: the rest may repeat the query, and with it the token.
fn redirect(answer: &Answer<'_>, reading: &Reading<'_>) -> String {
    let host = answer.location.and_then(|location| {
        let absolute = if location.starts_with("//") {
            Url::parse(&format!("http:{location}"))
        } else {
            Url::parse(location)
        };
        absolute.ok()?.host_str().map(ToOwned::to_owned)
    });
    let status = answer.status;
    let place = match host {
        Some(host) => format!("to {}", cut(reading.hidden.strike(&host))),
        None => "elsewhere".to_owned(),
    };
    format!(
        "the CRM answered {status} and points {place}; redirects are not followed: set `target.url` to the address that \
         answers itself"
    )
}

/// `Retry-After` as RFC 9110, section 10.2.3 has it: seconds, or a date in one of its three forms. Capped at a day; a
/// date that has passed is no wait; nonsense is `None`.
fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits and yet unreadable means beyond u64.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT));
    }
    let at = DateTime::parse_from_rfc2822(header)
        .map(|at| at.with_timezone(&Utc))
        .or_else(|_| {
            NaiveDateTime::parse_from_str(header, "%A, %d-%b-%y %H:%M:%S GMT")
                .or_else(|_| NaiveDateTime::parse_from_str(header, "%a %b %e %H:%M:%S %Y"))
                .map(|at| at.and_utc())
        })
        .ok()?;
    let wait = at.signed_duration_since(now).to_std().unwrap_or_default();
    Some(wait.min(RETRY_AFTER_LIMIT))
}

fn cut(text: String) -> String {
    if text.chars().count() <= WORDS_LIMIT {
        return text;
    }
    let mut short: String = text.chars().take(WORDS_LIMIT - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
