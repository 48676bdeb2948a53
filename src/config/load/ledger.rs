//! `[ledger]`, and the directory for state where it names none.

use std::path::PathBuf;
use std::time::Duration;

use super::super::locate::effective_user;
use super::super::reader::Section;
use super::super::report::Reported;
use super::super::{LedgerConfig, SelectConfig, span};
use super::Surroundings;

const DAY: Duration = Duration::from_secs(86_400);

/// Reads the section; `job` is `None` where its name was refused.
pub(super) fn read(
    section: &Section<'_>,
    job: Option<&str>,
    select: &SelectConfig,
    around: Surroundings<'_>,
) -> Result<LedgerConfig, Reported> {
    let path = match section.path("path", around.directory) {
        Some(found) => Ok(found.value),
        None => default_path(section, job, around),
    };
    let retention = retention(section, select);
    section.close();
    Ok(LedgerConfig {
        path: path?,
        retention,
    })
}

/// An entry must outlive every window that can ask for it, or a full run would create its call anew.
fn retention(section: &Section<'_>, select: &SelectConfig) -> Duration {
    let least = select.lookback.max(select.full_lookback) + 31 * DAY;
    let Some(found) = section.span_if_set("retention") else {
        return least.max(400 * DAY);
    };
    if found.value < least {
        let message = format!(
            "`ledger.retention` is {}, and must be at least {}: the longest lookback and 31 days more",
            span::render(found.value),
            span::render(least),
        );
        section.problem(found.line, "retention", message);
    }
    found.value
}

fn default_path(
    section: &Section<'_>,
    job: Option<&str>,
    around: Surroundings<'_>,
) -> Result<PathBuf, Reported> {
    let job = job.ok_or(Reported)?;
    in_state_directory(&format!("{job}.db"), around).ok_or_else(|| {
        let why = "neither $XDG_STATE_HOME nor $HOME says where state belongs; name a file, such as \"/var/lib/cdrelay/ledger.db\"";
        section.missing("path", why)
    })
}

/// A file of that name where state belongs; `None` where nothing says where that is.
pub(super) fn in_state_directory(name: &str, around: Surroundings<'_>) -> Option<PathBuf> {
    let root = effective_user() == Some(0);
    state_directory(&|name| around.variable(name), root).map(|directory| directory.join(name))
}

/// Where state belongs: what systemd set (`STATE_DIRECTORY`, the first of a list, systemd.exec(5)), else the XDG base
/// directory, else `/var/lib` for root, else below the home directory. Relative values count as not set, as the XDG base
/// directory specification demands.
fn state_directory(variable: &dyn Fn(&str) -> Option<String>, root: bool) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let value = variable(name)?;
        let first = value.split(':').next()?;
        Some(PathBuf::from(first)).filter(|path| path.is_absolute())
    };
    if let Some(directory) = absolute("STATE_DIRECTORY") {
        return Some(directory);
    }
    if let Some(directory) = absolute("XDG_STATE_HOME") {
        return Some(directory.join("cdrelay"));
    }
    if root {
        return Some(PathBuf::from("/var/lib/cdrelay"));
    }
    absolute("HOME").map(|home| home.join(".local/state/cdrelay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn state_in(variables: &[(&str, &str)], root: bool, expected: Option<&str>) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let directory = state_directory(&variable, root);
        assert_eq!(
            directory,
            expected.map(PathBuf::from),
            "{variables:?} {root}"
        );
    }

    #[test]
    fn state_goes_where_the_system_says() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/cdrelay:/var/lib/other"),
            ("XDG_STATE_HOME", "/home/u/state"),
            ("HOME", "/home/u"),
        ];
        state_in(&all, false, Some("/var/lib/cdrelay"));
        state_in(&all[1..], false, Some("/home/u/state/cdrelay"));
        state_in(&all[1..], true, Some("/home/u/state/cdrelay"));
        state_in(&all[2..], false, Some("/home/u/.local/state/cdrelay"));
        state_in(&all[2..], true, Some("/var/lib/cdrelay"));
        state_in(&[], true, Some("/var/lib/cdrelay"));
        state_in(&[], false, None);
        state_in(
            &[("XDG_STATE_HOME", "state"), ("HOME", "/h")],
            false,
            Some("/h/.local/state/cdrelay"),
        );
    }
}
