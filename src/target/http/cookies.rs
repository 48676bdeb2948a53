//! A cookie jar that a server cannot fill without end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie_store::{CookieStore, RawCookie};
use hyper::header::HeaderValue;
use url::Url;

/// RFC 6265, section 6.1 asks for 50 cookies a domain and 4096 bytes each; more are not kept.
const COOKIES: usize = 50;
const COOKIE_BYTES: usize = 4096;

/// Keeps the first cookies that a server sets, and lets it change those.
#[derive(Debug, Default)]
pub(super) struct BoundedJar {
    /// Whether there ever was one: most services set none, and their requests need not ask.
    used: AtomicBool,
    kept: Mutex<Cookies>,
}

#[derive(Debug, Default)]
struct Cookies {
    store: CookieStore,
    known: HashSet<String>,
}

impl BoundedJar {
    /// Takes what the reply from `url` sets.
    pub(super) fn set<'a>(&self, headers: impl Iterator<Item = &'a HeaderValue>, url: &Url) {
        let mut kept = self.kept();
        let Cookies { store, known } = &mut *kept;
        let cookies = headers
            .filter(|header| {
                let Some(key) = key(header) else {
                    return false;
                };
                known.contains(&key) || (known.len() < COOKIES && known.insert(key))
            })
            .filter_map(|header| RawCookie::parse(header.to_str().ok()?).ok())
            .map(RawCookie::into_owned);
        store.store_response_cookies(cookies, url);
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether a request may have any to carry.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The header of a request to `url`; `None` where no cookie belongs to it.
    pub(super) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let mut text = String::new();
        for (name, value) in self.kept().store.get_request_values(url) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        if text.is_empty() {
            return None;
        }
        HeaderValue::from_str(&text).ok()
    }

    fn kept(&self) -> MutexGuard<'_, Cookies> {
        // Nothing that runs under the lock leaves the jar half filled.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells one cookie from another: name, domain and path. `None` for one that is too long or not text.
fn key(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok().filter(|t| t.len() <= COOKIE_BYTES)?;
    let mut parts = text.split(';').map(str::trim);
    let mut key = parts.next()?.split('=').next()?.trim().to_owned();
    for attribute in parts {
        let lower = attribute.to_ascii_lowercase();
        if lower.starts_with("path") || lower.starts_with("domain") {
            key.push(';');
            key.push_str(attribute);
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;

    #[test]
    fn a_flood_of_cookies_is_cut_off_and_known_ones_still_change() {
        let jar = BoundedJar::default();
        let url = Url::parse("http://127.0.0.1/").unwrap();
        for n in 0..200 {
            let header = HeaderValue::from_str(&format!("c{n}=old; Path=/")).unwrap();
            jar.set(std::iter::once(&header), &url);
        }
        jar.set(
            std::iter::once(&HeaderValue::from_static("c7=new; Path=/")),
            &url,
        );
        let sent = jar.header(&url).unwrap();
        let sent = sent.to_str().unwrap();
        assert_eq!(sent.split("; ").count(), 50);
        assert!(sent.split("; ").any(|c| c == "c7=new"), "{sent}");
    }

    #[test]
    fn an_oversized_cookie_is_not_kept() {
        let jar = BoundedJar::default();
        let url = Url::parse("http://127.0.0.1/").unwrap();
        let header = HeaderValue::from_str(&format!("big={}", "x".repeat(5000))).unwrap();
        jar.set(std::iter::once(&header), &url);
        assert_eq!(jar.header(&url), None);
    }
}
