//! A check as a monitor of the Nagios family reads it: one line, and an exit status of its own (Nagios Plugin Development
//! Guidelines: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; what follows `|` is performance data).

use std::fmt::Write as _;

use super::findings::{Findings, Mark};
use crate::text::count;

/// Most characters before the performance data: agents such as NRPE carry about a kilobyte.
const LONGEST: usize = 800;

/// What can be drawn over time; `None`: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) calls: Option<u64>,
    pub(super) pending: Option<u64>,
    pub(super) unmatched: Option<u64>,
    pub(super) rejected: Option<u64>,
    /// Seconds.
    pub(super) last_success_age: Option<u64>,
}

/// The line, and the exit status that goes with it. `readable` says that there was a configuration to check by: without
/// one nothing is known.
pub(super) fn line(findings: &Findings, figures: &Figures, readable: bool) -> (String, u8) {
    let (failed, warnings) = (findings.count(Mark::Failed), findings.count(Mark::Warning));
    let (word, status) = match (readable, failed, warnings) {
        (false, _, _) => ("UNKNOWN", 3),
        (true, 0, 0) => ("OK", 0),
        (true, 0, _) => ("WARNING", 1),
        (true, _, _) => ("CRITICAL", 2),
    };
    let worst = match (failed, warnings) {
        (0, 0) => "everything is ready".to_owned(),
        (0, n) => told(findings, Mark::Warning, &count(n, "warning")),
        (n, _) => told(
            findings,
            Mark::Failed,
            &format!("{} failed", count(n, "check")),
        ),
    };
    let mut text = escaped(&format!("CDRELAY {word} - {worst}"));
    let _ = write!(text, " | failed={failed};;0;0 warnings={warnings};0;;0");
    for (label, value, unit) in [
        ("calls", figures.calls, ""),
        ("pending", figures.pending, ""),
        ("unmatched", figures.unmatched, ""),
        ("rejected", figures.rejected, ""),
        ("last_success_age", figures.last_success_age, "s"),
    ] {
        if let Some(value) = value {
            let _ = write!(text, " {label}={value}{unit};;;0");
        }
    }
    text.push('\n');
    (text, status)
}

/// The lines with this mark, one after the other.
fn told(findings: &Findings, mark: Mark, headline: &str) -> String {
    let lines: Vec<String> = findings
        .lines
        .iter()
        .filter(|line| line.mark == mark)
        .map(|line| {
            let text: Vec<&str> = line.text.lines().collect();
            format!("{}: {}", line.what, text.join(" / "))
        })
        .collect();
    format!("{headline}: {}", lines.join("; "))
}

/// A bar would begin the performance data.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    let mut long = false;
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            long = true;
            break;
        }
        match c {
            '|' => safe.push_str("\\u{7c}"),
            c => safe.push(c),
        }
    }
    if long {
        safe.push_str(" …");
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::exit::{Code, Exit};

    #[track_caller]
    fn shows(fill: impl FnOnce(&mut Findings), readable: bool, line_of: &str, status: u8) {
        let mut findings = Findings::new();
        fill(&mut findings);
        let figures = Figures {
            calls: Some(878),
            last_success_age: Some(120),
            ..Figures::default()
        };
        let (text, given) = line(&findings, &figures, readable);
        let end = text.find(" | ").map_or(text.len(), |at| at);
        assert_eq!((&text[..end], given), (line_of, status), "{text}");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert_eq!(text.matches('|').count(), 1, "{text}");
        assert!(
            text.ends_with(" calls=878;;;0 last_success_age=120s;;;0\n"),
            "{text}"
        );
    }

    #[test]
    fn the_status_is_the_monitors_and_no_text_from_outside_ends_the_line_or_begins_figures() {
        shows(
            |findings| findings.ok("rules", "3 rules"),
            true,
            "CDRELAY OK - everything is ready",
            0,
        );
        shows(
            |findings| {
                findings.ok("rules", "3 rules");
                findings.warn("index", "none on `a|b`\nOK | x=1");
            },
            true,
            "CDRELAY WARNING - 1 warning: index: none on `a\\u{7c}b`\\nOK \\u{7c} x=1",
            1,
        );
        shows(
            |findings| {
                findings.warn("index", "none");
                findings.fail("crm", Exit::new(Code::Crm, "said \u{1b}[31m|"));
                findings.fail("rules", Exit::listing(Code::Usage, &["line 1", "line 2"]));
            },
            true,
            "CDRELAY CRITICAL - 2 checks failed: crm: said \\u{1b}[31m\\u{7c}; rules: line 1 / line 2",
            2,
        );
        shows(
            |findings| findings.fail("configuration", Exit::new(Code::Usage, "no such file")),
            false,
            "CDRELAY UNKNOWN - 1 check failed: configuration: no such file",
            3,
        );
    }

    #[test]
    fn a_long_story_is_cut_and_the_figures_stay() {
        let mut findings = Findings::new();
        findings.fail("crm", Exit::new(Code::Crm, "x".repeat(5_000)));
        let (text, status) = line(&findings, &Figures::default(), true);
        assert_eq!(status, 2);
        assert!(text.len() < 900, "{}", text.len());
        assert!(
            text.contains("x … | failed=1;;0;0 warnings=0;0;;0\n"),
            "{text}"
        );
    }
}
