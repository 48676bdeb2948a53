//! What decides the bytes that the CRM gets, as one text that the ledger keeps.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Config, RuleConfig, RuleKind, TargetKind};

impl Config {
    /// The settings that decide the wire form, as JSON in a fixed order: zone, rendering of the start, rules, stand-in
    /// for a withheld caller, link to the recording, and the form of a BGCRM call. Equal texts mean equal wire forms for equal rows.
    ///
    /// It holds no secret, and nothing that only names or describes (a rule's name, its line). Of a table it holds the
    /// path and a digest of its present content; where the file cannot be read, `null` stands for the digest.
    #[must_use]
    pub fn settings_fingerprint(&self) -> String {
        let rules: Vec<Value> = self.rules.iter().map(rule).collect();
        let mut settings = json!({
            "timezone": self.source.timezone.name(),
            "initiated_as": self.target.initiated_as.to_string(),
            "rules": rules,
            "empty_source": self.target.empty_source,
            "recording_url": self.target.recording_url.as_ref().map(ToString::to_string),
        });
        if let TargetKind::Bgcrm(bgcrm) = &self.target.kind {
            settings["form"] = json!(bgcrm.form.filled("NUMBER"));
        }
        settings.to_string()
    }

    /// A digest of everything that decides what calls the rows of a source make, and what the report counts of them:
    /// `settings` ([`Self::settings_fingerprint`]), where the rows come from, what they look like there (`profile`), and the
    /// program itself. Equal texts mean equal calls for equal rows.
    #[must_use]
    pub fn reading_fingerprint(&self, settings: &str, profile: &str) -> String {
        let select = &self.select;
        let decides = format!(
            "{} {settings} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {profile}",
            env!("CARGO_PKG_VERSION"),
            self.source.location,
            self.source.table,
            select.min_destination_length,
            select.dispositions,
            select.exclude,
            select.withheld,
            select.filters,
        );
        hex(&Sha256::digest(decides))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule(rule: &RuleConfig) -> Value {
    let does = match &rule.kind {
        RuleKind::Rewrite(template) => json!({"rewrite": template.to_string()}),
        RuleKind::StripPrefix(prefix) => json!({"strip_prefix": prefix}),
        RuleKind::AddPrefix {
            prefix,
            when_length,
        } => json!({"add_prefix": prefix, "when_length": when_length}),
        RuleKind::Regex { regex, replace } => json!({"regex": regex.as_str(), "replace": replace}),
        RuleKind::E164 { region } => json!({"e164": region}),
        RuleKind::Table(path) => {
            let digest = std::fs::read(path)
                .ok()
                .map(|content| hex(&Sha256::digest(content)));
            json!({"table": path.to_string_lossy(), "sha256": digest})
        }
        RuleKind::Drop => json!({"drop": true}),
    };
    json!({
        "on": rule.on.to_string(),
        "match": rule.guard.as_ref().map(ToString::to_string),
        "does": does,
        "stop": rule.stop,
    })
}
