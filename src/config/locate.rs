//! Which file is the configuration.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The configuration of the machine.
pub const SYSTEM_FILE: &str = "/etc/cdrelay/cdrelay.toml";

/// The configuration of the working directory.
pub const LOCAL_FILE: &str = "./cdrelay.toml";

/// The environment variable that names a configuration.
pub const VARIABLE: &str = "CDRELAY_CONFIG";

/// Why no configuration file was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// There is none in any of the places.
    #[error(
        "no configuration found; looked for --config (not given), ${VARIABLE} (not set), {local} (not there) and {system} (not there); write one with `cdrelay init`, or start from one of examples/quickstart-*.toml",
        local = local.display(), system = system.display()
    )]
    Nowhere {
        /// Where a local one was looked for.
        local: PathBuf,
        /// Where the machine's was looked for.
        system: PathBuf,
    },
    /// There is one in the working directory, and it cannot be trusted.
    #[error(
        "{path} {why}, so it was not read; name it with `--config {path}` if you trust it, or remove it",
        path = path.display()
    )]
    NotTrusted {
        /// The file.
        path: PathBuf,
        /// Whose it is, or who can write it.
        why: String,
    },
}

/// Chooses the configuration file: `--config`, `$CDRELAY_CONFIG`, [`LOCAL_FILE`] where it is the user's own and nobody
/// else can write it, [`SYSTEM_FILE`]. A file that was named is not looked at here; [`super::load`] reports it.
///
/// # Errors
/// [`LocateError`]: none found, or a local one that is somebody else's; that one is never silently passed over.
pub fn locate(
    flag: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<PathBuf, LocateError> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    if let Some(path) = env(VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    choose(Path::new(LOCAL_FILE), Path::new(SYSTEM_FILE))
}

/// The user id that this process acts with; `None` where the system does not tell.
///
/// Read from `/proc/self/status` (proc_pid_status(5): `Uid:` real, effective, saved, filesystem), and where there is no
/// `/proc`, from the owner of a file made for the purpose.
#[must_use]
pub fn effective_user() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    status
        .as_deref()
        .and_then(effective_user_in)
        .or_else(owner_of_a_new_file)
}

fn choose(local: &Path, system: &Path) -> Result<PathBuf, LocateError> {
    // The link itself is asked too: a link that somebody else put there must not choose among the user's files.
    if let Ok(link) = local.symlink_metadata() {
        let me = effective_user();
        let owners = [
            Some(link.uid()),
            local.metadata().ok().map(|file| file.uid()),
        ];
        let mode = local.metadata().map_or(0, |file| file.mode());
        return match distrust(&owners, mode, me) {
            None => Ok(local.to_owned()),
            Some(why) => Err(LocateError::NotTrusted {
                path: local.to_owned(),
                why,
            }),
        };
    }
    match system.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LocateError::Nowhere {
            local: local.to_owned(),
            system: system.to_owned(),
        }),
        // One that is there and cannot be looked at is reported by whoever reads it.
        Ok(_) | Err(_) => Ok(system.to_owned()),
    }
}

fn distrust(owners: &[Option<u32>], mode: u32, me: Option<u32>) -> Option<String> {
    let Some(me) = me else {
        return Some(
            "cannot be shown to be yours (the system does not tell who runs this)".to_owned(),
        );
    };
    if let Some(other) = owners.iter().flatten().find(|owner| **owner != me) {
        return Some(format!(
            "belongs to user id {other}, not to you (user id {me})"
        ));
    }
    if mode & 0o022 != 0 {
        let mode = mode & 0o7777;
        return Some(format!("can be written by others (mode {mode:04o})"));
    }
    None
}

fn effective_user_in(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn owner_of_a_new_file() -> Option<u32> {
    let name = format!("cdrelay-whoami-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::create_new(&path).ok()?;
    let owner = file.metadata().ok().map(|found| found.uid());
    std::fs::remove_file(&path).ok()?;
    owner
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (local, system) = (
            dir.path().join("cdrelay.toml"),
            dir.path().join("system.toml"),
        );
        (dir, local, system)
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_named_file_wins_in_the_order_flag_then_variable() {
        let env = |name: &str| (name == VARIABLE).then(|| "/named/by/variable.toml".to_owned());
        let flag = Path::new("/named/by/flag.toml");
        assert_eq!(locate(Some(flag), &env).unwrap(), flag);
        assert_eq!(
            locate(None, &env).unwrap(),
            Path::new("/named/by/variable.toml")
        );
    }

    #[test]
    fn the_local_file_comes_before_the_systems() {
        let (_dir, local, system) = places();
        write(&system, 0o644);
        assert_eq!(choose(&local, &system).unwrap(), system);
        write(&local, 0o644);
        assert_eq!(choose(&local, &system).unwrap(), local);
    }

    #[test]
    fn the_error_lists_every_place() {
        let (dir, local, system) = places();
        let shown = dir.path().display();
        assert_eq!(
            choose(&local, &system).unwrap_err().to_string(),
            format!(
                "no configuration found; looked for --config (not given), $CDRELAY_CONFIG (not set), {shown}/cdrelay.toml (not there) and {shown}/system.toml (not there); write one with `cdrelay init`, or start from one of examples/quickstart-*.toml"
            )
        );
    }

    #[test]
    fn a_local_file_that_others_can_write_is_an_error_and_not_passed_over() {
        let (_dir, local, system) = places();
        write(&system, 0o644);
        for mode in [0o664, 0o646, 0o666] {
            write(&local, mode);
            let shown = local.display();
            assert_eq!(
                choose(&local, &system).unwrap_err().to_string(),
                format!(
                    "{shown} can be written by others (mode {mode:04o}), so it was not read; name it with `--config {shown}` if you trust it, or remove it"
                )
            );
        }
    }

    #[test]
    fn a_local_file_of_somebody_else_is_not_trusted() {
        let why = |owners: &[Option<u32>], mode, me| distrust(owners, mode, me);
        let theirs = "belongs to user id 1000, not to you (user id 0)";
        assert_eq!(
            why(&[Some(1000), Some(1000)], 0o600, Some(0)).as_deref(),
            Some(theirs)
        );
        // A link of somebody else's that leads to a file of the user's own.
        assert_eq!(
            why(&[Some(1000), Some(0)], 0o600, Some(0)).as_deref(),
            Some(theirs)
        );
        assert_eq!(
            why(&[Some(0), Some(1000)], 0o600, Some(0)).as_deref(),
            Some(theirs)
        );
        assert_eq!(why(&[Some(7), Some(7)], 0o100_644, Some(7)), None);
        assert!(why(&[Some(7), Some(7)], 0o600, None).is_some());
    }

    #[test]
    fn the_user_is_known_both_ways() {
        let (_dir, local, _) = places();
        write(&local, 0o600);
        let me = local.metadata().unwrap().uid();
        assert_eq!(effective_user(), Some(me));
        assert_eq!(owner_of_a_new_file(), Some(me));
        assert_eq!(effective_user_in("Name:\tx\nUid:\t1\t2\t3\t4\n"), Some(2));
        assert_eq!(effective_user_in("Name:\tx\nUid:\t1\n"), None);
    }
}
