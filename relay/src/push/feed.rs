//! What of a stream goes over one connection to a target: pure.
//!
//! The target sees one encoder whose time begins at zero and only rises, whoever publishes here: publishers are set
//! onto the broadcast's timeline already, a broadcast that follows another is set behind it. Decoder configurations
//! are sent when they are new, and after another publisher began pictures wait for its first keyframe.
//!
//! While nothing comes it can fill the gap. Its frames go on from the newest media at the pace of time, as the broadcast's
//! own clock does, on which the next publisher begins; media that comes later than what was filled in for it is set behind
//! that.

mod filling;

use super::parameter_sets;
use super::rules::Fill;
use crate::hub::{Batch, Item, Tag};
use bytes::Bytes;
use filling::{Before, Filling};
use rtmp::flv::{AudioTag, VideoCodec, VideoTag, parse_video};
use rtmp::{Message, MessageKind};
use std::time::{Duration, Instant};

/// A step back of more than this is another broadcast; less is sound that lags its picture.
const BACK_MS: i64 = 1_000;
/// Nothing for this long is a gap; less is a network that hesitates.
const GAP_AFTER: Duration = Duration::from_secs(1);
/// How often a gap is filled further.
const FILL_EVERY: Duration = Duration::from_millis(100);

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Feed {
    /// Added to the broadcast's time; `None` until the first message.
    offset: Option<i64>,
    /// The largest time sent.
    newest: i64,
    epoch: Option<u64>,
    waits_for_keyframe: bool,
    metadata: Option<Bytes>,
    video: Track,
    audio: Track,
    keyframe: Option<Bytes>,
    fill: Fill,
    filling: Option<Filling>,
    /// Whether something was filled in since something came.
    was_filled: bool,
    /// When something came last, or the connection began.
    came: Instant,
    /// The time of the newest of that.
    came_ms: i64,
}

#[derive(Debug, Default)]
struct Track {
    /// The publisher's decoder configuration, as a tag's body.
    own: Option<Bytes>,
    /// That which the target has.
    sent: Option<Bytes>,
    /// The largest time sent.
    newest: i64,
}

impl Feed {
    /// For a connection that begins now.
    pub(super) fn new(fill: Fill, now: Instant) -> Self {
        Self {
            offset: None,
            newest: 0,
            epoch: None,
            waits_for_keyframe: false,
            metadata: None,
            video: Track::default(),
            audio: Track::default(),
            keyframe: None,
            fill,
            filling: None,
            was_filled: false,
            came: now,
            came_ms: 0,
        }
    }

    /// The messages to send for a batch. What was written under a token older than `since` is another's and left out.
    pub(super) fn take(&mut self, since: u64, batch: &Batch, now: Instant) -> Vec<Message> {
        let mut messages = Vec::with_capacity(batch.items.len() + 3);
        let first = batch.items.iter().find(|item| item.token >= since);
        if let (Some(headers), Some(first)) = (&batch.headers, first) {
            for header in headers.all() {
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
        let own = batch.items.iter().filter(|item| item.token >= since);
        if let (Some(newest), Some(offset)) = (own.map(|item| item.at_ms).max(), self.offset) {
            self.came = now;
            self.came_ms = newest + offset;
        }
        messages
    }

    /// For how long nothing has come, if that is a gap.
    pub(super) fn gap(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.came)).filter(|silent| *silent >= GAP_AFTER)
    }

    /// When to look again, if nothing comes until then.
    pub(super) fn wake_at(&self, now: Instant, gap_max: Duration) -> Instant {
        match (&self.filling, self.gap(now)) {
            (Some(_), _) => now + FILL_EVERY,
            (None, None) => self.came + GAP_AFTER,
            (None, Some(_)) => self.came + gap_max,
        }
    }

