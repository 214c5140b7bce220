//! Commands: names and values in AMF0 (RTMP 1.0 §7.2).

use crate::amf0::{self, Amf0Error, Value};
use crate::chunk::{CSID_COMMAND, CSID_STATUS, ChunkWriter, kind};
use bytes::BytesMut;

/// The longest description that we send or show, in characters.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// A command as received. Missing values read as `Undefined`, so nothing is indexed blindly.
pub(crate) struct Command {
    pub(crate) name: String,
    /// 0: no answer wanted.
    pub(crate) transaction: f64,
    /// The command object, then the arguments.
    values: Vec<Value>,
}

impl Command {
    /// Reads a command. Values behind a malformed one are lost; a command whose name cannot be read is an error.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Amf0Error> {
        let (values, error) = amf0::read_prefix(body);
        if matches!(error, Some(Amf0Error::Depth | Amf0Error::Elements)) {
            return Err(error.unwrap_or(Amf0Error::Short));
        }
        let mut values = values.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(error.unwrap_or(Amf0Error::Short)) };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        Ok(Self { name, transaction, values: values.collect() })
    }

    /// The command object of `connect`, or the properties of its answer.
    pub(crate) fn object(&self) -> &Value {
        self.values.first().unwrap_or(&Value::Undefined)
    }

    /// The argument at `index`, counted from 0 behind the command object.
    pub(crate) fn argument(&self, index: usize) -> &Value {
        self.values.get(index + 1).unwrap_or(&Value::Undefined)
    }

    /// The code and description of a status or an error, wherever its sender put them.
    pub(crate) fn status(&self) -> Option<Status> {
        let text = |value: &Value, name| value.get(name).and_then(Value::as_str).map(plain);
        self.values.iter().find_map(|value| {
            Some(Status {
                code: text(value, "code")?,
                level: text(value, "level").unwrap_or_default(),
                description: text(value, "description").unwrap_or_default(),
            })
        })
    }
}

/// What an `onStatus`, `_result` or `_error` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) level: String,
    pub(crate) code: String,
    pub(crate) description: String,
}

impl Status {
    pub(crate) fn is_error(&self) -> bool {
        self.level == "error"
    }
}

/// One line of at most 200 printable ASCII characters, because every client prints that and some print nothing else.
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(DESCRIPTION_CHARS_MAX).map(visible).collect()
}

/// Appends a command to the output.
pub(crate) fn write(writer: &ChunkWriter, out: &mut BytesMut, csid: u32, stream: u32, values: &[Value]) {
    let mut body = BytesMut::new();
    values.iter().for_each(|value| amf0::write(&mut body, value));
    writer.write(out, csid, kind::COMMAND, 0, stream, &body);
}

/// Appends `_result` or `_error` for a transaction.
pub(crate) fn write_answer(
    writer: &ChunkWriter,
    out: &mut BytesMut,
    name: &str,
    transaction: f64,
    object: Value,
    info: Value,
) {
    write(writer, out, CSID_COMMAND, 0, &[name.into(), transaction.into(), object, info]);
}

/// Appends an `onStatus` on a message stream.
pub(crate) fn write_status(
    writer: &ChunkWriter,
    out: &mut BytesMut,
    stream: u32,
    level: &str,
    code: &str,
    description: &str,
) {
    let info = info(level, code, description);
    write(writer, out, CSID_STATUS, stream, &["onStatus".into(), 0.0.into(), Value::Null, info]);
}

/// The information object of a status.
pub(crate) fn info(level: &str, code: &str, description: &str) -> Value {
    Value::Object(vec![
        ("level".into(), level.into()),
        ("code".into(), code.into()),
        ("description".into(), Value::String(plain(description))),
    ])
}
