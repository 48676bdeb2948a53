//! What `adopt` says: how the settings compare with the script, what the CRM held already, and which lines of cron go.

use std::fmt::Write as _;
use std::path::Path;

use super::letter::Letter;
use crate::config::{Config, InitiatedAs};
use crate::discovery::cron::CronLines;
use crate::report::RunReport;
use crate::text::{Shown, count};

/// The comparison.
pub(super) fn letter(letter: &Letter, config: &Config) -> String {
    let mut text = String::new();
    if letter.other == 0 {
        let _ = writeln!(
            text,
            "Keys: {} of the window, each with the key that the script gave it.",
            count(letter.calls, "call")
        );
    } else {
        let _ = writeln!(
            text,
            "Keys: {} of {} would get another key than the script's, and so be in the CRM a second time:",
            letter.other,
            count(letter.calls, "call")
        );
        for example in &letter.examples {
            let _ = writeln!(
                text,
                "  script  {}\n  now     {}",
                Shown(&example.script),
                Shown(&example.today)
            );
        }
        if config.target.initiated_as != InitiatedAs::LocalZ {
            let _ = writeln!(
                text,
                "  `target.initiated_as` is \"{}\", and the script sent what \"local-z\" sends.",
                config.target.initiated_as
            );
        }
    }
    if letter.mangled > 0 {
        let _ = writeln!(
            text,
            "  {} with + & # or % in the source: the script sent them mangled, so they are created under their true source.",
            count(letter.mangled, "call")
        );
    }
    text
}

/// What sending came to.
pub(super) fn taken_over(report: &RunReport) -> String {
    let calls = &report.calls;
    if report.dry_run {
        return format!(
            "Dry run: {} would be asked about; the CRM says of each whether it was there. Nothing was sent.\n",
            count(calls.pending, "call")
        );
    }
    let mut text = format!(
        "Taken over: of {}, {} in the CRM already, {} missing and created now, {} for numbers that no contact has",
        count(calls.total, "call"),
        were(calls.existing),
        were(calls.created),
        calls.unmatched
    );
    for (n, what) in [
        (calls.unchanged, "known to the ledger before"),
        (calls.rejected, "refused"),
        (calls.pending, "still to be sent: the next run goes on"),
    ] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text.push_str(".\n");
    if calls.existing == 0 && calls.created > 0 {
        text.push_str(
            "A CRM that answers a second creation like the first does not say what was there; if the script ran against this one, \
             nothing was doubled all the same, as long as the keys are its own.\n",
        );
    }
    text
}

fn were(n: u64) -> String {
    if n == 1 {
        "1 was".to_owned()
    } else {
        format!("{n} were")
    }
}

/// Which lines to replace, and by what.
pub(super) fn cron(found: &CronLines, script: &str, config: &Path, is_standard: bool) -> String {
    let mut text = String::new();
    if found.lines.is_empty() {
        let _ = writeln!(
            text,
            "Cron: no line that runs `{}` was found; where it runs, replace it by",
            Shown(script)
        );
    } else {
        text.push_str("Cron: replace\n");
        for line in &found.lines {
            let file = line.file.display().to_string();
            let at = match line.line {
                0 => String::new(),
                n => format!(":{n}"),
            };
            let _ = writeln!(text, "  {}{at}  {}", Shown(&file), Shown(&line.text));
        }
        text.push_str("by\n");
    }
    // A table of a user's own names no user.
    let names_user = found
        .lines
        .first()
        .is_none_or(|line| line.names_user || line.line == 0);
    for line in replacement(config, is_standard, names_user) {
        let _ = writeln!(text, "  {}", Shown(&line));
    }
    text.push_str("or take systemd's timers (README, \"First run\"), not both.\n");
    for path in &found.unreadable {
        let path = path.display().to_string();
        let _ = writeln!(
            text,
            "  {} may not be read by this user: look there as root.",
            Shown(&path)
        );
    }
    text
}

/// The lines of contrib/cron for this configuration.
pub(super) fn replacement(config: &Path, is_standard: bool, names_user: bool) -> [String; 2] {
    let user = if names_user { "cdrelay  " } else { "" };
    let config = if is_standard {
        String::new()
    } else {
        format!(" --config {}", config.display())
    };
    [
        format!("7 0-22 * * *  {user}cdrelay{config} sync --quiet"),
        format!("17 23 * * *   {user}cdrelay{config} sync --full --quiet --wait 30m"),
    ]
}
