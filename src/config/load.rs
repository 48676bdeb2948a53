//! From the file to a [`Config`]: one pass that reports every problem at once.
//!
//! One file a section. Each reads what it can, reports what is wrong, and gives `Err(Reported)` where something that is
//! needed could not be had; only then is there no configuration.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::problem::{ConfigErrors, Problem};
use super::reader::{Section, shown};
use super::report::{Report, Reported};
use super::secret::{OTHERS, plain_io};
use super::{CollectorSetup, Config, RuleConfig, RuleTest};

mod address;
mod agi;
mod bgcrm;
mod collector;
mod columns;
mod ledger;
mod monitor;
mod place;
mod routes;
mod rules;
mod secrets;
mod select;
mod source;
mod target;
mod zone;

/// Most bytes a configuration may have: far above any real one, and low enough that no nesting in it can exhaust the
/// stack.
const LONGEST: u64 = 256 * 1024;

/// Most dots in one key: deeper tables mean nothing here, and taking them apart would need a deep stack.
const MOST_DOTS: usize = 200;

/// What a configuration is read against: everything that does not stand in the file.
#[derive(Clone, Copy)]
struct Surroundings<'e> {
    /// Where relative paths start.
    directory: &'e Path,
    /// Environment variables.
    env: &'e dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    /// An environment variable; one that is set to nothing counts as not set.
    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }
}

/// Reads a configuration file and everything it refers to for its secrets.
///
/// `env` gives environment variables: secrets (`CDRELAY_SOURCE_PASSWORD`, `CDRELAY_TARGET_TOKEN`,
/// `CDRELAY_TARGET_PASSWORD`, each of which wins over the file), and where state belongs (`STATE_DIRECTORY`,
/// `XDG_STATE_HOME`, `HOME`). Relative paths in the file start in its directory.
///
/// # Errors
/// All problems of the file, with their lines; never any secret.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    whole(path, env, sections)
}

/// Reads what `cdrelay collect` needs of a configuration file: `[collector]` and the rules. The sections of the other
/// verbs may be there or not; they are not looked into, since their secrets may be none of the collector's.
///
/// `CDRELAY_COLLECTOR_SECRET` and `CDRELAY_STORE_PASSWORD` are its variables.
///
/// # Errors
/// All problems, as with [`load`].
pub fn load_collector(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<CollectorSetup, ConfigErrors> {
    whole(path, env, collector_sections)
}

/// The rules of a configuration, and the examples that they must fulfil.
#[derive(Debug)]
pub struct RuleSet {
    /// In the order of the file.
    pub rules: Vec<RuleConfig>,
    /// See [`Config::rule_tests`].
    pub tests: Vec<RuleTest>,
}

/// Reads the rules of a configuration file and nothing else of it: what else stands there, secrets included, is not looked
/// at, and may be missing.
///
/// # Errors
/// All problems of the rules, with their lines.
pub fn load_rules(path: &Path) -> Result<RuleSet, ConfigErrors> {
    whole(path, &|_| None, |root, _, around| {
        for key in super::known_keys() {
            // Asked for, so that it is not reported as unknown.
            root.has(key.path.split('.').next().unwrap_or_default());
        }
        let rules = rules::read(root, around);
        let tests = rules::read_tests(root);
        Ok(RuleSet {
            rules: rules?,
            tests: tests?,
        })
    })
}

/// Reads a file with what `sections` makes of it.
fn whole<T>(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    sections: impl FnOnce(&Section<'_>, &Path, Surroundings<'_>) -> Result<T, Reported>,
) -> Result<T, ConfigErrors> {
    let alone = |message: String| {
        let problem = Problem {
            line: None,
            key: String::new(),
            message,
        };
        ConfigErrors::new(path.to_owned(), vec![problem])
    };
    let file = read(path).map_err(alone)?;
    let whole = std::path::absolute(path)
        .map_err(|error| alone(format!("cannot be found: {}", plain_io(&error))))?;
    let report = Report::new(&file.text);
    let read = parse(&file, &report, &whole, env, sections);
    let problems = report.into_problems();
    match read {
        Ok(read) if problems.is_empty() => Ok(read),
        Ok(_) | Err(Reported) => Err(ConfigErrors::new(path.to_owned(), problems)),
    }
}

/// The configuration file as it was read.
struct ConfigFile {
    text: String,
    mode: u32,
}

fn read(path: &Path) -> Result<ConfigFile, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {}", plain_io(&error));
    let file = File::open(path).map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    if found.is_dir() {
        return Err("is a directory; name the configuration file in it".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LONGEST {
        return Err("is longer than 256 KiB, which no configuration is".to_owned());
    }
    let text =
        String::from_utf8(bytes).map_err(|_| "is not UTF-8 text; save it as UTF-8".to_owned())?;
    Ok(ConfigFile {
        text,
        mode: found.mode() & 0o7777,
    })
}

fn parse<T>(
    file: &ConfigFile,
    report: &Report,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    sections: impl FnOnce(&Section<'_>, &Path, Surroundings<'_>) -> Result<T, Reported>,
) -> Result<T, Reported> {
    let too_deep = |line: &&str| line.bytes().filter(|&b| b == b'.').count() > MOST_DOTS;
    if let Some(index) = file.text.split('\n').position(|line| too_deep(&line)) {
        return Err(report.add(Some(index + 1), "", "has too many dots on one line"));
    }
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map(|span| report.line_at(span.start));
            // Never `to_string()`: that repeats the line, and with it a secret.
            report.add(line, "", format!("is not TOML: {}", error.message()));
        }
        return Err(Reported);
    }
    let root = Section::root(report, document.get_ref());
    let directory = path.parent().unwrap_or(path);
    let read = sections(&root, path, Surroundings { directory, env });
    root.close();
    refuse_readable_secret(report, file.mode, path);
    read
}

