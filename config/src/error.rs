//! What is wrong with a configuration, and where it says so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The exit code of a program whose configuration cannot be used: sysexits' `EX_CONFIG`.
pub const EXIT_CODE: u8 = 78;

/// How different a name may be from a known one and still be meant by it, in edits per three characters.
const EDITS_PER_THREE_CHARACTERS: usize = 1;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file.
    File {
        /// Which one.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
    },
    /// In this environment variable.
    Environment(Arc<str>),
    /// On the command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a configuration cannot be used. No variant carries the value of a [`crate::Secret`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser says, without the text of the line.
        message: String,
    },
    /// No such key.
    #[error("unknown key {key} ({origin}){}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// Where it is.
        origin: Origin,
        /// The known key that is most like it, dotted.
        nearest: Option<String>,
        /// All names that are known in its table.
        known: Vec<String>,
    },
    /// The key is known, its value is of the wrong type or out of range.
    #[error("{key} ({}): expected {expected}, found {found}", place(origin.as_ref()))]
    Type {
        /// The dotted key.
        key: String,
        /// Where it is.
        origin: Option<Origin>,
        /// What it must be.
        expected: String,
        /// What it is; `…` for a secret.
        found: String,
    },
    /// The key is known and its value of the right type, but it cannot be used.
    #[error("{key} ({}): {message}", place(origin.as_ref()))]
    Invalid {
        /// The dotted key.
        key: String,
        /// Where it is.
        origin: Option<Origin>,
        /// Why not.
        message: String,
    },
    /// A key without a default is not set.
    #[error("{key} is not set")]
    Missing {
        /// The dotted key.
        key: String,
    },
}

impl ConfigError {
    /// A value that a program refuses after loading, because of other values or of the machine.
    #[must_use]
    pub fn refused(key: &str, message: impl Into<String>) -> Self {
        Self::Invalid { key: key.into(), origin: None, message: message.into() }
    }

    /// Fills in key and place where the error does not know them yet.
    pub(crate) fn located(self, path: &str, at: &Origin) -> Self {
        match self {
            Self::Type { key, origin: None, expected, found } if key.is_empty() => {
                Self::Type { key: path.into(), origin: Some(at.clone()), expected, found }
            }
            Self::Invalid { key, origin: None, message } if key.is_empty() => {
                Self::Invalid { key: path.into(), origin: Some(at.clone()), message }
            }
            other => other,
        }
    }

    /// The same without any part of the value.
    pub(crate) fn without_value(self) -> Self {
        match self {
            Self::Type { key, origin, expected, found: _ } => {
                Self::Type { key, origin, expected, found: "…".into() }
            }
            Self::Invalid { key, origin, message: _ } => {
                Self::Invalid { key, origin, message: "this secret cannot be used".into() }
            }
            other => other,
        }
    }
}

/// The known name that is most like the given one, if any is like enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits_max = 1 + name.chars().count() * EDITS_PER_THREE_CHARACTERS / 3;
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(edits, _)| *edits <= edits_max)
        .min()
        .map(|(_, known)| known)
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None if known.is_empty() => String::new(),
        None => format!("; known here: {}", known.join(", ")),
    }
}

fn place(origin: Option<&Origin>) -> String {
    origin.map_or_else(|| "as configured".into(), ToString::to_string)
}

impl serde::de::Error for ConfigError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Invalid { key: String::new(), origin: None, message: message.to_string() }
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::Type {
            key: String::new(),
            origin: None,
            expected: in_words(&expected.to_string()).into(),
            found: found.to_string(),
        }
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest(variant, expected.iter().copied())
            .map_or(String::new(), |nearest| format!(" (did you mean {nearest:?}?)"));
        Self::Type {
            key: String::new(),
            origin: None,
            expected: format!("one of {}", expected.join(", ")),
            found: format!("{variant:?}{hint}"),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing { key: field.into() }
    }
}

/// A Rust type's name as a reader of configuration files would say it.
fn in_words(expected: &str) -> &str {
    match expected {
        "bool" | "a boolean" => "true or false",
        "u8" => "a number from 0 to 255",
        "u16" => "a number from 0 to 65535",
        "u32" => "a number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "path string" | "a formatted path string" => "a text",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}
