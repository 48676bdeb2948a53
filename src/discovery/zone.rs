//! The zone that a machine's clock is set to: what a PBX on it writes its times in, unless its settings say otherwise.

use chrono_tz::Tz;

use super::{Machine, text};

/// A zone, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFound {
    /// The zone.
    pub zone: Tz,
    /// The file that says so.
    pub from: String,
}

/// The machine's zone: where `/etc/localtime` leads to (localtime(5)), else what `/etc/timezone` says (Debian).
#[must_use]
pub fn zone(machine: &Machine) -> Option<ZoneFound> {
    let link = machine.path("/etc/localtime");
    let linked = std::fs::read_link(&link).ok().and_then(|target| {
        let target = target.to_str()?.to_owned();
        let (_, name) = target.split_once("zoneinfo/")?;
        parse(name)
    });
    let file = machine.path("/etc/timezone");
    let found = match linked {
        Some(zone) => (zone, link),
        None => (parse(text(&file)?.lines().next()?)?, file),
    };
    Some(ZoneFound {
        zone: found.0,
        from: found.1.display().to_string(),
    })
}

fn parse(name: &str) -> Option<Tz> {
    let name = name.trim();
    let name = name.strip_prefix("posix/").unwrap_or(name);
    match name.parse::<Tz>() {
        // One zone, one name in messages and configurations.
        Ok(Tz::Etc__UTC | Tz::Etc__UCT | Tz::UCT | Tz::Zulu) => Some(Tz::UTC),
        Ok(zone) => Some(zone),
        Err(_) => None,
    }
}
