//! Lines of a pipe, bounded in length and in number.

use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it.
    Whole(String),
    /// Its first part; the rest was too much and is dropped.
    Cut(String),
}

/// Reads lines of at most so many bytes. Bytes that are not UTF-8 become replacement characters.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, bytes_max: usize) -> Self {
        Self { reader: BufReader::new(reader), bytes_max }
    }

    /// The next line; `None` at the end or after an error, which for a pipe is the same.
    pub(super) async fn next(&mut self) -> Option<Line> {
        let mut line = Vec::new();
        let mut is_cut = false;
        loop {
            let bytes = self.reader.fill_buf().await.ok()?;
            if bytes.is_empty() && line.is_empty() && !is_cut {
                return None;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = self.bytes_max - line.len();
            is_cut |= part.len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            let is_end = bytes.is_empty() || end.is_some();
            let used = end.map_or(bytes.len(), |end| end + 1);
            self.reader.consume(used);
            if is_end {
                let text = String::from_utf8_lossy(&line).into_owned();
                return Some(if is_cut { Line::Cut(text) } else { Line::Whole(text) });
            }
        }
    }
}

/// Admits so many lines per second and counts the others.
pub(super) struct Throttle {
    per_second: u32,
    second_begins: Instant,
    admitted: u32,
    dropped: u64,
}

impl Throttle {
    pub(super) const fn new(now: Instant, per_second: u32) -> Self {
        Self { per_second, second_begins: now, admitted: 0, dropped: 0 }
    }

    /// Whether one more line is admitted.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second_begins) >= Duration::from_secs(1) {
            self.second_begins = now;
            self.admitted = 0;
        }
        let is_admitted = self.admitted < self.per_second;
        if is_admitted {
            self.admitted += 1;
        } else {
            self.dropped += 1;
        }
        is_admitted
    }

    /// How many were dropped since this was last asked.
    pub(super) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "virtual time begins at some real instant")]

    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_their_limit_and_the_next_one_is_whole_again() {
        let bytes = [b"one\n".as_slice(), &[b'x'; 9000], b"\n12345678\nlast"].concat();
        let mut lines = Lines::new(bytes.as_slice(), 8);
        assert_eq!(lines.next().await, Some(Line::Whole("one".into())));
        assert_eq!(lines.next().await, Some(Line::Cut("xxxxxxxx".into())));
        assert_eq!(lines.next().await, Some(Line::Whole("12345678".into())));
        assert_eq!(lines.next().await, Some(Line::Whole("last".into())));
        assert_eq!(lines.next().await, None);
    }

    #[test]
    fn a_flood_of_lines_is_counted() {
        let begin = Instant::now();
        let mut throttle = Throttle::new(begin, 2);
        assert_eq!([(); 4].map(|()| throttle.admit(begin)), [true, true, false, false]);
        assert!(throttle.admit(begin + Duration::from_secs(1)));
        assert_eq!((throttle.take_dropped(), throttle.take_dropped()), (2, 0));
    }
}
