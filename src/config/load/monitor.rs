//! `[monitor]`

use std::time::Duration;

use super::super::reader::Section;
use super::super::report::Reported;
use super::super::{MonitorConfig, PingUrl};
use super::{Surroundings, address, existing_file};

/// Reads the section.
pub(super) fn read(
    section: &Section<'_>,
    around: Surroundings<'_>,
) -> Result<MonitorConfig, Reported> {
    let textfile = section.path("textfile", around.directory);
    let ping_url = ping_url(section);
    let ca_file = existing_file(section, "ca_file", around);
    let alert_after = section.span("alert_after", Duration::from_secs(6 * 3600));
    section.close();
    Ok(MonitorConfig {
        textfile: textfile.map(|found| found.value),
        ping_url: ping_url?,
        ca_file: ca_file?,
        alert_after,
    })
}

/// No message repeats the address: whoever knows it can call it.
fn ping_url(section: &Section<'_>) -> Result<Option<PingUrl>, Reported> {
    let allowed = section
        .flag("allow_plaintext")
        .is_some_and(|found| found.value);
    let Some(found) = section.filled("ping_url") else {
        return Ok(None);
    };
    let url = address::web(section, "ping_url", found)?;
    if url.scheme() == "http" && !allowed && !address::is_private(&url) {
        let message = "`monitor.ping_url` would go over the network unencrypted, and whoever knows the address can call it; use https://, or set `monitor.allow_plaintext = true` if that is meant";
        return Err(section.problem(found.line, "ping_url", message));
    }
    Ok(Some(PingUrl(url)))
}
