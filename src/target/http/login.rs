//! User name and password: kept back until the server asks, then sent with every request.
//!
//! Digest (RFC 7616) goes before Basic (RFC 7617). Once Digest was offered, the password never goes out as Basic in this
//! process: somebody between client and server could otherwise ask for it in the clear.

use std::sync::{Mutex, MutexGuard, PoisonError};

use digest_auth::{AuthContext, WwwAuthenticateHeader};
use hyper::header::HeaderValue;

use super::challenge::{self, Challenge};
use super::digest::{carries_nonce, strongest};
use super::{Fault, Secrets};

/// User names from this length on are struck out of texts.
const SHORTEST_NAME: usize = 4;

/// Schemes that a reason names: those of the registry at IANA, and NTLM.
const KNOWN_SCHEMES: [&str; 16] = [
    "Basic",
    "Bearer",
    "Concealed",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "Signature",
    "vapid",
];

/// Who logs in.
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
}

/// The state of logging in, shared by all requests.
pub(super) struct Login {
    user: Option<User>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    scheme: Option<Scheme>,
    digest_seen: bool,
    /// The server has taken the credentials once.
    accepted: bool,
}

enum Scheme {
    Basic,
    /// With the nonce and its counter.
    Digest(WwwAuthenticateHeader),
}

impl Login {
    pub(super) fn new(user: Option<User>) -> Self {
        Self {
            user,
            state: Mutex::default(),
        }
    }

    /// The header that goes with a request for this path and query: none before the first challenge. Each call uses up one
    /// count of the nonce.
    pub(super) fn authorization(&self, target: &str) -> Result<Option<HeaderValue>, Fault> {
        let Some(user) = &self.user else {
            return Ok(None);
        };
        self.state().header(user, target)
    }

    /// Answers the challenges of a 401. `sent` is the header that the refused request carried.
    pub(super) fn answer(
        &self,
        challenges: &[String],
        sent: Option<&HeaderValue>,
        target: &str,
    ) -> Result<HeaderValue, Fault> {
        let challenges: Vec<Challenge> = challenges
            .iter()
            .flat_map(|header| challenge::parse(header))
            .collect();
        let Some(user) = &self.user else {
            return Err(Fault::Broken(format!(
                "the CRM wants a user and a password ({}); set `target.username` and `target.password_file`",
                schemes(&challenges)
            )));
        };
        let mut state = self.state();
        if challenges.iter().any(|c| c.is("Digest")) {
            state.digest_seen = true;
        }
        let scheme = if let Some(prompt) = strongest(&challenges) {
            // The same nonce again, and not called stale: it was the password that failed.
            if !prompt.stale && carries_nonce(sent, &prompt.nonce) {
                return Err(self.refused());
            }
            Scheme::Digest(prompt)
        } else if state.digest_seen {
            return Err(Fault::Broken(format!(
                "the CRM wants a user and a password ({}), after it asked for Digest, or for a Digest that cdrelay does \
                 not know; the password is not sent as Basic. The server must offer Digest with MD5 or SHA-256 and \
                 qop=auth",
                schemes(&challenges)
            )));
        } else if challenges.iter().any(|c| c.is("Basic")) {
            if sent.is_some() {
                return Err(self.refused());
            }
            Scheme::Basic
        } else {
            return Err(Fault::Broken(format!(
                "the CRM wants a login that cdrelay does not know ({}); the server must offer Digest or Basic",
                schemes(&challenges)
            )));
        };
        state.scheme = Some(scheme);
        // Under the same lock, so that no two requests get one count of this nonce.
        state.header(user, target)?.ok_or_else(|| self.refused())
    }

    /// The server answered a request that carried credentials, and not with 401.
    pub(super) fn accepted(&self) {
        self.state().accepted = true;
    }

    /// What a second 401 in a row means. Where the credentials were good before and only the nonce is called stale, other
    /// requests may have used it up meanwhile: that is no verdict on the password.
    pub(super) fn refused_again(&self, challenges: &[String]) -> Fault {
        let stale = challenges
            .iter()
            .flat_map(|header| challenge::parse(header))
            .any(|c| {
                c.is("Digest")
                    && c.get("stale")
                        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
            });
        if stale && self.state().accepted {
            return Fault::Garbled(
                "the CRM answered 401 and called the nonce stale, twice in a row".to_owned(),
            );
        }
        self.refused()
    }

    /// The server refuses what it asked for.
    pub(super) fn refused(&self) -> Fault {
        Fault::Broken(
            "user or password refused: the CRM answered 401 to the credentials; check `target.username` and \
             `target.password_file`"
                .to_owned(),
        )
    }

