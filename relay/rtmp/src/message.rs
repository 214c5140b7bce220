//! One audio, video or data message, as both directions of the house pass it on.

use bytes::Bytes;

/// What a [`Message`] carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Sound: message type 8.
    Audio,
    /// Pictures: message type 9.
    Video,
    /// Metadata and cues: message type 18, AMF0.
    Data,
}

/// One message of a published stream. Cloning copies a handle, not the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sound, pictures or data.
    pub kind: MessageKind,
    /// Milliseconds as on the wire; wraps after 49.7 days.
    pub timestamp: u32,
    /// The body of an FLV tag; for data, AMF0 that begins with the handler's name (such as `onMetaData`), without
    /// `@setDataFrame`, so that it can be sent to players as it is.
    pub body: Bytes,
}
