//! Rows of the result, and how they are shown.

use std::collections::BTreeMap;
use std::fmt;

use super::machine::Machine;

/// One line: something that cdrelay did, and what did the same beside it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    what: String,
    ours: String,
    beside: String,
    ratio: Option<Ratio>,
}

/// How many times as fast, or as sparing, cdrelay is.
#[derive(Debug, Clone)]
struct Ratio {
    /// `PART/WHAT`, for `--check`; `None`: it says something about this machine only.
    name: Option<String>,
    value: f64,
}

impl Row {
    /// A figure without a neighbour.
    pub(crate) fn alone(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            beside: String::new(),
            ratio: None,
        }
    }

    /// What was measured beside it, in words.
    pub(crate) fn beside(mut self, beside: impl Into<String>) -> Self {
        self.beside = beside.into();
        self
    }

    /// A ratio that is kept and compared: above 1 where cdrelay is ahead.
    pub(crate) fn ratio(mut self, name: impl Into<String>, value: f64) -> Self {
        self.ratio = Some(Ratio {
            name: Some(name.into()),
            value,
        });
        self
    }

    /// A ratio that is shown only.
    pub(crate) fn ratio_here(mut self, value: f64) -> Self {
        self.ratio = Some(Ratio { name: None, value });
        self
    }

    fn shown_ratio(&self) -> String {
        self.ratio
            .as_ref()
            .map(|ratio| format!("{:.2}", ratio.value))
            .unwrap_or_default()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} |",
            self.what,
            self.ours,
            self.beside,
            self.shown_ratio()
        )
    }
}

/// The ratios that are compared, by name.
pub(crate) fn ratios(rows: &[Row]) -> BTreeMap<String, f64> {
    rows.iter()
        .filter_map(|row| {
            let ratio = row.ratio.as_ref()?;
            Some((ratio.name.clone()?, ratio.value))
        })
        .collect()
}

/// The whole result, as the README quotes it.
pub(crate) fn markdown(machine: &Machine, rows: &[Row]) -> String {
    let mut text = format!(
        "Measured on {}: {}.\n\n| what | cdrelay | beside it | ratio |\n|---|---|---|---|\n",
        machine.date, machine.about
    );
    for row in rows {
        text.push_str(&format!("{row}\n"));
    }
    text
}

/// The middle one; of an even number the upper of the two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `1234567.8` is `1,234,568`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds, with as many places as say something.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.1} s"),
        value if value >= 1.0 => format!("{value:.2} s"),
        value => format!("{:.0} ms", value * 1000.0),
    }
}
