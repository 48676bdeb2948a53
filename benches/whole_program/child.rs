//! A process, from its start to its end: seconds, processor seconds, memory.
//!
//! The processor's time is read from `/proc/PID/stat` when the process has ended and was not yet waited for: it stands
//! there with all its threads, in hundredths of a second. The peak of memory is `VmHWM` of `/proc/PID/status`, which is
//! gone by then, so it is read every ten milliseconds: what `wait4` says instead is at least what *this* process used
//! when it started the other one (`exec` hands the peak on).

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often the peak of memory is read.
const WATCH: Duration = Duration::from_millis(10);

/// What becomes of what it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdout {
    Kept,
    /// `/dev/null`
    Dropped,
}

/// What a process took.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From before its start to its end.
    pub(crate) wall: Duration,
    /// Of user and system, all threads.
    pub(crate) cpu: Duration,
    /// The most memory that it held, of its own and mapped.
    pub(crate) peak_bytes: u64,
    /// Empty where it was dropped.
    pub(crate) stdout: String,
    stderr: String,
    status: ExitStatus,
}

impl Measured {
    /// The peak as people read it.
    pub(crate) fn mib(&self) -> f64 {
        self.peak_bytes as f64 / (1024.0 * 1024.0)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or ends with anything but 0; what it said stands in the error.
pub(crate) fn measure(command: &mut Command, stdout: Stdout) -> anyhow::Result<Measured> {
    let measured = run(command, stdout)?;
    if !measured.status.success() {
        bail!(
            "{command:?}: {}\n{}{}",
            measured.status,
            measured.stdout,
            measured.stderr
        );
    }
    Ok(measured)
}

fn run(command: &mut Command, stdout: Stdout) -> anyhow::Result<Measured> {
    command
        .stdin(Stdio::null())
        .stdout(match stdout {
            Stdout::Kept => Stdio::piped(),
            Stdout::Dropped => Stdio::null(),
        })
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("{command:?} cannot be started"))?;
    let out = child.stdout.take().map(reader);
    let err = child.stderr.take().map(reader);
    let watch = Watch::start(child.id());
    // Ended, and still there to be asked.
    let pid = Pid::from_child(&child);
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )
    .context("a child cannot be waited for")?;
    let wall = begin.elapsed();
    let cpu = cpu(child.id())?;
    let peak_bytes = watch.end();
    let status = child.wait().context("a child cannot be waited for")?;
    Ok(Measured {
        wall,
        cpu,
        peak_bytes,
        stdout: joined(out),
        stderr: joined(err),
        status,
    })
}

/// Ends a process of ours that serves no more.
pub(crate) fn end(child: &mut Child) {
    // Fails where it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// What a process has used of the processors so far: fields `utime` and `stime` of `/proc/PID/stat`, see proc(5).
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, in parentheses, may hold anything; behind it stand numbers.
    let (_, behind) = text.rsplit_once(')').with_context(|| path.clone())?;
    let ticks: u64 = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum();
    let in_a_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(ticks as f64 / in_a_second))
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: Option<JoinHandle<String>>) -> String {
    reader
        .map(|reader| reader.join().unwrap_or_default())
        .unwrap_or_default()
}

/// Keeps the last word about a process's peak of memory.
struct Watch {
    over: Arc<AtomicBool>,
    peak_kib: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start(pid: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let peak_kib = Arc::new(AtomicU64::new(0));
        let (ended, peak) = (Arc::clone(&over), Arc::clone(&peak_kib));
        let thread = std::thread::spawn(move || {
            let path = format!("/proc/{pid}/status");
            while !ended.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if let Some(kib) = high_water(&text) {
                    peak.store(kib, Ordering::Relaxed);
                }
                std::thread::sleep(WATCH);
            }
        });
        Self {
            over,
            peak_kib,
            thread,
        }
    }

    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.peak_kib.load(Ordering::Relaxed) * 1024
    }
}

fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
