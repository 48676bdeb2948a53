//! `sandbox`: the practice CRM, until a signal ends it.

use anyhow::Context as _;

use super::{Context, Ended, fail};
use crate::cli::{Output, SandboxArgs};
use crate::report::exit::{Code, Exit};
use crate::sandbox::{Contacts, Sandbox, SandboxOptions};

/// Prints the address and a configuration that uses it, then serves.
pub async fn run(context: &Context, args: &SandboxArgs) -> Ended {
    let options = options(args).map_err(|error| fail(Code::Usage, &error))?;
    let sandbox = Sandbox::start(options).map_err(|error| fail(Code::Usage, &error))?;
    match context.output {
        Output::Text => context.print(&format!(
            "practice CRM at {url}\n\n  [target]\n  kind = \"nimbox\"\n  url = \"{url}\"\n\n\
             {url}/stats counts what it sees, {url}/calls lists what it holds; Ctrl-C ends it\n",
            url = sandbox.url.as_str().trim_end_matches('/')
        )),
        Output::Json => context
            .print_json(&serde_json::json!({"url": sandbox.url.as_str().trim_end_matches('/')})),
    }
    let mut stop = context.stop.clone();
    let _ = stop
        .wait_for(|asked| *asked != crate::delivery::Stop::No)
        .await;
    sandbox.stop();
    Ok(Exit::new(Code::Settled, "practice CRM ended"))
}

fn options(args: &SandboxArgs) -> anyhow::Result<SandboxOptions> {
    let mut options = SandboxOptions {
        listen: args.listen,
        latency: args.latency,
        ..SandboxOptions::default()
    };
    if let Some(file) = &args.token_file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the token file {}", file.display()))?;
        text.trim().clone_into(&mut options.token);
    }
    if let Some(file) = &args.contacts {
        options.contacts = Contacts::read(file)?;
    }
    Ok(options)
}
