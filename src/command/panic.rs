//! A bug must not say more than it has to: what a panic prints can hold whatever was at hand, a secret too (a slice out of
//! bounds prints the text it was taken from).

use std::any::Any;
use std::panic::Location;

use super::log;
use crate::report::exit::Code;

/// From here on a panic prints where it happened, and of its message only what was written into the source.
pub(super) fn speak_plainly() {
    std::panic::set_hook(Box::new(|info| {
        log::alarm(&line(info.payload(), info.location()));
    }));
}

/// Runs the program; a panic ends it as an internal error.
pub(super) fn caught(run: impl FnOnce() -> u8) -> u8 {
    // Nothing that could be left half done is used afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Code::Internal.number())
}

/// A message that was put together at run time is a `String`; one that stands in the source as it is, a `&'static str`.
fn line(payload: &(dyn Any + Send), at: Option<&Location<'_>>) -> String {
    let what = payload
        .downcast_ref::<&'static str>()
        .map_or(String::new(), |words| format!(" ({words})"));
    let at = at.map_or_else(
        || "an unknown place".to_owned(),
        |at| format!("{}:{}", at.file(), at.line()),
    );
    format!(
        "internal error at {at}{what}; please report it with the version and what was run. The next run goes on \
         where this one stopped"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_repeats_nothing_that_was_put_together_at_run_time() {
        let here = Location::caller();
        let place = format!("{}:{}", here.file(), here.line());
        let tail = "; please report it with the version and what was run. The next run goes on where this one stopped";
        let built: Box<dyn Any + Send> = Box::new("token is CANARY".to_owned());
        assert_eq!(
            line(&*built, Some(here)),
            format!("internal error at {place}{tail}")
        );
        let written: Box<dyn Any + Send> = Box::new("a source has columns");
        assert_eq!(
            line(&*written, Some(here)),
            format!("internal error at {place} (a source has columns){tail}")
        );
        assert_eq!(
            line(&*built, None),
            format!("internal error at an unknown place{tail}")
        );
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(caught(|| 7), 7);
        assert_eq!(caught(|| std::panic::panic_any("on purpose")), 1);
    }
}
