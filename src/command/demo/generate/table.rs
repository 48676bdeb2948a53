//! The database file: FreePBX's `cdr`, in SQLite.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, params};

use super::rows::Row;

/// The columns of FreePBX 17 in its order, with its types and defaults, and the one index that a reader by time needs.
/// There is no primary key, as there is none in FreePBX.
const CREATE: &str = "
CREATE TABLE cdr (
  calldate      datetime     NOT NULL DEFAULT '1000-01-01 00:00:00',
  clid          varchar(80)  NOT NULL DEFAULT '',
  src           varchar(80)  NOT NULL DEFAULT '',
  dst           varchar(80)  NOT NULL DEFAULT '',
  dcontext      varchar(80)  NOT NULL DEFAULT '',
  channel       varchar(80)  NOT NULL DEFAULT '',
  dstchannel    varchar(80)  NOT NULL DEFAULT '',
  lastapp       varchar(80)  NOT NULL DEFAULT '',
  lastdata      varchar(80)  NOT NULL DEFAULT '',
  duration      int(11)      NOT NULL DEFAULT 0,
  billsec       int(11)      NOT NULL DEFAULT 0,
  disposition   varchar(45)  NOT NULL DEFAULT '',
  amaflags      int(11)      NOT NULL DEFAULT 0,
  accountcode   varchar(20)  NOT NULL DEFAULT '',
  uniqueid      varchar(32)  NOT NULL DEFAULT '',
  userfield     varchar(255) NOT NULL DEFAULT '',
  did           varchar(50)  NOT NULL DEFAULT '',
  recordingfile varchar(255) NOT NULL DEFAULT '',
  cnum          varchar(80)  NOT NULL DEFAULT '',
  cnam          varchar(80)  NOT NULL DEFAULT '',
  outbound_cnum varchar(80)  NOT NULL DEFAULT '',
  outbound_cnam varchar(80)  NOT NULL DEFAULT '',
  dst_cnam      varchar(80)  NOT NULL DEFAULT '',
  linkedid      varchar(32)  NOT NULL DEFAULT '',
  peeraccount   varchar(80)  NOT NULL DEFAULT '',
  sequence      int(11)      NOT NULL DEFAULT 0
);
CREATE INDEX calldate ON cdr (calldate);
";

/// `amaflags` 3 is DOCUMENTATION, Asterisk's default (include/asterisk/channel.h).
const INSERT: &str = "
INSERT INTO cdr (calldate, clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata,
                 duration, billsec, disposition, amaflags, uniqueid, did, recordingfile,
                 cnum, cnam, outbound_cnum, dst_cnam, linkedid, sequence)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 3, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
";

/// Writes a new database; one that cannot be completed is removed again.
pub(super) fn write(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    // Created exclusively: a file that was there before belongs to somebody.
    fs::File::create_new(path).with_context(|| {
        format!(
            "cannot create the demonstration's database {}; name a new file in a directory that you can write to",
            path.display()
        )
    })?;
    fill(path, rows).map_err(|error| {
        let removed = fs::remove_file(path);
        let error = error.context(format!(
            "cannot write the demonstration's database {}",
            path.display()
        ));
        match removed {
            Ok(()) => error,
            Err(why) => error.context(format!("please remove the unfinished file by hand ({why})")),
        }
    })
}

fn fill(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut database = Connection::open(path)?;
    let transaction = database.transaction()?;
    transaction.execute_batch(CREATE)?;
    {
        let mut insert = transaction.prepare(INSERT)?;
        for row in rows {
            insert.execute(params![
                row.calldate,
                row.clid,
                row.src,
                row.dst,
                row.dcontext,
                row.channel,
                row.dstchannel,
                row.lastapp,
                row.lastdata,
                row.duration,
                row.billsec,
                row.disposition,
                row.uniqueid,
                row.did,
                row.recordingfile,
                row.cnum,
                row.cnam,
                row.outbound_cnum,
                row.dst_cnam,
                row.linkedid,
                i64::try_from(row.sequence)?,
            ])?;
        }
    }
    transaction.commit()?;
    database.close().map_err(|(_, error)| error)?;
    Ok(())
}
