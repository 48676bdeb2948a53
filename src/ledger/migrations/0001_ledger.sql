-- The ledger: what became of every call. One file, WAL, synchronous=FULL; `PRAGMA application_id` is 0x6364724C
-- ("cdrL"), `PRAGMA user_version` the number of the last migration. A migration that was released is never edited.
--
-- Times are Unix seconds, except `start`, which is counted on the source column's own clock (see `call::ColumnTime`).

-- Facts about the file itself: `ledger_id` (the lock file beside it repeats it, and so is the witness that there was a
-- ledger), `created`.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The name of a replication, `job` in the configuration. Kept short in the big tables by its number.
CREATE TABLE jobs (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What zone, rules and rendering were when a wire form was frozen, as one line of text without secrets.
CREATE TABLE settings (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE
) STRICT;

-- One narrow row an identity, clustered by it: a slice of the source is one range scan here, and a full run over
-- unchanged calls is a merge of two ordered streams that writes nothing.
CREATE TABLE calls (
    job           INTEGER NOT NULL,
    -- The identity: start as the column holds it, which of two equal starts (0, 1), raw source, raw destination.
    start         INTEGER NOT NULL,
    fold          INTEGER NOT NULL CHECK (fold BETWEEN 0 AND 255),
    source        TEXT    NOT NULL,
    destination   TEXT    NOT NULL,
    -- The number that the side tables know the call by. They carry `start` too, which leads back here without an index.
    id            INTEGER NOT NULL,
    -- Settled: 0 delivered, 1 withdrawn. Not settled: 2 unmatched, 3 rejected, 4 pending, 5 in_flight, 6 held.
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6),
    -- Why a pending call is due: 0 new, 1 retry, 2 verify, 3 deleted, 4 rebuild. NULL in every other state.
    reason        INTEGER CHECK (reason BETWEEN 0 AND 4),
    -- While in flight: state and reason to go back to where it turns out that nothing was sent.
    prior_state   INTEGER CHECK (prior_state BETWEEN 0 AND 6),
    prior_reason  INTEGER CHECK (prior_reason BETWEEN 0 AND 4),
    -- Times that an intent was recorded and not taken back; when the last answer, or the lack of one, was recorded.
    attempts      INTEGER NOT NULL,
    last_attempt  INTEGER,
    -- The start as an instant, by the zone that was configured when the wire form was frozen.
    instant       INTEGER NOT NULL,
    -- `WireForm::content_hash` of the frozen form: another one today is drift.
    content_hash  INTEGER NOT NULL,
    drift         INTEGER NOT NULL DEFAULT 0 CHECK (drift IN (0, 1)),
    settings      INTEGER NOT NULL,
    -- The CRM's receipt: was it there before, whose wall shows it, its own id for the call.
    existing      INTEGER NOT NULL DEFAULT 0 CHECK (existing IN (0, 1)),
    contact_id    INTEGER,
    call_id       INTEGER,
    PRIMARY KEY (job, start, fold, source, destination),
    CHECK ((state = 4) = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Few of a million calls are not settled: this finds them without looking at the rest. Statements that are to use it
-- name it and repeat `state NOT IN (0, 1)`, because SQLite takes a partial index only where it can prove its condition.
CREATE INDEX calls_unsettled ON calls (job, state, start) WHERE state NOT IN (0, 1);
CREATE INDEX calls_drifting ON calls (job, start) WHERE drift = 1;

-- What the CRM gets, byte for byte. Written with a call's first intent, before anything is sent, and replaced only by
-- a rebuild, after the CRM has confirmed that it deleted the call.
CREATE TABLE wire_forms (
    call        INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    initiated   TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    -- An unsigned 64-bit number, bit for bit in SQLite's signed one.
    duration    INTEGER NOT NULL,
    url         TEXT,
    -- `WireForm::key_hash`: an index, not a proof; texts are compared too.
    key_hash    INTEGER NOT NULL
) STRICT;

CREATE INDEX wire_forms_key ON wire_forms (job, key_hash);

-- Where the row came from, enough to find it again in the PBX.
CREATE TABLE origins (
    call        INTEGER PRIMARY KEY,
    uniqueid    TEXT,
    linkedid    TEXT,
    sequence    INTEGER,
    disposition TEXT NOT NULL
) STRICT;

-- Attempts worth telling about: all but those that delivered at the first try.
CREATE TABLE attempts (
    id      INTEGER PRIMARY KEY,
    call    INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    -- delivered, existing, unmatched, rejected or no_verdict
    outcome TEXT NOT NULL,
    -- The CRM's words, or what went wrong, at most 500 characters.
    words   TEXT NOT NULL
) STRICT;

CREATE INDEX attempts_call ON attempts (call);

-- Identities that were folded into another one because both give one wire key, of which the CRM keeps one.
CREATE TABLE collisions (
    job         INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    fold        INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    -- The identity that owns the key.
    owner_start       INTEGER NOT NULL,
    owner_fold        INTEGER NOT NULL,
    owner_source      TEXT    NOT NULL,
    owner_destination TEXT    NOT NULL,
    -- The run that saw it first.
    run         INTEGER NOT NULL,
    PRIMARY KEY (job, start, fold, source, destination)
) STRICT, WITHOUT ROWID;

-- Every run that writes: what it looked at and how it ended. `ended` stays NULL where it was killed.
CREATE TABLE runs (
    -- Never given twice, so that a run that was purged is not mistaken for a later one.
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job       INTEGER NOT NULL,
    mode      TEXT    NOT NULL,
    since     INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    settings  INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    ended     INTEGER,
    exit_code INTEGER,
    reason    TEXT,
    -- The counts of the report, as one JSON object.
    counts    TEXT,
    requests_sent    INTEGER,
    requests_retried INTEGER
) STRICT;

CREATE INDEX runs_job ON runs (job, id);

-- Deletions, written before the request leaves. `ended` NULL: killed before the answer was recorded.
CREATE TABLE deletions (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job       INTEGER NOT NULL,
    -- The days as a person named them, inclusive.
    from_day  TEXT    NOT NULL,
    to_day    TEXT    NOT NULL,
    -- What happens to the calls afterwards: send_again, withdraw, rebuild.
    purpose   TEXT    NOT NULL,
    started   INTEGER NOT NULL,
    ended     INTEGER,
    -- deleted, nothing_deleted or unknown
    outcome   TEXT,
    -- The CRM's count, and its words.
    count     INTEGER,
    words     TEXT
) STRICT;

-- The calls of an open deletion: how they were and how it left them, so that all can be put back.
CREATE TABLE deleted_calls (
    deletion   INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    call       INTEGER NOT NULL,
    -- 1: of the named days; 0: of the days on either side.
    main       INTEGER NOT NULL,
    old_state  INTEGER NOT NULL,
    old_reason INTEGER,
    new_state  INTEGER NOT NULL,
    new_reason INTEGER,
    PRIMARY KEY (deletion, start, call)
) STRICT, WITHOUT ROWID;
