//! `[[rules]]` and `[[rule_tests]]`

use regex::Regex;

use super::super::reader::{Section, shown};
use super::super::report::{Found, Reported};
use super::super::{RuleConfig, RuleKind, RuleTest, Side};
use super::Surroundings;
use crate::number::dialplan::Pattern;
use crate::number::substring::Template;

/// Kinds that exclude one another. `drop` is none of them, since it goes with `regex` too.
const KINDS: [&str; 6] = [
    "rewrite",
    "strip_prefix",
    "add_prefix",
    "regex",
    "e164",
    "table",
];

/// Reads the chain.
pub(super) fn read(
    root: &Section<'_>,
    around: Surroundings<'_>,
) -> Result<Vec<RuleConfig>, Reported> {
    let sections = root.sections("rules");
    // Collected whole first, so that every bad rule is reported.
    let rules: Vec<_> = sections
        .iter()
        .map(|section| rule(section, around))
        .collect();
    rules.into_iter().collect()
}

/// Reads the examples that the chain must fulfil.
pub(super) fn read_tests(root: &Section<'_>) -> Result<Vec<RuleTest>, Reported> {
    let tests: Vec<_> = root.sections("rule_tests").iter().map(rule_test).collect();
    tests.into_iter().collect()
}

fn rule_test(section: &Section<'_>) -> Result<RuleTest, Reported> {
    let line = section.line().unwrap_or(1);
    let number = section.text("number");
    let becomes = section.text("becomes");
    let drop = section.flag("drop").is_some_and(|found| found.value);
    let on = side(section);
    section.close();
    let number = match number {
        Some(found) => Ok(found.value.to_owned()),
        None => Err(section.missing("number", "write the number as the PBX holds it")),
    };
    let becomes = match (becomes, drop) {
        (Some(found), false) => Ok(Some(found.value.to_owned())),
        (None, true) => Ok(None),
        (Some(_), true) | (None, false) => {
            let message = "a rule test needs either `becomes` or `drop = true`";
            Err(section.problem(line, "becomes", message))
        }
    };
    Ok(RuleTest {
        number: number?,
        becomes: becomes?,
        on: on?,
        line,
    })
}

fn rule(section: &Section<'_>, around: Surroundings<'_>) -> Result<RuleConfig, Reported> {
    let line = section.line().unwrap_or(1);
    let draft = Draft {
        name: section.filled("name").map(|found| found.value),
        section,
        line,
    };
    let guard = draft.guard();
    let on = side(section);
    let stop = section.flag("stop").is_some_and(|found| found.value);
    let kind = draft.kind(around);
    section.close();
    let kind = kind?;
    Ok(RuleConfig {
        name: draft.name.map_or_else(|| kind.to_string(), str::to_owned),
        on: on?,
        guard: guard?,
        kind,
        stop,
        line,
    })
}

fn side(section: &Section<'_>) -> Result<Side, Reported> {
    match section.filled("on") {
        None => Ok(Side::Destination),
        Some(found) => match found.value {
            "destination" => Ok(Side::Destination),
            "source" => Ok(Side::Source),
            other => {
                let name = section.key("on");
                let other = shown(other);
                let message =
                    format!("`{name}` must be \"destination\" or \"source\", not \"{other}\"");
                Err(section.problem(found.line, "on", message))
            }
        },
    }
}

/// One rule while it is being read: what its messages call it.
struct Draft<'d, 'a> {
    section: &'d Section<'a>,
    name: Option<&'a str>,
    line: usize,
}

