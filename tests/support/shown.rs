//! What a document shows of the program's output, held against what it prints.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles all of it, as a module of its own, and uses some"
)]

/// The contents of the fenced blocks of one language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    let fence = format!("```{language}\n");
    while let Some(at) = rest.find(&fence) {
        let body = &rest[at + fence.len()..];
        let end = body.find("```").expect("a block has an end");
        found.push(body[..end].to_owned());
        rest = &body[end..];
    }
    found
}

/// Numbers, and blanks in a row, differ from run to run.
pub fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim_end().chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        let repeated = matches!(c, '0' | ' ') && shape.ends_with(c);
        if !repeated {
            shape.push(c);
        }
    }
    shape
}

/// Every line of `shown`, in order, is one of `printed`; where lines are left out, `[…]` says so.
#[track_caller]
pub fn printed_as_shown(shown: &str, printed: &str) {
    let mut lines = printed.lines().map(shape);
    let mut skipping = false;
    for line in shown.lines() {
        if line == "[…]" {
            skipping = true;
            continue;
        }
        let wanted = shape(line);
        let found = if skipping {
            lines.any(|line| line == wanted)
        } else {
            lines.next().is_some_and(|line| line == wanted)
        };
        assert!(
            found,
            "the program does not print `{line}` there:\n{printed}"
        );
        skipping = false;
    }
}
