//! The configuration as it is written: every setting that was asked about, with what it means, and the next ones to know.

use std::fmt::Write as _;

use super::draft::{Draft, Kept};
use super::place::Place;

/// The whole file. Answers that are not known yet get a stand-in that loads, for the trial that comes before them.
pub(super) fn configuration(draft: &Draft, place: &Place) -> String {
    let mut text = String::from(
        "# What cdrelay copies, and where to. `cdrelay check` says whether it is right; cdrelay.toml(5) and the README have every\n\
         # setting. Relative paths start in the directory of this file.\n\n",
    );
    source(&mut text, draft, place);
    text.push_str(
        "\n[select]\n\
         lookback = \"200h\"                      # an hourly run looks back this far\n\
         full_lookback = \"360d\"                 # the nightly one this far\n\
         min_destination_length = 7             # shorter destinations are extensions; 0 sends those, too\n\
         exclude = [\"_*.\"]                      # feature codes, such as *72\n",
    );
    rules(&mut text, draft);
    target(&mut text, draft, place);
    let ledger = draft
        .ledger
        .clone()
        .unwrap_or_else(|| place.ledger().display().to_string());
    let _ = write!(
        text,
        "\n[ledger]\n\
         # The record of what was sent. It is named, so that you, cron and systemd mean the same one.\n\
         path = {}\n",
        quoted(&ledger)
    );
    text.push_str(
        "\n[monitor]\n\
         alert_after = \"6h\"                     # how old the last success may grow before `sync --quiet` speaks about it\n\
         # An address that is called on start, success and failure of each run, and figures for Prometheus.\n\
         # ping_url = \"https://ping.example.com/cdrelay\"\n\
         # textfile = \"/var/lib/prometheus/node-exporter/cdrelay.prom\"\n",
    );
    text
}

fn source(text: &mut String, draft: &Draft, place: &Place) {
    text.push_str("[source]\n");
    if let Some(from) = &draft.from {
        let _ = writeln!(text, "# As it stands in {}.", crate::text::Shown(from));
    }
    if draft.is_server() {
        text.push_str(
            "# It is read and never written; a database user that may only SELECT from this table is enough.\n",
        );
    }
    let _ = writeln!(
        text,
        "url = {}",
        quoted(draft.url.as_deref().unwrap_or_default())
    );
    if !matches!(draft.password, Kept::None) {
        let _ = writeln!(
            text,
            "password_file = {}          # first line: the password; its owner alone may read it (0600)",
            quoted(&place.password)
        );
    }
    if let Some(table) = draft.table.as_ref().filter(|table| *table != "cdr") {
        let _ = writeln!(text, "table = {}", quoted(table));
    }
    let _ = writeln!(
        text,
        "timezone = {}           # the zone that the PBX writes its times in; the start is part of a call's key",
        quoted(draft.timezone.as_deref().unwrap_or("UTC"))
    );
}

/// The rule chain for an outside line and an area code, with an example for each rule.
fn rules(text: &mut String, draft: &Draft) {
    let outside = draft.outside_line.as_deref().unwrap_or_default();
    let area = draft.area_code.as_deref().unwrap_or_default();
    let length = usize::from(draft.local_length);
    text.push_str(
        "\n# What the PBX dials, made into what the CRM knows. Rules apply in order; `cdrelay explain NUMBER` shows each step.\n",
    );
    if outside.is_empty() && area.is_empty() {
        text.push_str("# Without a rule, numbers are sent as the PBX holds them.\n");
        return;
    }
    // Digits that no country's numbers repeat, so that an example shows what was taken off and put in front.
    let local: String = "2853348170".chars().cycle().take(length).collect();
    let long = format!(
        "0{}",
        "4141234567"
            .chars()
            .cycle()
            .take(length + 3)
            .collect::<String>()
    );
    let mut tests = Vec::new();
    if !area.is_empty() {
        let name = if outside.is_empty() {
            "local call"
        } else {
            "local call over the outside line"
        };
        let _ = write!(
            text,
            "[[rules]]\nname = {}\nmatch = \"_{outside}N{}\"\nrewrite = \"{area}${{EXTEN{}}}\"\nstop = true\n\n",
            quoted(name),
            "X".repeat(length - 1),
            match outside.len() {
                0 => String::new(),
                n => format!(":{n}"),
            }
        );
        tests.push((format!("{outside}{local}"), format!("{area}{local}")));
    }
    if !outside.is_empty() {
        let _ = write!(
            text,
            "[[rules]]\nname = \"outside line\"\nmatch = \"_{outside}X.\"\nstrip_prefix = {}\n\n",
            quoted(outside)
        );
        tests.push((format!("{outside}{long}"), long));
    }
    text.push_str("# What the rules must come to; `cdrelay check` fails where they do not.\n");
    for (number, becomes) in tests {
        let _ = write!(
            text,
            "[[rule_tests]]\nnumber = {}\nbecomes = {}\n\n",
            quoted(&number),
            quoted(&becomes)
        );
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

fn target(text: &mut String, draft: &Draft, place: &Place) {
    let _ = write!(
        text,
        "\n[target]\nkind = \"nimbox\"\nurl = {}\n",
        quoted(draft.target_url.as_deref().unwrap_or("http://127.0.0.1"))
    );
    match draft.token {
        // A stand-in for the trial of the source alone.
        Kept::None => text.push_str("token = \"none yet\"\n"),
        Kept::New(_) | Kept::There => {
            let _ = writeln!(
                text,
                "token_file = {}            # first line: the token; 0600 as well",
                quoted(&place.token)
            );
        }
    }
    let _ = writeln!(
        text,
        "initiated_as = {}                   # how the start is sent: utc, offset, local, local-z; part of every call's key, so\n\
         {:<39}# change it before the first run or never",
        quoted(draft.initiated_as.as_deref().unwrap_or("utc")),
        ""
    );
    match &draft.recording_url {
        Some(link) => {
            let _ = writeln!(text, "recording_url = {}", quoted(link));
        }
        None => text.push_str(
            "# Where the CRM's users can open a recording. FreePBX files them by day.\n\
             # recording_url = \"https://pbx.example.com/rec/{date:%Y/%m/%d}/{recordingfile}\"\n",
        ),
    }
}

/// A text as TOML writes it: a JSON string is one, but for U+007F (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
