//! The settings' own words: how the enums of the configuration are written and shown.

use std::fmt;

use super::{
    BgcrmMethod, BgcrmPath, DatabaseTls, InitiatedAs, OnUnknown, RuleKind, Side, SourceLocation,
    TableName, TargetKind,
};

impl InitiatedAs {
    /// Reads a value of `target.initiated_as`; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Utc, Self::Offset, Self::Local, Self::LocalZ];
        all.into_iter().find(|known| known.as_str() == text)
    }

    /// The value as it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utc => "utc",
            Self::Offset => "offset",
            Self::Local => "local",
            Self::LocalZ => "local-z",
        }
    }
}

impl BgcrmPath {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dynamic, Self::Run];

    /// The value as it stands in the file, and the end of the address.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic.do",
            Self::Run => "run.do",
        }
    }
}

impl BgcrmMethod {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Post, Self::Get];

    /// The value as it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Get => "get",
        }
    }
}

impl OnUnknown {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hold, Self::Resend];

    /// The value as it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resend => "resend",
        }
    }
}

impl fmt::Display for InitiatedAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nimbox(_) => "nimbox",
            Self::Bgcrm(_) => "bgcrm",
        })
    }
}

impl fmt::Display for DatabaseTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verify { .. } => "verify",
            Self::Plaintext => "plaintext",
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(url) | Self::Postgres(url) => write!(f, "{url}"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Csv(path) => write!(f, "csv:{}", path.display()),
        }
    }
}

/// The kind and its argument: the name of a rule that was given none.
impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rewrite(template) => write!(f, "rewrite {template}"),
            Self::StripPrefix(prefix) => write!(f, "strip_prefix {prefix}"),
            Self::AddPrefix { prefix, .. } => write!(f, "add_prefix {prefix}"),
            Self::Regex { regex, replace } => match replace {
                Some(replace) => write!(f, "regex {regex} to {replace}"),
                None => write!(f, "regex {regex} drop"),
            },
            Self::E164 { region } => write!(f, "e164 {region}"),
            Self::Table(path) => write!(f, "table {}", path.display()),
            Self::Drop => f.write_str("drop"),
        }
    }
}
