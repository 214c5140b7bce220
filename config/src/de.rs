//! Reads a typed value out of the tree and names key and place of what does not fit.
//!
//! A deserializer of our own rather than TOML's, because `serde` tells it which fields a struct has (so an unknown key
//! can be answered with the nearest known one) and which type is wanted (so a text from the environment can be a number).

use crate::error::{ConfigError, nearest};
use crate::secret::SECRET_NAME;
use crate::tree::{Node, Value};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use std::collections::VecDeque;

/// A node and its dotted key.
pub(crate) struct Reader {
    node: Node,
    key: String,
    /// The last part of the key, which may itself contain dots where a table's names are free.
    name: String,
}

impl Reader {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, key: String::new(), name: String::new() }
    }

    fn child(&self, name: &str, node: Node) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { node, key, name: name.to_owned() }
    }

    /// Reads the value with the visitor; a text from outside a file goes through `loose` first.
    fn read<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        loose: impl FnOnce(V, &str) -> Result<V::Value, ConfigError>,
    ) -> Result<V::Value, ConfigError> {
        let result = match &self.node.value {
            Value::Loose(text) => loose(visitor, text),
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Bool(boolean) => visitor.visit_bool(*boolean),
            Value::List(list) => {
                let nodes = list.iter().enumerate();
                let children = nodes.map(|(index, node)| self.child(&index.to_string(), node.clone()));
                visitor.visit_seq(Children { rest: children.collect(), value: None })
            }
            Value::Table(table) => {
                let children = table.iter().map(|(name, node)| self.child(name, node.clone()));
                visitor.visit_map(Children { rest: children.collect(), value: None })
            }
        };
        result.map_err(|error| error.located(&self.key, &self.node.origin))
    }

    fn refuse_unknown(&self, fields: &'static [&'static str]) -> Result<(), ConfigError> {
        let Value::Table(table) = &self.node.value else { return Ok(()) };
        let Some((name, node)) = table.iter().find(|(name, _)| !fields.contains(&name.as_str())) else {
            return Ok(());
        };
        let unknown = self.child(name, node.clone());
        Err(ConfigError::UnknownKey {
            nearest: nearest(name, fields.iter().copied()).map(|known| self.child(known, node.clone()).key),
            known: fields.iter().map(|name| (*name).to_owned()).collect(),
            key: unknown.key,
            origin: unknown.node.origin,
        })
    }
}

fn number<'de, V: Visitor<'de>>(visitor: V, text: &str) -> Result<V::Value, ConfigError> {
    let plain = text.trim().replace('_', "");
    if let Ok(integer) = plain.parse::<i64>() {
        visitor.visit_i64(integer)
    } else if let Ok(integer) = plain.parse::<u64>() {
        visitor.visit_u64(integer)
    } else {
        Err(de::Error::invalid_type(Unexpected::Str(text), &visitor))
    }
}

fn fraction<'de, V: Visitor<'de>>(visitor: V, text: &str) -> Result<V::Value, ConfigError> {
    match text.trim().parse() {
        Ok(float) => visitor.visit_f64(float),
        Err(_) => Err(de::Error::invalid_type(Unexpected::Str(text), &visitor)),
    }
}

fn boolean<'de, V: Visitor<'de>>(visitor: V, text: &str) -> Result<V::Value, ConfigError> {
    match text.trim() {
        "true" | "yes" | "on" | "1" => visitor.visit_bool(true),
        "false" | "no" | "off" | "0" => visitor.visit_bool(false),
        _ => Err(de::Error::invalid_type(Unexpected::Str(text), &visitor)),
    }
}

macro_rules! read_with {
    ($loose:expr => $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
            self.read(visitor, $loose)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader {
    type Error = ConfigError;

    read_with!(number => deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128);
    read_with!(fraction => deserialize_f32 deserialize_f64);
    read_with!(boolean => deserialize_bool);
    read_with!(V::visit_str => deserialize_any deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier
        deserialize_map deserialize_ignored_any);

    /// A list may also be one text with commas, or a table with the places as keys.
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ConfigError> {
        if let Value::Loose(text) = &self.node.value {
            let origin = &self.node.origin;
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let list = parts.map(|part| Node { value: Value::Loose(part.into()), origin: origin.clone() });
            self.node.value = Value::List(list.collect());
        }
        if let Value::Table(table) = &mut self.node.value
            && (0..table.len()).all(|index| table.contains_key(&index.to_string()))
        {
            let list = (0..table.len()).filter_map(|index| table.remove(&index.to_string())).collect();
            self.node.value = Value::List(list);
        }
        self.read(visitor, V::visit_str)
    }

    /// An empty text from outside a file unsets an optional key.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match &self.node.value {
            Value::Loose(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let (key, origin) = (self.key.clone(), self.node.origin.clone());
        let result = visitor.visit_newtype_struct(self);
        let result = if name == SECRET_NAME { result.map_err(ConfigError::without_value) } else { result };
        result.map_err(|error| error.located(&key, &origin))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.refuse_unknown(fields)?;
        let prefix = self.key.clone();
        self.read(visitor, V::visit_str).map_err(|error| match error {
            // `serde` names the field alone; only the struct that lacks it may add the rest.
            ConfigError::Missing { key } if !key.contains('.') && !prefix.is_empty() => {
                ConfigError::Missing { key: format!("{prefix}.{key}") }
            }
            other => other,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let result = match &self.node.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(ConfigError::Type {
                key: String::new(),
                origin: None,
                expected: format!("one of {}", variants.join(", ")),
                found: "another type".into(),
            }),
        };
        result.map_err(|error| error.located(&self.key, &self.node.origin))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_seq(visitor)
    }
}

/// What is below a table or a list. A value's error gets its place here and not only in the value's own deserializer,
/// since `serde(try_from)` raises its errors after that is done.
struct Children {
    rest: VecDeque<Reader>,
    value: Option<Reader>,
}

fn read_child<'de, S: DeserializeSeed<'de>>(seed: S, child: Reader) -> Result<S::Value, ConfigError> {
    let (key, origin) = (child.key.clone(), child.node.origin.clone());
    seed.deserialize(child).map_err(|error| error.located(&key, &origin))
}

impl<'de> de::MapAccess<'de> for Children {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ConfigError> {
        let Some(child) = self.rest.pop_front() else { return Ok(None) };
        let key = seed.deserialize(child.name.as_str().into_deserializer()).map(Some);
        self.value = Some(child);
        key
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ConfigError> {
        let child = self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))?;
        read_child(seed, child)
    }
}

impl<'de> de::SeqAccess<'de> for Children {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConfigError> {
        self.rest.pop_front().map(|child| read_child(seed, child)).transpose()
    }
}
