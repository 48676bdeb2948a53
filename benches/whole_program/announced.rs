//! A server of the program: where it listens, which the first line that it writes says, and what it answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::support::Daemon;

/// Waits until `what` has said where it listens, in the file that takes its output. Gives its base address, without a slash
/// at its end, and what to connect to.
///
/// # Errors
/// It says something else.
pub(crate) fn announced(
    daemon: &Daemon,
    what: &str,
    log: &Path,
) -> anyhow::Result<(String, SocketAddr)> {
    let said = || {
        let text = std::fs::read_to_string(log).ok()?;
        let value: Value = serde_json::from_str(text.lines().next()?).ok()?;
        Some(value["url"].as_str()?.to_owned())
    };
    daemon.wait(what, || said().is_some());
    let url = said().with_context(|| format!("{what} has just said where it listens"))?;
    let address = url
        .strip_prefix("http://")
        .and_then(|address| address.parse().ok())
        .with_context(|| format!("`{url}` is no address"))?;
    Ok((url, address))
}

/// The body of what it answers to a GET of this path.
///
/// # Errors
/// It does not answer.
pub(crate) fn fetched(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (_, body) = reply
        .split_once("\r\n\r\n")
        .with_context(|| format!("the reply of {address} has no body"))?;
    Ok(body.to_owned())
}
