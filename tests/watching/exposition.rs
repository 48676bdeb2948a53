//! A strict reader of Prometheus's text format, made from its description (prometheus.io, "Exposition formats"): what it
//! takes, the node exporter takes.

use std::collections::{BTreeMap, BTreeSet};

/// One metric.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    pub help: String,
    pub kind: String,
    /// Labels to value.
    pub samples: BTreeMap<BTreeMap<String, String>, f64>,
}

/// Reads a whole text.
///
/// # Errors
/// The first line that is not as it has to be, and why.
pub fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for line in text.lines() {
        let wrong = |why: &str| format!("{why}: {line}");
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest
                .split_once(' ')
                .ok_or_else(|| wrong("half a comment"))?;
            let (name, words) = rest
                .split_once(' ')
                .ok_or_else(|| wrong("half a comment"))?;
            let family = families.entry(name.to_owned()).or_default();
            let slot = match word {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                _ => return Err(wrong("neither HELP nor TYPE")),
            };
            if !slot.is_empty() {
                return Err(wrong("said twice"));
            }
            if !family.samples.is_empty() {
                return Err(wrong("said after its samples"));
            }
            words.clone_into(slot);
            if order.last().is_none_or(|last| last != name) {
                order.push(name.to_owned());
            }
            continue;
        }
        let (name, labels, value) = sample(line).map_err(|why| wrong(&why))?;
        if order.last() != Some(&name) {
            return Err(wrong("not together with the others of its metric"));
        }
        let family = families.entry(name).or_default();
        if family.samples.insert(labels, value).is_some() {
            return Err(wrong("the same labels twice"));
        }
    }
    let different: BTreeSet<&String> = order.iter().collect();
    if different.len() != order.len() {
        return Err(format!("a metric is torn apart: {order:?}"));
    }
    for (name, family) in &families {
        let counter = name.ends_with("_total");
        let kind = if counter { "counter" } else { "gauge" };
        if family.kind != kind || family.help.is_empty() {
            return Err(format!("{name} has no help, or is no {kind}"));
        }
        if counter && family.samples.values().any(|value| *value < 0.0) {
            return Err(format!("{name} is below zero"));
        }
    }
    Ok(families)
}

type Sample = (String, BTreeMap<String, String>, f64);

fn sample(line: &str) -> Result<Sample, String> {
    let mut chars = line.chars().peekable();
    let name = word(&mut chars);
    let mut labels = BTreeMap::new();
    if name.is_empty() {
        return Err("no name".to_owned());
    }
    if chars.peek() == Some(&'{') {
        chars.next();
        loop {
            let key = word(&mut chars);
            if key.is_empty() || chars.next() != Some('=') || chars.next() != Some('"') {
                return Err("a label is not key=\"value\"".to_owned());
            }
            let mut value = String::new();
            loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => value.push(match chars.next() {
                        Some('n') => '\n',
                        Some(c @ ('\\' | '"')) => c,
                        _ => return Err("an escape that there is not".to_owned()),
                    }),
                    Some(c) => value.push(c),
                    None => return Err("a label without an end".to_owned()),
                }
            }
            if labels.insert(key, value).is_some() {
                return Err("a label twice".to_owned());
            }
            match chars.next() {
                Some(',') => {}
                Some('}') => break,
                _ => return Err("labels without an end".to_owned()),
            }
        }
    }
    if chars.next() != Some(' ') {
        return Err("no blank before the value".to_owned());
    }
    let value: String = chars.collect();
    let plain = value
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e' | '+'));
    let value = value.parse().ok().filter(|_| plain);
    Ok((name, labels, value.ok_or("no value")?))
}

fn word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| {
        c.is_ascii_alphabetic() || *c == '_' || (c.is_ascii_digit() && !word.is_empty())
    }) {
        word.push(c);
    }
    word
}

#[test]
fn what_the_format_forbids_is_refused() {
    let head = "# HELP a x\n# TYPE a gauge\n";
    assert!(parse(&format!("{head}a{{b=\"c\\\"\\\\\\n\"}} 1\na 2.5\n")).is_ok());
    assert!(parse(head).is_ok(), "a metric without samples");
    for text in [
        "a 1\n",
        &format!("{head}a 1"),
        &format!("{head}a  1\n"),
        &format!("{head}a NaN or so\n"),
        &format!("{head}a 1\na 1\n"),
        &format!("{head}a{{b=\"c\"}} 1\na{{b=\"c\"}} 2\n"),
        &format!("{head}a{{b=\"c\\x\"}} 1\n"),
        &format!("{head}a{{b=\"c\" 1\n"),
        &format!("{head}b 1\n"),
        &format!("{head}\n"),
        "# HELP a x\na 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total -1\n",
        &format!("a 1\n{head}"),
        &format!("{head}{head}"),
        &format!("{head}# HELP b x\n# TYPE b gauge\nb 1\na 1\n"),
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}
