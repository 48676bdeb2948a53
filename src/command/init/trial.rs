//! The files before they are where they belong: written into a directory of their own beside, loaded there, and moved
//! only as a whole. Whatever happens before that, nothing of it stays.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::draft::{Draft, Kept};
use super::place::Place;
use super::text;
use crate::config::secret::Secret;
use crate::config::{self, Config};
use crate::report::exit::{Code, Exit};

/// A directory with files that are not yet in place; it goes away with this.
pub(super) struct Trial {
    directory: PathBuf,
    /// Whether the directory that it lies in was made for it.
    made: Option<PathBuf>,
    ledger: PathBuf,
    files: Vec<String>,
}

/// Writes the files, and loads the configuration as every later command will.
///
/// # Errors
/// Code 2, with every problem of the answers; paths are those that the files will have.
pub(super) fn try_out(place: &Place, draft: &Draft) -> Result<(Trial, Config), Exit> {
    let cannot = |error: std::io::Error| {
        Exit::new(
            Code::Usage,
            format!("cannot write to {}: {error}", place.directory.display()),
        )
    };
    let made = (!place.directory.exists()).then(|| place.directory.clone());
    if made.is_some() {
        std::fs::create_dir_all(&place.directory).map_err(cannot)?;
        // Whatever the umask of the shell: the user whose files these will be has to find them. Nothing in it but its names
        // can be read by others.
        let open = Permissions::from_mode(0o755);
        std::fs::set_permissions(&place.directory, open).map_err(cannot)?;
    }
    let directory = place
        .directory
        .join(format!(".cdrelay-init.{}", std::process::id()));
    let mut trial = Trial {
        directory: directory.clone(),
        made,
        ledger: PathBuf::new(),
        files: Vec::new(),
    };
    DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .map_err(cannot)?;
    for (name, kept) in [
        (&place.password, &draft.password),
        (&place.token, &draft.token),
    ] {
        match kept {
            Kept::New(secret) => {
                trial
                    .write(name, secret_line(secret).as_bytes())
                    .map_err(cannot)?;
                trial.files.push(name.clone());
            }
            // Seen from the trial's directory as from its own.
            Kept::There => std::os::unix::fs::symlink(place.beside(name), directory.join(name))
                .map_err(cannot)?,
            Kept::None => {}
        }
    }
    let Some(name) = place.config.file_name().and_then(|name| name.to_str()) else {
        let shown = place.config.display();
        return Err(Exit::new(
            Code::Usage,
            format!("{shown} is no name for a configuration"),
        ));
    };
    trial
        .write(name, text::configuration(draft, place).as_bytes())
        .map_err(cannot)?;
    trial.files.push(name.to_owned());
    // Secrets that stand in the environment have been taken up; they must not hide what is in the files.
    let env = |name: &str| {
        let secret = name.starts_with("CDRELAY_");
        std::env::var_os(name)
            .filter(|_| !secret)
            .map(|value| value.to_string_lossy().into_owned())
    };
    let loaded = config::load(&directory.join(name), &env).map_err(|errors| {
        let inside = directory.display().to_string();
        let outside = place.directory.display().to_string();
        let lines: Vec<String> = errors
            .lines()
            .iter()
            .map(|line| line.replace(&inside, &outside))
            .collect();
        Exit::listing(Code::Usage, &lines)
    })?;
    trial.ledger.clone_from(&loaded.ledger.path);
    Ok((trial, loaded))
}

impl Trial {
    fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.directory.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Moves the files to where they belong, the configuration last, and makes the ledger's directory. Gives the files.
    ///
    /// # Errors
    /// Code 2: a file is there meanwhile, or cannot be moved. What was moved before stays.
    pub(super) fn install(self, place: &Place, force: bool) -> Result<Vec<PathBuf>, Exit> {
        let cannot = |path: &Path, error: &std::io::Error| {
            let reason = if error.kind() == std::io::ErrorKind::AlreadyExists {
                format!(
                    "{} is there already; write over it with --force",
                    path.display()
                )
            } else {
                format!("cannot write {}: {error}", path.display())
            };
            Exit::new(Code::Usage, reason)
        };
        let mut done = Vec::new();
        for name in &self.files {
            let (from, to) = (self.directory.join(name), place.beside(name));
            if let Some((_, user)) = &place.owner {
                chown(&from, Some(user.uid), Some(user.gid))
                    .map_err(|error| cannot(&to, &error))?;
            }
            // A link is refused where something is there, whoever put it there in the meantime; a move is not.
            let moved = if force {
                std::fs::rename(&from, &to)
            } else {
                std::fs::hard_link(&from, &to)
            };
            moved.map_err(|error| cannot(&to, &error))?;
            done.push(to);
        }
        if let Some(directory) = self.ledger.parent()
            && !directory.exists()
        {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| cannot(directory, &error))?;
            if let Some((_, user)) = &place.owner {
                chown(directory, Some(user.uid), Some(user.gid))
                    .map_err(|error| cannot(directory, &error))?;
            }
        }
        // The names are durable once their directory is.
        if let Ok(directory) = File::open(&place.directory) {
            let _ = directory.sync_all();
        }
        Ok(done)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
        if let Some(made) = &self.made {
            // Succeeds only where nothing was put into it.
            let _ = std::fs::remove_dir(made);
        }
    }
}

fn secret_line(secret: &Secret) -> String {
    format!("{}\n", secret.expose())
}
