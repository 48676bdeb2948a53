//! What waits for the CRM's answer to a deletion, and for how long.

use crate::command::{Context, sync};
use crate::config::Config;
use crate::delivery::{self, Stop};
use crate::report::exit::{Code, Exit};
use crate::target::Deletion;

/// Waits for the answer, but not beyond the deadline, whatever the target makes of it, nor for more than ten seconds
/// after a signal. The request is out by then: what became of it is unknown.
pub(in crate::command) async fn answered(
    context: &Context,
    config: &Config,
    request: impl Future<Output = Deletion>,
) -> Deletion {
    let target = &config.target;
    let limit = delivery::request_deadline(target.timeout, target.connect_timeout);
    let mut stop = context.stop.clone();
    if context.stopped() != Stop::No {
        let reason = "the program was stopped before the request left".to_owned();
        return Deletion::NotSent { reason };
    }
    let unknown = |reason: String| Deletion::Unknown { reason };
    tokio::select! {
        biased;
        answer = request => answer,
        () = tokio::time::sleep(limit) => {
            unknown(format!("given up after {} without an answer", humantime::format_duration(limit)))
        }
        () = async {
            sync::asked(&mut stop).await;
            tokio::time::sleep(delivery::GRACE).await;
        } => unknown("the program was stopped before the CRM answered".to_owned()),
    }
}

/// The exit after a signal that came while the request was out: the signal's, and what became of the request.
pub(in crate::command) fn stopped(context: &Context, exit: Exit) -> Exit {
    let code = match context.stopped() {
        Stop::Terminate => Code::Terminated,
        Stop::Interrupt => Code::Interrupted,
        Stop::No | Stop::Unrecorded => return exit,
    };
    Exit { code, ..exit }
}
