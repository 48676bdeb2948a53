//! The command line: every clap type, and the only file that knows clap.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::text::Shown;

mod install;
mod report;

pub use install::{AdoptArgs, CompletionsArgs, InitArgs, ManArgs, Shell};
pub use report::ReportArgs;

/// Copies a PBX's calls into a CRM: completely, once, under the right number.
#[derive(Debug, Parser)]
#[command(name = "cdrelay", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Configuration [default: $CDRELAY_CONFIG, ./cdrelay.toml, /etc/cdrelay/cdrelay.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    pub config: Option<PathBuf>,
    /// Form of the result on stdout
    // The values stand in the name: a list of its own would turn every help text into its long form.
    #[arg(long, global = true, value_name = "text|json", hide_possible_values = true, default_value = "text", help_heading = EVERYWHERE)]
    pub output: OutputForm,
    /// Say more; -vv: every answer, -vvv: every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = EVERYWHERE)]
    pub verbose: u8,
    /// Print nothing unless a person has to act (for cron)
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub quiet: bool,
    /// Form of what goes to stderr
    #[arg(long, global = true, value_name = "text|json", hide_possible_values = true, default_value = "text", help_heading = EVERYWHERE)]
    pub log_format: LogFormat,
    /// Show numbers whole on stderr
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub no_mask: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command line as it describes itself: names, flags, sentences.
pub(crate) type Described = clap::Command;

/// The whole command line, for what is made from it.
pub(crate) fn program() -> Described {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// What is wrong with the arguments of this process. clap repeats them as they are, line feeds included, so it is asked
/// again about arguments that are safe to show.
#[must_use]
pub fn complaint(error: &clap::Error) -> String {
    let shown = std::env::args_os().map(|argument| {
        let text = argument.to_string_lossy();
        Shown(&text).to_string()
    });
    match Cli::try_parse_from(shown) {
        Err(again) => again.to_string(),
        // Escaped it passes, as a file name that is no UTF-8 can.
        Ok(_) => Shown(&error.to_string()).to_string() + "\n",
    }
}

/// The heading of the flags that every verb takes.
const EVERYWHERE: &str = "Everywhere";

/// What the exit codes mean, in one sentence.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 settled · 2 usage or configuration · 3 look: rejected or held · 4 incomplete, the \
next run goes on · 5 source not readable · 6 CRM not as agreed · 10 ledger missing · 11 another run · 12 ledger unusable · \
130, 143 signal";

/// What `--output` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// [`Output::Text`]
    Text,
    /// [`Output::Json`]
    Json,
    /// One line for a monitor of the Nagios family; `check` alone gives it, so the others do not offer it.
    #[value(hide = true)]
    Nagios,
}

/// Form of the result on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For machines: one object, or one a line.
    Json,
}

