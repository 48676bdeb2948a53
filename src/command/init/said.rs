//! The result: which files were written, and the next three commands.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::super::Context;
use super::look::Look;
use super::place::Place;
use crate::cli::Output;
use crate::config::Config;
use crate::discovery::Machine;

/// Where units of packages and of the administrator lie (systemd.unit(5)).
const UNITS: [&str; 3] = [
    "/etc/systemd/system/cdrelay.timer",
    "/usr/lib/systemd/system/cdrelay.timer",
    "/lib/systemd/system/cdrelay.timer",
];

/// Prints it, unless it was to be quiet.
pub(super) fn print(
    context: &Context,
    place: &Place,
    machine: &Machine,
    config: &Config,
    look: Option<&Look>,
    files: &[PathBuf],
) {
    if context.quiet {
        return;
    }
    let next = next(place, machine);
    match context.output {
        Output::Json => context.print_json(&serde_json::json!({
            "job": config.job,
            "config": place.config,
            "files": files,
            "owner": place.owner.as_ref().map(|(name, _)| name),
            "source": look.map(|look| serde_json::json!({
                "server": look.server,
                "rows": look.rows,
                "calls": look.calls,
                "numbers": look.numbers.iter().map(|(raw, sent)| serde_json::json!({"number": raw, "sent": sent})).collect::<Vec<_>>(),
            })),
            "next": next.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        })),
        Output::Text => context.print(&text(place, files, &next)),
    }
}

fn text(place: &Place, files: &[PathBuf], next: &[(String, &'static str)]) -> String {
    let mut text = String::from("Written, readable by their owner alone");
    match &place.owner {
        Some((name, _)) => {
            let _ = write!(text, " ({name})");
        }
        None if place.is_root => text.push_str(" (root)"),
        None => {}
    }
    text.push_str(":\n");
    for file in files {
        let _ = writeln!(text, "  {}", shown(file));
    }
    if place.is_root && place.owner.is_none() {
        text.push_str(
            "There is no user `cdrelay` here, as whom units and cron file run it. Make one (useradd --system), and give it these files \
             and the ledger (chown).\n",
        );
    }
    text.push_str("\nNext:\n");
    let width = next
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or_default();
    for (command, what) in next {
        let _ = writeln!(text, "  {command:<width$}   {what}");
    }
    text
}

/// The next three commands, and what they are for.
fn next(place: &Place, machine: &Machine) -> Vec<(String, &'static str)> {
    let who = match &place.owner {
        Some((name, _)) => format!("sudo -u {name} "),
        None => String::new(),
    };
    let config = if place.is_standard {
        String::new()
    } else {
        format!(" --config {}", in_shell(&place.config))
    };
    let stem = place
        .config
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let in_etc = place.directory == Path::new("/etc/cdrelay") || place.is_standard;
    let has_units = UNITS.iter().any(|unit| machine.path(unit).exists());
    let schedule = if has_units && in_etc {
        let name = |timer: &str| {
            if place.is_standard {
                format!("{timer}.timer")
            } else {
                format!("{timer}@{stem}.timer")
            }
        };
        let timers = format!("{} {}", name("cdrelay"), name("cdrelay-full"));
        (
            format!("sudo systemctl enable --now {timers}"),
            "each hour, and each night",
        )
    } else {
        (
            format!("cdrelay{config} sync --quiet"),
            "by cron, each hour; `sync --full --quiet` each night: see contrib/cron",
        )
    };
    vec![
        (
            format!("{who}cdrelay{config} check"),
            "is everything ready?",
        ),
        (
            format!("{who}cdrelay{config} sync --dry-run"),
            "what would be sent; sends nothing",
        ),
        schedule,
    ]
}

fn shown(path: &Path) -> String {
    crate::text::Shown(&path.display().to_string()).to_string()
}

/// A path as a shell takes it for one word.
fn in_shell(path: &Path) -> String {
    let text = shown(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
