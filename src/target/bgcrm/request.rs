//! What goes to BGCRM, byte for byte.
//!
//! The parameters are those of its `DynamicAction` and `AuthFilter`: `j_username` and `j_password` log in for this request
//! alone, `authToSession=0` leaves no session behind, and `responseType=json` makes failures JSON, too, where a page for a
//! browser would come otherwise.

use anyhow::{Context as _, bail};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::config::{BgcrmConfig, BgcrmMethod, BgcrmPath, Credentials};

/// Longest address that is sent: as for any web server.
pub(super) const ADDRESS_LIMIT: usize = 8 * 1024;

/// One request.
pub(super) struct Request {
    pub(super) address: Url,
    /// What is POSTed; `None`: a GET.
    pub(super) form: Option<String>,
}

/// The address, and what stands around a call's own form.
pub(super) struct Requests {
    address: Url,
    method: BgcrmMethod,
    /// In front of the form: which action is meant.
    action: &'static str,
    /// Behind it: how to reply, and who asks.
    login: String,
}

impl Requests {
    /// `base` may have a path prefix, with or without a slash at its end.
    pub(super) fn new(base: &Url, own: &BgcrmConfig, user: &Credentials) -> anyhow::Result<Self> {
        if !base.username().is_empty() || base.password().is_some() {
            bail!("target.url holds a user name; set `target.username` and `target.password_file`");
        }
        let mut address = base.clone();
        let prefix = base.path().trim_end_matches('/');
        let path = format!("{prefix}/admin/{}", own.path.as_str());
        address.set_path(&path);
        address.set_query(None);
        address.set_fragment(None);
        // `mailto:` and the like have no path to put anything below.
        if address.path() != path {
            return Err(anyhow::anyhow!("`{base}` is no web address"))
                .context("target.url cannot be used");
        }
        Ok(Self {
            address,
            method: own.method,
            action: match own.path {
                BgcrmPath::Dynamic => "action=runDynamicClass",
                BgcrmPath::Run => "method=runClass",
            },
            login: Serializer::new(String::new())
                .append_pair("authToSession", "0")
                .append_pair("responseType", "json")
                .append_pair("j_username", &user.username)
                .append_pair("j_password", user.password.expose())
                .finish(),
        })
    }

    /// Runs the class that a call's form names.
    pub(super) fn run(&self, form: &str) -> Request {
        self.with(format!("{}&{form}&{}", self.action, self.login))
    }

    /// Names no class: it can only be refused.
    pub(super) fn probe(&self) -> Request {
        self.with(format!("{}&{}", self.action, self.login))
    }

    fn with(&self, form: String) -> Request {
        let mut address = self.address.clone();
        match self.method {
            BgcrmMethod::Post => Request {
                address,
                form: Some(form),
            },
            BgcrmMethod::Get => {
                address.set_query(Some(&form));
                Request {
                    address,
                    form: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that panics has said what is wrong"
    )]

    use super::*;
    use crate::cdr::form::CallForm;
    use crate::config::OnUnknown;
    use crate::config::secret::Secret;

    fn requests(base: &str, path: BgcrmPath, method: BgcrmMethod) -> Requests {
        let own = BgcrmConfig {
            form: CallForm::new("org.example.CallBack", &[], "aon"),
            path,
            method,
            on_unknown: OnUnknown::Hold,
        };
        let user = Credentials {
            username: "pbx".to_owned(),
            password: Secret::new("p&w d".to_owned()).unwrap(),
        };
        Requests::new(&Url::parse(base).unwrap(), &own, &user).unwrap()
    }

    #[test]
    fn a_call_is_these_bytes_by_post_and_by_get() {
        let rest =
            "class=C&aon=1&authToSession=0&responseType=json&j_username=pbx&j_password=p%26w+d";
        for base in ["http://127.0.0.1:9088", "http://127.0.0.1:9088/"] {
            let request =
                requests(base, BgcrmPath::Dynamic, BgcrmMethod::Post).run("class=C&aon=1");
            assert_eq!(
                request.address.as_str(),
                "http://127.0.0.1:9088/admin/dynamic.do"
            );
            assert_eq!(
                request.form.unwrap(),
                format!("action=runDynamicClass&{rest}")
            );
        }
        let request =
            requests("http://[::1]/crm", BgcrmPath::Run, BgcrmMethod::Get).run("class=C&aon=1");
        assert_eq!(
            request.address.as_str(),
            format!("http://[::1]/crm/admin/run.do?method=runClass&{rest}")
        );
        assert!(request.form.is_none());
    }

    #[test]
    fn a_probe_names_no_class() {
        let request = requests("http://[::1]", BgcrmPath::Run, BgcrmMethod::Post).probe();
        assert_eq!(
            request.form.unwrap(),
            "method=runClass&authToSession=0&responseType=json&j_username=pbx&j_password=p%26w+d"
        );
    }
}
