//! `init`: writes a configuration after a few questions, or from flags alone. What it writes has been loaded and, unless
//! told otherwise, the source it names has been read with it.
//!
//! Secrets come from files, the environment, standard input or a terminal without echo, and go into files of their own.

use std::io::IsTerminal as _;

mod dialogue;
mod draft;
mod ledger;
mod look;
mod place;
mod said;
mod text;
mod trial;

use super::{Context, Ended, check, tell};
use crate::cli::InitArgs;
use crate::config::Config;
use crate::discovery::{self, Machine};
use crate::report::exit::{Code, Exit};
use dialogue::Dialogue;
use draft::Draft;
use look::Look;
use place::Place;
use trial::Trial;

/// Accepts a new ledger, or writes a configuration.
pub async fn run(context: &Context, args: &InitArgs) -> Ended {
    if args.ledger {
        return ledger::accept(context);
    }
    let machine = Machine::new(args.root.as_deref(), args.asterisk_dir.as_deref());
    let place = Place::new(context, args, &machine)?;
    let found = discovery::sources(&machine);
    let mut draft = Draft::new(args, &place)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let (trial, config, look) = if args.yes || !terminal {
        draft.take_found(draft.matching(&found));
        by_flags(args, context.quiet, &place, &machine, &mut draft).await?
    } else {
        let mut dialogue = Dialogue::new(context, &place, &machine, &found);
        by_questions(&mut dialogue, args, &place, &mut draft).await?
    };
    let files = trial.install(&place, args.force)?;
    said::print(context, &place, &machine, &config, look.as_ref(), &files);
    let asked = if args.check {
        true
    } else if terminal && !args.yes {
        Dialogue::new(context, &place, &machine, &found)
            .wants_check()
            .await?
    } else {
        false
    };
    if asked {
        let there = Context {
            config: Some(place.config.clone()),
            output: context.output,
            quiet: context.quiet,
            stop: context.stop.clone(),
            unwritten: std::cell::RefCell::default(),
        };
        let ended = check::run(&there, check::Form::Usual(there.output)).await;
        context.unwritten.replace(there.unwritten.take());
        return ended;
    }
    Ok(Exit::new(Code::Settled, "written"))
}

type Tried = (Trial, Config, Option<Look>);

/// Nobody is asked: everything that is missing or wrong is said at once, and nothing is written.
async fn by_flags(
    args: &InitArgs,
    quiet: bool,
    place: &Place,
    machine: &Machine,
    draft: &mut Draft,
) -> Result<Tried, Exit> {
    let missing = draft.missing(place);
    if !missing.is_empty() {
        let mut lines = vec![format!(
            "nothing was written: {} missing, and there is nobody to ask (standard input is no terminal, or --yes was given)",
            if missing.len() == 1 {
                "an answer is".to_owned()
            } else {
                format!("{} answers are", missing.len())
            }
        )];
        lines.extend(missing);
        return Err(Exit::listing(Code::Usage, &lines));
    }
    draft.assume(machine);
    let (trial, config) = trial::try_out(place, draft)?;
    if args.untested {
        return Ok((trial, config, None));
    }
    let look = look::look(&config).await.map_err(|error| {
        let exit = Exit::from(error);
        let reason = format!(
            "nothing was written: the source cannot be read: {}; give other answers, or --untested to write them all the same",
            exit.reason
        );
        Exit::new(exit.code, reason)
    })?;
    if !quiet {
        tell(&look.text());
    }
    if !draft.zone_is_given
        && let Some(zone) = look.proven_zone()
        && zone != config.source.timezone
    {
        // The calls themselves know better than this machine's clock.
        draft.timezone = Some(zone.name().to_owned());
        drop(trial);
        let (trial, config) = trial::try_out(place, draft)?;
        return Ok((trial, config, Some(look)));
    }
    Ok((trial, config, Some(look)))
}

/// Asks until the answers hold together and the user has seen what they come to.
async fn by_questions(
    dialogue: &mut Dialogue<'_>,
    args: &InitArgs,
    place: &Place,
    draft: &mut Draft,
) -> Result<Tried, Exit> {
    dialogue.introduce();
    loop {
        dialogue.source(draft).await?;
        if !args.untested {
            dialogue.connect(draft).await?;
        }
        dialogue.rest(draft).await?;
        let (trial, config) = match trial::try_out(place, draft) {
            Ok(tried) => tried,
            Err(exit) => {
                tell(&format!(
                    "\nThat does not hold together:\n{}\n\n",
                    exit.reason
                ));
                dialogue.again();
                continue;
            }
        };
        let look = if args.untested {
            None
        } else {
            match look::look(&config).await {
                Ok(look) => {
                    tell(&format!("\n{}", look.text()));
                    Some(look)
                }
                Err(error) => {
                    let why = Exit::from(error).reason;
                    tell(&format!("\nThe source cannot be read: {why}\n"));
                    None
                }
            }
        };
        if dialogue.confirmed(draft).await? {
            return Ok((trial, config, look));
        }
        dialogue.again();
    }
}
