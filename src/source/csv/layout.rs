//! Which field of a record is what.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::names::{
    CUSTOM, FREESWITCH, FREESWITCH_LENGTHS, STOCK, STOCK_TAILS, find, is_known, same,
};
use crate::call::Disposition;
use crate::source::columns::{TimeText, decode, parse_duration_text, parse_time_text};
use crate::source::{DurationCell, SourceError};

/// Where a file's roles come from.
#[derive(Debug, Default)]
pub(super) struct Layout {
    named: Option<Places>,
    stock: Vec<Places>,
    freeswitch: Vec<Places>,
}

/// The columns of one form of record, and where the roles stand in it.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The columns, in the order of the file.
    pub(super) columns: Vec<String>,
    pub(super) initiated: usize,
    pub(super) source: usize,
    pub(super) destination: usize,
    pub(super) duration: usize,
    pub(super) disposition: Option<usize>,
    pub(super) uniqueid: Option<usize>,
    pub(super) linkedid: Option<usize>,
    pub(super) sequence: Option<usize>,
    /// When the call was answered: only FreeSWITCH's hangup causes need it.
    pub(super) answer: Option<usize>,
    /// By the order of the extra roles asked for.
    pub(super) extra: Vec<Option<usize>>,
    /// Where numbers of seconds stand, whatever they are used for.
    numbers: [Option<usize>; 2],
}

/// What the user said about the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes<'a> {
    /// Role to column.
    pub(super) columns: &'a BTreeMap<String, String>,
    /// Roles that templates use.
    pub(super) extra: &'a [String],
}

impl Layout {
    /// The layout of a file whose columns have these names, in order; `None` for a stock `Master.csv`, whose records say
    /// by their number of fields which columns they have. A list that begins as a stock file does decides only what its
    /// own number of fields means, because the settings of `cdr.conf` may change in the middle of a file.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if a column is missing that is needed or was asked for; `file` is for the message.
    pub(super) fn new(
        names: Option<&[String]>,
        wishes: Wishes<'_>,
        file: &str,
    ) -> Result<Self, SourceError> {
        let stock_names = |tail: &[&str]| -> Vec<String> {
            STOCK
                .iter()
                .chain(tail)
                .map(|&name| name.to_owned())
                .collect()
        };
        let is_stock = names.is_none_or(|names| {
            names.len() >= STOCK.len()
                && STOCK
                    .iter()
                    .zip(names)
                    .all(|(stock, name)| same(stock, name))
        });
        let named = match names {
            None => None,
            Some(names) => {
                let asked = wishes.columns.iter();
                for (role, column) in asked {
                    if find(names, column).is_none() {
                        return Err(no_column(role, column, file));
                    }
                }
                Some(Places::find(names.to_vec(), wishes, file)?)
            }
        };
        let mut stock = Vec::new();
        if is_stock {
            let all = stock_names(STOCK_TAILS[7]);
            for (role, column) in wishes.columns {
                if names.is_none() && find(&all, column).is_none() {
                    return Err(no_column(role, column, file));
                }
            }
            for tail in STOCK_TAILS {
                stock.push(Places::find(stock_names(tail), wishes, file)?);
            }
        }
        if names.is_none() {
            for length in [18, 19] {
                let columns = CUSTOM[..length]
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect();
                // A column of Master.csv that this form does not have is no reason to refuse Master.csv.
                if let Ok(places) = Places::find(columns, wishes, file) {
                    stock.push(places);
                }
            }
        }
        let mut freeswitch = Vec::new();
        if names.is_none() {
            for length in FREESWITCH_LENGTHS {
                let columns = FREESWITCH[..length]
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect();
                if let Ok(places) = Places::find(columns, wishes, file) {
                    freeswitch.push(places);
                }
            }
        }
        Ok(Self {
            named,
            stock,
            freeswitch,
        })
    }

    /// How many fields a record may have.
    pub(super) fn counts(&self) -> Vec<usize> {
        let all = self.named.iter().chain(&self.stock);
        let all = all.chain(&self.freeswitch);
        all.map(|places| places.columns.len()).collect()
    }

    /// The form of this record; `None` if it has another number of fields.
    pub(super) fn of(&self, fields: &Fields) -> Option<&Places> {
        if let Some(named) = &self.named
            && named.columns.len() == fields.len()
        {
            return Some(named);
        }
        let stock = self.of_asterisk(fields);
        let mut freeswitch = self
            .freeswitch
            .iter()
            .filter(|form| form.columns.len() == fields.len());
        match (stock, freeswitch.next()) {
            // Both have records of so many fields: the content decides.
            (Some(stock), Some(other)) if !stock.fits(fields) && other.fits(fields) => Some(other),
            (stock, other) => stock.or(other),
        }
    }