impl<'a> Draft<'_, 'a> {
    fn guard(&self) -> Result<Option<Pattern>, Reported> {
        let Some(found) = self.nonempty("match")? else {
            return Ok(None);
        };
        Pattern::parse(found.value)
            .map(Some)
            .map_err(|why| self.refuse("match", found.line, format!("`match`: {why}")))
    }

    fn kind(&self, around: Surroundings<'_>) -> Result<RuleKind, Reported> {
        let is_set = |key: &&str| self.section.has(key);
        let set: Vec<&str> = KINDS.into_iter().filter(|key| is_set(key)).collect();
        let drop = self.section.flag("drop").is_some_and(|found| found.value);
        for (key, needed) in [("when_length", "add_prefix"), ("replace", "regex")] {
            if is_set(&key) && set != [needed] {
                let message = format!("`{key}` goes only with `{needed}`");
                return Err(self.refuse(key, self.line, message));
            }
        }
        match set.as_slice() {
            [] if drop && self.section.has("match") => Ok(RuleKind::Drop),
            [] if drop => Err(self.refuse(
                "drop",
                self.line,
                "`drop = true` needs `match` or `regex`, which say what to drop",
            )),
            [] => Err(self.refuse(
                "",
                self.line,
                "does nothing; give it one of rewrite, strip_prefix, add_prefix, regex, e164, table or drop = true",
            )),
            ["regex"] => self.regex(drop),
            [kind] if drop => Err(self.refuse(
                "drop",
                self.line,
                format!("`drop = true` goes only with `match` or `regex`, not with `{kind}`"),
            )),
            ["rewrite"] => self.rewrite(),
            ["add_prefix"] => Ok(RuleKind::AddPrefix {
                prefix: self.argument("add_prefix")?,
                when_length: self
                    .section
                    .number_if_set("when_length", 1..=255)
                    .and_then(|length| usize::try_from(length).ok()),
            }),
            ["e164"] => self.e164(),
            ["table"] => {
                let file = self.argument("table")?;
                Ok(RuleKind::Table(around.directory.join(file)))
            }
            ["strip_prefix"] => Ok(RuleKind::StripPrefix(self.argument("strip_prefix")?)),
            several => {
                let list = several.join(", ");
                let message = format!("does several things at once ({list}); make each a rule of its own");
                Err(self.refuse("", self.line, message))
            }
        }
    }

    fn rewrite(&self) -> Result<RuleKind, Reported> {
        let Some(found) = self.nonempty("rewrite")? else {
            return Err(Reported);
        };
        if !self.section.has("match") {
            let message = "`rewrite` needs `match`, the pattern of the numbers that it rewrites";
            return Err(self.refuse("rewrite", found.line, message));
        }
        Template::parse(found.value)
            .map(RuleKind::Rewrite)
            .map_err(|why| self.refuse("rewrite", found.line, format!("`rewrite`: {why}")))
    }

    fn regex(&self, drop: bool) -> Result<RuleKind, Reported> {
        let Some(found) = self.nonempty("regex")? else {
            return Err(Reported);
        };
        let replace = self.section.text("replace");
        let replace = match (replace, drop) {
            (Some(replace), false) => Some(replace.value.to_owned()),
            (None, true) => None,
            (None, false) if self.section.has("replace") => return Err(Reported),
            (Some(_), true) | (None, false) => {
                let message = "`regex` needs either `replace` or `drop = true`";
                return Err(self.refuse("regex", found.line, message));
            }
        };
        let regex = Regex::new(found.value).map_err(|error| {
            let whole = error.to_string();
            let why = whole.rsplit("error: ").next().unwrap_or(&whole);
            let text = shown(found.value);
            self.refuse(
                "regex",
                found.line,
                format!("\"{text}\" is no regular expression: {why}"),
            )
        })?;
        Ok(RuleKind::Regex { regex, replace })
    }

    fn e164(&self) -> Result<RuleKind, Reported> {
        let Some(found) = self.nonempty("e164")? else {
            return Err(Reported);
        };
        if found.value.len() == 2 && found.value.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(RuleKind::E164 {
                region: found.value.to_owned(),
            });
        }
        let text = shown(found.value);
        let message = format!(
            "`e164` must be a region of two capital letters (ISO 3166), such as \"VE\", not \"{text}\""
        );
        Err(self.refuse("e164", found.line, message))
    }

    fn argument(&self, key: &str) -> Result<String, Reported> {
        let found = self.nonempty(key)?.ok_or(Reported)?;
        Ok(found.value.to_owned())
    }

    /// Text that must not be empty where it is set.
    fn nonempty(&self, key: &str) -> Result<Option<Found<&'a str>>, Reported> {
        match self.section.text(key) {
            Some(found) if found.value.is_empty() => {
                let message = format!("`{key}` is empty; write what it should be, or remove it");
                Err(self.refuse(key, found.line, message))
            }
            Some(found) => Ok(Some(found)),
            None if self.section.has(key) => Err(Reported),
            None => Ok(None),
        }
    }

    /// Reports a problem under the rule's name, or its place in the chain where it has none.
    fn refuse(&self, key: &str, line: usize, message: impl AsRef<str>) -> Reported {
        let who = match self.name {
            Some(name) => format!("rule \"{}\"", shown(name)),
            None => format!("`{}`", self.section.shown_path()),
        };
        let message = message.as_ref();
        let joint = if message.starts_with("does ") {
            " "
        } else {
            ": "
        };
        self.section
            .problem(line, key, format!("{who}{joint}{message}"))
    }
}
