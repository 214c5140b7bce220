//! All sources as one tree of values that remember where they come from.

use crate::error::{ConfigError, Origin};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Text(String),
    /// A text from the environment or the command line: it is whatever type its key has.
    Loose(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
}

impl Node {
    /// A table with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { value: Value::Table(BTreeMap::new()), origin: Origin::CommandLine }
    }

    /// Reads a TOML document.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file = File { path: path.into(), text };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| file.line(span.start)),
            message: error.message().into(),
        })?;
        let origin = file.origin(0);
        Ok(Self { value: file.table(table.into_inner())?, origin })
    }

    /// Puts a text at a key, over whatever is there. A number as part of a key stands for a place in a list; the place
    /// after the last one appends.
    pub(crate) fn set(&mut self, key: &[&str], text: String, origin: &Origin) {
        let Some((first, rest)) = key.split_first() else {
            *self = Self { value: Value::Loose(text), origin: origin.clone() };
            return;
        };
        if let Value::List(list) = &mut self.value
            && let Ok(index) = first.parse::<usize>()
            && index <= list.len()
        {
            if index == list.len() {
                list.push(Self { value: Value::Table(BTreeMap::new()), origin: origin.clone() });
            }
            list[index].set(rest, text, origin);
            return;
        }
        if !matches!(self.value, Value::Table(_)) {
            *self = Self { value: Value::Table(BTreeMap::new()), origin: origin.clone() };
        }
        let Value::Table(table) = &mut self.value else { return };
        table
            .entry((*first).to_owned())
            .or_insert_with(|| Self { value: Value::Table(BTreeMap::new()), origin: origin.clone() })
            .set(rest, text, origin);
    }
}

struct File<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.clone(), line: self.line(offset) }
    }

    fn table(&self, table: DeTable<'_>) -> Result<Value, ConfigError> {
        let mut nodes = BTreeMap::new();
        for (key, value) in table {
            // The key's line, since a reader looks for the key; a long list may end far below it.
            let origin = self.origin(key.span().start);
            nodes.insert(key.into_inner().into_owned(), Node { origin, ..self.node(value)? });
        }
        Ok(Value::Table(nodes))
    }

    fn node(&self, spanned: Spanned<DeValue<'_>>) -> Result<Node, ConfigError> {
        let origin = self.origin(spanned.span().start);
        let value = match spanned.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(integer) => {
                let parsed = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                Value::Integer(parsed.ok_or_else(|| self.too_large(&origin))?)
            }
            DeValue::Float(float) => {
                Value::Float(float.as_str().parse().map_err(|_| self.too_large(&origin))?)
            }
            DeValue::Boolean(boolean) => Value::Bool(boolean),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(array) => {
                Value::List(array.into_iter().map(|value| self.node(value)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table)?,
        };
        Ok(Node { value, origin })
    }

    fn too_large(&self, origin: &Origin) -> ConfigError {
        let line = match origin {
            Origin::File { line, .. } => *line,
            Origin::Environment(_) | Origin::CommandLine => 0,
        };
        ConfigError::Syntax {
            path: self.path.to_path_buf(),
            line,
            message: "this number is too large".into(),
        }
    }
}