    fn of_asterisk(&self, fields: &Fields) -> Option<&Places> {
        let mut forms = self
            .stock
            .iter()
            .filter(|form| form.columns.len() == fields.len());
        let (first, second) = (forms.next()?, forms.next());
        let Some(second) = second else {
            return Some(first);
        };
        match fields.len() {
            17 | 20 if !looks_like_uniqueid(fields.get(16)) => Some(second),
            18 | 19 if !first.fits(fields) && second.fits(fields) => Some(second),
            _ => Some(first),
        }
    }

    /// Which of the extra roles asked for some record of this file can have.
    pub(super) fn extra(&self, asked: &[String]) -> Vec<String> {
        let has = |at: usize| {
            let mut all = self.named.iter().chain(&self.stock).chain(&self.freeswitch);
            all.any(|places| places.extra[at].is_some())
        };
        let roles = asked.iter().enumerate().filter(|&(at, _)| has(at));
        roles.map(|(_, role)| role.clone()).collect()
    }
}

impl Places {
    fn find(columns: Vec<String>, wishes: Wishes<'_>, file: &str) -> Result<Self, SourceError> {
        let place = |role: &str| {
            let column = wishes.columns.get(role).map_or(role, String::as_str);
            find(&columns, column)
        };
        let needed = |role: &str| {
            let column = wishes.columns.get(role).map_or(role, String::as_str);
            place(role).ok_or_else(|| no_column(role, column, file))
        };
        Ok(Self {
            initiated: needed("initiated")?,
            source: needed("source")?,
            destination: needed("destination")?,
            duration: needed("duration")?,
            disposition: place("disposition").or_else(|| find(&columns, "hangup_cause")),
            uniqueid: place("uniqueid"),
            linkedid: place("linkedid"),
            sequence: place("sequence"),
            answer: find(&columns, "answer"),
            extra: wishes.extra.iter().map(|role| place(role)).collect(),
            numbers: ["duration", "billsec"].map(|name| find(&columns, name)),
            columns,
        })
    }

    /// Whether this record can have this form: a start, durations, and an outcome stand where they should. The numbers
    /// of fields do not tell, as `cdr_custom` writes as many as `cdr_csv` does.
    pub(super) fn fits(&self, fields: &Fields) -> bool {
        let is_number = |at: &Option<usize>| {
            let cell = at.map(|at| parse_duration_text(fields.get(at)));
            cell.is_none_or(|cell| matches!(cell, DurationCell::Seconds(_)))
        };
        let is_outcome = self.disposition.is_none_or(|at| {
            let text = fields.get(at);
            let flag = [&b"OMIT"[..], b"BILLING", b"DOCUMENTATION", b"DEFAULT"].contains(&text);
            let known = !matches!(Disposition::parse(&decode(text)), Disposition::Other(_));
            !flag && (known || !text.iter().all(u8::is_ascii_digit))
        });
        parse_time_text(fields.get(self.initiated)) != TimeText::Unreadable
            && self.numbers.iter().all(is_number)
            && is_outcome
    }
}

/// The columns that a header line names; `None` if the record is a call.
pub(super) fn header(fields: &Fields) -> Option<Vec<String>> {
    let names: Vec<_> = fields
        .iter()
        .map(|field| decode(field.trim_ascii()))
        .collect();
    let is_name = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    let needed = ["start", "src", "dst"];
    let is_header = names.iter().all(is_name)
        && (needed.iter().all(|name| find(&names, name).is_some())
            || (names.len() >= 10 && names.iter().all(|name| is_known(name))));
    is_header.then_some(names)
}

/// `epoch.counter`, or `systemname-epoch.counter` (Asterisk `main/channel.c`).
fn looks_like_uniqueid(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else {
        return false;
    };
    let number = text.rsplit_once('-').map_or(text, |(_, number)| number);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    number.split_once('.').is_some_and(|(epoch, counter)| {
        (9..=11).contains(&epoch.len()) && digits(epoch) && digits(counter)
    })
}

fn no_column(role: &str, column: &str, file: &str) -> SourceError {
    SourceError::Unusable(format!(
        "column `{column}` not found in `{file}`; set `source.columns.{role}` to one that it has, or name its columns in \
         `source.csv_columns`"
    ))
}
