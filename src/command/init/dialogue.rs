//! The questions. What a flag has answered is not asked; once something did not hold together, everything is asked again
//! with the answers so far as defaults.

use chrono_tz::Tz;

use super::super::{Context, tell, terminal};
use super::draft::{self, Draft, Kept};
use super::look::{self, Look};
use super::place::Place;
use super::trial;
use crate::config::InitiatedAs;
use crate::config::secret::Secret;
use crate::discovery::{Found, Machine};
use crate::report::exit::{Code, Exit};
use crate::text::Shown;

/// A person at a terminal.
pub(super) struct Dialogue<'a> {
    context: &'a Context,
    place: &'a Place,
    machine: &'a Machine,
    found: &'a [Found],
    /// Whether the answers were asked for before.
    again: bool,
    look: Option<Look>,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(
        context: &'a Context,
        place: &'a Place,
        machine: &'a Machine,
        found: &'a [Found],
    ) -> Self {
        Self {
            context,
            place,
            machine,
            found,
            again: false,
            look: None,
        }
    }

    /// What is about to happen.
    pub(super) fn introduce(&self) {
        let path = self.place.config.display().to_string();
        tell(&format!(
            "This writes {}. Enter takes what stands in brackets; Ctrl-C leaves everything as it is.\n\n",
            Shown(&path)
        ));
    }

    /// The next round asks everything.
    pub(super) fn again(&mut self) {
        self.again = true;
    }

    /// Where the calls are, and what it takes to read them.
    pub(super) async fn source(&mut self, draft: &mut Draft) -> Result<(), Exit> {
        if self.again || draft.url.is_none() {
            self.source_url(draft).await?;
        }
        let found = draft.matching(self.found);
        draft.take_found(found);
        if found.is_none() && (self.again || draft.table.is_none()) {
            let default = draft.table.clone().unwrap_or_else(|| "cdr".to_owned());
            draft.table = Some(self.ask("Table", Some(&default)).await?);
        }
        if draft.is_server() && (self.again || draft.password.is_none()) {
            let prompt = if draft.password.is_none() {
                "Password of the database user, not shown (Enter: none): "
            } else {
                "Password of the database user, not shown (Enter: as it is): "
            };
            if let Some(secret) = self.ask_secret(prompt).await? {
                draft.password = Kept::New(secret);
            }
        }
        Ok(())
    }

    async fn source_url(&mut self, draft: &mut Draft) -> Result<(), Exit> {
        let shown = |found: &Found| {
            let table = if found.table == "cdr" {
                String::new()
            } else {
                format!(", table {}", found.table)
            };
            format!(
                "{}{table}  (says {})",
                Shown(&found.url),
                Shown(&found.from)
            )
        };
        match self.found {
            [] => tell(
                "No settings of FreePBX or Asterisk were found here. The calls can be in a database or a file, such as\n  \
                 mysql://cdrelay@127.0.0.1/asteriskcdrdb\n  postgres://cdrelay@127.0.0.1/asterisk\n  \
                 sqlite:///var/log/asterisk/master.db\n  csv:/var/log/asterisk/cdr-csv/Master.csv\n",
            ),
            [one] => tell(&format!("Found: {}\n", shown(one))),
            several => {
                tell("Found:\n");
                for (n, found) in several.iter().enumerate() {
                    tell(&format!("  {}  {}\n", n + 1, shown(found)));
                }
            }
        }
        let default = draft
            .url
            .clone()
            .or_else(|| self.found.first().map(|found| found.url.clone()));
        let question = match self.found.len() {
            0 | 1 => "Where are the calls?",
            _ => "Where are the calls? A number of the list, or an address",
        };
        loop {
            let answer = self.ask(question, default.as_deref()).await?;
            let listed = answer
                .parse::<usize>()
                .ok()
                .and_then(|n| self.found.get(n.checked_sub(1)?));
            let url = listed.map_or_else(|| draft::whole_path(&answer), |found| found.url.clone());
            if draft::holds_password(&url) {
                tell(
                    "Leave the password out of the address; it is asked for next, and kept in a file of its own.\n",
                );
                continue;
            }
            if draft.url.as_ref() != Some(&url) {
                draft.password = match &draft.password {
                    Kept::There => Kept::There,
                    Kept::New(_) if self.again => Kept::None,
                    kept => kept.clone(),
                };
                draft.table = None;
                draft.from = None;
                draft.stated_zone = None;
            }
            draft.url = Some(url);
            return Ok(());
        }
    }

    /// Reads the source before anything else is asked, as often as the user wants to try.
    pub(super) async fn connect(&mut self, draft: &mut Draft) -> Result<(), Exit> {
        loop {
            let why = match self.try_source(draft).await {
                Ok(look) => {
                    tell(&look.text());
                    tell("\n");
                    self.look = Some(look);
                    return Ok(());
                }
                Err(exit) => exit.reason,
            };
            tell(&format!("The source cannot be read: {why}\n"));
            let other = terminal::yes(self.context, "Give other answers? [Y/n] ", true).await?;
            if !other {
                return Ok(());
            }
            let before = std::mem::replace(&mut self.again, true);
            self.source(draft).await?;
            self.again = before;
        }
    }

    async fn try_source(&self, draft: &Draft) -> Result<Look, Exit> {
        // What is not asked yet must not keep the source from being looked at.
        let alone = Draft {
            target_url: None,
            token: Kept::None,
            initiated_as: None,
            recording_url: None,
            outside_line: None,
            area_code: None,
            ..draft.clone()
        };
        let (_trial, config) = trial::try_out(self.place, &alone)?;
        let looked = terminal::unless_stopped(self.context, look::look(&config)).await?;
        looked.map_err(Exit::from)
    }

    /// Everything but the source.
    pub(super) async fn rest(&mut self, draft: &mut Draft) -> Result<(), Exit> {
        if self.again || draft.timezone.is_none() {
            let proven = self.look.as_ref().and_then(Look::proven_zone);
            let default = draft.timezone.clone().unwrap_or_else(|| {
                proven.map_or_else(
                    || draft.likely_zone(self.machine),
                    |zone| zone.name().to_owned(),
                )
            });
            let known = |zone: &str| zone.parse::<Tz>().is_ok();
            let no =
                "That is no zone of the list; write it as in Europe/Madrid or America/Caracas.\n";
            draft.timezone = Some(
                self.ask_until(
                    "Zone that the PBX writes its times in",
                    Some(&default),
                    known,
                    no,
                )
                .await?,
            );
        }
        if self.again || draft.target_url.is_none() {
            let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
            let no = "Write the whole address, such as https://crm.example.com.\n";
            let default = draft.target_url.clone();
            draft.target_url = Some(
                self.ask_until("Address of the CRM", default.as_deref(), is_web, no)
                    .await?,
            );
        }
        while self.again || draft.token.is_none() {
            let prompt = if draft.token.is_none() {
                "Token of the CRM, not shown: "
            } else {
                "Token of the CRM, not shown (Enter: as it is): "
            };
            if let Some(secret) = self.ask_secret(prompt).await? {
                draft.token = Kept::New(secret);
            }
            if !draft.token.is_none() {
                break;
            }
        }
        if self.again || draft.initiated_as.is_none() {
            tell(
                "How the start of a call is sent; it is part of the key that the CRM knows a call by:\n  \
                 utc      2012-08-23T16:50:33Z       for new installations\n  \
                 offset   2012-08-23T12:20:33-04:30  the same instant\n  \
                 local    2012-08-23T12:20:33\n  \
                 local-z  2012-08-23T12:20:33Z       where the reference script has sent calls\n",
            );
            let default = draft
                .initiated_as
                .clone()
                .unwrap_or_else(|| "utc".to_owned());
            let known = |word: &str| InitiatedAs::parse(word).is_some();
            let no = "It is one of utc, offset, local and local-z.\n";
            draft.initiated_as = Some(self.ask_until("Start", Some(&default), known, no).await?);
        }
        self.numbers(draft).await?;
        if self.again || draft.ledger.is_none() {
            let default = draft
                .ledger
                .clone()
                .unwrap_or_else(|| self.place.ledger().display().to_string());
            let path = self
                .ask("Ledger, the record of what was sent", Some(&default))
                .await?;
            draft.ledger = Some(draft::absolute(std::path::Path::new(&path)));
        }
        Ok(())
    }

    async fn numbers(&self, draft: &mut Draft) -> Result<(), Exit> {
        let fits = |digits: &str| digits == "-" || draft::dialled(digits).is_ok();
        let no = "Up to 8 digits, or - for none.\n";
        let shown = |digits: &Option<String>| match digits.as_deref() {
            None | Some("") => "-".to_owned(),
            Some(digits) => digits.to_owned(),
        };
        let taken = |answer: String| Some(if answer == "-" { String::new() } else { answer });
        if self.again || draft.outside_line.is_none() {
            let question = "Digits that people dial for an outside line, such as 9 (-: none)";
            let default = shown(&draft.outside_line);
            draft.outside_line = taken(self.ask_until(question, Some(&default), fits, no).await?);
        }
        if self.again || draft.area_code.is_none() {
            let question = format!(
                "Area code to put before numbers of {} digits, such as 0212 (-: none)",
                draft.local_length
            );
            let default = shown(&draft.area_code);
            draft.area_code = taken(self.ask_until(&question, Some(&default), fits, no).await?);
        }
        Ok(())
    }

    /// Whether the files are to be written as they are.
    pub(super) async fn confirmed(&self, draft: &Draft) -> Result<bool, Exit> {
        let path = self.place.config.display().to_string();
        let secrets = [
            (&self.place.password, &draft.password),
            (&self.place.token, &draft.token),
        ];
        let beside: Vec<&str> = secrets
            .iter()
            .filter(|(_, kept)| matches!(kept, Kept::New(_)))
            .map(|(name, _)| name.as_str())
            .collect();
        let beside = if beside.is_empty() {
            String::new()
        } else {
            format!(", and beside it {}", beside.join(" and "))
        };
        let prompt = format!("Write {}{beside}? (n: ask again) [Y/n] ", Shown(&path));
        match terminal::line(self.context, &prompt)
            .await?
            .as_deref()
            .map(str::trim)
        {
            Some("" | "y" | "Y" | "yes") => Ok(true),
            Some(_) => Ok(false),
            None => Err(ended()),
        }
    }

    /// Whether to ask the CRM, too.
    pub(super) async fn wants_check(&self) -> Result<bool, Exit> {
        let prompt = "Run `cdrelay check` now? It asks the CRM to create a call without any data, which creates nothing, to see \
                      whether it takes the token. [y/N] ";
        terminal::yes(self.context, prompt, false).await
    }

    async fn ask(&self, question: &str, default: Option<&str>) -> Result<String, Exit> {
        self.ask_until(question, default, |answer| !answer.is_empty(), "")
            .await
    }

    async fn ask_until(
        &self,
        question: &str,
        default: Option<&str>,
        fits: impl Fn(&str) -> bool,
        no: &str,
    ) -> Result<String, Exit> {
        let prompt = match default {
            Some(default) => format!("{question} [{}]: ", Shown(default)),
            None => format!("{question}: "),
        };
        loop {
            let answer = terminal::line(self.context, &prompt)
                .await?
                .ok_or_else(ended)?;
            let answer = match (answer.trim(), default) {
                ("", Some(default)) => default.to_owned(),
                (answer, _) => answer.to_owned(),
            };
            if fits(&answer) {
                return Ok(answer);
            }
            tell(no);
        }
    }

    async fn ask_secret(&self, prompt: &str) -> Result<Option<Secret>, Exit> {
        loop {
            let answer = terminal::secret(self.context, prompt)
                .await?
                .ok_or_else(ended)?;
            if answer.is_empty() {
                return Ok(None);
            }
            match Secret::new(answer) {
                Ok(secret) => return Ok(Some(secret)),
                Err(fault) => tell(&format!("That {fault}; once more.\n")),
            }
        }
    }
}

fn ended() -> Exit {
    Exit::new(Code::Usage, "the input ended; nothing was written")
}
