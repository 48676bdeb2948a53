//! `init --ledger`: accepts a new, empty ledger where the old one is lost.

use super::super::{Context, Ended, now};
use crate::cli::Output;
use crate::fault;
use crate::ledger::{Accepted, init_ledger};
use crate::report::exit::{Code, Exit};

/// Makes the new ledger, or says that there is nothing to accept.
pub(super) fn accept(context: &Context) -> Ended {
    let config = context.load()?;
    let path = &config.ledger.path;
    let accepted = init_ledger(path, now().timestamp())?;
    fault::moment!("init.accepted");
    let text = match accepted {
        Accepted::New => format!(
            "A new, empty ledger stands at {}.\n\
             The next run asks the CRM about every call of its window: none that it has already is doubled, \
             and it may say of each whether it was there. Begin with: cdrelay sync --full\n",
            path.display()
        ),
        Accepted::HealthyAlready => format!(
            "Nothing to do: the ledger at {} is in order and was left as it is.\n",
            path.display()
        ),
    };
    match context.output {
        Output::Text => context.print(&text),
        Output::Json => context.print_json(&serde_json::json!({
            "job": config.job,
            "ledger": path,
            "created": accepted == Accepted::New,
        })),
    }
    Ok(Exit::new(Code::Settled, "ledger in order"))
}
