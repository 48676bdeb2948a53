//! A cookie jar that a server cannot fill without end.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::HeaderValue;
use url::Url;

/// RFC 6265, section 6.1 asks for 50 cookies a domain and 4096 bytes each; more are not kept.
const COOKIES: usize = 50;
const COOKIE_BYTES: usize = 4096;

/// Keeps the first cookies that a server sets, and lets it change those.
#[derive(Debug, Default)]
pub(super) struct BoundedJar {
    jar: Jar,
    known: Mutex<HashSet<String>>,
}

impl CookieStore for BoundedJar {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = headers.filter(|header| {
            let Some(key) = key(header) else {
                return false;
            };
            known.contains(&key) || (known.len() < COOKIES && known.insert(key))
        });
        self.jar.set_cookies(&mut kept, url);
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        self.jar.cookies(url)
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
            jar.set_cookies(&mut std::iter::once(&header), &url);
        }
        jar.set_cookies(
            &mut std::iter::once(&HeaderValue::from_static("c7=new; Path=/")),
            &url,
        );
        let sent = jar.cookies(&url).unwrap();
        let sent = sent.to_str().unwrap();
        assert_eq!(sent.split("; ").count(), 50);
        assert!(sent.split("; ").any(|c| c == "c7=new"), "{sent}");
    }

    #[test]
    fn an_oversized_cookie_is_not_kept() {
        let jar = BoundedJar::default();
        let url = Url::parse("http://127.0.0.1/").unwrap();
        let header = HeaderValue::from_str(&format!("big={}", "x".repeat(5000))).unwrap();
        jar.set_cookies(&mut std::iter::once(&header), &url);
        assert_eq!(jar.cookies(&url), None);
    }
}