/// Form of what goes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the calls of a window into the CRM
    #[command(
        after_help = "Examples:\n  cdrelay sync                          hourly, from cron\n  cdrelay sync --full                   nightly\n  cdrelay sync --since 2026-11-01 --until 2026-11-08\n  cdrelay sync --dry-run                what would be sent"
    )]
    Sync(SyncArgs),
    /// The run that is due, for one single cron line
    #[command(
        after_help = "Example:\n  cdrelay run --auto --quiet            each hour, from cron\n\nFull where none has succeeded since `select.full_at`, else incremental. Where another run is at work it ends with 0, having said and done nothing."
    )]
    Run(RunArgs),
    /// Delete the calls of a range of days from the CRM
    #[command(
        after_help = "Examples:\n  cdrelay delete --from 2026-11-02 --to 2026-11-04 --dry-run\n  cdrelay delete --from 2026-11-02 --to 2026-11-04 --yes"
    )]
    Delete(DeleteArgs),
    /// Delete days and send them again, by today's settings
    #[command(
        after_help = "Examples:\n  cdrelay rebuild --from 2026-11-02 --to 2026-11-04 --dry-run\n  cdrelay rebuild --from 2026-11-02 --to 2026-11-04 --yes\n\nWhatever interrupts it, the next `cdrelay sync` finishes it."
    )]
    Rebuild(RebuildArgs),
    /// Is everything ready? One line each, with the mend
    #[command(
        after_help = "Examples:\n  cdrelay check\n  cdrelay check --output nagios         one line for a monitor; exit 0 to 3"
    )]
    Check,
    /// Each rule step of numbers, and what other rules would change
    #[command(
        after_help = "Examples:\n  cdrelay explain 902122853348 92853348\n  cdrelay explain -- -5                 a number that begins with a dash\n  cdrelay explain --history             what was sent otherwise than today's rules say\n  cdrelay explain --history --compare new.toml --since 2026-11-01"
    )]
    Explain(ExplainArgs),
    /// Where is my call? From its row to the answer, and what to do
    #[command(
        after_help = "Examples:\n  cdrelay why 1763557211.42               by its uniqueid\n  cdrelay why 02122853348                 by a number, as dialled or as sent\n  cdrelay why 2026-11-19T13:00:11Z/7001/02122853348\n  cdrelay why '2026-11-19 09:00:11'       every call of that second\n\nEnds with 3 where neither the ledger nor the source has such a call."
    )]
    Why(WhyArgs),
    /// Tell the CRM about one call while it happens (AGI)
    #[command(
        after_help = "Examples:\n  cdrelay agi                           started by Asterisk: AGI(/usr/local/bin/cdrelay,agi)\n  cdrelay agi --listen 127.0.0.1:4573   asked by Asterisk: AGI(agi://127.0.0.1/cdrelay)"
    )]
    Agi(AgiArgs),
    /// List what the ledger holds
    #[command(
        after_help = "Examples:\n  cdrelay calls --state unmatched --limit 20\n  cdrelay calls --number 02122853348      raw or as sent, on either side\n  cdrelay calls --number _0212XXXXXXX     those that match a dialplan pattern\n  cdrelay calls --since 2026-11-19 --output json"
    )]
    Calls(CallsArgs),
    /// Numbers that no contact has, those with the most calls first
    #[command(
        after_help = "Examples:\n  cdrelay unmatched --limit 20\n  cdrelay unmatched --since 2026-11-01 --csv > numbers.csv\n  cdrelay unmatched --mask               to be mailed"
    )]
    Unmatched(UnmatchedArgs),
    /// Settle calls whose outcome nobody knows
    #[command(
        after_help = "Examples:\n  cdrelay held                          list them\n  cdrelay held 1763190000.42 --delivered  the CRM has it\n  cdrelay held 02125550142 --resend     the CRM does not have it"
    )]
    Held(HeldArgs),
    /// Is everything there? Source against ledger, day by day
    #[command(
        after_help = "Examples:\n  cdrelay reconcile                     the last 360 days; 0: all settled, 3: gaps\n  cdrelay reconcile --since 2026-11-01 --until 2026-11-08\n  cdrelay reconcile --heal              send what is missing"
    )]
    Reconcile(ReconcileArgs),
    /// Last runs, age of the last success, counts by state
    Status,
    /// What the ledger holds of a window: one page with charts, or a summary
    #[command(
        after_help = "Examples:\n  cdrelay report                        a summary, here\n  cdrelay report --html report.html     a page to open in a browser, or to print\n  cdrelay report --html week.html --since 2026-11-16 --mask"
    )]
    Report(ReportArgs),
    /// Shorten the ledger
    #[command(
        after_help = "Examples:\n  cdrelay purge --dry-run               what is older than `ledger.retention`\n  cdrelay purge --older-than 800d"
    )]
    Purge(PurgeArgs),
    /// Write a configuration after a few questions
    #[command(
        after_help = "Examples:\n  cdrelay init\n  cdrelay init --yes --target-url https://crm.example.com --token-file token\n  cdrelay init --ledger"
    )]
    Init(Box<InitArgs>),
    /// Take over from the reference script
    #[command(
        after_help = "Examples:\n  cdrelay adopt --dry-run               would every call get the script's key?\n  cdrelay adopt --since 2026-01-01"
    )]
    Adopt(AdoptArgs),
    /// Receive call events and write them as rows of a `cdr` table
    #[command(
        after_help = "Examples:\n  cdrelay collect                       until Ctrl-C or SIGTERM\n  cdrelay collect --from messages.txt   recorded asterCC messages, one a line"
    )]
    Collect(CollectArgs),
    /// A NiMbox-style practice CRM on loopback
    #[command(
        after_help = "Examples:\n  cdrelay sandbox                       every number is known; Ctrl-C ends it\n  cdrelay sandbox --contacts numbers.txt --latency 50ms"
    )]
    Sandbox(SandboxArgs),
    /// The main job, end to end, on embedded parts
    #[command(
        after_help = "Examples:\n  cdrelay demo --dir demo               leave the files in ./demo\n  cdrelay demo --events                 call events instead of a table"
    )]
    Demo(DemoArgs),
    /// Completion of this command line, for a shell
    #[command(
        after_help = "Examples:\n  cdrelay completions bash > /etc/bash_completion.d/cdrelay\n  cdrelay completions zsh > /usr/local/share/zsh/site-functions/_cdrelay\n  cdrelay completions fish > ~/.config/fish/completions/cdrelay.fish"
    )]
    Completions(CompletionsArgs),
    /// The manual: cdrelay(1), or every page into a folder
    #[command(
        after_help = "Examples:\n  cdrelay man --dir /usr/local/share/man/man1\n  cdrelay man | man -l -"
    )]
    Man(ManArgs),
}

