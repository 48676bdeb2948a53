-- Stretches of the source that a run has read, and what they came to: where the source says that it holds the same rows
-- still, and the same calls are on record here, they need not be read again. An accelerator and no more: whoever deletes
-- this table's rows makes the next run read everything.
CREATE TABLE stretches (
    job     INTEGER NOT NULL,
    -- From this start on, and before that one, on the column's own clock.
    start   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    -- What the rows were read and understood by: a digest of the settings and of the source's columns.
    settings TEXT   NOT NULL,
    -- The source's digest of the rows: how many, and the sum of a number for each, an unsigned 64-bit one bit for bit.
    rows    INTEGER NOT NULL,
    sum     INTEGER NOT NULL,
    -- The calls that they made, and the sum of `calls.content_hash` over them, modulo 2^64.
    calls   INTEGER NOT NULL,
    content INTEGER NOT NULL,
    -- What the report counts of the rows, as one JSON object.
    counts  TEXT    NOT NULL,
    PRIMARY KEY (job, start)
) STRICT, WITHOUT ROWID;
