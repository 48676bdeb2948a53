//! Where the files go, what they are called, and whose they are to be.

use std::path::{Path, PathBuf};

use super::super::Context;
use crate::cli::InitArgs;
use crate::config::{SYSTEM_FILE, VARIABLE, effective_user};
use crate::discovery::Machine;
use crate::discovery::users::{User, user};
use crate::report::exit::{Code, Exit};

/// The user that units and cron file run cdrelay as.
const SERVICE: &str = "cdrelay";

/// The files of one configuration.
#[derive(Debug)]
pub(super) struct Place {
    /// The configuration, absolute.
    pub(super) config: PathBuf,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// File name of the database's password, beside it.
    pub(super) password: String,
    /// File name of the CRM's token, beside it.
    pub(super) token: String,
    /// Whose they are to be, where that is not the user who runs this.
    pub(super) owner: Option<(String, User)>,
    /// Whether it is root who runs this.
    pub(super) is_root: bool,
    /// Whether it is where every command looks by itself.
    pub(super) is_standard: bool,
}

impl Place {
    /// Decides it, and refuses what could not be written in the end.
    ///
    /// # Errors
    /// Code 2: a configuration is there already, or the directory cannot be written, or the owner is nobody.
    pub(super) fn new(context: &Context, args: &InitArgs, machine: &Machine) -> Result<Self, Exit> {
        let standard = machine.path(SYSTEM_FILE);
        let named = context.config.clone().or_else(|| {
            std::env::var_os(VARIABLE)
                .filter(|name| !name.is_empty())
                .map(PathBuf::from)
        });
        let config = named.unwrap_or_else(|| standard.clone());
        let config = std::path::absolute(&config)
            .map_err(|error| Exit::new(Code::Usage, format!("{}: {error}", config.display())))?;
        let is_standard = config == standard;
        let (Some(directory), Some(stem)) = (config.parent(), config.file_stem()) else {
            return Err(Exit::new(
                Code::Usage,
                format!("--config {} names no file", config.display()),
            ));
        };
        if config.symlink_metadata().is_ok() && !args.force {
            return Err(Exit::new(
                Code::Usage,
                format!(
                    "{} is there already; nothing was written: edit it, give another file with --config, or write over it with --force",
                    config.display()
                ),
            ));
        }
        let stem = stem.to_string_lossy();
        // The secrets of a second configuration must not be those of the first.
        let own = |name: &str| {
            if stem == "cdrelay" {
                name.to_owned()
            } else {
                format!("{stem}.{name}")
            }
        };
        let me = effective_user();
        let place = Self {
            directory: directory.to_owned(),
            password: own("db.password"),
            token: own("nimbox.token"),
            owner: owner(args, machine, me)?,
            is_root: me == Some(0),
            is_standard,
            config,
        };
        place.must_be_writable()?;
        Ok(place)
    }

    /// Where the ledger goes unless somebody says otherwise.
    pub(super) fn ledger(&self) -> PathBuf {
        let stem = self
            .config
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let name = if stem == "cdrelay" {
            "ledger.db".to_owned()
        } else {
            format!("{stem}.db")
        };
        if self.directory == Path::new("/etc/cdrelay") {
            Path::new("/var/lib/cdrelay").join(name)
        } else {
            self.directory.join(name)
        }
    }

    /// The file of a secret.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Asked before the first question: nobody answers ten of them for nothing.
    fn must_be_writable(&self) -> Result<(), Exit> {
        let mut nearest = self.directory.as_path();
        while !nearest.exists() {
            nearest = match nearest.parent() {
                Some(parent) => parent,
                None => break,
            };
        }
        // Made and gone again: rights are more than what the mode says.
        let attempt = nearest.join(format!(".cdrelay-init-try.{}", std::process::id()));
        let tried = std::fs::create_dir(&attempt).and_then(|()| std::fs::remove_dir(&attempt));
        tried.map_err(|error| {
            Exit::new(
                Code::Usage,
                format!(
                    "cannot write to {}: {error}; run this as root (sudo cdrelay init), or give a file of your own with --config",
                    nearest.display()
                ),
            )
        })
    }
}

fn owner(
    args: &InitArgs,
    machine: &Machine,
    me: Option<u32>,
) -> Result<Option<(String, User)>, Exit> {
    let refuse = |why: String| Err(Exit::new(Code::Usage, why));
    match &args.owner {
        Some(name) => match user(machine, name) {
            None => refuse(format!(
                "--owner: there is no user `{name}` in {}",
                machine.path("/etc/passwd").display()
            )),
            Some(user) if Some(user.uid) == me => Ok(None),
            Some(_) if me != Some(0) => refuse(format!(
                "--owner {name}: only root can give files away; run this with sudo"
            )),
            Some(user) => Ok(Some((name.clone(), user))),
        },
        None if me == Some(0) => Ok(user(machine, SERVICE).map(|user| (SERVICE.to_owned(), user))),
        None => Ok(None),
    }
}
