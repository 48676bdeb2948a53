//! `man`: the manual, made from the command line and the list of settings, so that it says what they say.

use std::path::Path;

mod page;

use super::{Context, Ended};
use crate::cli::{self, ManArgs, Output};
use crate::report::exit::{Code, Exit};
use page::Page;

/// Prints cdrelay(1), or writes every page into a folder.
pub fn run(context: &Context, args: &ManArgs) -> Ended {
    let Some(dir) = &args.dir else {
        context.print(&page::program(&cli::program()).text);
        return Ok(Exit::new(Code::Settled, "printed"));
    };
    let pages = pages();
    write(dir, &pages)?;
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    match context.output {
        Output::Text => context.print(&(names.join("\n") + "\n")),
        Output::Json => context.print_json(&serde_json::json!({"dir": dir, "pages": names})),
    }
    Ok(Exit::new(Code::Settled, "written"))
}

/// One page of the program, one of each verb, one of the configuration.
fn pages() -> Vec<Page> {
    let program = cli::program();
    let mut pages = vec![page::program(&program)];
    pages.extend(program.get_subcommands().map(page::verb));
    pages.push(page::configuration());
    pages
}

fn write(dir: &Path, pages: &[Page]) -> Result<(), Exit> {
    let cannot = |path: &Path, error: &std::io::Error| {
        let path = path.display();
        Exit::new(
            Code::Usage,
            format!("cannot write {path}: {error}; give another --dir"),
        )
    };
    std::fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
    for page in pages {
        let path = dir.join(&page.name);
        std::fs::write(&path, &page.text).map_err(|error| cannot(&path, &error))?;
    }
    Ok(())
}
