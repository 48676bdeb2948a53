//! Numbered fault points: places where a test stops the program, or lets a step fail, to see what is left behind.
//!
//! They exist only with the cargo feature `fault-points`, which no default feature switches on. Without it the macros
//! of this room expand to nothing: neither a name of a point nor code stays in the program.
//!
//! `CDRELAY_FAULT` says what happens where: `WHERE:WHAT`, several of them parted by commas. WHERE is `17`, the 17th
//! passage through any point of this process, or `ledger.close.checkpointed#2`, the second one through that point; with a
//! `+` behind it, every later passage as well. WHAT is `kill`, `error`, `full` or `term`, as `armed::Shot` says.
//! `CDRELAY_FAULT_LOG` names a file that gets a line for each passage: its number, the point, and whether it can fail.

#[cfg(feature = "fault-points")]
mod armed;

#[cfg(feature = "fault-points")]
pub(crate) use armed::{Injected, moment_passed, passed};

/// A step with a name of its own, which the points around it carry on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step(#[cfg(feature = "fault-points")] pub(crate) &'static str);

/// A point where a step can fail: returns from the function around it with that step's own kind of error.
///
/// `point!("name")` needs `From<Injected>` of the error; `point!("name", explain)` hands an I/O or SQLite error to
/// `explain`; `point!(step, "moment")` is the point of that moment of a [`Step`].
#[cfg(feature = "fault-points")]
macro_rules! point {
    ($name:literal) => {
        $crate::fault::passed($name)?
    };
    ($name:literal, $explain:expr) => {
        $crate::fault::passed($name)
            .map_err(Into::into)
            .map_err($explain)?
    };
    ($step:ident, $moment:literal) => {
        $crate::fault::passed(&format!("{}.{}", $step.0, $moment))?
    };
}

/// A point where a step can fail; left out of this build.
#[cfg(not(feature = "fault-points"))]
macro_rules! point {
    ($name:literal $(, $explain:expr)?) => {};
    ($step:ident, $moment:literal) => {
        let _ = $step;
    };
}

/// A point where nothing can fail, but the program can end, or be asked to.
#[cfg(feature = "fault-points")]
macro_rules! moment {
    ($name:literal) => {
        $crate::fault::moment_passed($name)
    };
}

/// A point where nothing can fail; left out of this build.
#[cfg(not(feature = "fault-points"))]
macro_rules! moment {
    ($name:literal) => {};
}

/// Names a [`Step`].
#[cfg(feature = "fault-points")]
macro_rules! step {
    ($name:literal) => {
        $crate::fault::Step($name)
    };
}

/// Names a [`Step`]; the name is left out of this build.
#[cfg(not(feature = "fault-points"))]
macro_rules! step {
    ($name:literal) => {
        $crate::fault::Step()
    };
}

pub(crate) use {moment, point, step};