    /// What is to be sent for a stream that brings nothing, up to now.
    pub(super) fn fill(&mut self, now: Instant) -> Vec<Message> {
        let silent = now.saturating_duration_since(self.came);
        if self.filling.is_none() && silent >= GAP_AFTER && self.offset.is_some() {
            let before = Before {
                keyframe: self.keyframe.as_ref(),
                sound: self.audio.sent.as_ref(),
                is_h264: self.video.sent.as_ref().is_some_and(is_h264),
            };
            self.filling = Filling::begin(&self.fill, &before, self.newest + 1);
        }
        let Some(filling) = &mut self.filling else { return Vec::new() };
        let until_ms = self.came_ms + silent.as_millis() as i64;
        let due = filling.due(until_ms);
        let configuration = filling.configuration().cloned();
        let mut messages = Vec::with_capacity(due.len() + 1);
        for frame in due {
            let track = match frame.kind {
                MessageKind::Video => &mut self.video,
                MessageKind::Audio | MessageKind::Data => &mut self.audio,
            };
            let at_ms = track.rise_to(frame.at_ms);
            self.was_filled |= silent >= GAP_AFTER;
            self.newest = self.newest.max(at_ms);
            let timestamp = at_ms as u32; // RTMP's 32 bits wrap, by design
            if frame.kind == MessageKind::Video {
                self.waits_for_keyframe = true;
                if let Some(body) =
                    configuration.clone().filter(|body| self.video.sent.as_ref() != Some(body))
                {
                    self.video.sent = Some(body.clone());
                    messages.push(Message { kind: MessageKind::Video, timestamp, body });
                }
            }
            messages.push(Message { kind: frame.kind, timestamp, body: frame.body });
        }
        messages
    }

    fn send(&mut self, item: &Item, at_ms: i64, messages: &mut Vec<Message>) {
        // Sound that is a little older than the first picture is before the beginning.
        let Some(at_ms) = self.map(at_ms) else { return };
        let mut put = |at_ms: i64, body: &Bytes| {
            let timestamp = at_ms as u32; // RTMP's 32 bits wrap, by design
            messages.push(Message { kind: item.message.kind, timestamp, body: body.clone() });
        };
        let body = &item.message.body;
        match &item.tag {
            Tag::Data => {
                if self.metadata.as_ref() != Some(body) {
                    self.metadata = Some(body.clone());
                    put(at_ms, body);
                }
            }
            Tag::Video(VideoTag::Config { .. }) => {
                self.video.own = Some(body.clone());
                let is_filled = self.filling.as_ref().is_some_and(Filling::has_pictures);
                if !is_filled && self.video.needs_own() {
                    self.video.sent = Some(body.clone());
                    put(self.video.rise_to(at_ms), body);
                }
            }
            Tag::Audio(AudioTag::Config { .. }) => {
                self.audio.own = Some(body.clone());
                if self.audio.needs_own() {
                    self.audio.sent = Some(body.clone());
                    put(self.audio.rise_to(at_ms), body);
                }
            }
            Tag::Video(tag) => {
                if let VideoTag::Frame { keyframe, .. } = tag {
                    self.end_filling(Filling::end_pictures);
                    if *keyframe {
                        self.keyframe = Some(body.clone());
                    }
                }
                let at_ms = self.video.rise_to(at_ms);
                match self.video.own.clone() {
                    // After a clip that had another.
                    Some(own) if self.video.needs_own() => {
                        put(at_ms, &own);
                        put(at_ms, &parameter_sets::inside(body, &own));
                        self.video.sent = Some(own);
                    }
                    _ => put(at_ms, body),
                }
            }
            Tag::Audio(_) => {
                self.end_filling(Filling::end_sound);
                put(self.audio.rise_to(at_ms), body);
            }
        }
    }

    fn end_filling(&mut self, end: impl FnOnce(&mut Filling)) {
        if let Some(filling) = &mut self.filling {
            end(filling);
            if filling.is_over() {
                self.filling = None;
            }
        }
    }

    /// Metadata at zero is what encoders send first, and what receivers take for metadata.
    fn map(&mut self, at_ms: i64) -> Option<i64> {
        let back_ms = if std::mem::take(&mut self.was_filled) { -1 } else { BACK_MS };
        let offset = match self.offset {
            Some(offset) if at_ms + offset >= self.newest - back_ms => offset,
            Some(_) => self.newest + 1 - at_ms,
            None => -at_ms,
        };
        self.offset = Some(offset);
        let mapped = at_ms + offset;
        self.newest = self.newest.max(mapped);
        (mapped >= 0).then_some(mapped)
    }
}