/// `sync`
#[derive(Debug, Clone, Default, Args)]
pub struct SyncArgs {
    /// Look back `select.full_lookback`, and ask again about calls the CRM did not take
    #[arg(long)]
    pub full: bool,
    /// First instant of the window: RFC 3339, or `YYYY-MM-DD HH:MM:SS` in `source.timezone`; the time may be left out
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// First instant after the window [default: one day from now]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Send again what the ledger holds as delivered
    #[arg(long)]
    pub resend: bool,
    /// Read, plan and report; send nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Start no request after this long [default: 50min for incremental runs, none for full ones]
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub max_runtime: Option<Duration>,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// End with 3 when calls are unmatched
    #[arg(long, value_name = "unmatched", hide_possible_values = true)]
    pub fail_on: Option<FailOn>,
}

/// `run`
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Choose between an incremental and a full run
    #[arg(long, required = true)]
    pub auto: bool,
    /// Start no request after this long [default: 50min for incremental runs, none for full ones]
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub max_runtime: Option<Duration>,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// What `--fail-on` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Calls whose number no contact has.
    Unmatched,
}

/// `delete`
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// First day, inclusive: YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// Last day, inclusive: YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub to: String,
    /// Keep the calls out: no later run sends them, until `sync --resend`
    #[arg(long)]
    pub for_good: bool,
    /// Delete even calls that the source no longer holds and nobody could send again
    #[arg(long)]
    pub allow_loss: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show what would be deleted and sent again; send nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// `rebuild`
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// First day, inclusive: YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// Last day, inclusive: YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub to: String,
    /// Delete even calls that the source no longer holds and nobody could send again
    #[arg(long)]
    pub allow_loss: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show what would be deleted and sent again; send nothing, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// `explain`
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Numbers as the PBX writes them
    #[arg(
        required_unless_present = "history",
        conflicts_with = "history",
        value_name = "NUMBER"
    )]
    pub numbers: Vec<String>,
    /// Explain them as callers: rules with `on = "source"`
    #[arg(long)]
    pub source: bool,
    /// Compare with the rules of another configuration; nothing else of it is read
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Take the numbers of all calls seen so far, and list those that come out otherwise than they were sent, or, with
    /// --compare, otherwise by the other rules
    #[arg(long)]
    pub history: bool,
    /// With --history: only calls that started at or after
    #[arg(long, value_name = "WHEN", requires = "history")]
    pub since: Option<String>,
    /// With --history: only calls that started before
    #[arg(long, value_name = "WHEN", requires = "history")]
    pub until: Option<String>,
    /// With --history: most numbers to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Show only the last three digits of numbers
    #[arg(long)]
    pub mask: bool,
}

/// `why`
#[derive(Debug, Clone, Args)]
pub struct WhyArgs {
    /// A uniqueid, a key START/SOURCE/DESTINATION, or a number
    #[arg(value_name = "CALL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub call: String,
    /// Look only at calls that started at or after [default for a number: `select.lookback` ago]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Look only at calls that started before
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Show only the last three digits of numbers
    #[arg(long)]
    pub mask: bool,
}

