//! The progress bar: on a terminal, and nowhere else. The only file that knows indicatif.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows rows, calls, rate and time left on stderr while a run goes on.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    calls: u64,
}

impl Progress {
    /// A bar, if stderr is a terminal and `wanted`; otherwise one that draws nothing.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let draw = wanted && std::io::stderr().is_terminal();
        let target = if draw {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if draw {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, calls: 0 }
    }

    /// Whether anybody sees it.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// About how many rows there are to read, when that is known.
    pub fn expect_rows(&self, rows: Option<u64>) {
        let template = if let Some(rows) = rows {
            self.bar.set_length(rows);
            "{bar:30} {pos}/{len} rows, {per_sec}, {eta} left {msg}"
        } else {
            "{spinner} {pos} rows, {per_sec} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// So many more rows were dealt with.
    pub fn rows(&self, more: u64) {
        self.bar.inc(more);
    }

    /// So many more calls were answered.
    pub fn calls(&mut self, more: u64) {
        self.calls += more;
        self.bar
            .set_message(format!("· {} calls answered", self.calls));
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