    /// User name and password, to be struck out of texts.
    pub(super) fn secrets(&self) -> Secrets {
        self.user.as_ref().map_or_else(Secrets::default, |user| {
            let secrets = Secrets::default()
                .with(&user.password)
                .with(&format!("{}:{}", user.name, user.password));
            // Of a shorter name not even its owner would know that it is meant.
            if user.name.chars().count() < SHORTEST_NAME {
                secrets
            } else {
                secrets.with_name(&user.name)
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves the state half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn header(&mut self, user: &User, target: &str) -> Result<Option<HeaderValue>, Fault> {
        let text = match &mut self.scheme {
            None => return Ok(None),
            Some(Scheme::Basic) => basic(&user.name, &user.password),
            // The counter has eight hexadecimal digits; a nonce that has used them up waits for the next challenge.
            Some(Scheme::Digest(prompt)) if prompt.nc == u32::MAX => {
                self.scheme = None;
                return Ok(None);
            }
            Some(Scheme::Digest(prompt)) => {
                let context = AuthContext::new(user.name.as_str(), user.password.as_str(), target);
                prompt
                    .respond(&context)
                    .map_err(|_| {
                        Fault::Broken(
                            "the CRM's Digest challenge cannot be answered; the server must offer MD5 or SHA-256 with \
                             qop=auth"
                                .to_owned(),
                        )
                    })?
                    .to_string()
            }
        };
        let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
            Fault::Broken(
                "the credentials hold characters that no HTTP header can carry; check `target.username` and what the \
                 CRM names as realm"
                    .to_owned(),
            )
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The header value of RFC 7617, in UTF-8.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        crate::text::base64::encode(format!("{user}:{password}").as_bytes())
    )
}

/// The schemes that a server offers, for a person: at most five. What has no known name is not quoted: it is the server's
/// text, and could repeat the request.
fn schemes(challenges: &[Challenge]) -> String {
    if challenges.is_empty() {
        return "it names no scheme".to_owned();
    }
    let names: Vec<&str> = challenges
        .iter()
        .take(5)
        .map(|challenge| {
            KNOWN_SCHEMES
                .into_iter()
                .find(|name| challenge.is(name))
                .unwrap_or("one without a known name")
        })
        .collect();
    format!("it offers {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;

    const TARGET: &str = "/dir/index.html?a=1";

    fn login() -> Login {
        Login::new(Some(User {
            name: "Aladdin".to_owned(),
            password: "open sesame".to_owned(),
        }))
    }

    fn answer(login: &Login, headers: &[&str]) -> Result<String, Fault> {
        let headers: Vec<String> = headers.iter().map(|&h| h.to_owned()).collect();
        login
            .answer(&headers, None, TARGET)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn basic_is_what_rfc_7617_shows() {
        assert_eq!(
            basic("Aladdin", "open sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
    }

    #[test]
    fn nothing_is_sent_before_the_server_asks() {
        assert_eq!(login().authorization(TARGET), Ok(None));
    }

    #[test]
    fn digest_goes_before_basic_and_the_stronger_hash_before_md5() {
        let login = login();
        let sent = answer(
            &login,
            &[
                r#"Basic realm="r""#,
                r#"Digest realm="r", nonce="n1", qop="auth", algorithm=MD5, Digest realm="r", nonce="n2", qop="auth-int, auth", algorithm=sha-256"#,
            ],
        )
        .unwrap();
        assert!(sent.starts_with("Digest "), "{sent}");
        assert!(
            sent.contains(r#"nonce="n2""#) && sent.contains("algorithm=SHA-256"),
            "{sent}"
        );
        assert!(sent.contains(r#"uri="/dir/index.html?a=1""#), "{sent}");
        assert!(sent.contains("qop=auth, nc=00000001"), "{sent}");
        let next = login.authorization(TARGET).unwrap().unwrap();
        assert!(next.to_str().unwrap().contains("nc=00000002"));
    }

    #[test]
    fn digest_never_falls_back_to_basic() {
        let login = login();
        answer(&login, &[r#"Digest realm="r", nonce="n""#]).unwrap();
        let fault = answer(&login, &[r#"Basic realm="r""#]).unwrap_err();
        assert!(
            matches!(fault, Fault::Broken(ref text) if text.contains("not sent as Basic")),
            "{fault}"
        );

        let login = self::login();
        let offered = r#"Digest realm="r", nonce="n", algorithm=TIGER, Basic realm="r""#;
        let fault = answer(&login, &[offered]).unwrap_err();
        assert!(
            matches!(fault, Fault::Broken(ref text) if text.contains("not sent as Basic")),
            "{fault}"
        );
    }

    #[test]
    fn the_same_nonce_again_means_a_wrong_password_unless_it_is_called_stale() {
        let login = login();
        let headers = [r#"Digest realm="r", nonce="n", qop="auth""#.to_owned()];
        let sent = login.answer(&headers, None, TARGET).unwrap();
        assert_eq!(
            login.answer(&headers, Some(&sent), TARGET),
            Err(login.refused())
        );
        let stale = [r#"Digest realm="r", nonce="n", qop="auth", stale=TRUE"#.to_owned()];
        assert!(login.answer(&stale, Some(&sent), TARGET).is_ok());
    }

    #[test]
    fn concurrent_requests_never_share_a_count() {
        let login = login();
        answer(&login, &[r#"Digest realm="r", nonce="n", qop="auth""#]).unwrap();
        let counts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..50)
                            .map(|_| {
                                let value = login.authorization(TARGET).unwrap().unwrap();
                                let parsed = challenge::parse(value.to_str().unwrap());
                                parsed[0].get("nc").unwrap().to_owned()
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect::<std::collections::HashSet<_>>()
        });
        assert_eq!(counts.len(), 400);
    }

    #[test]
    fn a_realm_that_is_not_ascii_is_answered() {
        let sent = login()
            .answer(
                &["Digest realm=\"tel\u{e9}fono \u{1f980}\", nonce=\"n\"".to_owned()],
                None,
                TARGET,
            )
            .unwrap();
        assert!(String::from_utf8_lossy(sent.as_bytes()).contains("tel\u{e9}fono"));
    }
}
