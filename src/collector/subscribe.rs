//! A subscriber of the nginx push channel that asterCC sends its events to, by long polls.
//!
//! The protocol is that of nginx's push modules (nginx_http_push_module, Nchan): each 200 carries one message with
//! `Last-Modified` and `Etag`, and the request for the next one sends both back, as `If-Modified-Since` and
//! `If-None-Match`. A request without them gets the oldest message that the channel still has. A message is asked for
//! past only once it is durable, and the position is kept with the events, so that a restart goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ETAG, HOST, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::time::timeout;
use url::Url;

use super::astercc;
use super::counts::{Counts, count};
use super::event::Dialect;
use super::server::stopped;
use super::writer::Door;
use crate::text::Shown;

/// Follows no redirect, asks no proxy, and sends nothing but what is written here.
type Subscriber = Client<HttpConnector, Empty<Bytes>>;

/// How long one poll may wait for a message. Whatever ends it earlier, the same is asked again.
const POLL: Duration = Duration::from_secs(90);

/// Pause before a channel that failed is asked again, doubled with each failure up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Most bytes of a message.
const LONGEST: usize = 64 * 1024;

/// How long the body of a message may take.
const BODY: Duration = Duration::from_secs(10);

/// Where the position is kept.
const KEY: &str = "astercc.subscribe";

/// The last message that was taken, as the channel names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Position {
    modified: String,
    etag: String,
}

impl Position {
    /// A position belongs to its channel.
    fn stored(text: &str, channel: &Url) -> Option<Self> {
        let mut lines = text.lines();
        let own = lines.next()? == channel.as_str();
        let (modified, etag) = (lines.next()?, lines.next().unwrap_or_default());
        own.then(|| Self {
            modified: modified.to_owned(),
            etag: etag.to_owned(),
        })
    }

    fn text(&self, channel: &Url) -> String {
        format!("{channel}\n{}\n{}", self.modified, self.etag)
    }

    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Self {
            modified: text(LAST_MODIFIED),
            etag: text(ETAG),
        }
    }
}

/// How a poll turned out.
enum Polled {
    /// There is a message.
    Message(Vec<u8>, Position),
    /// Nothing new: ask again.
    Nothing,
    /// The channel is gone, and what it had with it: ask for the oldest that there is.
    Gone,
    /// It failed, and why: ask again later.
    Failed(String),
}

/// Reads the channel until `stop` says so.
pub async fn subscribe(
    channel: Url,
    door: Door,
    counts: Arc<Counts>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    let client: Subscriber = Client::builder(TokioExecutor::new()).build(connector);
    let mut position = door
        .recall(KEY)
        .await
        .and_then(|text| Position::stored(&text, &channel));
    let mut pause = PAUSE;
    let mut complained = false;
    loop {
        let polled = tokio::select! {
            polled = poll(&client, &channel, position.as_ref()) => polled,
            () = stopped(&mut stop) => return,
        };
        let failure = match polled {
            Polled::Message(body, next) => {
                if take(&body, &door, &counts).await
                    && door.position(KEY, next.text(&channel)).await
                {
                    position = Some(next);
                    None
                } else {
                    Some("the message could not be kept".to_owned())
                }
            }
            Polled::Nothing => None,
            Polled::Gone => {
                let had = position.take();
                had.is_none().then(|| "it is gone".to_owned())
            }
            Polled::Failed(why) => Some(why),
        };
        match failure {
            None => {
                if complained {
                    tracing::warn!("the push channel answers again");
                }
                (pause, complained) = (PAUSE, false);
            }
            Some(why) => {
                if !complained {
                    let channel = Shown(channel.as_str());
                    tracing::warn!(
                        "the push channel {channel}: {}; it is asked again",
                        Shown(&why)
                    );
                }
                complained = true;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stopped(&mut stop) => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn poll(client: &Subscriber, channel: &Url, position: Option<&Position>) -> Polled {
    let request = match request(channel, position) {
        Ok(request) => request,
        Err(error) => return Polled::Failed(error.to_string()),
    };
    let response = match timeout(POLL, client.request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Polled::Failed(format!("{:#}", anyhow::Error::new(error))),
        // A long poll that nothing came to.
        Err(_elapsed) => return Polled::Nothing,
    };
    match response.status() {
        StatusCode::OK => {
            let next = Position::of(response.headers());
            if next.modified.is_empty() {
                return Polled::Failed(
                    "it sends no Last-Modified, so it is no push channel".to_owned(),
                );
            }
            match timeout(BODY, body(response)).await {
                Ok(Ok(body)) => Polled::Message(body, next),
                Ok(Err(why)) => Polled::Failed(why),
                Err(_elapsed) => Polled::Failed("its message did not come whole".to_owned()),
            }
        }
        // Interval polls, and Nchan's own end of a long poll.
        StatusCode::NOT_MODIFIED | StatusCode::REQUEST_TIMEOUT | StatusCode::NO_CONTENT => {
            // A channel that answers at once is not asked without a pause.
            tokio::time::sleep(PAUSE).await;
            Polled::Nothing
        }
        StatusCode::GONE => Polled::Gone,
        StatusCode::CONFLICT => Polled::Failed("another subscriber took its place".to_owned()),
        status => Polled::Failed(format!("it answers {status}")),
    }
}

fn request(channel: &Url, position: Option<&Position>) -> anyhow::Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(channel.as_str()).body(Empty::new())?;
    let host = &channel[url::Position::BeforeHost..url::Position::AfterPort];
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host)?);
    if let Some(position) = position {
        let modified = HeaderValue::from_str(&position.modified)?;
        headers.insert(IF_MODIFIED_SINCE, modified);
        if !position.etag.is_empty() {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&position.etag)?);
        }
    }
    Ok(request)
}

async fn body(response: Response<Incoming>) -> Result<Vec<u8>, String> {
    match Limited::new(response.into_body(), LONGEST).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        // Nothing that asterCC sends is that long: it is passed over, or it would be asked for again for ever.
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// Keeps the message; `false` where it has to be asked for again. One that is no event is passed over.
async fn take(body: &[u8], door: &Door, counts: &Counts) -> bool {
    let counts = counts.of(Dialect::Astercc);
    let event = astercc::message::read(body).and_then(astercc::event);
    match event {
        Err(why) => {
            count(&counts.refused);
            tracing::warn!("a message of the push channel was passed over: {why}");
            true
        }
        Ok(event) => match door.keep(event).await {
            Ok(()) => {
                count(&counts.taken);
                true
            }
            Err(_) => {
                count(&counts.unkept);
                false
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_that_of_its_channel() {
        let channel = Url::parse("http://127.0.0.1/sub?id=1").expect("a URL");
        let position = Position {
            modified: "Fri, 20 Nov 2026 08:30:00 GMT".to_owned(),
            etag: "0".to_owned(),
        };
        let text = position.text(&channel);
        assert_eq!(Position::stored(&text, &channel), Some(position));
        let other = Url::parse("http://127.0.0.1/sub?id=2").expect("a URL");
        assert_eq!(Position::stored(&text, &other), None);
        assert_eq!(Position::stored("", &channel), None);
    }
}
