//! Secrets that must be found nowhere but in requests and in the files that hold them.

use std::path::Path;

/// The CRM's token; with everything that has to be encoded.
pub const TOKEN: &str = "canary-T0ken+/=&42";
/// The user at the CRM.
pub const USER: &str = "canary-user";
/// The user's password.
pub const PASSWORD: &str = "canary:pass\"word/1";
/// The database's password.
pub const DATABASE: &str = "canary-db-Passw0rd";

/// Files that hold secrets by the user's own will, and the table.
const HOLDERS: [&str; 5] = [
    "crm.token",
    "crm.password",
    "db.password",
    "cdrelay.toml",
    "cdr.db",
];

/// What all of the secrets have in common, in plain and in Base64 at each of the three places in a group of bytes.
const TRACES: [&str; 4] = ["canary", "Y2FuYXJ5", "NhbmFye", "jYW5hcn"];

/// The same for what only one of them has.
const PARTS: [&str; 6] = [
    "T0ken",
    "pass\"word",
    "Passw0rd",
    "VDBrZW4",
    "cGFzcyJ3b3Jk",
    "UGFzc3cwcmQ",
];

/// No secret and no part of one in a text.
pub fn absent(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_lowercase();
    for trace in TRACES.iter().chain(&PARTS) {
        let found = text.find(trace).or_else(|| {
            trace
                .is_ascii()
                .then(|| lower.find(&trace.to_lowercase()))?
        });
        assert!(
            found.is_none(),
            "{place} shows a secret: …{}…",
            lower
                .chars()
                .skip(lower[..found.unwrap()].chars().count().saturating_sub(60))
                .take(160)
                .collect::<String>()
        );
    }
}

/// No secret in any file below a directory, but where it belongs.
pub fn absent_below(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            absent_below(&path);
        } else if !HOLDERS.contains(&name.as_str()) {
            absent(&name, &std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_search_finds_every_spelling() {
    for hidden in [
        "x canary-T0ken",
        "x CANARY-TOKEN",
        "Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5OnBhc3Mid29yZC8x",
        "dG9rZW49Y2FuYXJ5LVQwa2Vu",
        "username=\"Canary-User\"",
    ] {
        assert!(
            std::panic::catch_unwind(|| absent("a text", hidden.as_bytes())).is_err(),
            "{hidden}"
        );
    }
    absent("a text", b"nothing to see");
}
