//! The pages, as troff source (man(7)). Names, flags and sentences come from the command line's own definition;
//! examples and exit codes stand in sections of their own, as man-pages(7) wants them.

use std::fmt::Write as _;
use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::cli::{Described, EXIT_CODES};
use crate::config::{KeyDefault, SYSTEM_FILE, known_keys};

/// One page: file name and troff source.
pub(super) struct Page {
    pub(super) name: String,
    pub(super) text: String,
}

/// cdrelay(1)
pub(super) fn program(program: &Described) -> Page {
    let verbs: Vec<String> = program
        .get_subcommands()
        .map(|verb| format!("cdrelay-{}(1)", verb.get_name()))
        .collect();
    page(program, "cdrelay", &verbs)
}

/// cdrelay-VERB(1)
pub(super) fn verb(verb: &Described) -> Page {
    let name = format!("cdrelay-{}", verb.get_name());
    page(verb, &name, &["cdrelay(1)".to_owned()])
}

fn page(command: &Described, name: &str, see: &[String]) -> Page {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(format!("cdrelay {}", env!("CARGO_PKG_VERSION")))
        .manual("cdrelay");
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = render(&man, command, &mut text);
    let mut roff = Roff::new();
    let after = command.get_after_help().map(ToString::to_string);
    if let Some(after) = after.filter(|after| after.starts_with("Example")) {
        examples(&mut roff, &after);
    }
    exit_status(&mut roff);
    files(&mut roff);
    let mut see = see.to_vec();
    see.push("cdrelay.toml(5)".to_owned());
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(see.join(", "))]);
    let _ = roff.to_writer(&mut text);
    Page {
        name: format!("{name}.1"),
        text: plain_ascii(&String::from_utf8_lossy(&text)),
    }
}

fn render(man: &Man, command: &Described, text: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    man.render_options_section(text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(text)?;
    }
    Ok(())
}

/// The examples of a help text: command lines as they stand, what is said about them as paragraphs.
fn examples(roff: &mut Roff, help: &str) {
    roff.control("SH", ["EXAMPLES"]);
    let mut verbatim = false;
    for line in help.lines().skip(1).filter(|line| !line.is_empty()) {
        let is_command = line.starts_with("  ");
        if is_command != verbatim {
            roff.control(if is_command { "nf" } else { "fi" }, []);
            verbatim = is_command;
        }
        if !is_command {
            roff.control("PP", []);
        }
        roff.text([roman(line.trim_end())]);
    }
    if verbatim {
        roff.control("fi", []);
    }
}

/// `0 settled · 2 usage or configuration` as a list.
fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    let list = EXIT_CODES.split_once(": ").map_or("", |(_, list)| list);
    for entry in list.split(" · ") {
        let at = entry.find(char::is_alphabetic).unwrap_or(entry.len());
        let (codes, meaning) = entry.split_at(at);
        roff.control("TP", []);
        roff.text([bold(codes.trim())]);
        roff.text([roman(meaning)]);
    }
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (file, what) in [
        (SYSTEM_FILE, "the configuration, see cdrelay.toml(5)"),
        (
            "./cdrelay.toml",
            "goes before it where it is the user's own and nobody else can write it; $CDRELAY_CONFIG and --config go before both",
        ),
    ] {
        roff.control("TP", []);
        roff.text([italic(file)]);
        roff.text([roman(what)]);
    }
}

/// cdrelay.toml(5): every key with its default and its meaning.
pub(super) fn configuration() -> Page {
    let mut roff = Roff::new();
    let source = format!("cdrelay {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["CDRELAY.TOML", "5", "", source.as_str(), "cdrelay"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("cdrelay.toml - configuration of cdrelay")]);
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in [
        "One file is one phone system to one CRM. It is TOML: a section in brackets, then keys. An unknown key is an error that names the nearest known one, and all problems are reported at once.",
        "Paths are relative to the file. Spans are written like 200h, 360d, 30s. \"\" means not set. A file that holds a secret must be readable by its owner alone.",
        "[[rules]] and [[rule_tests]] may stand there as often as needed; rules apply in their order.",
    ] {
        roff.control("PP", []);
        roff.text([roman(paragraph)]);
    }
    let mut section = None;
    for key in known_keys() {
        let (head, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if section != Some(head) {
            section = Some(head);
            let title = match head {
                "" => "AT THE TOP".to_owned(),
                "rules" | "rule_tests" => format!("[[{head}]]"),
                other => format!("[{other}]"),
            };
            roff.control("SH", [title.as_str()]);
        }
        roff.control("TP", []);
        roff.text([bold(name)]);
        let mut words = marked(key.meaning);
        words.push(roman(match key.default {
            KeyDefault::Required => ". Required.".to_owned(),
            KeyDefault::Value(value) => format!(". Default: {value}."),
            KeyDefault::Words(words) => format!(". Default: {words}."),
        }));
        roff.text(words);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("cdrelay(1), cdrelay-init(1), cdrelay-check(1)")]);
    Page {
        name: "cdrelay.toml.5".to_owned(),
        text: plain_ascii(&roff.render()),
    }
}

/// What stands between backticks is bold.
fn marked(text: &str) -> Vec<Inline> {
    text.split('`')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(n, part)| if n % 2 == 1 { bold(part) } else { roman(part) })
        .collect()
}

/// Every troff reads ASCII; what is beyond it is named by its code point (groff_char(7)).
fn plain_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            plain.push(c);
        } else {
            let _ = write!(plain, "\\[u{:04X}]", u32::from(c));
        }
    }
    plain
}
