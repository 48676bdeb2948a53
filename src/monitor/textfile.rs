//! The Prometheus textfile: the figures of one job, for the node exporter's textfile collector.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{PATIENCE, RunEnd};
use crate::config::Config;
use crate::ledger::{Access, Ledger, LedgerError};
use crate::report::metrics::{LastRun, Metrics, render};
use crate::text::Shown;

/// Most bytes of an earlier textfile that are read: many times what one job's figures take.
const LONGEST: u64 = 64 * 1024;

/// Writes the figures after a run. Where the ledger cannot be asked, what it would say keeps its last good value, and
/// only how this run ended is new.
pub(super) async fn write(config: &Config, run: RunEnd<'_>) {
    let Some(path) = &config.monitor.textfile else {
        return;
    };
    let mut metrics = match figures(config, run.ended).await {
        Some(metrics) => metrics,
        None => Metrics::remembered(&earlier(path).await, &config.job),
    };
    metrics.last_run = Some(LastRun {
        ended: run.ended,
        exit_code: run.exit_code,
    });
    let took = (run.took.as_secs_f64() * 1000.0).round() / 1000.0;
    metrics.durations.insert(run.mode.to_owned(), took);
    replace(path, render(&[metrics])).await;
}

/// Writes what the ledger says now, after something that is no run changed it. The caller holds the lock.
pub async fn refresh(config: &Config, now: i64) {
    if let Some(path) = &config.monitor.textfile
        && let Some(metrics) = figures(config, now).await
    {
        replace(path, render(&[metrics])).await;
    }
}

/// Whether a textfile could be put there: makes the file that would take its place, and takes it away again.
///
/// # Errors
/// Why not, in words that say what to do.
pub fn try_writing(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("is a directory; name a file in it, such as cdrelay.prom".to_owned());
    }
    let beside = beside(path);
    create(&beside)
        .and_then(|_| std::fs::remove_file(&beside))
        .map_err(|error| cannot(&error))
}

/// What the ledger knows; `None` where it does not answer in time, or not at all.
async fn figures(config: &Config, now: i64) -> Option<Metrics> {
    let read = async {
        let (ledger, _) =
            Ledger::open(&config.ledger.path, &config.job, Access::ReadOnly, now).await?;
        let metrics = Metrics::read(&ledger, &config.job).await?;
        ledger.close().await?;
        Ok::<_, LedgerError>(metrics)
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(metrics)) => Some(metrics),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// The present text; nothing where there is none that could be ours.
async fn earlier(path: &Path) -> String {
    let path = path.to_owned();
    let read = move || -> io::Result<String> {
        let mut text = String::new();
        // Asked before opening: opening a pipe would wait for a writer.
        if path.metadata()?.is_file() {
            File::open(&path)?.take(LONGEST).read_to_string(&mut text)?;
        }
        Ok(text)
    };
    in_time(read).await.unwrap_or_default()
}

async fn replace(path: &Path, text: String) {
    let to = path.to_owned();
    if let Err(error) = in_time(move || replace_at_once(&to, &text)).await {
        let shown = path.display().to_string();
        tracing::warn!(
            "monitor.textfile `{}` {}; the run itself is not affected",
            Shown(&shown),
            cannot(&error)
        );
    }
}

/// A disk that does not answer holds nobody up.
async fn in_time<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(io::Error::other("its thread ended")),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Readers see the old file or the new one, never a part of one.
fn replace_at_once(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// A new file that the node exporter may read, whatever the umask, and that nobody else had opened before.
fn create(path: &Path) -> io::Result<File> {
    // One that a kill left behind; the lock says that no other run is writing it.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(file)
}

/// In the same directory, because only there a rename is atomic; the node exporter reads `*.prom` and passes over this.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn cannot(error: &io::Error) -> String {
    let mend = match error.kind() {
        io::ErrorKind::NotFound => "its directory is not there; make it, or name another file",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "no permission; let the user who runs cdrelay write its directory (under systemd, name that directory in \
             `ReadWritePaths=`, too)"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "its disk is full; free some space"
        }
        io::ErrorKind::IsADirectory => "it is a directory; name a file in it, such as cdrelay.prom",
        io::ErrorKind::TimedOut => "its disk does not answer",
        _ => return format!("cannot be written: {error}"),
    };
    format!("cannot be written: {mend}")
}
