//! What columns are called, and in which order they stand.

/// The first 16 fields of Asterisk's `Master.csv`, always there (`cdr/cdr_csv.c`).
pub(super) const STOCK: [&str; 16] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
];

/// What may follow them: `loguniqueid`, `loguserfield` and `newcdrcolumns` of `cdr.conf`, each or not. Where two forms
/// have as many fields, the one with `uniqueid` stands first.
pub(super) const STOCK_TAILS: [&[&str]; 8] = [
    &[],
    &["uniqueid"],
    &["userfield"],
    &["uniqueid", "userfield"],
    &["peeraccount", "linkedid", "sequence"],
    &["uniqueid", "peeraccount", "linkedid", "sequence"],
    &["userfield", "peeraccount", "linkedid", "sequence"],
    &[
        "uniqueid",
        "userfield",
        "peeraccount",
        "linkedid",
        "sequence",
    ],
];

/// What Asterisk's sample `cdr_custom.conf` writes into `cdr-custom/Master.csv`: 18 fields, or 19 with `sequence`.
pub(super) const CUSTOM: [&str; 19] = [
    "clid",
    "src",
    "dst",
    "dcontext",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "accountcode",
    "uniqueid",
    "userfield",
    "sequence",
];

/// The templates of FreeSWITCH's mod_cdr_csv (conf/vanilla/autoload_configs/cdr_csv.conf.xml) that do not have
/// Asterisk's order: they begin alike, and have 13 fields (`sql`, and the one built in), 15 (`example`, the default), 17
/// (`linksys`) or 20 (`snom`).
pub(super) const FREESWITCH: [&str; 20] = [
    "caller_id_name",
    "caller_id_number",
    "destination_number",
    "context",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "uuid",
    "bleg_uuid",
    "accountcode",
    "read_codec",
    "write_codec",
    "sip_user_agent",
    "call_clientcode",
    "sip_rtp_rxstat",
    "sip_rtp_txstat",
    "sofia_record_file",
];

/// How many fields each of them has.
pub(super) const FREESWITCH_LENGTHS: [usize; 4] = [13, 15, 17, 20];

/// The column of that name, or else one that means the same.
pub(super) fn find(columns: &[String], name: &str) -> Option<usize> {
    let exact = columns
        .iter()
        .position(|column| column.eq_ignore_ascii_case(name));
    exact.or_else(|| columns.iter().position(|column| same(column, name)))
}

/// Whether both names mean the same column.
pub(super) fn same(one: &str, other: &str) -> bool {
    plain_name(one).eq_ignore_ascii_case(plain_name(other))
}

/// Whether Asterisk, FreePBX or a role of `[source.columns]` calls a column so.
pub(super) fn is_known(name: &str) -> bool {
    let others = [
        "did",
        "cnum",
        "cnam",
        "outbound_cnum",
        "outbound_cnam",
        "dst_cnam",
        "recordingfile",
        "userfield",
        "peeraccount",
        "linkedid",
    ];
    STOCK
        .iter()
        .chain(&CUSTOM)
        .chain(&others)
        .any(|known| same(known, name))
}

/// Other names of the same thing: roles of `[source.columns]`, FreePBX, FreeSWITCH's variables. The first is Asterisk's.
const ALIASES: [&[&str]; 12] = [
    &[
        "start",
        "calldate",
        "initiated",
        "start_stamp",
        "start_epoch",
        "start_timestamp",
    ],
    &["answer", "answer_stamp", "answer_epoch", "answer_timestamp"],
    &["end", "end_stamp", "end_epoch", "end_timestamp"],
    &["src", "source", "caller_id_number"],
    &["dst", "destination", "destination_number"],
    &["dcontext", "context"],
    &["clid", "caller_id"],
    &["channel", "channel_name"],
    &["dstchannel", "bridge_channel"],
    &["lastapp", "last_app"],
    &["lastdata", "last_arg"],
    &["uniqueid", "uuid"],
];

fn plain_name(name: &str) -> &str {
    let name = name.trim();
    let is = |alias: &&str| alias.eq_ignore_ascii_case(name);
    ALIASES
        .iter()
        .find(|names| names.iter().any(is))
        .map_or(name, |names| names[0])
}
