//! `demo`: the main job, end to end, on embedded parts: a generated SQLite `cdr`, the practice CRM, an incremental run,
//! one that finds nothing to do, and a full one. Needs nothing but this program, and leaves its files to look at.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, Ended, fail, now, report, sync};
use crate::cli::{DemoArgs, Output, SyncArgs};
use crate::config;
use crate::monitor::Monitor;
use crate::report::exit::{Code, Exit};
use crate::report::text;
use crate::sandbox::{Contacts, RunningSandbox, Sandbox, SandboxOptions};
use crate::text::Shown;

mod events;
pub mod generate;

/// Any number would do; this one gives a ring group on the first page.
const SEED: u64 = 20_260_823;

/// The runs that the demo makes.
const RUNS: [(&str, &str, bool); 3] = [
    ("the hourly run", "cdrelay sync", false),
    (
        "an hour later, nothing new: no request",
        "cdrelay sync",
        false,
    ),
    (
        "the nightly run: all six weeks, and another try for the numbers without a contact",
        "cdrelay sync --full",
        true,
    ),
];

/// Runs the demonstration.
pub async fn run(context: &Context, args: &DemoArgs) -> Ended {
    if args.events {
        return events::run(context, args.dir.clone()).await;
    }
    let stage = Stage::set(args.dir.clone()).map_err(|error| fail(Code::Internal, &error))?;
    let config = config::load(&stage.config, &|_| None)
        .map_err(|errors| Exit::listing(Code::Internal, &errors.lines()))?;
    let mut reports = Vec::new();
    if context.output == Output::Text {
        context.print(&stage.introduction());
    }
    let mut worst = Exit::new(Code::Settled, "everything in the window is settled");
    for (what, command, full) in RUNS {
        let arguments = SyncArgs {
            full,
            ..SyncArgs::default()
        };
        let nobody = Monitor::nobody();
        let (report, remarks) =
            sync::sync(context, &config, &arguments, sync::Kind::Asked, &nobody).await?;
        match context.output {
            Output::Text => context.print(&format!(
                "\n# {what}\n$ {command}\n{}",
                text::render(&report, &remarks, config.source.timezone)
            )),
            Output::Json => reports.push(serde_json::to_value(&report).unwrap_or_default()),
        }
        worst = worst.worse(report.exit);
        if context.stopped() != crate::delivery::Stop::No {
            break;
        }
    }
    let page = stage.dir.join("report.html");
    report::leave_page(&config, &page).await?;
    let stats = stage.crm.stats();
    match context.output {
        Output::Text => context.print(&stage.farewell(stats.calls)),
        Output::Json => context.print_json(&serde_json::json!({
            "dir": stage.dir,
            "rows": stage.table.rows,
            "runs": reports,
            "crm_calls": stats.calls,
            "report": page,
        })),
    }
    stage.crm.stop();
    Ok(worst)
}

/// The demonstration's parts.
struct Stage {
    dir: PathBuf,
    config: PathBuf,
    table: generate::Summary,
    contacts: usize,
    crm: RunningSandbox,
}

impl Stage {
    fn set(dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = folder(dir)?;
        let database = dir.join("cdr.sqlite");
        if database.exists() {
            anyhow::bail!(
                "{} holds a demonstration already; give another --dir",
                dir.display()
            );
        }
        let local = now().with_timezone(&generate::ZONE).naive_local();
        let table = generate::generate(&database, SEED, local, generate::DEFAULT_DAYS)?;
        let contacts = generate::contacts(&table, SEED);
        write(&dir.join("contacts.txt"), &(contacts.join("\n") + "\n"))?;
        let options = SandboxOptions {
            contacts: Contacts::read(&dir.join("contacts.txt"))?,
            ..SandboxOptions::default()
        };
        let token = options.token.clone();
        let crm = Sandbox::start(options)?;
        let config = dir.join("cdrelay.toml");
        write(&dir.join("crm.token"), &(token + "\n"))?;
        write(
            &config,
            &configuration(crm.url.as_str().trim_end_matches('/')),
        )?;
        Ok(Self {
            dir,
            config,
            table,
            contacts: contacts.len(),
            crm,
        })
    }

    fn introduction(&self) -> String {
        let span = self.table.span.map_or_else(String::new, |(first, last)| {
            format!(
                ", {} to {}",
                first.format("%Y-%m-%d"),
                last.format("%Y-%m-%d")
            )
        });
        format!(
            "A FreePBX cdr table with {} rows{span}, all numbers fictitious,\nand a practice CRM with {} contacts at {}.\n\
             Outside calls are dialled with a 9; the rules of the configuration take it off and add the area code.\n",
            self.table.rows,
            self.contacts,
            self.crm.url.as_str().trim_end_matches('/')
        )
    }

    fn farewell(&self, calls: u64) -> String {
        let (config, dir) = (
            self.config.display().to_string(),
            self.dir.display().to_string(),
        );
        let (config, dir) = (Shown(&config), Shown(&dir));
        format!(
            "\nThe CRM now holds {calls} calls, each once.\n\n\
             The files are in {dir}:\n  \
             cdrelay.toml   the configuration, a start for your own\n  \
             cdr.sqlite     the PBX's table\n  \
             contacts.txt   the numbers the CRM knows\n  \
             ledger.db      what became of every call\n  \
             report.html    the same in charts, for a browser\n\n\
             Look around:\n  \
             cdrelay --config {config} explain 95550142 902125550142\n  \
             cdrelay --config {config} calls --state unmatched\n  \
             cdrelay --config {config} status\n"
        )
    }
}

/// The folder of a demonstration, made for this user alone.
fn folder(dir: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = match dir {
        Some(dir) => dir,
        None => std::env::temp_dir().join(format!(
            "cdrelay-demo-{}-{}",
            now().format("%Y%m%d-%H%M%S"),
            std::process::id()
        )),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// A working configuration; the same keys that a real one has.
fn configuration(url: &str) -> String {
    format!(
        r#"job = "demo"

[source]
url = "sqlite:cdr.sqlite"
timezone = "{zone}"

# Outside calls are dialled with a 9.
[[rules]]
name = "local call over the outside line"
match = "_9NXXXXXX"
rewrite = "0212${{EXTEN:1}}"
stop = true

[[rules]]
name = "outside line"
strip_prefix = "9"

# Checked at every start: a change of the rules that breaks one of these is refused.
[[rule_tests]]
number = "95550142"
becomes = "02125550142"

[[rule_tests]]
number = "902125550142"
becomes = "02125550142"

[target]
kind = "nimbox"
url = "{url}"
token_file = "crm.token"
initiated_as = "utc"
recording_url = "https://pbx.example.com/rec/{{date:%Y/%m/%d}}/{{recordingfile}}"

[ledger]
path = "ledger.db"
"#,
        zone = generate::ZONE
    )
}

/// Writes a file that only its owner can read.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}
