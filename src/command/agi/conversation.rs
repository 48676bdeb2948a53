//! One conversation with Asterisk: what it says, the answer in time, and no word after that.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::STATUS;
use super::desk::{Desk, Status, Told};
use crate::agi::environment::Environment;
use crate::agi::variable;

/// What is kept of the time for saying the answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(200);

/// How long Asterisk has for what it says at the beginning; it says it at once.
const HEARING: Duration = Duration::from_secs(2);

/// Most bytes of a line that are kept; Asterisk has buffers of this size.
const LONGEST_LINE: usize = 8 * 1024;

/// The two directions to Asterisk.
pub(super) struct Line<R, W> {
    reader: R,
    writer: W,
    unread: Vec<u8>,
    /// The line that is being read is longer than what is kept of it.
    cut: bool,
    /// Nobody listens any more.
    hung_up: bool,
}

/// A conversation to have.
pub(super) struct Conversation<'a, R, W, H> {
    pub(super) line: Line<R, W>,
    /// What Asterisk handed over beside what it says.
    pub(super) arguments: &'a [String],
    /// Lets Asterisk go, when it knows what there is to know.
    pub(super) hang_up: H,
}

/// Has one; gives why the call could not even be recorded, where it could not.
pub(super) async fn converse<R, W, H>(
    desk: &Desk<'_>,
    conversation: Conversation<'_, R, W, H>,
) -> Option<String>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
    H: FnOnce(),
{
    let Conversation {
        mut line,
        arguments,
        hang_up,
    } = conversation;
    let until = Instant::now() + desk.timeout();
    let mut environment = Environment::default();
    // What was said by then counts, although its end was not.
    let hearing = HEARING.min(desk.timeout() / 2);
    let _ = tokio::time::timeout(hearing, line.hear(&mut environment)).await;
    if environment.is_empty() && arguments.is_empty() {
        tracing::warn!("Asterisk said nothing; is it Asterisk?");
        return None;
    }
    let telling = desk.tell(&environment, arguments);
    tokio::pin!(telling);
    let early = loop {
        tokio::select! {
            biased;
            told = &mut telling => break Some(told),
            () = tokio::time::sleep_until(until - FOR_THE_ANSWER.min(desk.timeout() / 2)) => break None,
            said = line.next(), if !line.hung_up => {
                if said.is_none_or(|said| said == "HANGUP") {
                    tracing::info!("the caller hung up");
                    line.hung_up = true;
                }
            }
        }
    };
    let unknown = Told::of(Status::Unknown);
    let told = early.as_ref().unwrap_or(&unknown);
    let answer = async {
        for (name, value) in desk.variables(told) {
            line.command(&variable::set(&name, &value)).await;
        }
        line.command(&variable::set(STATUS, told.status.as_str()))
            .await;
        let _ = line.writer.shutdown().await;
    };
    // Asterisk may be gone, or not read: it does not keep the rest from being done.
    let _ = tokio::time::timeout_at(until, answer).await;
    drop(line);
    let told = match early {
        Some(told) => told,
        None => {
            hang_up();
            let told = telling.await;
            tracing::info!(
                "the call went on meanwhile; what became of it: {}",
                told.status.as_str()
            );
            told
        }
    };
    told.failure
}

impl<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin> Line<R, W> {
    pub(super) fn new(reader: R, writer: W) -> Self {
        Self {
            reader,
            writer,
            unread: Vec::new(),
            cut: false,
            hung_up: false,
        }
    }

    /// What Asterisk says at the beginning.
    pub(super) async fn hear(&mut self, environment: &mut Environment) {
        while let Some(said) = self.next().await {
            if said == "HANGUP" {
                self.hung_up = true;
                break;
            }
            if !environment.take(&said) {
                break;
            }
        }
    }

    /// Gives a command and waits for the answer to it. Nothing happens where nobody listens any more.
    pub(super) async fn command(&mut self, command: &str) {
        if self.hung_up {
            return;
        }
        let sent = async {
            self.writer.write_all(command.as_bytes()).await?;
            self.writer.flush().await
        };
        if sent.await.is_err() {
            self.hung_up = true;
            return;
        }
        loop {
            match self.next().await.as_deref() {
                None => self.hung_up = true,
                // It may still answer, and may not.
                Some("HANGUP") => self.hung_up = true,
                Some(answer) if answer.starts_with("200") => {}
                Some(answer) => {
                    tracing::warn!("Asterisk answered `{}`", crate::text::Shown(answer));
                    if answer.starts_with("520-") {
                        continue;
                    }
                }
            }
            return;
        }
    }

    /// The next line, without its end and without what of it is too long; `None`: there are no more. Nothing is lost where
    /// it is not waited for to its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                if std::mem::take(&mut self.cut) {
                    // Its beginning was given already.
                    continue;
                }
                return Some(text(&line));
            }
            if self.unread.len() >= LONGEST_LINE {
                let begun = std::mem::take(&mut self.unread);
                if !std::mem::replace(&mut self.cut, true) {
                    return Some(text(&begun));
                }
            }
            let read = match self.reader.fill_buf().await {
                Ok(bytes) if !bytes.is_empty() => {
                    self.unread.extend_from_slice(bytes);
                    bytes.len()
                }
                Ok(_) | Err(_) => return None,
            };
            self.reader.consume(read);
        }
    }
}

fn text(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    line.trim_end_matches(['\r', '\n']).to_owned()
}
