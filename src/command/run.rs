//! `run --auto`: for one single cron line. A choice in front of `sync`, and nothing more.

use super::{Context, Ended, sync};
use crate::cli::{RunArgs, SyncArgs};
use crate::monitor::Monitor;
use crate::report::exit::{Code, Exit};

/// Runs the `sync` that is due: incremental, or the night's full one. Where another run holds the lock there is nothing to
/// do, and nothing to say, unless nothing has succeeded for longer than `monitor.alert_after`.
pub async fn run(context: &Context, args: &RunArgs) -> Ended {
    let config = context.load()?;
    let args = SyncArgs {
        max_runtime: args.max_runtime,
        wait: args.wait,
        ..SyncArgs::default()
    };
    let monitor = Monitor::new(&config);
    let done = sync::sync(context, &config, &args, sync::Kind::Due, &monitor).await;
    match sync::conclude(context, &config, &monitor, done).await {
        Err(exit) if exit.code == Code::Locked && !exit.alert => {
            Ok(Exit::new(Code::Settled, "another run is at work"))
        }
        ended => ended,
    }
}
