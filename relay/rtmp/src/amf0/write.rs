//! Writing AMF0.

use super::Value;
use super::read::marker;
use bytes::{BufMut, BytesMut};

/// Appends one value. A name longer than 65,535 bytes is cut there, at a character.
pub fn write(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(flag) => out.put_slice(&[marker::BOOLEAN, u8::from(*flag)]),
        Value::String(text) => write_string(out, text),
        Value::Object(pairs) => {
            out.put_u8(marker::OBJECT);
            write_pairs(out, pairs);
        }
        Value::EcmaArray(pairs) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
            write_pairs(out, pairs);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
            items.iter().for_each(|item| write(out, item));
        }
        Value::Date(millis) => {
            out.put_u8(marker::DATE);
            out.put_f64(*millis);
            out.put_u16(0); // time zone, reserved
        }
        Value::Reference(index) => {
            out.put_u8(marker::REFERENCE);
            out.put_u16(*index);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
    }
}

fn write_string(out: &mut BytesMut, text: &str) {
    if text.len() <= usize::from(u16::MAX) {
        out.put_u8(marker::STRING);
        write_name(out, text);
        return;
    }
    out.put_u8(marker::LONG_STRING);
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text.as_bytes());
}

fn write_name(out: &mut BytesMut, name: &str) {
    let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
    out.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    out.put_slice(name.as_bytes());
}

fn write_pairs(out: &mut BytesMut, pairs: &[(String, Value)]) {
    for (name, value) in pairs {
        write_name(out, name);
        write(out, value);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}
