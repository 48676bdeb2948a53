//! What the binary is built from: one crypto provider, no copyleft, nothing from anywhere but the usual registry. The
//! same rules stand in `.deny.toml`; this holds them where `cargo deny` is not installed.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Other implementations of TLS and its ciphers than the one that is used, and crates that bring one along.
const FORBIDDEN: [&str; 9] = [
    "openssl",
    "openssl-sys",
    "native-tls",
    "tokio-native-tls",
    "hyper-tls",
    "aws-lc-rs",
    "aws-lc-sys",
    "boring",
    "mbedtls",
];

/// Licences that ask nothing of a binary but to be named.
const PERMISSIVE: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Name and source of every crate in the lock file; the source of this one is empty.
fn locked() -> Vec<(String, String)> {
    let value = |block: &str, key: &str| {
        let start = format!("{key} = \"");
        let line = block.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or_else(String::new, |rest| rest.trim_end_matches('"').to_owned())
    };
    let crates: Vec<(String, String)> = read("Cargo.lock")
        .split("[[package]]\n")
        .skip(1)
        .map(|block| (value(block, "name"), value(block, "source")))
        .collect();
    assert!(
        crates.len() > 100,
        "the lock file is not read as it is written"
    );
    crates
}

/// What cargo knows of every crate that this machine builds, tests and examples included. Asks nobody.
fn built() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect()
}

/// Whether a licence expression (SPDX, or the older form with `/`) can be met by permissive licences alone.
fn is_permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let plain = expression.replace(['(', ')'], " ");
    // An OR binds less than an AND; with the few forms that are in use, it is enough that each AND part has one way out.
    plain.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|name| PERMISSIVE.contains(&name.trim()))
    })
}

#[test]
fn there_is_one_tls_and_one_crypto_provider() {
    let names: BTreeSet<String> = locked().into_iter().map(|(name, _)| name).collect();
    for forbidden in FORBIDDEN {
        assert!(!names.contains(forbidden), "{forbidden} is in Cargo.lock");
    }
    for needed in ["rustls", "ring"] {
        assert!(
            names.contains(needed),
            "{needed} is gone: what provides TLS now?"
        );
    }
}

#[test]
fn every_crate_comes_from_the_registry_with_a_checksum() {
    let sources: BTreeSet<String> = locked()
        .into_iter()
        .filter(|(name, _)| name != "cdrelay")
        .map(|(_, source)| source)
        .collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    let source = sources.first().unwrap();
    assert!(source.starts_with("registry+"), "{source}");
    let lock = read("Cargo.lock");
    let count = |what: &str| lock.matches(what).count();
    assert_eq!(count("\nsource = "), count("\nchecksum = "));
}

#[test]
fn no_crate_asks_for_more_than_to_be_named() {
    let crates = built();
    assert!(
        crates.len() > 100,
        "only {} crates were looked at",
        crates.len()
    );
    let refused: Vec<String> = crates
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_permissive))
        .map(|package| format!("{} ({})", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn the_judge_of_licences_knows_copyleft() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "MIT OR GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 AND ISC",
    ] {
        assert!(is_permissive(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "LGPL-2.1-only",
        "MIT AND GPL-2.0",
        "AGPL-3.0 OR MPL-2.0",
        "",
        "proprietary",
    ] {
        assert!(!is_permissive(bad), "{bad}");
    }
}

#[test]
fn the_rules_of_cargo_deny_are_these() {
    let rules = read(".deny.toml");
    for name in PERMISSIVE {
        assert!(rules.contains(&format!("    \"{name}\",\n")), "{name}");
    }
    let (_, list) = rules.split_once("\nallow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    assert_eq!(list.matches('"').count(), 2 * PERMISSIVE.len());
    for name in [
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
    ] {
        assert!(rules.contains(&format!("crate = \"{name}\"")), "{name}");
    }
    assert!(rules.contains("unknown-registry = \"deny\"\nunknown-git = \"deny\""));
}

#[test]
fn nothing_in_the_crate_can_be_unsafe_and_sums_are_checked_in_releases() {
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("\nunsafe_code = \"forbid\"\n"));
    let (_, release) = manifest.split_once("[profile.release]\n").unwrap();
    let release = release.split("\n[").next().unwrap();
    assert!(release.contains("overflow-checks = true"), "{release}");
}
