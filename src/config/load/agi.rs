//! `[agi]`

use std::time::Duration;

use super::super::AgiConfig;
use super::super::reader::{Section, shown};
use super::super::report::Reported;
use crate::agi::variable::{JsonPath, is_name};

/// Longest wait that a caller can be asked for.
const LONGEST: Duration = Duration::from_secs(60);

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> Result<AgiConfig, Reported> {
    let timeout = timeout(section);
    let set = set(&section.section("set"));
    section.close();
    Ok(AgiConfig {
        timeout: timeout?,
        set: set?,
    })
}

fn timeout(section: &Section<'_>) -> Result<Duration, Reported> {
    let Some(found) = section.span_if_set("timeout") else {
        return Ok(Duration::from_secs(4));
    };
    if found.value <= LONGEST {
        return Ok(found.value);
    }
    let message =
        "`agi.timeout` is longer than 60s, and a caller waits for it; a few seconds are enough";
    Err(section.problem(found.line, "timeout", message))
}

fn set(section: &Section<'_>) -> Result<Vec<(String, JsonPath)>, Reported> {
    let mut set = Vec::new();
    let mut sound = Ok(());
    for name in section.names() {
        let text = shown(name.value);
        if !is_name(name.value) || name.value.trim_start_matches('_').starts_with("CDRELAY") {
            let message = format!(
                "`agi.set`: \"{text}\" is no name for a channel variable; write letters, digits and `_`, such as CRM_PROCESS (those that begin with CDRELAY are cdrelay's own)"
            );
            sound = Err(section.problem(name.line, &text, message));
            continue;
        }
        let Some(found) = section.text(name.value) else {
            sound = Err(Reported);
            continue;
        };
        match JsonPath::parse(found.value) {
            Some(path) => set.push((name.value.to_owned(), path)),
            None => {
                let message = format!(
                    "`{}`: \"{}\" is no place in a reply; write names with dots between them, such as \"data.process.id\"",
                    section.key(name.value),
                    shown(found.value)
                );
                sound = Err(section.problem(found.line, name.value, message));
            }
        }
    }
    sound.map(|()| set)
}