/// `agi`
#[derive(Debug, Clone, Default, Args)]
pub struct AgiArgs {
    /// The caller's number [default: what Asterisk says]; behind `--`, where a caller chooses it
    #[arg(value_name = "NUMBER")]
    pub numbers: Vec<String>,
    /// Serve FastAGI on this loopback address until a signal
    #[arg(long, value_name = "ADDR", conflicts_with = "numbers")]
    pub listen: Option<SocketAddr>,
    /// Append log lines to this file instead of writing them to stderr
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// `calls`
#[derive(Debug, Clone, Default, Args)]
pub struct CallsArgs {
    /// Only calls in this state
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    pub state: Option<crate::ledger::State>,
    /// Only calls that started at or after
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only calls that started before
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only calls with this number, raw or as sent, on either side; `_9X.` and the like are dialplan patterns
    #[arg(long, value_name = "NUMBER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub number: Option<String>,
    /// Only calls whose row has this `uniqueid` or `linkedid`
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub uniqueid: Option<String>,
    /// Only calls that today's rules, zone or row would send in another form
    #[arg(long)]
    pub drift: bool,
    /// Only pending calls without a verdict in three runs or more
    #[arg(long)]
    pub stuck: bool,
    /// Only the latest N of them
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// As CSV for a spreadsheet
    #[arg(long)]
    pub csv: bool,
    /// Show only the last three digits of numbers
    #[arg(long)]
    pub mask: bool,
}

/// `unmatched`
#[derive(Debug, Clone, Args)]
pub struct UnmatchedArgs {
    /// Only calls that started at or after
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only calls that started before
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Most numbers to list
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,
    /// As CSV for a spreadsheet
    #[arg(long)]
    pub csv: bool,
    /// Show only the last three digits of numbers
    #[arg(long)]
    pub mask: bool,
}

/// `held`
#[derive(Debug, Clone, Default, Args)]
pub struct HeldArgs {
    /// Held calls, by uniqueid or number
    #[arg(value_name = "CALL")]
    pub calls: Vec<String>,
    /// Every held call, or every one with that number
    #[arg(long)]
    pub all: bool,
    /// The CRM has not acted upon them: the next run sends them again
    #[arg(long, conflicts_with = "delivered")]
    pub resend: bool,
    /// The CRM has acted upon them
    #[arg(long)]
    pub delivered: bool,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// `reconcile`
#[derive(Debug, Clone, Default, Args)]
pub struct ReconcileArgs {
    /// First instant of the window [default: `select.full_lookback` ago]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// First instant after the window [default: one day from now]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Send what is missing or due, of the days that have gaps, and compare again
    #[arg(long)]
    pub heal: bool,
    /// With --heal, wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// `purge`
#[derive(Debug, Clone, Default, Args)]
pub struct PurgeArgs {
    /// Remove calls, runs and deletions older than this [default: `ledger.retention`]
    #[arg(long, value_name = "DUR", value_parser = crate::config::span::parse)]
    pub older_than: Option<Duration>,
    /// Even what runs may still ask for: calls are sent again
    #[arg(long)]
    pub force: bool,
    /// Show what would be removed; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait this long for another run to end
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
}

/// `collect`
#[derive(Debug, Clone, Default, Args)]
pub struct CollectArgs {
    /// Take recorded asterCC messages, one a line, instead of listening; `-` reads stdin
    #[arg(long, value_name = "FILE|-")]
    pub from: Option<PathBuf>,
}

/// `sandbox`
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8099")]
    pub listen: SocketAddr,
    /// Contacts: one number a line. Without it every number is known
    #[arg(long, value_name = "FILE")]
    pub contacts: Option<PathBuf>,
    /// Take this long for every answer
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub latency: Option<Duration>,
    /// File with the token to ask for [default: the token is `sandbox`]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder to leave the files in [default: a new one in the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A phone system without a table: two calls as events, through the collector
    #[arg(long)]
    pub events: bool,
}

fn parse_state(word: &str) -> Result<crate::ledger::State, String> {
    use crate::ledger::State;
    State::parse(word).ok_or_else(|| {
        let known: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!(
            "there is no such state; the states are {}",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_takes_a_secret_that_ps_would_show() {
        let program = Cli::command();
        let verbs: Vec<&clap::Command> = program.get_subcommands().collect();
        assert!(verbs.len() > 5);
        let arguments = verbs
            .into_iter()
            .chain([&program])
            .flat_map(clap::Command::get_arguments);
        for argument in arguments {
            let name = argument.get_id().as_str();
            let secret = ["token", "password", "secret", "key"]
                .iter()
                .any(|word| name.contains(word));
            assert!(
                !secret || name.ends_with("_file"),
                "--{name} would be seen by everybody"
            );
        }
    }
}
