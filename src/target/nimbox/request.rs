//! The addresses that go to a NiMbox-style web service, byte for byte.

use anyhow::{Context as _, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::call::WireForm;
use crate::target::DeleteBounds;

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
    create: Url,
    delete: Url,
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
    pub(super) fn create(&self, call: &WireForm) -> Url {
        let mut query = self.token.clone();
        push(&mut query, "initiated", &call.initiated);
        push(&mut query, "source", call.source.as_str());
        push(&mut query, "destination", call.destination.as_str());
        push(&mut query, "duration", &call.duration.to_string());
        if let Some(link) = &call.url {
            push(&mut query, "url", link);
        }
        with_query(&self.create, &query)
    }

    /// A create that lacks all that makes a call: it can only be refused.
    pub(super) fn probe(&self) -> Url {
        with_query(&self.create, &self.token)
    }

    /// Parameters token, from, to.
    pub(super) fn delete(&self, bounds: DeleteBounds) -> Url {
        let mut query = self.token.clone();
        push(&mut query, "from", &bounds.from.to_string());
        push(&mut query, "to", &bounds.to.to_string());
        with_query(&self.delete, &query)
    }
}

/// A text as it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn service(base: &Url, verb: &str) -> anyhow::Result<Url> {
    let mut address = base.clone();
    let prefix = base.path().trim_end_matches('/');
    let path = format!("{prefix}/direct/items/phonecalls/{verb}");
    address.set_path(&path);
    address.set_query(None);
    address.set_fragment(None);
    // `mailto:` and the like have no path to put anything below.
    if address.path() != path {
        return Err(anyhow::anyhow!("`{base}` is no web address"))
            .context("target.url cannot be used");
    }
    Ok(address)
}

fn push(query: &mut String, name: &str, value: &str) {
    query.push('&');
    query.push_str(name);
    query.push('=');
    query.extend(utf8_percent_encode(value, ENCODED));
}

fn with_query(address: &Url, query: &str) -> Url {
    let mut address = address.clone();
    address.set_query(Some(query));
    address
}
