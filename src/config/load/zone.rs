//! Time zones by name, and the nearest names where there is none of that name.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::super::nearest::nearest_names;
use super::super::reader::shown;

/// Reads an IANA name.
pub(super) fn parse(text: &str) -> Result<Tz, String> {
    if let Ok(zone) = text.parse::<Tz>() {
        return Ok(zone);
    }
    let names = TZ_VARIANTS.iter().map(|zone| zone.name());
    let nearest = nearest_names(text, names, 3).join(", ");
    Err(format!(
        "\"{}\" is no IANA time zone; the nearest names are {nearest}",
        shown(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn nearest_first(text: &str, name: &str) {
        let message = parse(text).unwrap_err();
        let expected = format!("\"{text}\" is no IANA time zone; the nearest names are {name}");
        assert!(message.starts_with(&expected), "{message}");
    }

    #[test]
    fn the_nearest_zone_is_named() {
        nearest_first("America/Carcas", "America/Caracas");
        nearest_first("Caracas", "America/Caracas");
        nearest_first("america/caracas", "America/Caracas");
        nearest_first("Europe/Madird", "Europe/Madrid");
        nearest_first("Shanghai", "Asia/Shanghai");
    }

    #[test]
    fn iana_names_are_known() {
        assert_eq!(parse("America/Caracas"), Ok(Tz::America__Caracas));
        assert_eq!(parse("UTC"), Ok(Tz::UTC));
    }
}
