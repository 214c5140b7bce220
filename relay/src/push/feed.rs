//! What of a stream goes over one connection to a target: pure.
//!
//! The target sees one encoder whose time begins at zero and only rises, whoever publishes here: publishers are set
//! onto the broadcast's timeline already, a broadcast that follows another is set behind it. Decoder configurations
//! are sent when they are new, and after another publisher began pictures wait for its first keyframe.

use crate::hub::{Batch, Item, Tag};
use bytes::Bytes;
use rtmp::Message;
use rtmp::flv::{AudioTag, VideoTag};

/// A step back of more than this is another broadcast; less is sound that lags its picture.
const BACK_MS: i64 = 1_000;

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Added to the broadcast's time; `None` until the first message.
    offset: Option<i64>,
    /// The largest time sent.
    newest: i64,
    epoch: Option<u64>,
    waits_for_keyframe: bool,
    metadata: Option<Bytes>,
    video: Option<Bytes>,
    audio: Option<Bytes>,
}

impl Feed {
    /// The messages to send for a batch. What was written under a token older than `since` is another's and left out.
    pub(super) fn take(&mut self, since: u64, batch: &Batch) -> Vec<Message> {
        let mut messages = Vec::with_capacity(batch.items.len() + 3);
        let first = batch.items.iter().find(|item| item.token >= since);
        if let (Some(headers), Some(first)) = (&batch.headers, first) {
            for header in [&headers.metadata, &headers.video, &headers.audio].into_iter().flatten() {
                if header.token >= since {
                    self.send(header, first.at_ms, &mut messages);
                }
            }
        }
        for item in batch.items.iter().filter(|item| item.token >= since) {
            if self.epoch.is_none_or(|epoch| epoch != item.epoch) {
                self.waits_for_keyframe = true;
            }
            self.epoch = Some(item.epoch);
            if item.is_keyframe() {
                self.waits_for_keyframe = false;
            }
            if !(self.waits_for_keyframe && item.is_picture()) {
                self.send(item, item.at_ms, &mut messages);
            }
        }
        messages
    }

    fn send(&mut self, item: &Item, at_ms: i64, messages: &mut Vec<Message>) {
        // Sound that is a little older than the first picture is before the beginning.
        let Some(timestamp) = self.map(at_ms) else { return };
        let known = match &item.tag {
            Tag::Data => Some(&mut self.metadata),
            Tag::Video(VideoTag::Config { .. }) => Some(&mut self.video),
            Tag::Audio(AudioTag::Config { .. }) => Some(&mut self.audio),
            Tag::Video(_) | Tag::Audio(_) => None,
        };
        if let Some(known) = known {
            if known.as_ref() == Some(&item.message.body) {
                return;
            }
            *known = Some(item.message.body.clone());
        }
        messages.push(Message { timestamp, ..item.message.clone() });
    }

