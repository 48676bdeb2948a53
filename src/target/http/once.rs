//! Requests that must not arrive twice, for a server without Basic or Digest.

use std::time::Duration;

use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::{Address, Fault, HttpClient, NEEDLESS_BODY, Reply, fault, read};

/// A form as browsers send it; servers that guess the encoding otherwise guess Latin-1.
const FORM: HeaderValue =
    HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");

impl HttpClient {
    /// GETs an address, or POSTs a form to it: once, whatever becomes of it. A 401 is a reply like any other.
    ///
    /// # Errors
    /// [`Fault`]; only [`Fault::Unreachable`] and [`Fault::Broken`] say that nothing arrived.
    pub async fn send_once(&self, address: &Address, form: Option<&str>) -> Result<Reply, Fault> {
        match tokio::time::timeout(self.timeout, self.one_exchange(address, form)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Timeout(format!(
                "no complete reply within {}",
                humantime::format_duration(self.timeout)
            ))),
        }
    }

    async fn one_exchange(&self, address: &Address, form: Option<&str>) -> Result<Reply, Fault> {
        let body = form.map_or_else(Full::default, |form| Bytes::from(form.to_owned()).into());
        let mut request = self.request(address, body);
        if form.is_some() {
            *request.method_mut() = Method::POST;
            request.headers_mut().insert(CONTENT_TYPE, FORM);
        }
        tracing::trace!(path = address.uri().path(), "a request goes out, once");
        let response = self
            .transmit(request)
            .await
            .map_err(|error| fault::explain(&error, error.is_connect()))?;
        self.keep_cookies(address, response.headers());
        let needless: Duration = NEEDLESS_BODY.min(self.timeout / 4);
        let (reply, _) = read(response, needless).await?;
        tracing::debug!(
            status = reply.status,
            bytes = reply.body.len(),
            "the CRM replied"
        );
        Ok(reply)
    }
}
