//! Server-sent events as bytes: the parser of the WHATWG HTML standard, section 9.2.6, without reconnection ids.

use std::collections::VecDeque;

/// One event as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawEvent {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

/// More than is allowed came without the end of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overlong;

/// Turns bytes into events. Holds at most one unfinished event, of bounded size, and what one chunk completes.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    after_cr: bool,
    done: VecDeque<RawEvent>,
}

/// The largest event, in bytes. A snapshot of a thousand streams has about one million.
const EVENT_BYTES_MAX: usize = 16 << 20;

impl Parser {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Overlong> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => self.end_line(),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(Overlong);
            }
        }
        Ok(())
    }

    /// The next complete event.
    pub(super) fn pop(&mut self) -> Option<RawEvent> {
        self.done.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let name = std::mem::take(&mut self.name);
            if let Some((_, data)) = data.split_last() {
                self.done.push_back(RawEvent { name, data: data.to_vec() });
            }
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // Comments keep the connection alive; ids and retry times are not used.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk).unwrap();
            while let Some(event) = parser.pop() {
                events.push((event.name, String::from_utf8(event.data).unwrap()));
            }
        }
        events
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let bytes =
            b": hello\n\nevent: claim\ndata: {\"a\":\ndata:1}\n\nevent:x\r\ndata: y\r\n\r\ndata\n\nid: 7\n\n";
        let whole = events(&[bytes]);
        assert_eq!(
            whole,
            [
                ("claim".into(), "{\"a\":\n1}".into()),
                ("x".into(), "y".into()),
                (String::new(), String::new())
            ]
        );
        for cut in 0..bytes.len() {
            assert_eq!(events(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused_at_its_limit() {
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1 << 20], b"\n"].concat();
        let refused = (0..20).find(|_| parser.push(&line).is_err());
        assert_eq!(refused, Some(15));
    }
}
