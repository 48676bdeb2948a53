//! Finding calls: by state and time, by `uniqueid`, by number, by wire key.
//!
//! There is no index on numbers or on `uniqueid`, because each would cost every new call a write. A look at all of a
//! million calls takes some tenths of a second instead.

use std::ops::Range;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::entry::{Collision, Missing, PendingReason, STUCK_AFTER, State};
use super::error::Fault;
use super::read::{identity, missing, reason, state, unanswered, wire};
use super::store::Store;
use crate::call::{ColumnTime, Disposition, Identity, Origin, WireForm};
use crate::number::dialplan::Pattern;
use crate::target::Receipt;

/// Which calls to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that drift.
    pub drifting: bool,
    /// Only those that are [stuck](Listed::is_stuck).
    pub stuck: bool,
    /// First start, on the column's clock.
    pub since: Option<ColumnTime>,
    /// First start that is not listed.
    pub until: Option<ColumnTime>,
    /// Only those whose start, as an instant, lies here (Unix seconds).
    pub instants: Option<Range<i64>>,
    /// Only those whose row has this `uniqueid` or `linkedid`.
    pub uniqueid: Option<String>,
    /// Only those with such a number, raw or as sent, on either side.
    pub number: Option<NumberFilter>,
}

/// Which numbers are meant.
#[derive(Debug, Clone)]
pub enum NumberFilter {
    /// This one.
    Exact(String),
    /// Those that match.
    Pattern(Pattern),
}

impl Filter {
    /// The pattern of numbers, where one is asked for.
    fn pattern(&self) -> Option<&Pattern> {
        match &self.number {
            Some(NumberFilter::Pattern(pattern)) => Some(pattern),
            Some(NumberFilter::Exact(_)) | None => None,
        }
    }
}

impl From<&str> for NumberFilter {
    fn from(number: &str) -> Self {
        Self::Exact(number.to_owned())
    }
}

/// One call, with everything that `calls` and `why` show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// How it is known.
    pub identity: Identity,
    /// Start as an instant, Unix seconds.
    pub instant: i64,
    /// What became of it.
    pub state: State,
    /// Why it is due, where it is.
    pub pending: Option<PendingReason>,
    /// Withdrawn because a rebuild found nothing to send in its place: sent as soon as there is something.
    pub withdrawn_by_rebuild: bool,
    /// What was said at the last attempt worth telling about.
    pub words: Option<String>,
    /// As [`super::Entry::attempts`].
    pub attempts: u32,
    /// As [`super::Entry::unanswered`].
    pub unanswered: u32,
    /// Unix seconds.
    pub last_attempt: Option<i64>,
    /// Whether today's settings would send something else.
    pub drift: bool,
    /// Why it cannot be sent although it is due; [`Missing::Nothing`] where it is not due.
    pub missing: Missing,
    /// The CRM's receipt.
    pub receipt: Receipt,
    /// The frozen wire form.
    pub wire: Option<WireForm>,
    /// The row it came from.
    pub origin: Origin,
    /// The row's outcome.
    pub disposition: Disposition,
    /// Fingerprint of the settings that the wire form was frozen under.
    pub settings: String,
}

impl Listed {
    /// Whether it got no verdict in so many runs that the others go first.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.unanswered >= STUCK_AFTER
    }
}

/// The columns of a [`Listed`], in the order that [`listed`] reads them.
const COLUMNS: &str = concat!(
    "c.start, c.fold, c.source, c.destination, c.instant, c.state, c.reason, \
     (SELECT a.words FROM attempts a WHERE a.call = c.id ORDER BY a.id DESC LIMIT 1), \
     c.attempts, c.last_attempt, c.drift, c.existing, c.contact_id, c.call_id, \
     w.initiated, w.source, w.destination, w.duration, w.url, w.form, \
     o.uniqueid, o.linkedid, o.sequence, coalesce(o.disposition, ''), coalesce(s.fingerprint, ''), ",
    unanswered!(),
    ", iif(c.state IN (4, 5), c.missing, 0), c.state = 1 AND c.prior_reason IS 4"
);

/// The way of the order: oldest calls first, or latest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// A statement in the making.
struct Search {
    from: String,
    values: Vec<Value>,
}

impl Search {
    /// `FROM` and `WHERE`, but for a pattern of numbers, which SQLite does not know.
    fn new(job: i64, filter: &Filter) -> Self {
        // Left to itself SQLite takes the clustered key, and looks at a million calls to find a hundred.
        let index = if filter.state.is_some_and(State::is_unsettled) || filter.stuck {
            "INDEXED BY calls_unsettled"
        } else if filter.drifting {
            "INDEXED BY calls_drifting"
        } else {
            ""
        };
        let bounded = filter.since.is_some() && filter.until.is_some();
        let tables = if filter.uniqueid.is_some() && !bounded {
            // From the few origins that have it back to their calls, over the start that the wire form carries.
            "origins o CROSS JOIN wire_forms w ON w.call = o.call \
             CROSS JOIN calls c ON c.job = w.job AND c.start = w.start AND c.id = w.call"
                .to_owned()
        } else {
            format!(
                "calls c {index} LEFT JOIN wire_forms w ON w.call = c.id LEFT JOIN origins o ON o.call = c.id"
            )
        };
        let mut search = Self {
            from: format!(
                "FROM {tables} LEFT JOIN settings s ON s.id = c.settings WHERE c.job = ?"
            ),
            values: vec![Value::Integer(job)],
        };
        search.narrow(filter);
        search
    }

