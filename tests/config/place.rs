//! A directory with a configuration file in it, and its complaints.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cdrelay::config::{Config, ConfigErrors, NimboxConfig, TargetKind, load};
use tempfile::TempDir;

/// Seven lines: `[source]` is on 1, `[target]` on 4.
pub(crate) const BASE: &str = r#"[source]
url = "mysql://cdr@127.0.0.1:3306/asteriskcdrdb"
timezone = "America/Caracas"
[target]
url = "https://crm.example.com"
token_file = "token"
initiated_as = "utc"
"#;

/// A directory with `cdrelay.toml` and the secret files that the examples name.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new(text: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        place.write("cdrelay.toml", text, 0o600);
        for (name, secret) in [
            ("token", "CANARY-token-file"),
            ("nimbox.token", "CANARY-token-file"),
            ("nimbox.password", "CANARY-http-file"),
            ("db.password", "CANARY-db-file"),
        ] {
            place.write(name, &format!("{secret}\n"), 0o600);
        }
        place
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn load(&self) -> Result<Config, ConfigErrors> {
        self.load_with(&[])
    }

    pub(crate) fn load_with(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        load(&self.path("cdrelay.toml"), &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            match (found, name) {
                (Some((_, value)), _) => Some((*value).to_owned()),
                (None, "XDG_STATE_HOME") => Some("/state".to_owned()),
                (None, _) => None,
            }
        })
    }

    /// The error's text with the directory left out.
    pub(crate) fn complaint(&self) -> String {
        self.complaint_with(&[])
    }

    #[track_caller]
    pub(crate) fn complaint_with(&self, variables: &[(&str, &str)]) -> String {
        let error = self.load_with(variables).expect_err("the file is wrong");
        let directory = format!("{}/", self.directory.path().display());
        assert!(!format!("{error:?}{error}").contains("CANARY"), "{error}");
        error.to_string().replace(&directory, "")
    }
}

/// [`BASE`] with one text put in the place of another.
#[track_caller]
pub(crate) fn changed(from: &str, to: &str) -> String {
    assert_eq!(BASE.matches(from).count(), 1, "{from}");
    BASE.replace(from, to)
}

#[track_caller]
pub(crate) fn loads(text: &str) -> Config {
    match Place::new(text).load() {
        Ok(config) => config,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// What only NiMbox has.
#[track_caller]
pub(crate) fn nimbox(config: &Config) -> &NimboxConfig {
    match &config.target.kind {
        TargetKind::Nimbox(own) => own,
        TargetKind::Bgcrm(_) => panic!("another kind"),
    }
}

/// `[source]` with another address and lines after it.
pub(crate) fn source(url: &str, more: &str) -> String {
    let end = if more.is_empty() { "" } else { "\n" };
    let url = format!("{url}\"{end}{more}");
    changed("mysql://cdr@127.0.0.1:3306/asteriskcdrdb\"", &url)
}

/// `[target]` with more lines after its header's, from line 8 on.
pub(crate) fn target(more: &str) -> String {
    format!("{BASE}{more}\n")
}

/// Compares the whole text of the error.
#[track_caller]
pub(crate) fn refuses(text: &str, expected: &str) {
    let place = Place::new(text);
    let lines = expected.lines().map(|line| format!("cdrelay.toml:{line}"));
    assert_eq!(
        place.complaint(),
        lines.collect::<Vec<_>>().join("\n"),
        "\n{text}"
    );
}
