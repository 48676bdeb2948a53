//! Log lines on stderr: one event is one line, whatever stands in it.

use std::io::{self, Write};

use crate::text::Shown;

/// Warnings unless `--quiet`, more with `-v`; the HTTP and database crates never speak, because they could show an address
/// with its token.
pub(super) fn to_stderr(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "cdrelay=error",
        (false, 0) => "cdrelay=warn",
        (false, 1) => "cdrelay=info",
        (false, 2) => "cdrelay=debug",
        (false, _) => "cdrelay=trace",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| OneLine(io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .try_init();
}

/// Makes a whole event safe to show. The subscriber hands each one over in a single write that ends with a line feed; any
/// other line feed came with the event's words.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let shown = format!("{}{end}", Shown(line));
        self.0.write_all(shown.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_stands_in_it() {
        let mut out = Vec::new();
        let event = b"WARN a\x1b[2J\x07\r\nERROR forged \xff\x9b\xe2\x80\xae\n";
        assert_eq!(OneLine(&mut out).write(event).unwrap(), event.len());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "WARN a\\u{1b}[2J\\u{7}\\r\\nERROR forged \u{fffd}\u{fffd}\\u{202e}\n"
        );
    }

    #[test]
    fn the_subscriber_hands_over_an_event_in_one_write() {
        use std::sync::{Arc, Mutex};
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || OneLine(writer.clone()))
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(number = "1\n2\u{202e}", "a\nb\u{1b}");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(
            text.ends_with('\n') && !text.contains(['\u{1b}', '\u{202e}']),
            "{text:?}"
        );
    }
}
