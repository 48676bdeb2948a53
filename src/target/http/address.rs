//! An address of the server, ready to be sent: whatever of it is the same for every request is shared.

use std::fmt;

use anyhow::Context as _;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use url::Url;

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Uri);

/// A service of the server, to which queries are added.
#[derive(Clone)]
pub struct Service {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl Service {
    /// The service at this path; `url` gives the server alone.
    ///
    /// # Errors
    /// `url` has no host, or a port or path that cannot be sent.
    pub fn new(url: &Url, path: &str) -> anyhow::Result<Self> {
        let uri = Uri::try_from(&url[..url::Position::BeforePath])
            .context("the address cannot be sent")?;
        let parts = uri.into_parts();
        let path: PathAndQuery = path.parse().context("the path cannot be sent")?;
        Ok(Self {
            scheme: parts.scheme.context("the address has no scheme")?,
            authority: parts.authority.context("the address has no host")?,
            path: path.path().to_owned(),
        })
    }

    /// Its path and a question mark, to be completed by a query; `room`: about how many bytes that will have.
    #[must_use]
    pub fn begin(&self, room: usize) -> String {
        let mut target = String::with_capacity(self.path.len() + 1 + room);
        target.push_str(&self.path);
        target.push('?');
        target
    }

    /// The address of what [`Service::begin`] began.
    ///
    /// # Panics
    /// Where the query holds anything but what may stand in one: encode it before.
    #[must_use]
    pub fn address(&self, target: String) -> Address {
        let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
            .expect("a query that was percent-encoded can be sent");
        let mut parts = hyper::http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        Address(Uri::from_parts(parts).expect("all three parts are there"))
    }
}

impl Address {
    /// An address as a whole.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn new(url: &Url) -> anyhow::Result<Self> {
        let whole = &url[..url::Position::AfterQuery];
        Ok(Self(
            Uri::try_from(whole).context("the address cannot be sent")?,
        ))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> usize {
        let scheme = self.0.scheme_str().map_or(0, |scheme| scheme.len() + 3);
        let authority = self.0.authority().map_or(0, |host| host.as_str().len());
        scheme + authority + self.target().len()
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    /// The same for those who want to take it apart; `None` for what is no address to them.
    pub(super) fn url(&self) -> Option<Url> {
        Url::parse(&self.0.to_string()).ok()
    }

    /// The whole text. It may hold a token.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// The query may hold a token.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.0.path()).finish()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;

    #[test]
    fn a_service_and_its_query_make_one_address() {
        let url = Url::parse("http://[::1]:8080/prefix?old=1#f").unwrap();
        let service = Service::new(&url, "/prefix/create").unwrap();
        let mut target = service.begin(9);
        target.push_str("token=%26");
        let address = service.address(target);
        assert_eq!(address.text(), "http://[::1]:8080/prefix/create?token=%26");
        assert_eq!(address.length(), address.text().len());
        assert_eq!(address.target(), "/prefix/create?token=%26");
        assert_eq!(format!("{address:?}"), r#"Address("/prefix/create")"#);
    }

    #[test]
    fn a_whole_address_loses_its_fragment_only() {
        let url = Url::parse("https://crm.example/a%20b?x=1#f").unwrap();
        let address = Address::new(&url).unwrap();
        assert_eq!(address.text(), "https://crm.example/a%20b?x=1");
    }
}
