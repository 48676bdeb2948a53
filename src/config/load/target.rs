//! `[target]`

use std::time::Duration;

use url::Url;

use super::super::reader::{Section, shown};
use super::super::report::Reported;
use super::super::secret::Secret;
use super::super::{Credentials, InitiatedAs, NimboxConfig, TargetConfig, TargetKind};
use super::secrets::{self, Places};
use super::{Surroundings, address, bgcrm, existing_file};
use crate::cdr::recording::UrlTemplate;

/// Reads the section.
pub(super) fn read(
    section: &Section<'_>,
    around: Surroundings<'_>,
) -> Result<TargetConfig, Reported> {
    let name = kind(section);
    let url = url(section);
    let credentials = credentials(section, around);
    let kind = match name {
        Ok(Kind::Nimbox) => nimbox(section, around).map(TargetKind::Nimbox),
        Ok(Kind::Bgcrm) => bgcrm::read(section, credentials.as_ref().ok()).map(TargetKind::Bgcrm),
        Err(reported) => {
            // Which keys it may have depends on the kind: none is called unknown.
            for key in NIMBOX_KEYS.iter().chain(bgcrm::KEYS) {
                section.has(key);
            }
            Err(reported)
        }
    };
    let is_nimbox = !matches!(name, Ok(Kind::Bgcrm));
    let certificate_sha256 = certificate(section);
    let ca_file = ca_file(section, url.as_ref().ok(), around);
    let timeout = section.span("timeout", Duration::from_secs(30));
    let connect_timeout = section.span("connect_timeout", Duration::from_secs(5));
    let concurrency = section.number("concurrency", 1..=1024, 32);
    let max_rps = section.number("max_rps", 0..=1_000_000, 0);
    let (initiated_as, recording_url) = if is_nimbox {
        (initiated_as(section), recording_url(section))
    } else {
        (Ok(InitiatedAs::Utc), Ok(None))
    };
    let empty_source = section.filled("empty_source");
    section.close();
    Ok(TargetConfig {
        kind: kind?,
        url: url?,
        credentials: credentials?,
        ca_file: ca_file?,
        certificate_sha256: certificate_sha256?,
        timeout,
        connect_timeout,
        concurrency: usize::try_from(concurrency).unwrap_or(32),
        max_rps: u32::try_from(max_rps).ok().filter(|&most| most > 0),
        initiated_as: initiated_as?,
        empty_source: empty_source.map(|found| found.value.to_owned()),
        recording_url: recording_url?,
    })
}

/// The words of `target.kind`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Nimbox,
    Bgcrm,
}

/// Keys that NiMbox alone has.
const NIMBOX_KEYS: &[&str] = &[
    "token_file",
    "token",
    "initiated_as",
    "recording_url",
    "already_exists",
];

/// Refuses the keys that belong to the other kind.
fn foreign(section: &Section<'_>, keys: &[&str], theirs: &str, ours: &str) -> Result<(), Reported> {
    let mut sound = Ok(());
    for key in keys {
        if !section.has(key) {
            continue;
        }
        let names = section.names();
        let line = names.iter().find(|name| name.value == *key);
        let message = format!(
            "`{}` belongs to `target.kind = \"{theirs}\"`, and the kind here is \"{ours}\"; remove it, or correct the kind",
            section.key(key)
        );
        sound = Err(section.problem(line.map_or(1, |name| name.line), key, message));
    }
    sound
}

fn nimbox(section: &Section<'_>, around: Surroundings<'_>) -> Result<NimboxConfig, Reported> {
    let foreign = foreign(section, bgcrm::KEYS, "bgcrm", "nimbox");
    let token = token(section, around);
    let already_exists = already_exists(section);
    foreign?;
    Ok(NimboxConfig {
        token: token?,
        already_exists: already_exists?,
    })
}

/// For the other kind: what it has to refuse.
pub(super) fn refuse_nimbox(section: &Section<'_>) -> Result<(), Reported> {
    foreign(section, NIMBOX_KEYS, "nimbox", "bgcrm")
}

/// The columns that the recording's link uses.
pub(super) fn roles(target: &TargetConfig) -> Vec<String> {
    let template = target.recording_url.iter();
    template
        .flat_map(|template| template.placeholders().into_iter().map(str::to_owned))
        .collect()
}

fn kind(section: &Section<'_>) -> Result<Kind, Reported> {
    match section.filled("kind") {
        None => Ok(Kind::Nimbox),
        Some(found) if found.value == "nimbox" => Ok(Kind::Nimbox),
        Some(found) if found.value == "bgcrm" => Ok(Kind::Bgcrm),
        Some(found) => {
            let text = shown(found.value);
            let message = format!(
                "`target.kind`: \"{text}\" is no known CRM; known are \"nimbox\" and \"bgcrm\""
            );
            Err(section.problem(found.line, "kind", message))
        }
    }
}

fn url(section: &Section<'_>) -> Result<Url, Reported> {
    let allowed = section
        .flag("allow_plaintext")
        .is_some_and(|found| found.value);
    let Some(found) = section.filled("url") else {
        let why = "write the CRM's address, such as \"https://crm.example.com\"";
        return Err(section.missing("url", why));
    };
    let url = address::web(section, "url", found)?;
    if url.query().is_some() {
        let message = "`target.url` must not hold a `?` part; write the base address alone";
        return Err(section.problem(found.line, "url", message));
    }
    if url.scheme() == "http" && !allowed && !address::is_private(&url) {
        let host = address::host_shown(&url);
        let message = format!(
            "`target.url` would send the token to {host} unencrypted; use https://, or set `target.allow_plaintext = true` if that is meant"
        );
        return Err(section.problem(found.line, "url", message));
    }
    Ok(url)
}

