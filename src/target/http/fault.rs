//! The one place where an error of the HTTP library becomes a text that may be shown. Neither hyper's errors nor those of
//! its pool carry the address, and with it the token.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy::Error as PoolError;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use super::connector::TooSlow;
use super::tls::PinMismatch;

/// Why there is no reply. The texts carry no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Refused, no such host, no connection in time: nothing of the request arrived.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("{0}")]
    Timeout(String),
    /// The connection broke, or what came is no HTTP reply, or too long.
    #[error("{0}")]
    Garbled(String),
    /// A person has to mend it: certificate, credentials.
    #[error("{0}")]
    Broken(String),
}

/// Sorts an error of the library and puts it in words; `connecting`: there was no connection yet.
pub(super) fn explain(error: &(dyn StdError + 'static), connecting: bool) -> Fault {
    if let Some(mend) = links(error).find_map(tls_mend) {
        return Fault::Broken(mend);
    }
    if let Some(foreign) = links(error).find_map(not_tls) {
        return Fault::Unreachable(foreign);
    }
    let chain = sentence(error);
    if connecting {
        let what = if is_timeout(error) {
            "no connection to the CRM in time"
        } else {
            "no connection to the CRM"
        };
        return Fault::Unreachable(format!("{what}: {chain}"));
    }
    if is_timeout(error) {
        return Fault::Timeout(format!("no complete reply in time: {chain}"));
    }
    Fault::Garbled(format!("no complete reply: {chain}"))
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    links(error).any(|link| {
        link.is::<TooSlow>()
            || link
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_timeout)
            || link
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
    })
}

/// Whether the connection was closed before any part of a reply came, as one that was idle too long is.
pub(super) fn is_closed_unanswered(error: &PoolError) -> bool {
    if error.is_connect() || is_timeout(error) {
        return false;
    }
    links(error).any(|link| {
        let closed = link
            .downcast_ref::<hyper::Error>()
            .is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || e.is_closed());
        let reset = link.downcast_ref::<io::Error>().is_some_and(|e| {
            matches!(
                e.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            )
        });
        closed || reset
    })
}

/// An error and its causes. `io::Error` names as its source the source of what it wraps, so that is visited by itself.
fn links<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |link| {
        let link: &'a (dyn StdError + 'static) = *link;
        match link
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => link.source(),
        }
    })
}

/// The causes in one sentence, without the library's own headings and without repetitions.
fn sentence(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for link in links(error) {
        let text = link.to_string();
        // rustls adds an address of its manual, which is for its users and not for ours.
        let text = text
            .split(": https://")
            .next()
            .unwrap_or_default()
            .to_owned();
        if text.starts_with("client error (") {
            continue;
        }
        // The same news, whether it came while the head or the body of the request was written.
        let text = text.replace("error writing a body to connection", "connection error");
        match parts.last_mut() {
            Some(last) if last.contains(&text) => {}
            Some(last) if text.contains(last.as_str()) => *last = text,
            Some(_) | None => parts.push(text),
        }
    }
    if parts.is_empty() {
        return "the connection failed".to_owned();
    }
    parts.join(": ")
}

/// What a person has to do about a TLS failure; `None` for other errors, and for those that trying again may mend.
fn tls_mend(link: &(dyn StdError + 'static)) -> Option<String> {
    let error = link.downcast_ref::<rustls::Error>()?;
    match error {
        rustls::Error::InvalidCertificate(why) => Some(certificate_mend(why)),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::CertificateRequired
            | AlertDescription::UnrecognisedName,
        ) => Some(format!(
            "the CRM and cdrelay share no way to secure the connection ({error}); the server must offer TLS 1.2 or 1.3 \
             for this host name without a client certificate"
        )),
        // rustls may add kinds; what is not known to last is tried again.
        _ => None,
    }
}

/// What to say where the other side's bytes are no TLS at all. It may be another server for a moment, so this is tried again.
fn not_tls(link: &(dyn StdError + 'static)) -> Option<String> {
    match link.downcast_ref::<rustls::Error>()? {
        error @ rustls::Error::InvalidMessage(_) => Some(format!(
            "no connection to the CRM: what answers there does not speak TLS ({error}); if that lasts, check scheme and \
             port in `target.url`"
        )),
        // What else TLS can run into is sorted by its own words.
        _ => None,
    }
}

/// What to do about a certificate whose dates do not fit.
const RENEW: &str = "compare this machine's clock, and have the certificate renewed";

/// The day of an instant, in UTC.
fn day(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp(seconds, 0).map_or_else(
        || format!("{seconds} seconds after 1970"),
        |at| at.date_naive().to_string(),
    )
}

fn certificate_mend(why: &CertificateError) -> String {
    match why {
        CertificateError::Other(other) => match other.0.downcast_ref::<PinMismatch>() {
            Some(mismatch) => format!(
                "{mismatch}; if it was renewed on purpose, set `target.certificate_sha256` to the new digest"
            ),
            None => format!(
                "the CRM's certificate is not accepted ({other}); set `target.ca_file`, or pin it by \
                 `target.certificate_sha256`"
            ),
        },
        CertificateError::UnknownIssuer => {
            "the CRM's certificate is signed by an authority that this machine does not know; set `target.ca_file` to \
             the authority's PEM file, or pin the certificate by `target.certificate_sha256`"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the CRM's certificate is for another host name; use the name it was issued for in `target.url`, or pin it \
             by `target.certificate_sha256`"
                .to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the CRM's certificate is out of date: it was valid until {}; {RENEW}",
            day(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the CRM's certificate is not valid yet: it will be from {} on; {RENEW}",
            day(*not_before)
        ),
        CertificateError::Expired | CertificateError::NotValidYet => {
            format!("the CRM's certificate is out of date; {RENEW}")
        }
        CertificateError::BadSignature => {
            "the CRM's certificate, or the proof that the server holds its key, has a wrong signature: another server may \
             be answering in its place; find out which before anything is sent"
                .to_owned()
        }
        // rustls adds kinds now and then.
        _ => format!(
            "the CRM's certificate is not accepted ({why}); have it mended, or pin it by `target.certificate_sha256`"
        ),
    }
}