    fn narrow(&mut self, filter: &Filter) {
        if let Some(state) = filter.state {
            if state.is_unsettled() {
                self.only("c.state NOT IN (0, 1)", []);
            }
            self.only("c.state = ?", [Value::Integer(state.code())]);
        }
        if filter.stuck {
            let stuck = format!("{} >= {STUCK_AFTER}", unanswered!());
            self.only("c.state NOT IN (0, 1) AND c.state = 4", []);
            self.only(&stuck, []);
        }
        if filter.drifting {
            self.only("c.drift = 1", []);
        }
        if let Some(since) = filter.since {
            self.only("c.start >= ?", [Value::Integer(since.0)]);
        }
        if let Some(until) = filter.until {
            self.only("c.start < ?", [Value::Integer(until.0)]);
        }
        if let Some(instants) = &filter.instants {
            self.only("c.instant >= ?", [Value::Integer(instants.start)]);
            self.only("c.instant < ?", [Value::Integer(instants.end)]);
        }
        if let Some(uniqueid) = &filter.uniqueid {
            let uniqueid = Value::Text(uniqueid.clone());
            self.only("? IN (o.uniqueid, o.linkedid)", [uniqueid]);
        }
        match &filter.number {
            Some(NumberFilter::Exact(number)) => self.only(
                "? IN (c.source, c.destination, w.source, w.destination)",
                [Value::Text(number.clone())],
            ),
            Some(NumberFilter::Pattern(_)) | None => {}
        }
    }

    fn only<const N: usize>(&mut self, condition: &str, bound: [Value; N]) {
        self.from.push_str(" AND ");
        self.from.push_str(condition);
        self.values.extend(bound);
    }

    fn after(&mut self, last: &Identity) {
        self.only(
            "(c.start, c.fold, c.source, c.destination) > (?, ?, ?, ?)",
            key(last),
        );
    }

    fn sql(&self, columns: &str, direction: Direction) -> String {
        let down = match direction {
            Direction::Up => "",
            Direction::Down => " DESC",
        };
        let Self { from, .. } = self;
        format!(
            "SELECT {columns} {from} ORDER BY c.start{down}, c.fold{down}, c.source{down}, c.destination{down}"
        )
    }
}

fn key(identity: &Identity) -> [Value; 4] {
    [
        Value::Integer(identity.start.0),
        Value::Integer(i64::from(identity.fold.0)),
        Value::Text(identity.source.0.clone()),
        Value::Text(identity.destination.0.clone()),
    ]
}

pub(super) fn list(
    store: &Store,
    filter: &Filter,
    after: Option<&Identity>,
    limit: usize,
) -> Result<Vec<Listed>, Fault> {
    let mut search = Search::new(store.job, filter);
    if let Some(last) = after {
        search.after(last);
    }
    if let Some(NumberFilter::Pattern(pattern)) = &filter.number {
        let mut found = Vec::new();
        matching(store, &search, Direction::Up, Some(pattern), |identity| {
            found.push(identity);
            found.len() < limit
        })?;
        let calls: Vec<Option<Listed>> = found
            .iter()
            .map(|identity| one(store, identity))
            .collect::<Result<_, _>>()?;
        return Ok(calls.into_iter().flatten().collect());
    }
    let sql = search.sql(COLUMNS, Direction::Up) + " LIMIT ?";
    search
        .values
        .push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = store.db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(search.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(listed(row)?);
    }
    Ok(found)
}

/// The call behind which exactly `n` calls pass the filter; `None` where there are not more of them.
pub(super) fn before_last(
    store: &Store,
    filter: &Filter,
    n: usize,
) -> Result<Option<Identity>, Fault> {
    let search = Search::new(store.job, filter);
    let (mut passed, mut before) = (0, None);
    matching(
        store,
        &search,
        Direction::Down,
        filter.pattern(),
        |identity| {
            passed += 1;
            let behind = passed <= n;
            if !behind {
                before = Some(identity);
            }
            behind
        },
    )?;
    Ok(before)
}

/// The latest `n` calls that pass the filter, in order, and whether there are more.
pub(super) fn latest(
    store: &Store,
    filter: &Filter,
    n: usize,
) -> Result<(Vec<Listed>, bool), Fault> {
    let search = Search::new(store.job, filter);
    let mut found = Vec::new();
    matching(
        store,
        &search,
        Direction::Down,
        filter.pattern(),
        |identity| {
            found.push(identity);
            found.len() <= n
        },
    )?;
    let more = found.len() > n;
    found.truncate(n);
    let calls: Vec<Option<Listed>> = found
        .iter()
        .rev()
        .map(|identity| one(store, identity))
        .collect::<Result<_, _>>()?;
    Ok((calls.into_iter().flatten().collect(), more))
}