impl Track {
    fn needs_own(&self) -> bool {
        self.own.is_some() && self.sent != self.own
    }

    /// Within a track time never goes back, whatever was filled in.
    fn rise_to(&mut self, at_ms: i64) -> i64 {
        self.newest = if at_ms < self.newest { self.newest + 1 } else { at_ms };
        self.newest
    }
}

fn is_h264(configuration: &Bytes) -> bool {
    matches!(parse_video(configuration), Ok(VideoTag::Config { codec: VideoCodec::H264, .. }))
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
            let feed = Feed::new(Fill::Hold, start);
            Self { start, reader: broadcast.subscribe(9_000), broadcast, feed }
        }

        fn filled_with(fill: Fill) -> Self {
            let story = Self::new();
            Self { feed: Feed::new(fill, story.start), ..story }
        }

        /// Half a second of a publisher: a keyframe and a picture, and sound with each.
        fn half_a_second(&self, at: u64, token: u64) {
            self.write(at, token, 5, CONFIG);
            self.write(at, token, 5, SOUND_CONFIG);
            for (after, picture) in [(0, KEY), (467, DELTA)] {
                self.write(at + after, token, 5 + after as u32, picture);
                self.write(at + after, token, 5 + after as u32, SOUND);
            }
        }

        /// One message of the publisher with this token, `at` milliseconds after the start, on its own clock.
        fn write(&self, at: u64, token: u64, timestamp: u32, body: &[u8]) {
            let kind = if matches!(body[0], 0xaf) { MessageKind::Audio } else { MessageKind::Video };
            let message = Message { kind, timestamp, body: Bytes::copy_from_slice(body) };
            self.broadcast.write(self.start + Duration::from_millis(at), token, message).unwrap();
        }

        /// What is sent now: first two bytes of each body, and its time.
        fn sent(&mut self, since: u64) -> Vec<([u8; 2], u32)> {
            self.sent_at(0, since)
        }

        fn sent_at(&mut self, at: u64, since: u64) -> Vec<([u8; 2], u32)> {
            let batch = self.reader.take(100);
            let now = self.start + Duration::from_millis(at);
            short(&self.feed.take(since, &batch, now))
        }

        /// What is filled in, looked at every 100 ms as the task does.
        fn filled(&mut self, from: u64, until: u64) -> Vec<([u8; 2], u32)> {
            let looks = (from..=until).step_by(100).map(|at| self.start + Duration::from_millis(at));
            looks.flat_map(|now| short(&self.feed.fill(now))).collect()
        }
    }

    fn short(messages: &[Message]) -> Vec<([u8; 2], u32)> {
        messages.iter().map(|it| ([it.body[0], it.body[1]], it.timestamp)).collect()
    }

    /// The times of the messages that begin with this byte.
    fn times(sent: &[([u8; 2], u32)], first: u8) -> Vec<u32> {
        sent.iter().filter(|(bytes, _)| bytes[0] == first).map(|(_, at)| *at).collect()
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
    const SOUND_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];

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

    #[test]
    fn a_gap_is_held_without_a_word_or_filled_with_silence_and_the_newest_keyframe() {
        for fill in [Fill::Hold, Fill::Silence] {
            let is_held = matches!(fill, Fill::Hold);
            let mut story = Story::filled_with(fill);
            story.broadcast.admit(7).unwrap();
            story.half_a_second(0, 7);
            assert_eq!(story.sent_at(467, 7).last().unwrap().1, 467);
            assert_eq!(story.filled(500, 1_400), [], "a network that hesitates is no gap");
            let filled = story.filled(1_500, 6_467);
            assert_eq!(filled.is_empty(), is_held);
            if !is_held {
                assert_eq!(times(&filled, 0x17), [468, 1_468, 2_468, 3_468, 4_468, 5_468]);
                let silence = times(&filled, 0xaf);
                assert!(silence.windows(2).all(|pair| matches!(pair[1] - pair[0], 21 | 22)), "{silence:?}");
                assert_eq!((silence[0], silence.len()), (468, (6_400 - 468) * 48 / 1_024 + 1));
            }
            // Another publisher, where the clock stands; in the same configuration.
            story.broadcast.admit(8).unwrap();
            story.half_a_second(6_500, 8);
            let after = story.sent_at(6_967, 7);
            assert_eq!(times(&after, 0x17), [6_500]);
            assert_eq!((times(&after, 0x27), times(&after, 0xaf)), (vec![6_967], vec![6_500, 6_967]));
            assert_eq!(story.filled(7_000, 7_900), []);
        }
    }

    #[test]
    fn a_clip_has_its_own_configuration_and_gives_way_track_by_track() {
        let slate = Arc::new(crate::push::slate::tests::slate());
        let mut story = Story::filled_with(Fill::Slate(slate));
        story.broadcast.admit(7).unwrap();
        story.half_a_second(0, 7);
        story.sent_at(467, 7);
        let filled = story.filled(1_500, 3_400);
        // Its configuration once, then a keyframe and a picture of 500 ms each, and its sound, again and again.
        assert_eq!(filled[..2], [([0x17, 0], 468), ([0x17, 1], 468)]);
        assert_eq!(times(&filled, 0x17), [468, 468, 1_468, 2_468]);
        assert_eq!(times(&filled, 0x27), [968, 1_968, 2_968]);
        assert_eq!(times(&filled, 0xaf), [469, 1_469, 2_469]);
        // The same publisher goes on: sound at once, pictures from its next keyframe on.
        story.write(3_500, 7, 3_505, SOUND);
        story.write(3_510, 7, 3_515, DELTA);
        assert_eq!(story.sent_at(3_510, 7), [([0xaf, 1], 3_500)]);
        assert_eq!(story.filled(3_600, 4_000), [([0x17, 1], 3_468), ([0x27, 1], 3_968)], "without its sound");
        story.write(4_033, 7, 4_038, KEY);
        assert_eq!(
            story.sent_at(4_033, 7),
            [([0x17, 0], 4_033), ([0x17, 1], 4_033)],
            "its own configuration"
        );
        assert_eq!(story.filled(4_100, 4_900), []);
    }

    #[test]
    fn media_that_was_held_up_is_set_behind_what_was_filled_in_for_it() {
        let mut story = Story::filled_with(Fill::Silence);
        story.broadcast.admit(7).unwrap();
        story.half_a_second(0, 7);
        story.sent_at(467, 7);
        let filled = story.filled(1_500, 3_500);
        let last = filled.iter().map(|(_, at)| *at).max().unwrap();
        for at in (500..3_500).step_by(500) {
            story.write(3_600, 7, 5 + at, KEY);
            story.write(3_600, 7, 5 + at - 10, SOUND);
        }
        let late = story.sent_at(3_600, 7);
        assert_eq!(times(&late, 0x17)[..2], [last + 1, last + 501]);
        let sound = times(&late, 0xaf);
        assert!(sound[0] > last && sound.windows(2).all(|pair| pair[0] < pair[1]), "{sound:?}");
    }

    #[test]
    fn pictures_that_are_still_filled_in_do_not_run_ahead_of_sound_that_was_held_up() {
        let mut story = Story::filled_with(Fill::Silence);
        story.broadcast.admit(7).unwrap();
        story.half_a_second(0, 7);
        story.sent_at(467, 7);
        story.filled(1_500, 3_500);
        // Half of what was held up, without a keyframe in it; then the rest.
        for at in (500..2_000).step_by(20) {
            story.write(3_510, 7, 5 + at, SOUND);
        }
        let sound = story.sent_at(3_510, 7).last().unwrap().1;
        let filled = story.filled(3_520, 3_620);
        assert!(filled.iter().all(|(_, at)| *at <= sound + 110), "{sound} {filled:?}");
        story.write(3_630, 7, 2_005, SOUND);
        assert_eq!(story.sent_at(3_630, 7), [([0xaf, 1], sound + 20)]);
    }
}
