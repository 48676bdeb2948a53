//! The answers so far, whoever gave them: a flag, a file of the phone system, the environment, or a person.

use std::io::Read as _;
use std::path::Path;

use super::place::Place;
use crate::cli::InitArgs;
use crate::config::secret::{LONGEST, Secret};
use crate::discovery::{self, Found, Machine};
use crate::report::exit::{Code, Exit};

/// The CRM's token where no file holds it (see `config::load`).
const TOKEN_VARIABLE: &str = "CDRELAY_TARGET_TOKEN";

/// The database's password where no file holds it.
const PASSWORD_VARIABLE: &str = "CDRELAY_SOURCE_PASSWORD";

/// Where a secret is.
#[derive(Debug, Clone, Default)]
pub(super) enum Kept {
    /// Nowhere: none is known, or none is needed.
    #[default]
    None,
    /// To be written into its file.
    New(Secret),
    /// In its file already, which stays as it is.
    There,
}

impl Kept {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// What is known; `None` is not answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) url: Option<String>,
    pub(super) table: Option<String>,
    pub(super) password: Kept,
    pub(super) timezone: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) token: Kept,
    pub(super) initiated_as: Option<String>,
    pub(super) outside_line: Option<String>,
    pub(super) area_code: Option<String>,
    pub(super) local_length: u8,
    pub(super) recording_url: Option<String>,
    pub(super) ledger: Option<String>,
    /// What the phone system's files say about the zone.
    pub(super) stated_zone: Option<String>,
    /// The file that the source came from.
    pub(super) from: Option<String>,
    /// Whether a flag named the zone, so that nothing overrules it.
    pub(super) zone_is_given: bool,
}

impl Draft {
    /// What flags, environment and existing secret files say.
    ///
    /// # Errors
    /// Code 2, with every flag that cannot be taken.
    pub(super) fn new(args: &InitArgs, place: &Place) -> Result<Self, Exit> {
        let mut problems = Vec::new();
        let mut take = |kept: Result<Kept, String>| {
            kept.unwrap_or_else(|why| {
                problems.push(why);
                Kept::None
            })
        };
        let flag = args.source_password_file.as_deref();
        let file = place.beside(&place.password);
        let password = take(secret(
            "--source-password-file",
            flag,
            PASSWORD_VARIABLE,
            &file,
            args.force,
        ));
        let flag = args.token_file.as_deref();
        let file = place.beside(&place.token);
        let token = take(secret(
            "--token-file",
            flag,
            TOKEN_VARIABLE,
            &file,
            args.force,
        ));
        let from_stdin = [&args.source_password_file, &args.token_file]
            .iter()
            .all(|file| file.as_deref() == Some(Path::new("-")));
        if from_stdin {
            problems.push(
                "--source-password-file and --token-file cannot both read standard input"
                    .to_owned(),
            );
        }
        if args.source_url.as_deref().is_some_and(holds_password) {
            problems.push(
                "--source-url holds a password, which everybody on this machine can see; leave it out, and give \
                 --source-password-file"
                    .to_owned(),
            );
        }
        for (flag, digits) in [
            ("--outside-line", &args.outside_line),
            ("--area-code", &args.area_code),
        ] {
            if let Some(Err(why)) = digits.as_deref().map(dialled) {
                problems.push(format!("{flag}: {why}"));
            }
        }
        if !problems.is_empty() {
            return Err(Exit::listing(Code::Usage, &problems));
        }
        let ledger = args.ledger_path.as_ref().map(|path| absolute(path));
        Ok(Self {
            url: args.source_url.as_deref().map(whole_path),
            table: args.source_table.clone(),
            password,
            timezone: args.timezone.clone(),
            target_url: args.target_url.clone(),
            token,
            initiated_as: args.initiated_as.clone(),
            outside_line: args.outside_line.clone(),
            area_code: args.area_code.clone(),
            local_length: args.local_length.unwrap_or(7),
            recording_url: args.recording_url.clone(),
            ledger,
            stated_zone: None,
            from: None,
            zone_is_given: args.timezone.is_some(),
        })
    }

