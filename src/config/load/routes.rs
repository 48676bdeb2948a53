//! `[[collector.cti_bridge.routes]]` and `[collector.cti_bridge.fallback]`

use std::collections::BTreeMap;

use super::super::reader::{Section, shown};
use super::super::report::{Found, Reported};
use crate::cdr::cause::Cause;
use crate::collector::cti_bridge::dial::{Dial, Hangup, Route};
use crate::number::dialplan::Pattern;
use crate::number::substring::Template;

/// The ways a call can go, which exclude one another.
const KINDS: [&str; 5] = ["gateway", "user", "ip", "dialstring", "hangup"];

/// Reads the routing table.
pub(super) fn read(section: &Section<'_>) -> Result<Vec<Route>, Reported> {
    let sections = section.sections("routes");
    // Collected whole first, so that every bad route is reported.
    let routes: Vec<_> = sections.iter().map(route).collect();
    routes.into_iter().collect()
}

/// Reads what is answered where nothing else can be.
pub(super) fn read_fallback(section: &Section<'_>) -> Result<Route, Reported> {
    let dial = dial(section)?.unwrap_or(Dial::Hangup(Hangup::Cause(41)));
    let variables = variables(section);
    section.close();
    Ok(Route {
        pattern: None,
        dial,
        variables: variables?,
    })
}

fn route(section: &Section<'_>) -> Result<Route, Reported> {
    let pattern = match section.filled("match") {
        None => Ok(None),
        Some(found) => Pattern::parse(found.value)
            .map(Some)
            .map_err(|why| section.problem(found.line, "match", why.to_string())),
    };
    let dial = dial(section);
    let variables = variables(section);
    section.close();
    let dial = dial?.ok_or_else(|| {
        let message = format!(
            "`{}` leads nowhere; give it one of {}",
            section.shown_path(),
            KINDS.join(", ")
        );
        section.problem(section.line().unwrap_or(1), "", message)
    })?;
    Ok(Route {
        pattern: pattern?,
        dial,
        variables: variables?,
    })
}

fn dial(section: &Section<'_>) -> Result<Option<Dial>, Reported> {
    let given: Vec<&str> = KINDS.into_iter().filter(|key| section.has(key)).collect();
    let gateway = section.filled("gateway");
    let user = section.filled("user");
    let ip = section.filled("ip");
    let sofia = section.filled("sofia");
    let dialstring = dialstring(section);
    let hangup = hangup(section);
    if let [first, second, ..] = given[..] {
        let message = format!(
            "`{}` has `{first}` and `{second}`; a call can go only one way (a `dialstring` list tries several)",
            section.shown_path()
        );
        return Err(section.problem(section.line().unwrap_or(1), second, message));
    }
    let whole = |found: Found<&str>, key: &str| template(section, key, found);
    Ok(match (gateway, user, ip, dialstring?, hangup?) {
        (Some(gateway), ..) => Some(Dial::Gateway(gateway.value.to_owned())),
        (_, Some(user), ..) => Some(Dial::User(whole(user, "user")?)),
        (_, _, Some(ip), ..) => Some(Dial::Ip {
            ip: ip.value.to_owned(),
            sofia: sofia.map_or("external", |sofia| sofia.value).to_owned(),
        }),
        (_, _, _, Some(strings), _) => Some(Dial::Dialstring(strings)),
        (.., Some(hangup)) => Some(Dial::Hangup(hangup)),
        (None, None, None, None, None) => None,
    })
}

/// One text, or a list of which each is tried when the one before failed.
fn dialstring(section: &Section<'_>) -> Result<Option<Vec<Template>>, Reported> {
    const KEY: &str = "dialstring";
    let texts = if section.is_list(KEY) {
        section.texts(KEY).ok_or(Reported)?
    } else {
        section.filled(KEY).into_iter().collect()
    };
    let templates: Vec<_> = texts
        .into_iter()
        .map(|found| template(section, KEY, found))
        .collect();
    let templates: Vec<Template> = templates.into_iter().collect::<Result<_, _>>()?;
    Ok(Some(templates).filter(|templates| !templates.is_empty()))
}

/// A cause by name or number, or a SIP status as `"sip 486"`.
fn hangup(section: &Section<'_>) -> Result<Option<Hangup>, Reported> {
    const KEY: &str = "hangup";
    if section.is_number(KEY) {
        let number = section.number_if_set(KEY, 1..=999).ok_or(Reported)?;
        return Ok(u16::try_from(number).ok().map(Hangup::Cause));
    }
    let Some(found) = section.filled(KEY) else {
        return Ok(None);
    };
    let name = section.key(KEY);
    let refuse = |message: String| Err(section.problem(found.line, KEY, message));
    let lower = found.value.to_ascii_lowercase();
    if let Some(status) = lower.strip_prefix("sip") {
        let status = status.trim_start_matches([' ', ':']);
        return match status.parse() {
            Ok(status @ 300..=699) => Ok(Some(Hangup::Sip(status))),
            _ => refuse(format!(
                "`{name}`: \"{}\" is no SIP status that ends a call; write one from 300 to 699, such as \"sip 486\"",
                shown(found.value)
            )),
        };
    }
    match Cause::named(found.value) {
        Some(cause) if cause.moved => refuse(format!(
            "`{name}`: FreeSWITCH 1.10.8 changed the number of {} from {} to {}; write the number that yours has",
            cause.name,
            cause.number,
            cause.number + 200
        )),
        Some(cause) => Ok(Some(Hangup::Cause(cause.number))),
        None => refuse(format!(
            "`{name}`: \"{}\" is no hangup cause; write a name such as \"USER_BUSY\", a number such as 17, or a SIP status such as \"sip 486\"",
            shown(found.value)
        )),
    }
}

fn variables(section: &Section<'_>) -> Result<BTreeMap<String, Template>, Reported> {
    let inner = section.section("variables");
    let mut variables = BTreeMap::new();
    let mut sound = Ok(());
    for name in inner.names() {
        let Some(found) = inner.text(name.value) else {
            sound = Err(Reported);
            continue;
        };
        match Template::parse(found.value) {
            Ok(template) => {
                variables.insert(name.value.to_owned(), template);
            }
            Err(why) => {
                let name = inner.key(&shown(name.value));
                sound = Err(inner.problem(found.line, &name, format!("`{name}`: {why}")));
            }
        }
    }
    sound.map(|()| variables)
}

fn template(section: &Section<'_>, key: &str, found: Found<&str>) -> Result<Template, Reported> {
    let name = section.key(key);
    Template::parse(found.value)
        .map_err(|why| section.problem(found.line, key, format!("`{name}`: {why}")))
}
