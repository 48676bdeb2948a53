//! Sections with keys, in the two dialects that Asterisk and unixODBC write.

/// How comments look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Asterisk (main/config.c): `;` begins a comment anywhere unless a backslash stands before it, `;--` to `--;` is a
    /// comment over lines, and `=>` is as good as `=`.
    Asterisk,
    /// unixODBC's odbc.ini: `;` and `#` at the start of a line. A password may hold either.
    Odbc,
}

/// One section, in the order of the file. Names and keys are in lower case, because both readers ignore the case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    entries: Vec<(String, String)>,
}

impl Section {
    /// The last value of a key that is not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.entries.iter().rev();
        values
            .find(|(name, value)| name == key && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The first of several keys that has a value.
    pub(super) fn any(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Whether a switch is on, as Asterisk's ast_true reads it.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            matches!(value.as_str(), "yes" | "true" | "y" | "t" | "1" | "on")
        })
    }
}

/// Every section; what stands before the first one, and lines that are no assignment, are passed over.
pub(super) fn sections(text: &str, dialect: Dialect) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_comment = false;
    for line in text.lines() {
        if dialect == Dialect::Asterisk {
            if in_comment {
                in_comment = !line.contains("--;");
                continue;
            }
            let start = line.trim_start();
            if start.starts_with(";--") && !start.starts_with(";---") {
                in_comment = !start[3..].contains("--;");
                continue;
            }
        }
        let line = without_comment(line, dialect);
        let line = line.trim();
        if let Some(rest) = line.strip_prefix('[') {
            // Behind the bracket a template may be named: `[general](template)`.
            let name = rest.split(']').next().unwrap_or_default();
            sections.push(Section {
                name: name.trim().to_ascii_lowercase(),
                entries: Vec::new(),
            });
            continue;
        }
        let (Some(section), Some((key, value))) = (sections.last_mut(), line.split_once('='))
        else {
            continue;
        };
        let value = match dialect {
            Dialect::Asterisk => value.strip_prefix('>').unwrap_or(value),
            Dialect::Odbc => value,
        };
        section
            .entries
            .push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    sections
}

fn without_comment(line: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Odbc if line.trim_start().starts_with([';', '#']) => String::new(),
        Dialect::Odbc => line.to_owned(),
        Dialect::Asterisk => {
            let mut kept = String::new();
            let mut chars = line.chars().peekable();
            while let Some(c) = chars.next() {
                match c {
                    '\\' if chars.next_if_eq(&';').is_some() => kept.push(';'),
                    ';' => break,
                    c => kept.push(c),
                }
            }
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn value(text: &str, dialect: Dialect, key: &str) -> Option<String> {
        let sections = sections(text, dialect);
        assert_eq!(sections.len(), 1, "{sections:?}");
        sections[0].get(key).map(str::to_owned)
    }

    #[test]
    fn asterisk_files_are_read_with_their_comments() {
        let text = "lost = before\n[Global] ; the section\nDSN => MySQL-cdr ; a comment\npassword=a\\;b\n;--\ndsn => other\n--;\n;dsn => no\n";
        let read = |key| value(text, Dialect::Asterisk, key);
        assert_eq!(read("dsn").as_deref(), Some("MySQL-cdr"));
        assert_eq!(read("password").as_deref(), Some("a;b"));
        assert_eq!(read("lost"), None);
        assert_eq!(sections(text, Dialect::Asterisk)[0].name, "global");
    }

    #[test]
    fn a_rule_of_dashes_is_no_comment_over_lines() {
        let text = ";----------\n[csv]\nusegmtime=yes\n";
        assert!(sections(text, Dialect::Asterisk)[0].is_on("usegmtime"));
    }

    #[test]
    fn odbc_passwords_keep_what_asterisk_takes_for_a_comment() {
        let text =
            "# comment\n[MySQL-asteriskcdrdb]\nPassword = a;b#c\n; Server = no\nServer=localhost\n";
        assert_eq!(
            value(text, Dialect::Odbc, "password").as_deref(),
            Some("a;b#c")
        );
        assert_eq!(
            value(text, Dialect::Odbc, "server").as_deref(),
            Some("localhost")
        );
    }

    #[test]
    fn templates_and_repeated_keys_do_no_harm() {
        let text = "[cdr](base)\ntable=a\ntable = cdr\ntable =\n";
        assert_eq!(
            value(text, Dialect::Asterisk, "table").as_deref(),
            Some("cdr")
        );
    }

    proptest! {
        #[test]
        fn no_text_stops_it(text in any::<String>(), code in "[\\[\\];=>#\\\\ a\n-]{0,200}") {
            for dialect in [Dialect::Asterisk, Dialect::Odbc] {
                let _ = sections(&text, dialect);
                let _ = sections(&code, dialect);
            }
        }
    }
}
