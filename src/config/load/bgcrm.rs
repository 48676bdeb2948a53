//! What `[target]` holds for BGCRM alone.

use super::super::reader::{Section, shown};
use super::super::report::Reported;
use super::super::{BgcrmConfig, BgcrmMethod, BgcrmPath, Credentials, OnUnknown};
use super::target::refuse_nimbox;
use crate::cdr::form::CallForm;

/// Keys that BGCRM alone has.
pub(super) const KEYS: &[&str] = &[
    "class",
    "path",
    "method",
    "number_parameter",
    "parameters",
    "on_unknown",
];

/// Parameters that cdrelay sets itself, or that would change what the reply looks like (`callback` wraps it for JSONP).
const RESERVED: &[&str] = &[
    "action",
    "authToSession",
    "callback",
    "class",
    "j_password",
    "j_username",
    "method",
    "responseType",
];

/// Most characters of a name or a constant.
const LONGEST: usize = 1024;

/// Reads the keys; `credentials` are what was read before, `None` where they could not be.
pub(super) fn read(
    section: &Section<'_>,
    credentials: Option<&Option<Credentials>>,
) -> Result<BgcrmConfig, Reported> {
    let foreign = refuse_nimbox(section);
    let login = if matches!(credentials, Some(None)) {
        let why = "BGCRM asks for a user with every call; write the user, and the password as `target.password_file`, CDRELAY_TARGET_PASSWORD or `target.password`";
        Err(section.missing("username", why))
    } else {
        Ok(())
    };
    let class = class(section);
    let number = number_parameter(section);
    let parameters = parameters(&section.section("parameters"), number.as_deref().ok());
    let path = word(section, "path", BgcrmPath::ALL, BgcrmPath::as_str);
    let method = word(section, "method", BgcrmMethod::ALL, BgcrmMethod::as_str);
    let on_unknown = word(section, "on_unknown", OnUnknown::ALL, OnUnknown::as_str);
    foreign?;
    login?;
    Ok(BgcrmConfig {
        form: CallForm::new(&class?, &parameters?, &number?),
        path: path?,
        method: method?,
        on_unknown: on_unknown?,
    })
}

/// One of two words; the first where it is not set.
fn word<T: Copy>(
    section: &Section<'_>,
    key: &str,
    all: [T; 2],
    as_str: fn(T) -> &'static str,
) -> Result<T, Reported> {
    let Some(found) = section.filled(key) else {
        return Ok(all[0]);
    };
    all.into_iter()
        .find(|known| as_str(*known) == found.value)
        .ok_or_else(|| {
            let message = format!(
                "`{}` must be \"{}\" or \"{}\", not \"{}\"",
                section.key(key),
                as_str(all[0]),
                as_str(all[1]),
                shown(found.value)
            );
            section.problem(found.line, key, message)
        })
}

/// A class as Java names it, its package in front.
fn class(section: &Section<'_>) -> Result<String, Reported> {
    let Some(found) = section.filled("class") else {
        let why = "name the class that BGCRM is to run, with its package, such as \"org.example.crm.CallBack\"";
        return Err(section.missing("class", why));
    };
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
    };
    if found.value.len() <= LONGEST && found.value.split('.').all(part) {
        return Ok(found.value.to_owned());
    }
    let message = format!(
        "`target.class`: \"{}\" is no class; write its package and name with dots between them, such as \"org.example.crm.CallBack\"",
        shown(found.value)
    );
    Err(section.problem(found.line, "class", message))
}

fn number_parameter(section: &Section<'_>) -> Result<String, Reported> {
    let Some(found) = section.filled("number_parameter") else {
        return Ok("aon".to_owned());
    };
    match refused(found.value) {
        None => Ok(found.value.to_owned()),
        Some(why) => {
            let message = format!("`target.number_parameter`: {why}");
            Err(section.problem(found.line, "number_parameter", message))
        }
    }
}

fn parameters(
    section: &Section<'_>,
    number: Option<&str>,
) -> Result<Vec<(String, String)>, Reported> {
    let mut parameters = Vec::new();
    let mut sound = Ok(());
    for name in section.names() {
        let why = if number == Some(name.value) {
            Some(format!(
                "\"{}\" carries the caller's number (`target.number_parameter`); give one of them another name",
                shown(name.value)
            ))
        } else {
            refused(name.value)
        };
        if let Some(why) = why {
            let message = format!("`target.parameters`: {why}");
            sound = Err(section.problem(name.line, &shown(name.value), message));
            continue;
        }
        match section.text(name.value) {
            Some(found) if found.value.chars().count() > LONGEST => {
                let message = format!(
                    "`{}` is longer than {LONGEST} characters; shorten it",
                    section.key(name.value)
                );
                sound = Err(section.problem(found.line, name.value, message));
            }
            Some(found) => parameters.push((name.value.to_owned(), found.value.to_owned())),
            None => sound = Err(Reported),
        }
    }
    sound.map(|()| parameters)
}

/// Why a parameter cannot be called so.
fn refused(name: &str) -> Option<String> {
    let text = shown(name);
    if RESERVED
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
    {
        Some(format!(
            "\"{text}\" is one that cdrelay sets by itself, or that would change the reply; use another name"
        ))
    } else if name.trim().is_empty()
        || name.chars().any(char::is_control)
        || name.chars().count() > LONGEST
    {
        Some(format!(
            "\"{text}\" is no name for a parameter; write letters, digits and `_`"
        ))
    } else {
        None
    }
}
