//! Requests that must not arrive twice, for a server without Basic or Digest.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;

use super::{Fault, HttpClient, Leaving, NEEDLESS_BODY, Reply, fault, read};

/// A form as browsers send it; servers that guess the encoding otherwise guess Latin-1.
const FORM: HeaderValue =
    HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");

impl HttpClient {
    /// GETs an address, or POSTs a form to it: once, whatever becomes of it. A 401 is a reply like any other.
    ///
    /// # Errors
    /// [`Fault`]; only [`Fault::Unreachable`] and [`Fault::Broken`] say that nothing arrived.
    pub async fn send_once(&self, url: &Url, form: Option<&str>) -> Result<Reply, Fault> {
        match tokio::time::timeout(self.timeout, self.one_exchange(url, form)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Timeout(format!(
                "no complete reply within {}",
                humantime::format_duration(self.timeout)
            ))),
        }
    }

    async fn one_exchange(&self, url: &Url, form: Option<&str>) -> Result<Reply, Fault> {
        let request = match form {
            Some(form) => self
                .client
                .post(url.clone())
                .header(CONTENT_TYPE, FORM)
                .body(form.to_owned()),
            None => self.client.get(url.clone()),
        };
        tracing::trace!(path = url.path(), "a request goes out, once");
        let mut leaving = Leaving(Some(&self.requests));
        let sent = request.send().await;
        if sent
            .as_ref()
            .is_err_and(|error| error.is_connect() || error.is_builder())
        {
            leaving.0 = None;
        }
        let needless: Duration = NEEDLESS_BODY.min(self.timeout / 4);
        let (reply, _) = read(sent.map_err(fault::explain)?, needless).await?;
        tracing::debug!(
            status = reply.status,
            bytes = reply.body.len(),
            "the CRM replied"
        );
        Ok(reply)
    }
}