    /// Metadata at zero is what encoders send first, and what receivers take for metadata.
    fn map(&mut self, at_ms: i64) -> Option<u32> {
        let offset = match self.offset {
            Some(offset) if at_ms + offset >= self.newest - BACK_MS => offset,
            Some(_) => self.newest + 1 - at_ms,
            None => -at_ms,
        };
        self.offset = Some(offset);
        let mapped = at_ms + offset;
        self.newest = self.newest.max(mapped);
        (mapped >= 0).then_some(mapped as u32) // RTMP's 32 bits wrap, by design
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::hub::{Broadcast, START_MS, Subscriber};
    use rtmp::MessageKind;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    struct Story {
        start: Instant,
        broadcast: Arc<Broadcast>,
        reader: Subscriber,
        feed: Feed,
    }

    impl Story {
        fn new() -> Self {
            let start = Instant::now();
            let broadcast = broadcast(start);
            Self { start, reader: broadcast.subscribe(9_000), broadcast, feed: Feed::default() }
        }

        /// One message of the publisher with this token, `at` milliseconds after the start, on its own clock.
        fn write(&self, at: u64, token: u64, timestamp: u32, body: &[u8]) {
            let kind = if matches!(body[0], 0xaf) { MessageKind::Audio } else { MessageKind::Video };
            let message = Message { kind, timestamp, body: Bytes::copy_from_slice(body) };
            self.broadcast.write(self.start + Duration::from_millis(at), token, message).unwrap();
        }

        /// What is sent now: first two bytes of each body, and its time.
        fn sent(&mut self, since: u64) -> Vec<([u8; 2], u32)> {
            let batch = self.reader.take(100);
            let messages = self.feed.take(since, &batch);
            messages.iter().map(|it| ([it.body[0], it.body[1]], it.timestamp)).collect()
        }
    }

    fn broadcast(now: Instant) -> Arc<Broadcast> {
        Broadcast::new("live/room".parse().unwrap(), now, jiff::Timestamp::UNIX_EPOCH, START_MS)
    }

    // FLV 10.1 §E.4.3: AVC configuration, keyframe, other picture; E.4.2: AAC.
    const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff];
    const OTHER_CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1e, 0xff];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65];
    const DELTA: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41];
    const SOUND: &[u8] = &[0xaf, 1, 0x21];

    #[test]
    fn the_target_sees_time_rise_from_zero_across_publishers() {
        let mut story = Story::new();
        story.broadcast.admit(7).unwrap();
        story.write(0, 7, 900_000, CONFIG);
        story.write(0, 7, 900_000, KEY);
        story.write(20, 7, 899_990, SOUND);
        story.write(33, 7, 900_033, DELTA);
        story.write(40, 7, 900_020, SOUND);
        let sent = story.sent(7);
        assert_eq!(sent, [([0x17, 0], 0), ([0x17, 1], 0), ([0x27, 1], 33), ([0xaf, 1], 20)]);
        story.broadcast.admit(8).unwrap();
        story.write(8_000, 8, 5, CONFIG);
        story.write(8_000, 8, 5, DELTA);
        story.write(8_010, 8, 15, SOUND);
        story.write(8_033, 8, 38, KEY);
        // The same configuration is not sent again; pictures wait for a keyframe, sound does not.
        assert_eq!(story.sent(7), [([0xaf, 1], 8_010), ([0x17, 1], 8_033)]);
    }

    #[test]
    fn a_new_configuration_is_sent() {
        let mut story = Story::new();
        story.broadcast.admit(7).unwrap();
        story.write(0, 7, 0, CONFIG);
        story.write(0, 7, 0, KEY);
        story.sent(7);
        story.broadcast.admit(8).unwrap();
        story.write(100, 8, 0, OTHER_CONFIG);
        story.write(100, 8, 0, KEY);
        assert_eq!(story.sent(7).len(), 2);
        story.write(133, 8, 33, OTHER_CONFIG);
        assert_eq!(story.sent(7).len(), 0);
    }

    #[test]
    fn nothing_of_another_holder_is_sent() {
        let mut story = Story::new();
        story.broadcast.admit(7).unwrap();
        story.write(0, 7, 0, CONFIG);
        story.write(0, 7, 0, KEY);
        assert_eq!(story.sent(8), []);
        story.broadcast.admit(9).unwrap();
        story.write(100, 9, 0, CONFIG);
        story.write(100, 9, 0, KEY);
        assert_eq!(story.sent(8).len(), 2);
    }

    #[test]
    fn another_broadcast_of_the_stream_is_set_behind_the_one_before() {
        let mut story = Story::new();
        story.broadcast.admit(7).unwrap();
        story.write(60_000, 7, 0, CONFIG);
        story.write(60_000, 7, 0, KEY);
        story.write(61_000, 7, 1_000, DELTA);
        let before = story.sent(7);
        story.broadcast = broadcast(story.start);
        story.reader = story.broadcast.subscribe(9_000);
        story.broadcast.admit(8).unwrap();
        story.write(0, 8, 0, CONFIG);
        story.write(0, 8, 0, KEY);
        let after = story.sent(7);
        assert!(after[0].1 > before.last().unwrap().1, "{before:?} {after:?}");
    }
}