/// Tells `seen` the calls of a search one after the other, until it says `false`.
fn matching(
    store: &Store,
    search: &Search,
    direction: Direction,
    pattern: Option<&Pattern>,
    mut seen: impl FnMut(Identity) -> bool,
) -> Result<(), Fault> {
    let columns = "c.start, c.fold, c.source, c.destination, w.source, w.destination";
    let mut statement = store.db.prepare_cached(&search.sql(columns, direction))?;
    let mut rows = statement.query(params_from_iter(&search.values))?;
    while let Some(row) = rows.next()? {
        let mut passes = pattern.is_none();
        if let Some(pattern) = pattern {
            for column in 2..6 {
                passes = passes
                    || row
                        .get_ref(column)?
                        .as_str_or_null()
                        .map_err(|_| Fault::Damaged)?
                        .is_some_and(|number| pattern.is_match(number));
            }
        }
        if passes && !seen(identity(row, 0)?) {
            break;
        }
    }
    Ok(())
}

/// One call by its identity.
pub(super) fn one(store: &Store, id: &Identity) -> Result<Option<Listed>, Fault> {
    let mut statement = store.db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM calls c LEFT JOIN wire_forms w ON w.call = c.id LEFT JOIN origins o ON o.call = c.id \
         LEFT JOIN settings s ON s.id = c.settings \
         WHERE c.job = ? AND c.start = ? AND c.fold = ? AND c.source = ? AND c.destination = ?"
    ))?;
    let [start, fold, source, destination] = key(id);
    let mut rows = statement.query((store.job, start, fold, source, destination))?;
    rows.next()?.map(listed).transpose()
}

/// The calls that were frozen with this wire key, oldest first.
pub(super) fn by_key(store: &Store, form: &WireForm) -> Result<Vec<Identity>, Fault> {
    // Without the hint, SQLite prefers to walk the whole table in the order of `call`.
    let mut statement = store.db.prepare_cached(
        "SELECT c.start, c.fold, c.source, c.destination FROM wire_forms w INDEXED BY wire_forms_key \
         CROSS JOIN calls c ON c.job = w.job AND c.start = w.start AND c.id = w.call \
         WHERE w.job = ?1 AND w.key_hash = ?2 AND w.initiated = ?3 AND w.source = ?4 AND w.destination = ?5 \
         ORDER BY c.start, c.fold, c.source, c.destination",
    )?;
    let key = (
        store.job,
        form.key_hash(),
        &form.initiated,
        form.source.as_str(),
        form.destination.as_str(),
    );
    let found = statement.query_map(key, |row| identity(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The collisions in which this identity was folded, or owns the key. Calls with one key nearly always start in one
/// second of the column's clock, so only these are looked at for the second.
pub(super) fn collisions_of(store: &Store, id: &Identity) -> Result<Vec<Collision>, Fault> {
    let mut statement = store.db.prepare_cached(
        "SELECT start, fold, source, destination, owner_start, owner_fold, owner_source, owner_destination \
         FROM collisions WHERE job = ?1 AND start = ?2",
    )?;
    let found = statement.query_map((store.job, id.start.0), |row| {
        Ok(Collision {
            folded: identity(row, 0)?,
            owner: identity(row, 4)?,
        })
    })?;
    let mut all = found.collect::<Result<Vec<_>, _>>()?;
    all.retain(|collision| collision.folded == *id || collision.owner == *id);
    Ok(all)
}

/// First and last instant of the calls on record as drifting.
pub(super) fn drift_span(store: &Store) -> Result<Option<(i64, i64)>, Fault> {
    let span = store
        .db
        .prepare_cached(
            "SELECT min(instant), max(instant) FROM calls INDEXED BY calls_drifting WHERE job = ?1 AND drift = 1",
        )?
        .query_row([store.job], |row| {
            Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?))
        })
        .optional()?;
    Ok(span.flatten())
}

fn listed(row: &Row<'_>) -> Result<Listed, Fault> {
    Ok(Listed {
        identity: identity(row, 0)?,
        instant: row.get(4)?,
        state: state(row.get(5)?)?,
        pending: reason(row.get(6)?)?,
        words: row.get(7)?,
        attempts: row.get(8)?,
        last_attempt: row.get(9)?,
        drift: row.get(10)?,
        receipt: Receipt {
            existing: row.get(11)?,
            contact_id: row.get(12)?,
            call_id: row.get(13)?,
        },
        wire: wire(row, 14)?,
        origin: Origin {
            uniqueid: row.get(20)?,
            linkedid: row.get(21)?,
            sequence: row.get(22)?,
        },
        disposition: Disposition::parse(&row.get::<_, String>(23)?),
        settings: row.get(24)?,
        unanswered: row.get(25)?,
        missing: missing(row.get(26)?)?,
        withdrawn_by_rebuild: row.get(27)?,
    })
}