    /// What was found about the source that was named; where none was, the likeliest one.
    pub(super) fn matching<'f>(&self, found: &'f [Found]) -> Option<&'f Found> {
        found
            .iter()
            .find(|one| self.url.as_ref().is_none_or(|url| *url == one.url))
    }

    /// Takes the source that was found, where none was named.
    pub(super) fn take_found(&mut self, found: Option<&Found>) {
        let Some(found) = found else { return };
        if self.url.as_ref().is_some_and(|url| *url != found.url) {
            return;
        }
        self.url = Some(found.url.clone());
        self.table.get_or_insert_with(|| found.table.clone());
        if let (Kept::None, Some(password)) = (&self.password, &found.password) {
            self.password = Kept::New(password.clone());
        }
        self.stated_zone.clone_from(&found.zone);
        self.from = Some(found.from.clone());
    }

    /// What cannot be done without, one line each: the flag and what it is for.
    pub(super) fn missing(&self, place: &Place) -> Vec<String> {
        let mut missing = Vec::new();
        if self.url.is_none() {
            missing.push(
                "--source-url URL: no settings of FreePBX or Asterisk name a database; say where the calls are, such as \
                 mysql://cdrelay@127.0.0.1/asteriskcdrdb, sqlite:///var/log/asterisk/master.db or \
                 csv:/var/log/asterisk/cdr-csv/Master.csv"
                    .to_owned(),
            );
        }
        if self.target_url.is_none() {
            missing.push(
                "--target-url URL: the CRM's address, such as https://crm.example.com".to_owned(),
            );
        }
        if self.token.is_none() {
            missing.push(format!(
                "--token-file FILE: a file whose first line is the CRM's token (`-` reads standard input), or {TOKEN_VARIABLE} in \
                 the environment, or the token in {}",
                place.beside(&place.token).display()
            ));
        }
        missing
    }

    /// Fills in what has a default.
    pub(super) fn assume(&mut self, machine: &Machine) {
        if self.timezone.is_none() {
            self.timezone = Some(self.likely_zone(machine));
        }
    }

    /// The zone to propose: what the phone system's files say, else the machine's, else UTC.
    pub(super) fn likely_zone(&self, machine: &Machine) -> String {
        self.stated_zone.clone().unwrap_or_else(|| {
            discovery::zone(machine)
                .map_or_else(|| "UTC".to_owned(), |found| found.zone.name().to_owned())
        })
    }

    /// Whether the source is a server, which wants a password.
    pub(super) fn is_server(&self) -> bool {
        self.url.as_deref().is_some_and(|url| {
            ["mysql:", "mariadb:", "postgres:", "postgresql:"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        })
    }
}

/// What may be dialled in front of a number.
pub(super) fn dialled(digits: &str) -> Result<(), String> {
    let fits = digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(())
        .ok_or_else(|| format!("`{digits}` is not up to 8 digits; give \"\" for none"))
}

/// Whether an address has a password in front of its host.
pub(super) fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(login, _)| login.contains(':'))
}

/// The address of a file by its whole path: the configuration will lie elsewhere than the user is now.
pub(super) fn whole_path(url: &str) -> String {
    for scheme in ["sqlite://", "sqlite:", "csv://", "csv:"] {
        if let Some(path) = url.strip_prefix(scheme) {
            if path.is_empty() {
                break;
            }
            return format!("{scheme}{}", absolute(Path::new(path)));
        }
    }
    url.to_owned()
}

pub(super) fn absolute(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}

/// A secret by its flag, else by its variable, else in its file already.
fn secret(
    flag: &str,
    given: Option<&Path>,
    variable: &str,
    file: &Path,
    force: bool,
) -> Result<Kept, String> {
    let there = file.symlink_metadata().is_ok();
    let named = match given {
        Some(path) if path == Path::new("-") => {
            Some(from_stdin().map_err(|why| format!("{flag} -: {why}"))?)
        }
        Some(path) if absolute(path) == absolute(file) && there => None,
        Some(path) => Some(Secret::read(path).map_err(|error| format!("{flag}: {error}"))?),
        None => match std::env::var_os(variable).filter(|value| !value.is_empty()) {
            Some(value) => Some(
                value
                    .into_string()
                    .map_err(|_| format!("environment variable {variable} is not UTF-8 text"))
                    .and_then(|value| {
                        Secret::new(value)
                            .map_err(|fault| format!("environment variable {variable} {fault}"))
                    })?,
            ),
            None => None,
        },
    };
    match named {
        Some(_) if there && !force => Err(format!(
            "{} is there already; nothing was written: leave the other secret out to keep it, or write over it with --force",
            file.display()
        )),
        Some(secret) => Ok(Kept::New(secret)),
        // It must be usable; whoever loads the configuration would say so later.
        None if there => Secret::read(file)
            .map(|_| Kept::There)
            .map_err(|error| error.to_string()),
        None => Ok(Kept::None),
    }
}

fn from_stdin() -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let most = LONGEST as u64 + 1;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    Secret::new(line).map_err(|fault| fault.to_string())
}
