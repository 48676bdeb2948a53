//! The tables that phone systems write, and rows to fill them with.

/// FreePBX's table (framework, `installlib/SQL/cdr.sql`, with the columns that its upgrade adds): no primary key, an index
/// on `calldate`, and a date that stands for none as default.
pub(crate) const FREEPBX: &str = "CREATE TABLE cdr (
    calldate datetime NOT NULL DEFAULT '1000-01-01 00:00:00',
    clid varchar(80) NOT NULL DEFAULT '', src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '',
    dcontext varchar(80) NOT NULL DEFAULT '', channel varchar(80) NOT NULL DEFAULT '',
    dstchannel varchar(80) NOT NULL DEFAULT '', lastapp varchar(80) NOT NULL DEFAULT '',
    lastdata varchar(80) NOT NULL DEFAULT '', duration int(11) NOT NULL DEFAULT 0, billsec int(11) NOT NULL DEFAULT 0,
    disposition varchar(45) NOT NULL DEFAULT '', amaflags int(11) NOT NULL DEFAULT 0,
    accountcode varchar(20) NOT NULL DEFAULT '', uniqueid varchar(32) NOT NULL DEFAULT '',
    userfield varchar(255) NOT NULL DEFAULT '', did varchar(50) NOT NULL DEFAULT '',
    recordingfile varchar(255) NOT NULL DEFAULT '', cnum varchar(80) NOT NULL DEFAULT '',
    cnam varchar(80) NOT NULL DEFAULT '', outbound_cnum varchar(80) NOT NULL DEFAULT '',
    outbound_cnam varchar(80) NOT NULL DEFAULT '', dst_cnam varchar(80) NOT NULL DEFAULT '',
    linkedid varchar(32) NOT NULL DEFAULT '', peeraccount varchar(80) NOT NULL DEFAULT '',
    sequence int(11) NOT NULL DEFAULT 0,
    KEY calldate (calldate), KEY dst (dst), KEY accountcode (accountcode), KEY uniqueid (uniqueid), KEY did (did))";

/// The table that Asterisk's own migrations make in MySQL: everything may be NULL, there is no key and no index.
pub(crate) const STOCK_MYSQL: &str = "CREATE TABLE cdr (
    accountcode VARCHAR(80), src VARCHAR(80), dst VARCHAR(80), dcontext VARCHAR(80), clid VARCHAR(80),
    channel VARCHAR(80), dstchannel VARCHAR(80), lastapp VARCHAR(80), lastdata VARCHAR(80),
    `start` DATETIME, answer DATETIME, `end` DATETIME, duration INTEGER, billsec INTEGER,
    disposition VARCHAR(45), amaflags VARCHAR(45), userfield VARCHAR(256), uniqueid VARCHAR(150),
    linkedid VARCHAR(150), peeraccount VARCHAR(80), sequence INTEGER)";

/// The same in PostgreSQL, where `end` is a reserved word.
pub(crate) const STOCK_POSTGRES: &str = "CREATE TABLE cdr (
    accountcode VARCHAR(80), src VARCHAR(80), dst VARCHAR(80), dcontext VARCHAR(80), clid VARCHAR(80),
    channel VARCHAR(80), dstchannel VARCHAR(80), lastapp VARCHAR(80), lastdata VARCHAR(80),
    start TIMESTAMP WITHOUT TIME ZONE, answer TIMESTAMP WITHOUT TIME ZONE, \"end\" TIMESTAMP WITHOUT TIME ZONE,
    duration INTEGER, billsec INTEGER, disposition VARCHAR(45), amaflags VARCHAR(45), userfield VARCHAR(256),
    uniqueid VARCHAR(150), linkedid VARCHAR(150), peeraccount VARCHAR(80), sequence INTEGER)";

/// What `cdr_sqlite3_custom` makes: a key, and columns without types.
pub(crate) const SQLITE3_CUSTOM: &str = "CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, calldate, clid, dcontext, channel,
    dstchannel, lastapp, lastdata, duration, billsec, disposition, amaflags, accountcode, uniqueid, userfield, src, dst)";

/// A call to write into a table.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Seconds since 1970-01-01 00:00:00 on the column's clock.
    pub(crate) start: i64,
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) duration: u32,
    pub(crate) disposition: &'static str,
    pub(crate) uniqueid: String,
}

/// `count` calls from `first` on, up to `crowd` of them in one second, each with a uniqueid of its own; always the same
/// ones.
pub(crate) fn samples(count: usize, first: i64, crowd: u64) -> Vec<Sample> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut start = first;
    let mut left = 0;
    (0..count)
        .map(|number| {
            // Xorshift: even enough, and the same everywhere.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if left == 0 {
                start += i64::try_from(random % 50 + 1).expect("fits");
                left = random / 64 % crowd + 1;
            }
            left -= 1;
            Sample {
                start,
                src: format!("58212{:07}", random % 10_000_000),
                dst: format!("9{:07}", random / 16 % 10_000_000),
                duration: u32::try_from(random % 600).expect("fits"),
                disposition: ["ANSWERED", "NO ANSWER", "BUSY", "FAILED"]
                    [usize::try_from(random % 4).expect("fits")],
                uniqueid: format!("{start}.{number}"),
            }
        })
        .collect()
}

/// Statements that write calls into a table with the columns `time`, src, dst, duration, disposition and uniqueid, a
/// thousand rows at a time.
pub(crate) fn inserts(time: &str, samples: &[Sample]) -> Vec<String> {
    samples
        .chunks(1000)
        .map(|chunk| {
            let rows: Vec<String> = chunk.iter().map(values).collect();
            format!(
                "INSERT INTO cdr ({time}, src, dst, duration, disposition, uniqueid) VALUES {}",
                rows.join(", ")
            )
        })
        .collect()
}

fn values(call: &Sample) -> String {
    let start = cdrelay::source::inspect::stamp(call.start);
    format!(
        "('{start}', '{}', '{}', {}, '{}', '{}')",
        call.src, call.dst, call.duration, call.disposition, call.uniqueid
    )
}
