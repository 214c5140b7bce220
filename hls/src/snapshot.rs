//! One publication of a stream: playlists as they are sent, and the numbers that blocking requests compare.

use crate::learn::Rules;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::{Arc, OnceLock};

/// A playlist, plain and compressed.
#[derive(Debug)]
pub(crate) struct Body {
    plain: Bytes,
    /// Compressed once, by the first who asks: a stream without viewers costs no compression.
    gzip: OnceLock<Bytes>,
}

impl Body {
    pub(crate) fn new(text: String) -> Self {
        Self { plain: text.into(), gzip: OnceLock::new() }
    }

    pub(crate) fn plain(&self) -> Bytes {
        self.plain.clone()
    }

    pub(crate) fn gzip(&self) -> Bytes {
        self.gzip.get_or_init(|| compress(&self.plain)).clone()
    }
}

fn compress(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::new(4));
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default().into()
}

/// What everyone sees from one publication to the next.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) rules: Rules,
    /// The media sequence number of the segment that grows.
    pub(crate) open_msn: u64,
    /// How many parts it has.
    pub(crate) open_parts: u64,
    /// How many parts the segment before it has. Kept, or whoever waits for its last part would wait one part longer.
    pub(crate) last_parts: u64,
    pub(crate) ended: bool,
    /// The address of the part that is hinted: fencing token and number.
    pub(crate) hint: (u64, u64),
    pub(crate) full: Body,
    /// `None` where nothing can be skipped.
    pub(crate) delta: Option<Body>,
    pub(crate) multivariant: Arc<Body>,
}

/// How a playlist request with delivery directives stands against a snapshot (RFC 8216bis §6.2.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// What was asked for, or later, is listed.
    Ready,
    /// It is to come.
    Wait,
    /// It is further ahead than a client may ask.
    TooFarAhead,
}

impl Snapshot {
    /// For `_HLS_msn=msn` and `_HLS_part=part`.
    pub(crate) fn readiness(&self, msn: u64, part: Option<u64>) -> Readiness {
        if self.ended {
            return Readiness::Ready;
        }
        // Two ahead of the last complete segment is one ahead of the open one.
        if msn > self.open_msn.saturating_add(1) {
            return Readiness::TooFarAhead;
        }
        let Some(part) = part else {
            return if msn < self.open_msn { Readiness::Ready } else { Readiness::Wait };
        };
        let listed = if msn == self.open_msn { self.open_parts } else { 0 };
        if msn >= self.open_msn && part >= listed.saturating_add(self.rules.advance_part_limit()) {
            return Readiness::TooFarAhead;
        }
        let is_listed = match (msn, self.open_msn) {
            (msn, open) if msn == open => part < self.open_parts,
            // Past the last part of a complete segment means the first of the next.
            (msn, open) if msn + 1 == open => part < self.last_parts || self.open_parts > 0,
            (msn, open) => msn < open,
        };
        if is_listed { Readiness::Ready } else { Readiness::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(open_parts: u64) -> Snapshot {
        Snapshot {
            rules: Rules { target_duration: 2, part_target: 340_000, segment_min: 1_000_000 },
            open_msn: 10,
            open_parts,
            last_parts: 6,
            ended: false,
            hint: (1, 99),
            full: Body::new(String::new()),
            delta: None,
            multivariant: Arc::new(Body::new(String::new())),
        }
    }

    #[test]
    fn the_last_part_of_a_segment_that_just_ended_is_there() {
        use Readiness::{Ready, TooFarAhead, Wait};
        let boundary = snapshot(0);
        for (msn, part, expected) in [
            (9, Some(5), Ready),
            (9, None, Ready),
            (9, Some(6), Wait),
            (10, Some(0), Wait),
            (10, None, Wait),
            (8, Some(40), Ready),
            (3, Some(0), Ready),
            (11, Some(0), Wait),
            (11, None, Wait),
            (12, None, TooFarAhead),
            (10, Some(9), TooFarAhead),
            (u64::MAX, Some(u64::MAX), TooFarAhead),
        ] {
            assert_eq!(boundary.readiness(msn, part), expected, "{msn} {part:?}");
        }
        let growing = snapshot(2);
        for (msn, part, expected) in
            [(9, Some(6), Ready), (10, Some(1), Ready), (10, Some(2), Wait), (10, Some(11), TooFarAhead)]
        {
            assert_eq!(growing.readiness(msn, part), expected, "{msn} {part:?}");
        }
        let ended = Snapshot { ended: true, ..snapshot(0) };
        assert_eq!(ended.readiness(99, None), Ready);
    }

    #[test]
    fn the_compressed_body_unpacks_to_the_plain_one() {
        use std::io::Read;
        let body = Body::new("#EXTM3U\n".repeat(100));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body.gzip()[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.as_bytes(), &body.plain()[..]);
        assert!(body.gzip().len() < 100);
    }
}