fn token(section: &Section<'_>, around: Surroundings<'_>) -> Result<Secret, Reported> {
    let places = Places {
        variable: "CDRELAY_TARGET_TOKEN",
        file_key: "token_file",
        value_key: "token",
        url_key: "url",
    };
    secrets::read(section, &places, None, around)?.ok_or_else(|| {
        let why = "name a file that holds it in `target.token_file`, or set the environment variable CDRELAY_TARGET_TOKEN, or write it as `target.token` into a file that you alone can read";
        section.missing("token", why)
    })
}

fn credentials(
    section: &Section<'_>,
    around: Surroundings<'_>,
) -> Result<Option<Credentials>, Reported> {
    let username = section.filled("username");
    let places = Places {
        variable: "CDRELAY_TARGET_PASSWORD",
        file_key: "password_file",
        value_key: "password",
        url_key: "url",
    };
    let password = secrets::read(section, &places, None, around)?;
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) if !username.value.contains(':') => Ok(Some(Credentials {
            username: username.value.to_owned(),
            password,
        })),
        // RFC 7617, section 2: the first colon ends the user name.
        (Some(username), Some(_)) => Err(section.problem(
            username.line,
            "username",
            "`target.username` must not hold a colon, which HTTP cannot send in a user name",
        )),
        (Some(username), None) => Err(section.problem(
            username.line,
            "username",
            "`target.username` is set without a password; set `target.password_file`, CDRELAY_TARGET_PASSWORD or `target.password`, or remove it",
        )),
        (None, Some(_)) => Err(section.missing(
            "username",
            "there is a password for HTTP and no user name; write the user name, or remove the password",
        )),
    }
}

fn certificate(section: &Section<'_>) -> Result<Option<[u8; 32]>, Reported> {
    let Some(found) = section.filled("certificate_sha256") else {
        return Ok(None);
    };
    let digits: Option<Vec<u8>> = found
        .value
        .chars()
        .filter(|&c| c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes = digits.and_then(|digits| {
        let pairs: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit))
            .collect();
        let even = digits.len() == 64;
        <[u8; 32]>::try_from(pairs).ok().filter(|_| even)
    });
    bytes.map(Some).ok_or_else(|| {
        let message = "`target.certificate_sha256` must be 64 hexadecimal digits (colons between them do no harm), as `openssl x509 -noout -fingerprint -sha256` prints them";
        section.problem(found.line, "certificate_sha256", message)
    })
}

fn ca_file(
    section: &Section<'_>,
    url: Option<&Url>,
    around: Surroundings<'_>,
) -> Result<Option<std::path::PathBuf>, Reported> {
    let pin = section.filled("certificate_sha256");
    let ca = section.filled("ca_file");
    if let (Some(_), Some(ca)) = (pin, ca) {
        let message = "`target.ca_file` and `target.certificate_sha256` are both set; remove one (a pinned certificate needs no CA)";
        return Err(section.problem(ca.line, "ca_file", message));
    }
    if url.is_some_and(|url| url.scheme() == "http") {
        for (key, found) in [("certificate_sha256", pin), ("ca_file", ca)] {
            if let Some(found) = found {
                let message = format!(
                    "`target.{key}` is set, and `target.url` is http://, which checks no certificate; use https://"
                );
                return Err(section.problem(found.line, key, message));
            }
        }
    }
    existing_file(section, "ca_file", around)
}

fn initiated_as(section: &Section<'_>) -> Result<InitiatedAs, Reported> {
    const CHOICES: &str = "\"utc\" sends 2012-08-23T16:50:33Z, \"offset\" 2012-08-23T12:20:33-04:30, \"local\" 2012-08-23T12:20:33, and \"local-z\" 2012-08-23T12:20:33Z, local time labelled as UTC, as the reference script did";
    let Some(found) = section.filled("initiated_as") else {
        let why = format!(
            "say how the start of a call is written, and keep to it, since the CRM knows calls by it: {CHOICES}"
        );
        return Err(section.missing("initiated_as", &why));
    };
    InitiatedAs::parse(found.value).ok_or_else(|| {
        let text = shown(found.value);
        let message = format!("`target.initiated_as`: \"{text}\" is not known; {CHOICES}");
        section.problem(found.line, "initiated_as", message)
    })
}

fn recording_url(section: &Section<'_>) -> Result<Option<UrlTemplate>, Reported> {
    let Some(found) = section.filled("recording_url") else {
        return Ok(None);
    };
    if address::holds_password(found.value) {
        section.holds_secret(found.line, "recording_url");
        let message = "`target.recording_url` holds a password, which the CRM would show with every call; remove it";
        return Err(section.problem(found.line, "recording_url", message));
    }
    UrlTemplate::parse(found.value).map(Some).map_err(|why| {
        let message = format!("`target.recording_url`: {why}");
        section.problem(found.line, "recording_url", message)
    })
}

fn already_exists(section: &Section<'_>) -> Result<Vec<String>, Reported> {
    if !section.has("already_exists") {
        let defaults = ["ya existe", "already exist", "duplicad"];
        return Ok(defaults.map(str::to_owned).to_vec());
    }
    let texts = section.texts("already_exists").ok_or(Reported)?;
    if let Some(empty) = texts.iter().find(|found| found.value.trim().is_empty()) {
        let message = "`target.already_exists` holds an empty text, which every refusal would contain; remove it";
        return Err(section.problem(empty.line, "already_exists", message));
    }
    Ok(texts
        .into_iter()
        .map(|found| found.value.to_owned())
        .collect())
}
