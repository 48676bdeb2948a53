//! Log lines on stderr, or in a file where nobody reads stderr, as text or as JSON: one event is one line, whatever stands in
//! it, and of each number of a person only the last digits are shown, unless `--no-mask` asks for all.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::OnceLock;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{now, tell};
use crate::cli::{Cli, LogFormat};
use crate::report::exit::Exit;
use crate::text::mask::Privacy;
use crate::text::{Shown, visible_json, visible_lines};

/// How lines are written: set once, when the program starts.
static VOICE: OnceLock<Voice> = OnceLock::new();

/// Where they go in place of stderr.
static FILE: OnceLock<File> = OnceLock::new();

/// Form and discretion of every line.
#[derive(Debug, Clone, Copy)]
struct Voice {
    format: LogFormat,
    privacy: Privacy,
}

/// Appends what follows to a file that only its owner can read, in place of stderr.
///
/// # Errors
/// The file cannot be written; everything goes to stderr then.
pub(super) fn to_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let _ = FILE.set(file);
    Ok(())
}

/// Writes lines to the file, or to stderr.
fn say(lines: &str) {
    match FILE.get() {
        // Whole lines in one go: several programs may write to it.
        Some(mut file) => {
            let _ = io::Write::write_all(&mut file, visible_lines(lines).as_bytes());
        }
        None => tell(lines),
    }
}

/// Warnings unless `--quiet`, more with `-v`; the HTTP and database crates never speak, because they could show an address
/// with its token.
pub(super) fn start(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let voice = Voice {
        format: cli.log_format,
        privacy: privacy(cli),
    };
    let _ = VOICE.set(voice);
    let lines = tracing_subscriber::registry()
        .with(Targets::new().with_target("cdrelay", level))
        .with(Lines { voice, write: say });
    let _ = tracing::subscriber::set_global_default(lines);
}

/// What `--no-mask` decides.
pub(super) fn privacy(cli: &Cli) -> Privacy {
    Privacy::asked(!cli.no_mask)
}

/// The one sentence that a program ends with.
pub(super) fn conclude(exit: &Exit) {
    match format() {
        LogFormat::Text => say(&format!("cdrelay: {}\n", exit.reason)),
        LogFormat::Json => {
            let level = if exit.alert { "error" } else { "warn" };
            let fields = [("exit_code".to_owned(), Value::from(exit.code.number()))];
            say(&json(
                now(),
                level,
                &exit.reason,
                fields.into_iter().collect(),
            ));
        }
    }
}

/// A sentence about the program itself, such as where it broke.
pub(super) fn alarm(sentence: &str) {
    match format() {
        LogFormat::Text => say(&format!("cdrelay: {sentence}\n")),
        LogFormat::Json => say(&json(now(), "error", sentence, Map::new())),
    }
}

fn format() -> LogFormat {
    VOICE.get().map_or(LogFormat::Text, |voice| voice.format)
}

/// A line of JSON. The keys are fixed: `timestamp` (RFC 3339, UTC), `level`, `message`, `fields` (an object).
#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: String,
    level: &'a str,
    message: &'a str,
    fields: Map<String, Value>,
}

fn json(at: DateTime<Utc>, level: &str, message: &str, fields: Map<String, Value>) -> String {
    let line = JsonLine {
        timestamp: at.to_rfc3339_opts(SecondsFormat::Millis, true),
        level,
        message,
        fields,
    };
    let text = serde_json::to_string(&line).unwrap_or_default();
    format!("{}\n", visible_json(&text))
}

fn text(at: DateTime<Utc>, level: Level, message: &str, fields: &Map<String, Value>) -> String {
    let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut line = format!("{at} {level:>5} {}", Shown(message));
    for (name, value) in fields {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={}", Shown(text)),
            value => write!(line, " {name}={value}"),
        };
    }
    line.push('\n');
    line
}

/// Writes each event in one go.
struct Lines<W> {
    voice: Voice,
    write: W,
}

impl<S: Subscriber, W: Fn(&str) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words {
            privacy: self.voice.privacy,
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut words);
        let level = *event.metadata().level();
        let line = match self.voice.format {
            LogFormat::Text => text(now(), level, &words.message, &words.fields),
            LogFormat::Json => json(
                now(),
                &level.as_str().to_ascii_lowercase(),
                &words.message,
                words.fields,
            ),
        };
        (self.write)(&line);
    }
}

/// What an event says, numbers of people masked. Counts and codes, which are numbers to the program too, stay.
struct Words {
    privacy: Privacy,
    message: String,
    fields: Map<String, Value>,
}

impl Words {
    fn add(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        let shown = self.privacy.text(value).into_owned();
        if field.name() == "message" {
            self.message = shown;
        } else {
            self.add(field, Value::String(shown));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is written while `events` happen.
    fn written(format: LogFormat, privacy: Privacy, events: impl FnOnce()) -> String {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&kept);
        let lines = Lines {
            voice: Voice { format, privacy },
            write: move |line: &str| writer.lock().unwrap().push(line.to_owned()),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), events);
        let lines = kept.lock().unwrap();
        for line in lines.iter() {
            let (line, end) = line.split_at(line.len() - 1);
            assert_eq!(end, "\n");
            assert!(
                !line.contains(['\n', '\r', '\u{1b}', '\u{9b}', '\u{202e}']),
                "{line:?}"
            );
        }
        lines.concat()
    }

    fn hostile() {
        tracing::warn!(
            number = "1\n2\u{202e}\"",
            answer = %"\u{9b}{}",
            status = 503,
            "a\nERROR \"b\"\u{1b}[2J\\"
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_stands_in_it() {
        let line = written(LogFormat::Text, Privacy::Masked, hostile);
        let (at, rest) = line.split_once(' ').unwrap();
        assert!(DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
        assert_eq!(
            rest,
            " WARN a\\nERROR \"b\"\\u{1b}[2J\\ answer=\\u{9b}{} number=1\\n2\\u{202e}\" status=503\n"
        );
    }

    #[test]
    fn a_line_of_json_holds_the_event_whatever_stands_in_it() {
        let line = written(LogFormat::Json, Privacy::Masked, hostile);
        let mut value: Value = serde_json::from_str(&line).unwrap();
        let at = value["timestamp"].take();
        assert!(DateTime::parse_from_rfc3339(at.as_str().unwrap()).is_ok());
        assert_eq!(
            value,
            serde_json::json!({
                "timestamp": null, "level": "warn", "message": "a\nERROR \"b\"\u{1b}[2J\\",
                "fields": {"number": "1\n2\u{202e}\"", "answer": "\u{9b}{}", "status": 503},
            })
        );
        assert!(
            line.starts_with("{\"timestamp\":"),
            "the order is stable, too: {line}"
        );
    }

    #[test]
    fn numbers_of_people_are_masked_and_counts_are_not() {
        let events = || {
            tracing::info!(
                to = "02125550142",
                bytes = 1_234_567_u64,
                "2026-11-19 09:00:00 7034 -> 95550142"
            );
        };
        for format in [LogFormat::Text, LogFormat::Json] {
            let masked = written(format, Privacy::Masked, events);
            for shown in [
                "2026-11-19 09:00:00 7034 -> xxxxx142",
                "xxxxxxxx142",
                "1234567",
            ] {
                assert!(masked.contains(shown), "{masked}");
            }
            let whole = written(format, Privacy::Whole, events);
            assert!(
                whole.contains("95550142") && whole.contains("02125550142"),
                "{whole}"
            );
        }
    }
}
