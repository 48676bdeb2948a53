//! The fuzzer's seeds, and some thousand mutations of them, through the same functions that it calls: on stable Rust, with
//! the same bytes every time. `CDRELAY_SOAK=long` makes it fifty times as many.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/soak.rs"]
mod soak;
#[allow(
    unreachable_pub,
    reason = "a library of its own for the fuzzer, a module here"
)]
#[path = "../contrib/fuzz/src/lib.rs"]
mod targets;

/// Mutations of each seed.
fn mutations() -> u64 {
    soak::count(200, 10_000) as u64
}

fn crate_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/fuzz")
}

/// The seeds of a target, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = crate_root().join("seeds").join(target);
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 4, "{target} has too few seeds");
    found
}

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap()
    }

    /// One to four changes: a byte flipped, set, inserted or taken out, a stretch cut, doubled, or taken from another seed.
    fn mutate(&mut self, seed: &[u8], others: &[(String, Vec<u8>)]) -> Vec<u8> {
        const TELLING: &[u8] = b"\"\\{}[],:=$%_-.!0919aZ\0\x1b\n\r\xff\xc3\xe2 \t";
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let length = self.below(16).min(bytes.len() - at);
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = TELLING[self.below(TELLING.len())],
                2 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
                3 => drop(bytes.drain(at..at + length)),
                4 => {
                    let piece = bytes[at..at + length].to_vec();
                    bytes.splice(at..at, piece);
                }
                5 => {
                    let other = &others[self.below(others.len())].1;
                    let from = self.below(other.len());
                    bytes.splice(at.., other[from..].iter().copied());
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

#[track_caller]
fn replay(name: &str) {
    let (_, target) = targets::TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let seeds = seeds(name);
    let mut random = Random(name.len() as u64);
    for (seed, bytes) in &seeds {
        target(bytes);
        for round in 0..mutations() {
            let mutated = random.mutate(bytes, &seeds);
            let held = std::panic::catch_unwind(|| target(&mutated));
            assert!(
                held.is_ok(),
                "{name}: mutation {round} of the seed {seed} breaks a promise: {:?}",
                String::from_utf8_lossy(&mutated)
            );
        }
    }
}

#[test]
fn no_reply_of_a_crm_is_taken_for_more_than_it_says() {
    replay("crm_reply");
}

#[test]
fn no_master_csv_loses_a_record_or_panics() {
    replay("master_csv");
}

#[test]
fn no_configuration_panics_or_shows_a_secret() {
    replay("configuration");
}

#[test]
fn no_pattern_or_template_panics_or_grows() {
    replay("dialplan_rules");
}

#[test]
fn no_retry_after_makes_anybody_wait_longer_than_a_day() {
    replay("retry_after");
}

#[test]
fn no_challenge_gets_the_password() {
    replay("digest_challenge");
}

#[test]
fn every_target_has_seeds_a_program_and_a_line_in_the_script() {
    let script = fs::read_to_string(crate_root().join("run")).unwrap();
    let manifest = fs::read_to_string(crate_root().join("Cargo.toml")).unwrap();
    let names: BTreeSet<String> = targets::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    for name in &names {
        let program = crate_root().join(format!("fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(program).unwrap();
        assert!(
            text.contains(&format!("cdrelay_fuzz::{name}(data)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(script.contains(&format!(" {name}")), "{name}");
    }
    let folders: BTreeSet<String> = fs::read_dir(crate_root().join("seeds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, names);
}
