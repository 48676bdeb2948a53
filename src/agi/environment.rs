//! What Asterisk says at the beginning: one `agi_name: value` a line, then an empty line (`res/res_agi.c`, `setup_env`).

use crate::cdr::uniqueid::creation_epoch;

/// Most lines that are looked at; Asterisk sends some twenty, and one for each argument, of which there are 127 at most.
const MOST_LINES: usize = 256;

/// Most characters of a value that are kept.
const LONGEST: usize = 1024;

/// What Asterisk said. Hostile text: a caller chooses much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: Vec<(String, String)>,
}

impl Environment {
    /// Takes a line; `false` where it is the empty one that ends the environment, or one more than there can be.
    pub fn take(&mut self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() || self.values.len() == MOST_LINES {
            return false;
        }
        if let Some((name, value)) = line.split_once(':') {
            let value: String = value.trim().chars().take(LONGEST).collect();
            self.values.push((name.trim().to_owned(), value));
        }
        true
    }

    /// A value; `None` where it is empty, or `unknown`, which Asterisk says for "none".
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        (!value.is_empty() && value != "unknown").then_some(value)
    }

    /// Whether Asterisk said anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `agi_arg_1` and so on, up to the first that is not there. An empty one is given as such.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let argument = |n: usize| {
            let name = format!("agi_arg_{n}");
            let (_, value) = self.values.iter().find(|(known, _)| *known == name)?;
            Some(value.clone())
        };
        (1..).map_while(argument).collect()
    }

    /// The channel's id.
    #[must_use]
    pub fn uniqueid(&self) -> Option<&str> {
        self.get("agi_uniqueid")
    }

    /// When the channel was created, Unix seconds, where its id tells.
    #[must_use]
    pub fn started(&self) -> Option<i64> {
        creation_epoch(self.uniqueid()?)
    }

    /// The number that was called: as it was dialled, else the extension that the dialplan is at.
    #[must_use]
    pub fn called(&self) -> &str {
        self.get("agi_dnid")
            .or_else(|| self.get("agi_extension"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Environment {
        let mut environment = Environment::default();
        for line in text.split_inclusive('\n') {
            if !environment.take(line) {
                break;
            }
        }
        environment
    }

    #[test]
    fn a_channel_is_read_as_asterisk_writes_it() {
        let read = read(
            "agi_network: yes\nagi_callerid: 02125550142\r\nagi_calleridname: Doe: Jane\nagi_dnid: unknown\n\
             agi_extension: 999\nagi_uniqueid: pbx-1763190000.42\nagi_arg_1: one\nagi_arg_2: \nagi_arg_3: 3\n\nagi_late: 1\n",
        );
        assert_eq!(read.get("agi_callerid"), Some("02125550142"));
        assert_eq!(read.get("agi_calleridname"), Some("Doe: Jane"));
        assert_eq!(read.get("agi_late"), None);
        assert_eq!(read.called(), "999");
        assert_eq!(read.started(), Some(1_763_190_000));
        assert_eq!(read.arguments(), ["one", "", "3"]);
    }

    #[test]
    fn what_is_no_environment_says_nothing() {
        let read = read("hello\n\u{1b}[2J\n");
        assert_eq!((read.uniqueid(), read.called()), (None, ""));
        assert!(read.is_empty());
        let mut endless = Environment::default();
        assert_eq!(
            (0..1000).take_while(|_| endless.take("a: b\n")).count(),
            MOST_LINES
        );
    }
}
