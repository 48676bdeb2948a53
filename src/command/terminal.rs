//! Questions on the terminal: prompts go to stderr, answers come from standard input, and a signal is an answer, too.

use std::io::Write as _;
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Context, sync};
use crate::report::exit::Exit;

/// Asks for a line, without its line end; `None` where the input has ended.
///
/// # Errors
/// The exit of a run that a signal stopped.
pub(super) async fn line(context: &Context, prompt: &str) -> Result<Option<String>, Exit> {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{}", crate::text::visible_lines(prompt));
    let _ = stderr.flush();
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map(|bytes| (bytes > 0).then_some(answer))
    });
    let answer = unless_stopped(context, answer).await?;
    Ok(answer
        .ok()
        .and_then(Result::ok)
        .flatten()
        .map(|line| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The same for what nobody may see: the terminal shows nothing of it, and shows again what is typed once this is over,
/// whatever ended it.
///
/// # Errors
/// The exit of a run that a signal stopped.
pub(super) async fn secret(context: &Context, prompt: &str) -> Result<Option<String>, Exit> {
    let silence = Silence::begin();
    let answer = line(context, prompt).await;
    drop(silence);
    // The line end was not shown either.
    let _ = writeln!(std::io::stderr());
    answer
}

/// Whether the answer to a question is yes; what an empty one means stands in the prompt.
///
/// # Errors
/// The exit of a run that a signal stopped.
pub(super) async fn yes(context: &Context, prompt: &str, if_empty: bool) -> Result<bool, Exit> {
    let answer = line(context, prompt).await?;
    Ok(match answer.as_deref().map(str::trim) {
        Some("") => if_empty,
        Some(answer) => matches!(answer, "y" | "Y" | "yes" | "Yes" | "YES"),
        None => false,
    })
}

/// Does the work, unless somebody asks the program to stop before it is done.
pub(super) async fn unless_stopped<T>(
    context: &Context,
    work: impl Future<Output = T>,
) -> Result<T, Exit> {
    let mut stop = context.stop.clone();
    tokio::select! {
        biased;
        asked = sync::asked(&mut stop) => Err(sync::stopped_before(asked)),
        done = work => Ok(done),
    }
}

/// A terminal that shows nothing of what is typed.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(stdin.as_fd(), OptionalActions::Drain, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Drain, before);
        }
    }
}
