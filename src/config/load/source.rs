//! `[source]`

use std::time::Duration;

use super::super::reader::{Section, shown};
use super::super::report::Reported;
use super::super::{DatabaseTls, SourceConfig};
use super::place::Place;
use super::secrets::{self, Places};
use super::{Surroundings, columns, existing_file, place, zone};

/// Reads the section. `template_roles` are the columns that the recording's link uses; `None` where that is not known.
pub(super) fn read(
    section: &Section<'_>,
    template_roles: Option<&[String]>,
    around: Surroundings<'_>,
) -> Result<SourceConfig, Reported> {
    let place = place::read(
        place::Setting {
            section,
            key: "url",
        },
        around,
    );
    let in_url = place.as_ref().ok().and_then(|place| place.password.clone());
    let places = Places {
        variable: "CDRELAY_SOURCE_PASSWORD",
        file_key: "password_file",
        value_key: "password",
        url_key: "url",
    };
    let password = secrets::read(section, &places, in_url, around);
    let table = columns::table(section);
    let timezone = timezone(section);
    let tls = tls(section, "", place.as_ref().ok(), around);
    let timeout = section.span("timeout", Duration::from_secs(60));
    let columns = columns::read(&section.section("columns"), template_roles);
    let csv_columns = columns::csv(section);
    section.close();
    Ok(SourceConfig {
        location: place?.location,
        password: password?,
        table: table?,
        timezone: timezone?,
        tls: tls?,
        timeout,
        columns,
        csv_columns: csv_columns?,
    })
}

fn timezone(section: &Section<'_>) -> Result<chrono_tz::Tz, Reported> {
    let Some(found) = section.filled("timezone") else {
        let why = "name the zone that the PBX writes its times in, such as \"America/Caracas\"";
        return Err(section.missing("timezone", why));
    };
    zone::parse(found.value)
        .map_err(|why| section.problem(found.line, "timezone", format!("`source.timezone`: {why}")))
}

/// Reads `tls` and `ca_file`, with `prefix` in front of their names.
pub(super) fn tls(
    section: &Section<'_>,
    prefix: &str,
    place: Option<&Place>,
    around: Surroundings<'_>,
) -> Result<DatabaseTls, Reported> {
    let (tls_key, ca_key) = (format!("{prefix}tls"), format!("{prefix}ca_file"));
    let (tls_name, ca_name) = (section.key(&tls_key), section.key(&ca_key));
    let said = section.filled(&tls_key);
    let ca_line = section.filled(&ca_key).map(|found| found.line);
    let ca_file = existing_file(section, &ca_key, around)?;
    match (said.map(|found| (found.value, found.line)), ca_line) {
        (Some(("verify", _)), _) => Ok(DatabaseTls::Verify { ca_file }),
        (Some(("plaintext", _)), Some(line)) => {
            let message = format!(
                "`{ca_name}` is set, and `{tls_name}` is \"plaintext\", which checks no certificate; remove one"
            );
            Err(section.problem(line, &ca_key, message))
        }
        (Some(("plaintext", _)), None) => Ok(DatabaseTls::Plaintext),
        (Some((other, line)), _) => {
            let message = format!(
                "`{tls_name}` must be \"verify\" or \"plaintext\", not \"{}\"",
                shown(other)
            );
            Err(section.problem(line, &tls_key, message))
        }
        (None, Some(_)) => Ok(DatabaseTls::Verify { ca_file }),
        (None, None) if place.is_none_or(|place| place.remote) => {
            Ok(DatabaseTls::Verify { ca_file })
        }
        (None, None) => Ok(DatabaseTls::Plaintext),
    }
}
