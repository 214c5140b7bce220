//! One AMF0 value.

use std::fmt;

/// One AMF0 value. `Debug` prints the shape and never the text, which may hold a stream key.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Marker 0.
    Number(f64),
    /// Marker 1.
    Boolean(bool),
    /// Markers 2, 12 and 15 (long string, XML document). Bytes that are not UTF-8 are replaced.
    String(String),
    /// Markers 3 and 16 (typed object, whose class name is dropped), in the order of the wire.
    Object(Vec<(String, Self)>),
    /// Marker 8: an object in all but name.
    EcmaArray(Vec<(String, Self)>),
    /// Marker 10.
    StrictArray(Vec<Self>),
    /// Marker 11: milliseconds since the UNIX epoch. The time zone is reserved and dropped.
    Date(f64),
    /// Marker 7: the index of an object met earlier. Not resolved.
    Reference(u16),
    /// Marker 5.
    Null,
    /// Marker 6, and 13 (unsupported).
    Undefined,
}

impl Value {
    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The pairs of an object or an ECMA array.
    #[must_use]
    pub fn as_pairs(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(pairs) | Self::EcmaArray(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The first value with this name in an object or an ECMA array.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_pairs()?.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(flag) => write!(f, "{flag}"),
            Self::String(text) => write!(f, "string of {} bytes", text.len()),
            Self::Object(pairs) => {
                f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish()
            }
            Self::EcmaArray(pairs) => {
                f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish()
            }
            Self::StrictArray(items) => f.debug_list().entries(items).finish(),
            Self::Date(millis) => write!(f, "date {millis}"),
            Self::Reference(index) => write!(f, "reference {index}"),
            Self::Null => f.write_str("null"),
            Self::Undefined => f.write_str("undefined"),
        }
    }
}