fn sections(root: &Section<'_>, path: &Path, around: Surroundings<'_>) -> Result<Config, Reported> {
    let job = job(root, path);
    // These first: template and filters say which columns the source may name besides the known ones.
    let target = target::read(&root.section("target"), around);
    let select = select::read(&root.section("select"));
    let roles = target.as_ref().map(|target| {
        let mut roles = target::roles(target);
        roles.extend(
            select
                .filters
                .iter()
                .map(|filter| filter.column().to_owned()),
        );
        roles
    });
    let source = source::read(&root.section("source"), roles.ok().as_deref(), around);
    let rules = rules::read(root, around);
    let rule_tests = rules::read_tests(root);
    let agi = agi::read(&root.section("agi"));
    let ledger = ledger::read(
        &root.section("ledger"),
        job.as_deref().ok(),
        &select,
        around,
    );
    let monitor = monitor::read(&root.section("monitor"), around);
    // It shares the file, and what is wrong with it is told here, too.
    let collector = collector::read_if_there(root, job.as_deref().ok(), around);
    Ok(Config {
        path: path.to_owned(),
        job: job?,
        source: source?,
        select,
        rules: rules?,
        rule_tests: rule_tests?,
        target: target?,
        agi: agi?,
        ledger: ledger?,
        monitor: monitor?,
        collector: collector?,
    })
}

fn collector_sections(
    root: &Section<'_>,
    path: &Path,
    around: Surroundings<'_>,
) -> Result<CollectorSetup, Reported> {
    for key in super::known_keys() {
        // Known, and somebody else's.
        root.has(key.path.split('.').next().unwrap_or_default());
    }
    let job = job(root, path);
    let rules = rules::read(root, around);
    let rule_tests = rules::read_tests(root);
    let collector = collector::read(root, job.as_deref().ok(), around);
    let ledger = root.section("ledger").path("path", around.directory);
    Ok(CollectorSetup {
        path: path.to_owned(),
        job: job?,
        rules: rules?,
        rule_tests: rule_tests?,
        collector: collector?,
        ledger: ledger.map(|found| found.value),
    })
}

fn job(root: &Section<'_>, path: &Path) -> Result<String, Reported> {
    const FORM: &str = "1 to 64 letters, digits, `_`, `.` and `-`";
    let fits = |name: &str| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    if let Some(found) = root.filled("job") {
        if fits(found.value) {
            return Ok(found.value.to_owned());
        }
        let message = format!("`job` must be {FORM}, not \"{}\"", shown(found.value));
        return Err(root.problem(found.line, "job", message));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if fits(&stem) {
        return Ok(stem.into_owned());
    }
    let why = format!(
        "the file's name, \"{}\", does not serve as one; write 1 to 64 letters, digits, `_`, `.` and `-`",
        shown(&stem)
    );
    Err(root.missing("job", &why))
}

/// A file with a secret in it must be its owner's alone, as `ssh` demands of its keys.
fn refuse_readable_secret(report: &Report, mode: u32, path: &Path) {
    let Some(secret) = report.first_secret() else {
        return;
    };
    if mode & OTHERS != 0 {
        let message = format!(
            "`{}` stands in this file, which others can read (mode {mode:04o}); run `chmod 600 {}`, or keep the secret in a file of its own",
            secret.value,
            path.display(),
        );
        report.add(Some(secret.line), &secret.value, message);
    }
}

/// A file that a setting names and that has to be there.
fn existing_file(
    section: &Section<'_>,
    key: &str,
    around: Surroundings<'_>,
) -> Result<Option<PathBuf>, Reported> {
    let Some(found) = section.path(key, around.directory) else {
        return Ok(None);
    };
    let name = section.key(key);
    let shown = found.value.display();
    match found.value.metadata() {
        Ok(meta) if meta.is_file() => Ok(Some(found.value)),
        Ok(_) => Err(section.problem(
            found.line,
            key,
            format!("`{name}` names {shown}, which is no regular file"),
        )),
        Err(error) => Err(section.problem(
            found.line,
            key,
            format!(
                "`{name}` names {shown}, which cannot be read: {}",
                plain_io(&error)
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
