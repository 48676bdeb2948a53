//! A `Master.csv` of hostile fields, in a directory of a hostile name.

use std::os::unix::ffi::OsStringExt as _;

use super::scene::{now, sandbox, write_bytes};
use super::{HOSTILE, Program, golden};

/// Records of FreePBX's export; a quoted field may hold a line feed.
fn records(odd: &str) -> Vec<u8> {
    let mut bytes =
        format!("calldate,src,dst,duration,disposition,uniqueid,recordingfile,\"odd{odd}\"\n")
            .into_bytes();
    for n in 0..5 {
        let at = cdrelay::source::inspect::stamp(now() - 4 * 3600 - 600 * n);
        bytes.extend_from_slice(
            format!("{at},\"10{n}{HOSTILE}\",\"9555014{n}{HOSTILE}\",5,\"{HOSTILE}\",\"{HOSTILE}.{n}\",\"{HOSTILE}\",x\n")
                .as_bytes(),
        );
    }
    // No record at all, no UTF-8, and one that is not finished.
    bytes.extend_from_slice(HOSTILE.as_bytes());
    bytes.extend_from_slice(b"\n\xff\x9b\x00,,,\n2026-11-20 08:30");
    bytes
}

#[test]
fn a_hostile_master_csv_in_a_hostile_directory_is_shown_escaped() {
    let crm = sandbox();
    let program = Program::new("");
    let mut name = format!("pbx{}", HOSTILE.replace('/', "")).into_bytes();
    name.push(0xff);
    let directory = program.dir.path().join(std::ffi::OsString::from_vec(name));
    std::fs::create_dir(&directory).unwrap();
    write_bytes(&directory.join("Master.csv"), &records(""));
    write_bytes(&directory.join("crm.token"), b"sandbox\n");
    let config = golden::config("url = \"csv:Master.csv\"", crm.url.as_str());
    write_bytes(
        &directory.join("cdrelay.toml"),
        format!("job = \"x\"\n{config}").as_bytes(),
    );
    let path = directory.join("cdrelay.toml");
    for args in [
        &["check"][..],
        &["sync", "--full"],
        &["sync", "--full", "--since", "2020-01-01"],
        &["calls"],
        &["status"],
        &["explain", HOSTILE],
    ] {
        for more in [&["-vvv"][..], &["-vvv", "--output", "json"]] {
            let output = program
                .bare(args)
                .args(more)
                .arg("--config")
                .arg(&path)
                .current_dir(&directory)
                .output()
                .unwrap();
            super::clean(&format!("{args:?} {more:?}"), &output);
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!printed.contains("no configuration found"), "{printed}");
        }
    }
    assert_eq!(crm.calls().len(), 5);
    // A name in the first line that is none makes it no header, and nothing after it is understood.
    let odd = HOSTILE.replace(['\r', '\n'], "");
    write_bytes(&directory.join("Master.csv"), &records(&odd));
    for verb in ["check", "sync"] {
        let output = program
            .bare(&[verb, "-vvv"])
            .arg("--config")
            .arg(&path)
            .output()
            .unwrap();
        super::clean("a hostile header", &output);
    }
    std::fs::remove_file(directory.join("Master.csv")).unwrap();
    let output = program
        .bare(&["sync"])
        .arg("--config")
        .arg(&path)
        .output()
        .unwrap();
    super::clean("a missing file", &output);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("pbx\\u{1b}"),
        "{output:?}"
    );
}
