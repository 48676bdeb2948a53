//! Digest challenges (RFC 7616, RFC 2617) in the terms of the Digest library.

use digest_auth::{Algorithm, AlgorithmType, Charset, Qop, WwwAuthenticateHeader};
use hyper::header::HeaderValue;

use super::challenge::{self, Challenge};

/// The strongest Digest challenge that can be answered.
pub(super) fn strongest(challenges: &[Challenge]) -> Option<WwwAuthenticateHeader> {
    challenges
        .iter()
        .filter(|c| c.is("Digest"))
        .filter_map(prompt)
        .max_by_key(|prompt| match prompt.algorithm.algo {
            AlgorithmType::MD5 => 0,
            AlgorithmType::SHA2_256 => 1,
            AlgorithmType::SHA2_512_256 => 2,
        })
}

/// A challenge as the Digest library wants it. Its own parser is not used: it takes one challenge a header, and counts
/// characters where it needs bytes.
fn prompt(challenge: &Challenge) -> Option<WwwAuthenticateHeader> {
    let algorithm = match challenge.get("algorithm") {
        None => Algorithm::new(AlgorithmType::MD5, false),
        Some(name) => {
            let upper = name.to_ascii_uppercase();
            let (name, session) = match upper.strip_suffix("-SESS") {
                Some(name) => (name, true),
                None => (upper.as_str(), false),
            };
            let algorithm = match name {
                "MD5" => AlgorithmType::MD5,
                "SHA-256" => AlgorithmType::SHA2_256,
                "SHA-512-256" => AlgorithmType::SHA2_512_256,
                _ => return None,
            };
            Algorithm::new(algorithm, session)
        }
    };
    let qop = match challenge.get("qop") {
        // RFC 2069: no quality of protection, no counter.
        None => None,
        Some(offered) => {
            offered
                .split([',', ' '])
                .find(|qop| qop.eq_ignore_ascii_case("auth"))?;
            Some(vec![Qop::AUTH])
        }
    };
    let is_true = |name| {
        challenge
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    Some(WwwAuthenticateHeader {
        domain: None,
        realm: challenge.get("realm")?.to_owned(),
        nonce: challenge.get("nonce")?.to_owned(),
        opaque: challenge.get("opaque").map(ToOwned::to_owned),
        stale: is_true("stale"),
        algorithm,
        qop,
        userhash: is_true("userhash"),
        charset: Charset::UTF8,
        nc: 0,
    })
}

/// Whether a header that was sent answers to this nonce.
pub(super) fn carries_nonce(sent: Option<&HeaderValue>, nonce: &str) -> bool {
    let Some(sent) = sent else {
        return false;
    };
    let text = String::from_utf8_lossy(sent.as_bytes());
    challenge::parse(&text)
        .iter()
        .any(|c| c.is("Digest") && c.get("nonce") == Some(nonce))
}
