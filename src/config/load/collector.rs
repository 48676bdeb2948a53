//! `[collector]`

use std::net::SocketAddr;
use std::time::Duration;

use chrono_tz::Tz;

use super::super::reader::{Section, shown};
use super::super::report::Reported;
use super::super::{CollectorConfig, SourceLocation, StoreLocation};
use super::place::{Place, Setting};
use super::secrets::{self, Places};
use super::{Surroundings, address, ledger, place, routes, source, zone};
use crate::collector::cti_bridge::Names;

/// Reads the section where there is one. Its keys are known either way.
pub(super) fn read_if_there(
    root: &Section<'_>,
    job: Option<&str>,
    around: Surroundings<'_>,
) -> Result<Option<CollectorConfig>, Reported> {
    if root.has("collector") {
        read(root, job, around).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads the section; `job` is `None` where its name was refused.
pub(super) fn read(
    root: &Section<'_>,
    job: Option<&str>,
    around: Surroundings<'_>,
) -> Result<CollectorConfig, Reported> {
    let section = root.section("collector");
    let secret = secrets::read(
        &section,
        &Places {
            variable: "CDRELAY_COLLECTOR_SECRET",
            file_key: "secret_file",
            value_key: "secret",
            url_key: "listen",
        },
        None,
        around,
    );
    let open = matches!(secret, Ok(None));
    let listen = listen(&section, open);
    let place = store(&section, job, around);
    let in_url = place.as_ref().ok().and_then(|place| place.password.clone());
    let store_password = secrets::read(
        &section,
        &Places {
            variable: "CDRELAY_STORE_PASSWORD",
            file_key: "store_password_file",
            value_key: "store_password",
            url_key: "store",
        },
        in_url,
        around,
    );
    let store_tls = source::tls(&section, "store_", place.as_ref().ok(), around);
    let timezone = match timezone(&section) {
        Ok(Some(zone)) => Ok(zone),
        Ok(None) => Err(section.missing(
            "timezone",
            "name the zone that `calldate` is written in, such as \"America/Caracas\", and give `source.timezone` the same",
        )),
        Err(reported) => Err(reported),
    };
    let settle = section.span("settle", Duration::from_secs(2));
    let close_after = section.span("close_after", Duration::from_secs(12 * 3600));
    let retention = section.span("retention", Duration::from_secs(30 * 86_400));
    let connections = section.number("connections", 8..=900, 256);
    let astercc = section.section("astercc");
    let astercc_timezone = self::timezone(&astercc);
    let subscribe = subscribe(&astercc);
    astercc.close();
    let freeswitch = section.section("freeswitch");
    let freeswitch_timezone = self::timezone(&freeswitch);
    freeswitch.close();
    let cti_bridge = section.section("cti_bridge");
    let names = names(&cti_bridge);
    let answer_within = cti_bridge.span("answer_within", Duration::from_secs(2));
    let routes = routes::read(&cti_bridge);
    let fallback = routes::read_fallback(&cti_bridge.section("fallback"));
    cti_bridge.close();
    section.close();
    let timezone = timezone?;
    Ok(CollectorConfig {
        listen: listen?,
        secret: secret?,
        store: match place?.location {
            SourceLocation::Mysql(url) => StoreLocation::Mysql(url),
            SourceLocation::Postgres(url) => StoreLocation::Postgres(url),
            SourceLocation::Sqlite(path) | SourceLocation::Csv(path) => StoreLocation::Sqlite(path),
        },
        store_password: store_password?,
        store_tls: store_tls?,
        timezone,
        settle,
        close_after,
        retention,
        connections: usize::try_from(connections).unwrap_or(256),
        astercc_timezone: astercc_timezone?.unwrap_or(timezone),
        astercc_subscribe: subscribe?,
        freeswitch_timezone: freeswitch_timezone?.unwrap_or(timezone),
        cti_bridge_names: names,
        answer_within,
        routes: routes?,
        fallback: fallback?,
    })
}

fn listen(section: &Section<'_>, open: bool) -> Result<SocketAddr, Reported> {
    const DEFAULT: &str = "127.0.0.1:8098";
    let found = section.filled("listen");
    let (text, line) = found.map_or((DEFAULT, None), |found| (found.value, Some(found.line)));
    let refuse = |message: String| match line {
        Some(line) => section.problem(line, "listen", message),
        None => section.problem_outside("listen", message),
    };
    let address: SocketAddr = text.parse().map_err(|_| {
        refuse(format!(
            "`collector.listen` must be an address and a port, such as \"{DEFAULT}\", not \"{}\"",
            shown(text)
        ))
    })?;
    if open && !address.ip().is_loopback() {
        return Err(refuse(format!(
            "`collector.listen` is {address}, which others can reach, and there is no secret; set `collector.secret_file`, or listen on {DEFAULT}"
        )));
    }
    Ok(address)
}

fn store(
    section: &Section<'_>,
    job: Option<&str>,
    around: Surroundings<'_>,
) -> Result<Place, Reported> {
    if let Some(found) = section.filled("store") {
        let place = place::read(
            Setting {
                section,
                key: "store",
            },
            around,
        )?;
        if matches!(place.location, SourceLocation::Csv(_)) {
            let message = "`collector.store` cannot be a CSV file; write sqlite://PATH, mysql://… or postgres://…";
            return Err(section.problem(found.line, "store", message));
        }
        return Ok(place);
    }
    let name = format!("{}-collector.db", job.ok_or(Reported)?);
    let path = ledger::in_state_directory(&name, around).ok_or_else(|| {
        let why = "neither $XDG_STATE_HOME nor $HOME says where state belongs; name a file, such as \"sqlite:///var/lib/cdrelay/collector.db\"";
        section.missing("store", why)
    })?;
    Ok(Place::file(SourceLocation::Sqlite(path)))
}

fn timezone(section: &Section<'_>) -> Result<Option<Tz>, Reported> {
    let Some(found) = section.filled("timezone") else {
        return Ok(None);
    };
    let name = section.key("timezone");
    zone::parse(found.value)
        .map(Some)
        .map_err(|why| section.problem(found.line, "timezone", format!("`{name}`: {why}")))
}

/// The events of a push channel are not encrypted and ask for no password, so it is on this machine or beside it.
fn subscribe(section: &Section<'_>) -> Result<Option<url::Url>, Reported> {
    let Some(found) = section.filled("subscribe") else {
        return Ok(None);
    };
    let url = address::web(section, "subscribe", found)?;
    if url.scheme() != "http" || !address::is_private(&url) {
        let message = "`collector.astercc.subscribe` must be http:// to this machine or a private address, where asterCC's nginx pushes";
        return Err(section.problem(found.line, "subscribe", message));
    }
    Ok(Some(url))
}

fn names(section: &Section<'_>) -> Names {
    let name = |key: &str, default: String| {
        let found = section.filled(key);
        found.map_or(default, |found| found.value.trim().to_owned())
    };
    let default = Names::default();
    Names {
        number: name("number", default.number),
        callerid: name("callerid", default.callerid),
        cause: name("cause", default.cause),
    }
}
