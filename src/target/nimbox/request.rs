//! The addresses that go to a NiMbox-style web service, byte for byte.

use std::fmt::Write as _;

use anyhow::{Context as _, anyhow, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::call::WireForm;
use crate::target::DeleteBounds;
use crate::target::http::{Address, Service};

/// Everything but RFC 3986's unreserved characters: a `+` would arrive as a blank, an `&` would end the parameter.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Longest address that is sent. Web servers refuse longer request lines from 8 KiB on, always without a verdict, so
/// that a call with a longer one would stay pending for ever.
pub(super) const ADDRESS_LIMIT: usize = 8 * 1024;

/// The two services below a base address, and the token that opens them.
pub(super) struct Requests {
    create: Service,
    delete: Service,
    token: String,
}

impl Requests {
    /// `base` may have a path prefix, with or without a slash at its end.
    pub(super) fn new(base: &Url, token: &str) -> anyhow::Result<Self> {
        if !base.username().is_empty() || base.password().is_some() {
            bail!("target.url holds a user name; set `target.username` and `target.password_file`");
        }
        Ok(Self {
            create: service(base, "create")?,
            delete: service(base, "delete")?,
            token: format!("token={}", encoded(token)),
        })
    }

    /// Parameters in the order token, initiated, source, destination, duration, url; `url` only where there is one.
    pub(super) fn create(&self, call: &WireForm) -> Address {
        let link = call.url.as_deref().unwrap_or("");
        // Room for the names and for what is encoded in three bytes.
        let mut target = self
            .create
            .begin(self.token.len() + 160 + link.len() * 3 / 2);
        target.push_str(&self.token);
        push(&mut target, "initiated", &call.initiated);
        push(&mut target, "source", call.source.as_str());
        push(&mut target, "destination", call.destination.as_str());
        // Writing to a String does not fail.
        let _ = write!(target, "&duration={}", call.duration);
        if let Some(link) = &call.url {
            push(&mut target, "url", link);
        }
        self.create.address(target)
    }

    /// A create that lacks all that makes a call: it can only be refused.
    pub(super) fn probe(&self) -> Address {
        let target = self.create.begin(self.token.len()) + &self.token;
        self.create.address(target)
    }

    /// Parameters token, from, to.
    pub(super) fn delete(&self, bounds: DeleteBounds) -> Address {
        let mut target = self.delete.begin(self.token.len() + 32) + &self.token;
        push(&mut target, "from", &bounds.from.to_string());
        push(&mut target, "to", &bounds.to.to_string());
        self.delete.address(target)
    }
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn service(base: &Url, verb: &str) -> anyhow::Result<Service> {
    let prefix = base.path().trim_end_matches('/');
    // `mailto:` and the like have no path to put anything below.
    if base.cannot_be_a_base() || !base.has_host() {
        return Err(anyhow!("`{base}` is no web address")).context("target.url cannot be used");
    }
    let path = format!("{prefix}/direct/items/phonecalls/{verb}");
    Service::new(base, &path).context("target.url cannot be used")
}

fn push(query: &mut String, name: &str, value: &str) {
    query.push('&');
    query.push_str(name);
    query.push('=');
    query.extend(utf8_percent_encode(value, ENCODED));
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;
    use crate::call::PhoneNumber;

    fn call() -> WireForm {
        WireForm {
            initiated: "2012-08-23T12:20:33-04:30".to_owned(),
            source: PhoneNumber("+58 212&x".to_owned()),
            destination: PhoneNumber("*72#é~-._".to_owned()),
            duration: 0,
            url: Some("https://pbx.example/rec/a b?c=d#e".to_owned()),
            form: None,
        }
    }

    #[test]
    fn a_create_is_these_bytes_whatever_slash_the_base_ends_with() {
        for (base, prefix) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]/crm", "http://[::1]/crm"),
            ("http://[::1]/crm/x//", "http://[::1]/crm/x"),
            ("http://127.0.0.1/?old=1#f", "http://127.0.0.1"),
        ] {
            let requests = Requests::new(&Url::parse(base).unwrap(), "t&k+n=%").unwrap();
            assert_eq!(
                requests.create(&call()).text(),
                format!(
                    "{prefix}/direct/items/phonecalls/create?token=t%26k%2Bn%3D%25&initiated=2012-08-23T12%3A20%3A33-04%3A30\
                     &source=%2B58%20212%26x&destination=%2A72%23%C3%A9~-._&duration=0\
                     &url=https%3A%2F%2Fpbx.example%2Frec%2Fa%20b%3Fc%3Dd%23e"
                )
            );
            assert_eq!(
                requests.probe().text(),
                format!("{prefix}/direct/items/phonecalls/create?token=t%26k%2Bn%3D%25")
            );
        }
    }

    #[test]
    fn a_call_without_a_link_sends_no_url() {
        let requests = Requests::new(&Url::parse("http://127.0.0.1").unwrap(), "t").unwrap();
        let address = requests.create(&WireForm {
            url: None,
            ..call()
        });
        assert!(address.text().ends_with("&duration=0"), "{address:?}");
    }

    #[test]
    fn a_base_with_a_user_name_is_refused() {
        let base = Url::parse("http://me:pw@127.0.0.1/").unwrap();
        let error = Requests::new(&base, "t").err().unwrap().to_string();
        assert_eq!(
            error,
            "target.url holds a user name; set `target.username` and `target.password_file`"
        );
    }
}
