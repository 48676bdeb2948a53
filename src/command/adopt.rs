//! `adopt`: takes over from the reference script. It compares today's keys with the script's, and then sends the window
//! by an ordinary full run: the CRM knows the script's calls by their keys and says which were there.

use std::path::Path;

mod letter;
mod said;

use serde_json::json;

use super::{Context, Ended, fail, now, sync, tell, terminal};
use crate::cli::{AdoptArgs, Output, SyncArgs};
use crate::config::{Config, SYSTEM_FILE, TargetKind};
use crate::discovery::Machine;
use crate::discovery::cron::{CronLines, lines_running};
use crate::intake::{Intake, Settings};
use crate::monitor::Monitor;
use crate::report::exit::{Code, Exit};
use crate::report::text;
use crate::text::count;
use letter::Letter;

/// Compares, sends, and says what was there and which line of cron goes.
pub async fn run(context: &Context, args: &AdoptArgs) -> Ended {
    let config = context.load()?;
    if !matches!(config.target.kind, TargetKind::Nimbox(_)) {
        return Err(Exit::new(
            Code::Usage,
            "the reference script sent to NiMbox, and `target.kind` names another CRM: there is nothing to take over",
        ));
    }
    let wanted = SyncArgs {
        full: true,
        since: args.since.clone(),
        until: args.until.clone(),
        dry_run: args.dry_run,
        wait: args.wait,
        ..SyncArgs::default()
    };
    let letter = terminal::unless_stopped(context, compare(&config, &wanted)).await??;
    let machine = Machine::new(args.root.as_deref(), None);
    let cron = lines_running(&machine, &args.script);
    let shown = said::letter(&letter, &config);
    let speaks = context.output == Output::Text && !context.quiet;
    if speaks {
        context.print(&shown);
    }
    if letter.other > 0 && !args.yes && !args.dry_run {
        if !speaks {
            tell(&shown);
        }
        return Err(refusal(&letter));
    }
    let monitor = if wanted.dry_run {
        Monitor::nobody()
    } else {
        Monitor::new(&config)
    };
    let done = sync::sync(context, &config, &wanted, sync::Kind::Asked, &monitor).await;
    monitor
        .tell(match &done {
            Ok((report, _)) => &report.exit,
            Err(exit) => exit,
        })
        .await;
    let (report, remarks) = done?;
    match context.output {
        Output::Text if speaks => {
            let is_standard = config.path == Path::new(SYSTEM_FILE);
            context.print(&format!(
                "\n{}\n{}\n{}",
                said::taken_over(&report),
                text::render(&report, &remarks, config.source.timezone),
                said::cron(&cron, &args.script, &config.path, is_standard)
            ));
        }
        Output::Text => {}
        Output::Json => context.print_json(&as_json(&config, &letter, &report, &cron)),
    }
    Ok(report.exit)
}

/// Reads the window, and holds each of its calls against the script.
async fn compare(config: &Config, wanted: &SyncArgs) -> Result<Letter, Exit> {
    let settings = Settings::new(config).map_err(|error| fail(Code::Usage, &error))?;
    let window = sync::window(config, wanted, now().timestamp())?;
    let (source, profile) = sync::connect_source(config).await?;
    let mut intake = Intake::open(&settings, source, profile, window).await?;
    let mut letter = Letter::default();
    while let Some(batch) = intake.next().await? {
        for candidate in &batch.calls {
            letter.compare(candidate, intake.clock());
        }
    }
    Ok(letter)
}

fn refusal(letter: &Letter) -> Exit {
    Exit::new(
        Code::Usage,
        format!(
            "nothing was sent: {} would be in the CRM twice, once by the script's key and once by today's; take \
             `initiated_as`, [[rules]] and [select] of examples/reference-keys.toml, look with `cdrelay adopt --dry-run`, or \
             repeat with --yes where that is meant",
            count(letter.other, "call")
        ),
    )
}

fn as_json(
    config: &Config,
    letter: &Letter,
    report: &crate::report::RunReport,
    cron: &CronLines,
) -> serde_json::Value {
    let lines: Vec<serde_json::Value> = cron
        .lines
        .iter()
        .map(|line| json!({"file": line.file, "line": line.line, "text": line.text}))
        .collect();
    json!({
        "job": config.job,
        "keys": {"calls": letter.calls, "other": letter.other, "mangled": letter.mangled},
        "sync": report,
        "cron": lines,
        "exit": report.exit,
    })
}
