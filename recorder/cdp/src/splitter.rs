//! Cuts the browser's byte stream into messages: JSON texts, each ended by a NUL byte.

use bytes::{Buf, BytesMut};

/// The longest message that we take, in bytes. A 4K screenshot in base64 stays below it. A longer one ends the
/// connection, since there is no way to skip it cheaply.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A message was longer than [`MESSAGE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes that arrived and are not yet a whole message.
#[derive(Default)]
pub(crate) struct Splitter {
    pub(crate) buffer: BytesMut,
    /// How much of the buffer is known to contain no NUL.
    searched: usize,
}

impl Splitter {
    /// The next whole message without its NUL, or `None` until more bytes are in `buffer`.
    pub(crate) fn next_message(&mut self) -> Result<Option<BytesMut>, TooLong> {
        let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == 0) else {
            self.searched = self.buffer.len();
            return if self.searched > MESSAGE_BYTES_MAX { Err(TooLong) } else { Ok(None) };
        };
        let message = self.buffer.split_to(self.searched + at);
        self.buffer.advance(1);
        self.searched = 0;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_were_cut() {
        let stream = b"{\"id\":1}\0{}\0\0{\"id\":2}\0rest";
        for step in 1..stream.len() {
            let mut splitter = Splitter::default();
            let mut messages = Vec::new();
            for piece in stream.chunks(step) {
                splitter.buffer.extend_from_slice(piece);
                while let Some(message) = splitter.next_message().unwrap() {
                    messages.push(message.to_vec());
                }
            }
            assert_eq!(messages, [&b"{\"id\":1}"[..], b"{}", b"", b"{\"id\":2}"]);
            assert_eq!(&splitter.buffer[..], b"rest");
        }
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut splitter = Splitter::default();
        splitter.buffer.resize(MESSAGE_BYTES_MAX + 1, b' ');
        assert_eq!(splitter.next_message(), Err(TooLong));
    }
}
