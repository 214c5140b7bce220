//! Reading AMF0, within bounds.

use super::Value;

/// How deep objects and arrays may nest. Real commands use 3; a reader without this bound can be made to overflow its
/// stack, which would end the whole process.
const DEPTH_MAX: usize = 16;
/// How many values one message may hold, all levels together.
const ELEMENTS_MAX: usize = 4096;

/// Why bytes are not AMF0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Amf0Error {
    /// A value is cut short.
    #[error("an AMF0 value is cut short")]
    Short,
    /// A marker that AMF0 reserves, or the switch to AMF3.
    #[error("AMF0 marker {0:#04x} is not supported")]
    Marker(u8),
    /// Nested deeper than 16.
    #[error("AMF0 nests deeper than {DEPTH_MAX}")]
    Depth,
    /// More than 4096 values.
    #[error("AMF0 holds more than {ELEMENTS_MAX} values")]
    Elements,
}

/// Reads all values of a message body.
///
/// # Errors
/// [`Amf0Error`] names the first thing that is wrong.
pub fn read_all(bytes: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let (values, error) = read_prefix(bytes);
    error.map_or(Ok(values), Err)
}

/// Reads values up to the first that is malformed, which is returned beside them.
pub(crate) fn read_prefix(bytes: &[u8]) -> (Vec<Value>, Option<Amf0Error>) {
    let mut reader = Reader { rest: bytes, elements: 0 };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        match reader.value(0) {
            Ok(value) => values.push(value),
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}

/// If the body begins with exactly this short string, what follows it.
pub(crate) fn skip_string<'a>(body: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let length = u16::try_from(text.len()).ok()?.to_be_bytes();
    body.strip_prefix(&[marker::STRING])?.strip_prefix(&length)?.strip_prefix(text.as_bytes())
}

/// Type markers (AMF0 §2.1).
pub(super) mod marker {
    pub(crate) const NUMBER: u8 = 0;
    pub(crate) const BOOLEAN: u8 = 1;
    pub(crate) const STRING: u8 = 2;
    pub(crate) const OBJECT: u8 = 3;
    pub(crate) const NULL: u8 = 5;
    pub(crate) const UNDEFINED: u8 = 6;
    pub(crate) const REFERENCE: u8 = 7;
    pub(crate) const ECMA_ARRAY: u8 = 8;
    pub(crate) const OBJECT_END: u8 = 9;
    pub(crate) const STRICT_ARRAY: u8 = 10;
    pub(crate) const DATE: u8 = 11;
    pub(crate) const LONG_STRING: u8 = 12;
    pub(crate) const UNSUPPORTED: u8 = 13;
    pub(crate) const XML_DOCUMENT: u8 = 15;
    pub(crate) const TYPED_OBJECT: u8 = 16;
}

struct Reader<'a> {
    rest: &'a [u8],
    elements: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Amf0Error::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Amf0Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Amf0Error::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.take()?);
        Ok(String::from_utf8_lossy(self.bytes(usize::from(length))?).into_owned())
    }

    fn long_string(&mut self) -> Result<String, Amf0Error> {
        let length = u32::from_be_bytes(self.take()?);
        let length = usize::try_from(length).map_err(|_| Amf0Error::Short)?;
        Ok(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        if depth > DEPTH_MAX {
            return Err(Amf0Error::Depth);
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Amf0Error::Elements);
        }
        let [kind] = self.take()?;
        match kind {
            marker::NUMBER => Ok(Value::Number(f64::from_be_bytes(self.take()?))),
            marker::BOOLEAN => Ok(Value::Boolean(self.take::<1>()? != [0])),
            marker::STRING => Ok(Value::String(self.short_string()?)),
            marker::OBJECT => Ok(Value::Object(self.pairs(depth)?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED | marker::UNSUPPORTED => Ok(Value::Undefined),
            marker::REFERENCE => Ok(Value::Reference(u16::from_be_bytes(self.take()?))),
            marker::ECMA_ARRAY => {
                self.take::<4>()?; // the count is a hint only (§2.10): some encoders write 0
                Ok(Value::EcmaArray(self.pairs(depth)?))
            }
            marker::STRICT_ARRAY => self.strict_array(depth),
            marker::DATE => {
                let millis = f64::from_be_bytes(self.take()?);
                self.take::<2>()?; // time zone, reserved (§2.13)
                Ok(Value::Date(millis))
            }
            marker::LONG_STRING | marker::XML_DOCUMENT => Ok(Value::String(self.long_string()?)),
            marker::TYPED_OBJECT => {
                self.short_string()?;
                Ok(Value::Object(self.pairs(depth)?))
            }
            other => Err(Amf0Error::Marker(other)),
        }
    }

    /// Pairs up to the end marker, or up to the end of the message: some encoders leave the last marker out.
    fn pairs(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut pairs = Vec::new();
        while !self.rest.is_empty() {
            let name = self.short_string()?;
            if name.is_empty() && self.rest.first() == Some(&marker::OBJECT_END) {
                self.take::<1>()?;
                break;
            }
            pairs.push((name, self.value(depth + 1)?));
        }
        Ok(pairs)
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let count = u32::from_be_bytes(self.take()?);
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::write;
    use bytes::BytesMut;

    #[test]
    fn what_we_write_reads_back() {
        let value = Value::Object(vec![
            ("app".into(), "live".into()),
            ("long".into(), Value::String("x".repeat(70_000))),
            ("n".into(), 1.5.into()),
            ("map".into(), Value::EcmaArray(vec![("*".into(), 4.0.into())])),
            ("list".into(), Value::StrictArray(vec![true.into(), Value::Null, Value::Undefined])),
        ]);
        let mut out = BytesMut::new();
        write(&mut out, &value);
        assert_eq!(read_all(&out).unwrap(), [value]);
    }

    #[test]
    fn dates_references_typed_objects_and_missing_end_markers_are_tolerated() {
        let mut bytes = vec![marker::DATE];
        bytes.extend(1e12f64.to_be_bytes());
        bytes.extend([0, 0, marker::REFERENCE, 0, 3, marker::UNSUPPORTED]);
        bytes.extend([marker::TYPED_OBJECT, 0, 1, b'T', 0, 1, b'a', marker::NULL, 0, 0, marker::OBJECT_END]);
        bytes.extend([marker::LONG_STRING, 0, 0, 0, 2, b'h', b'i']);
        bytes.extend([marker::ECMA_ARRAY, 0, 0, 0, 9, 0, 1, b'b', marker::BOOLEAN, 1]);
        let values = read_all(&bytes).unwrap();
        assert_eq!(
            values,
            [
                Value::Date(1e12),
                Value::Reference(3),
                Value::Undefined,
                Value::Object(vec![("a".into(), Value::Null)]),
                "hi".into(),
                Value::EcmaArray(vec![("b".into(), true.into())]),
            ]
        );
    }

    #[test]
    fn ten_thousand_nested_arrays_are_an_error_and_not_a_stack_overflow() {
        let nested = [marker::STRICT_ARRAY, 0, 0, 0, 1].repeat(10_000);
        assert_eq!(read_all(&nested), Err(Amf0Error::Depth));
    }

    #[test]
    fn a_huge_count_allocates_nothing() {
        assert_eq!(read_all(&[marker::STRICT_ARRAY, 255, 255, 255, 255]), Err(Amf0Error::Short));
        assert_eq!(read_all(&[marker::LONG_STRING, 255, 255, 255, 255, 1]), Err(Amf0Error::Short));
        let nulls = vec![marker::NULL; ELEMENTS_MAX + 1];
        assert_eq!(read_all(&nulls), Err(Amf0Error::Elements));
    }
}
