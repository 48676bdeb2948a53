//! Which zone is the likeliest among those that explain the same clock.

use chrono_tz::{TZ_VARIANTS, Tz};

/// Zones that are named first, by how many phone systems are likely to stand in them: a suggestion, not a verdict. UTC
/// goes before all, because a phone system is set to it on purpose (`usegmtime`, `CDRUSEGMT`).
const FIRST: [Tz; 36] = [
    Tz::UTC,
    Tz::America__Caracas,
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::America__Denver,
    Tz::America__Los_Angeles,
    Tz::America__Bogota,
    Tz::America__Lima,
    Tz::America__Mexico_City,
    Tz::America__Sao_Paulo,
    Tz::America__Argentina__Buenos_Aires,
    Tz::America__Santiago,
    Tz::America__La_Paz,
    Tz::America__Guayaquil,
    Tz::America__Panama,
    Tz::America__Santo_Domingo,
    Tz::America__Havana,
    Tz::Europe__London,
    Tz::Europe__Madrid,
    Tz::Europe__Berlin,
    Tz::Europe__Paris,
    Tz::Europe__Rome,
    Tz::Europe__Lisbon,
    Tz::Europe__Athens,
    Tz::Europe__Kyiv,
    Tz::Europe__Istanbul,
    Tz::Europe__Moscow,
    Tz::Africa__Cairo,
    Tz::Africa__Johannesburg,
    Tz::Asia__Dubai,
    Tz::Asia__Karachi,
    Tz::Asia__Kolkata,
    Tz::Asia__Bangkok,
    Tz::Asia__Shanghai,
    Tz::Asia__Tokyo,
    Tz::Australia__Sydney,
];

/// Every zone: the declared one, then those of [`FIRST`], then the others by name.
pub(super) fn all(declared: Tz) -> Vec<Tz> {
    let mut zones = vec![declared];
    for zone in FIRST.iter().chain(TZ_VARIANTS.iter()).copied() {
        if zone != declared && (zones.len() > FIRST.len() || !zones.contains(&zone)) {
            zones.push(zone);
        }
    }
    zones
}
