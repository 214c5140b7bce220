//! Puts the sources over each other and reads the result.

use crate::de::Reader;
use crate::error::{ConfigError, Origin};
use crate::tree::Node;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// The largest file that is read, in bytes; a larger one is surely not ours.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a configuration comes from; each source wins over those before it.
#[derive(Clone, Debug)]
pub struct Sources<E> {
    /// A TOML file; one that is named must exist.
    pub file: Option<PathBuf>,
    /// Environment variables, usually [`environment`]. `PREFIX_SECTION__KEY` sets `section.key`; a variable without a
    /// double underscore is none of ours, since every key is in a section.
    pub env: E,
    /// The first part of the variables' names, without the underscore.
    pub prefix: &'static str,
    /// Dotted keys and their values, from flags.
    pub overrides: Vec<(String, String)>,
}

/// The environment of this process. Variables that are not UTF-8 are left out; none of ours can be.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Loads a configuration.
///
/// # Errors
///
/// When the file cannot be read or is not TOML, a key is unknown, or a value does not fit; the program ends with
/// [`crate::EXIT_CODE`] then.
pub fn load<T: DeserializeOwned>(
    sources: Sources<impl IntoIterator<Item = (String, String)>>,
) -> Result<T, ConfigError> {
    let mut tree = match &sources.file {
        Some(path) => {
            let read = |source| ConfigError::Read { path: path.clone(), source };
            if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
                return Err(read(std::io::ErrorKind::FileTooLarge.into()));
            }
            Node::parse(path, &std::fs::read_to_string(path).map_err(read)?)?
        }
        None => Node::empty(),
    };
    for (name, value) in sources.env {
        let Some(key) = key_of_variable(&name, sources.prefix) else { continue };
        let key: Vec<&str> = key.split("__").collect();
        tree.set(&key, value, &Origin::Environment(name.as_str().into()));
    }
    for (key, value) in sources.overrides {
        let key: Vec<&str> = key.split('.').collect();
        tree.set(&key, value, &Origin::CommandLine);
    }
    T::deserialize(Reader::new(tree))
}

/// The key that a variable sets, in lower case and with its double underscores.
fn key_of_variable(name: &str, prefix: &str) -> Option<String> {
    let key = name.strip_prefix(prefix)?.strip_prefix('_')?;
    let is_key = key.contains("__") && key.split("__").all(|part| !part.is_empty());
    is_key.then(|| key.to_ascii_lowercase())
}
