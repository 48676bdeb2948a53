//! The door of a sandbox that asks for credentials.

use std::collections::{HashMap, HashSet, VecDeque};

use digest_auth::{Algorithm, AlgorithmType, AuthContext, AuthorizationHeader, Qop};
use sha2::{Digest as _, Sha256};

use super::{Credentials, DigestAlgorithm};
use crate::target::http::{challenge, login};

/// Most nonces that are remembered; older ones are stale.
const NONCES: usize = 4096;

/// Most counts that one nonce is good for, so that what is remembered of it is bounded too.
const NONCE_USES: u32 = 100_000;

/// Who may come in.
pub(super) struct Gate {
    credentials: Credentials,
    issued: u64,
    nonces: HashMap<String, HashSet<u32>>,
    order: VecDeque<String>,
}

/// What the gate says to a request.
pub(super) enum Entry {
    Open,
    /// 401, with this `WWW-Authenticate`.
    Challenge(String),
}

impl Gate {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            issued: 0,
            nonces: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// `uri` is the request's target as it came, `authorization` its header of that name.
    pub(super) fn enter(&mut self, uri: &str, authorization: Option<&str>) -> Entry {
        match &self.credentials {
            Credentials::None => Entry::Open,
            Credentials::Basic { username, password } => {
                if authorization == Some(login::basic(username, password).as_str()) {
                    Entry::Open
                } else {
                    Entry::Challenge(r#"Basic realm="NiMbox", charset="UTF-8""#.to_owned())
                }
            }
            Credentials::Digest { algorithm, .. } => {
                let algorithm = *algorithm;
                let stale = match authorization.map(|sent| self.check(uri, sent)) {
                    Some(Answer::Right) => return Entry::Open,
                    Some(Answer::Stale) => ", stale=true",
                    Some(Answer::Wrong) | None => "",
                };
                let nonce = self.issue();
                let name = match algorithm {
                    DigestAlgorithm::Md5 => "MD5",
                    DigestAlgorithm::Sha256 => "SHA-256",
                };
                Entry::Challenge(format!(
                    r#"Digest realm="NiMbox", nonce="{nonce}", qop="auth", algorithm={name}{stale}"#
                ))
            }
        }
    }

    fn check(&mut self, uri: &str, authorization: &str) -> Answer {
        let Credentials::Digest {
            username,
            password,
            algorithm,
            nonce_uses,
        } = &self.credentials
        else {
            return Answer::Wrong;
        };
        let sent = challenge::parse(authorization);
        let Some(sent) = sent.first().filter(|c| c.is("Digest")) else {
            return Answer::Wrong;
        };
        let get = |name| sent.get(name).unwrap_or("");
        let Ok(count) = u32::from_str_radix(get("nc"), 16) else {
            return Answer::Wrong;
        };
        let mut right = AuthorizationHeader {
            realm: "NiMbox".to_owned(),
            nonce: get("nonce").to_owned(),
            opaque: None,
            userhash: false,
            algorithm: Algorithm::new(
                match algorithm {
                    DigestAlgorithm::Md5 => AlgorithmType::MD5,
                    DigestAlgorithm::Sha256 => AlgorithmType::SHA2_256,
                },
                false,
            ),
            response: String::new(),
            username: String::new(),
            uri: uri.to_owned(),
            qop: Some(Qop::AUTH),
            cnonce: Some(get("cnonce").to_owned()),
            nc: count,
        };
        right.digest(&AuthContext::new(username.as_str(), password.as_str(), uri));
        if get("username") != username || get("uri") != uri || get("response") != right.response {
            return Answer::Wrong;
        }
        // The credentials are right from here on; what can still be wrong is the nonce.
        let limit = nonce_uses.unwrap_or(NONCE_USES).min(NONCE_USES);
        match self.nonces.get_mut(get("nonce")) {
            Some(seen) if seen.len() >= limit as usize => Answer::Stale,
            // A count that was seen is a replay, or a client that lost its place: both need another nonce.
            Some(seen) => {
                if seen.insert(count) {
                    Answer::Right
                } else {
                    Answer::Stale
                }
            }
            None => Answer::Stale,
        }
    }

    fn issue(&mut self) -> String {
        self.issued += 1;
        let seed = Sha256::digest(self.issued.to_le_bytes());
        let nonce: String = seed[..16].iter().map(|b| format!("{b:02x}")).collect();
        if self.order.len() >= NONCES
            && let Some(oldest) = self.order.pop_front()
        {
            self.nonces.remove(&oldest);
        }
        self.order.push_back(nonce.clone());
        self.nonces.insert(nonce.clone(), HashSet::new());
        nonce
    }
}

enum Answer {
    Right,
    Stale,
    Wrong,
}
