//! One stream's media in memory: a bounded ring that one publisher writes and any number of readers follow.
//!
//! Every write shows its fencing token; a write with a token older than the newest is refused. Readers share the
//! messages and keep only a place in the ring, so a slow one costs nothing but its own lag.

use super::item::{Item, Tag};
use super::rate::Rate;
use super::subscriber::Subscriber;
use super::timeline::{START_MS, Timeline};
use media::{AudioTrack, StreamUrl, VideoTrack};
use rtmp::flv::{self, AudioTag, VideoTag};
use rtmp::{Message, MessageKind};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How much of the past the ring holds, in milliseconds; older messages are dropped.
const SPAN_MS_MAX: i64 = 10_000;
/// How many payload bytes the ring holds; older messages are dropped, whatever their age.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many messages the ring holds, against floods of tiny ones.
const ITEMS_MAX: usize = 16_384;
/// How many multitrack sequence headers are kept for late players, over both kinds.
const MULTITRACK_HEADERS_MAX: usize = 32;
/// The largest multitrack sequence header that is kept, in bytes; a larger one is passed on only.
const MULTITRACK_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Readers wake at each picture; where pictures are further apart than this, or stop, sound wakes them as well.
const WAKE_MS: i64 = 100;

/// Why a write into a broadcast is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another publisher has been admitted since.
    #[error("the fencing token {offered} is older than {newest}")]
    Stale {
        /// The token shown.
        offered: u64,
        /// The newest one.
        newest: u64,
    },
    /// The broadcast is over.
    #[error("the broadcast has ended")]
    Ended,
    /// The message is not what its type says.
    #[error(transparent)]
    Malformed(#[from] flv::FlvError),
}

/// Where the ring's head is, for waking readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the next message to be written.
    pub next: u64,
    /// Whether no more will come.
    pub ended: bool,
}

/// What a decoder needs before its first frame, kept for late joiners.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// `onMetaData` as it came.
    pub metadata: Option<Arc<Item>>,
    /// The video configuration.
    pub video: Option<Arc<Item>>,
    /// The audio configuration.
    pub audio: Option<Arc<Item>>,
    /// Multitrack sequence headers, newest last: one body stays as long as it is the newest of any track it announces.
    pub multitrack: Vec<MultitrackHeader>,
}

/// A multitrack body and the tracks that it is the newest sequence header of.
#[derive(Clone, Debug)]
pub struct MultitrackHeader {
    /// The message, with its kind.
    pub item: Arc<Item>,
    tracks: Vec<flv::TrackId>,
}

impl Headers {
    /// Everything that goes before the first frame, in the order to send it.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Item>> {
        let single = [&self.metadata, &self.video, &self.audio].into_iter().flatten();
        single.chain(self.multitrack.iter().map(|header| &header.item))
    }

    /// Keeps a body that announces `tracks` instead of what announced them before. Bodies over
    /// [`MULTITRACK_HEADERS_MAX`] push out the oldest, whose tracks late players then cannot decode.
    fn keep_multitrack(&mut self, item: Arc<Item>, tracks: Vec<flv::TrackId>) {
        for older in self.multitrack.iter_mut().filter(|older| older.item.kind() == item.kind()) {
            older.tracks.retain(|track| !tracks.contains(track));
        }
        self.multitrack.retain(|header| !header.tracks.is_empty());
        if self.multitrack.len() == MULTITRACK_HEADERS_MAX {
            self.multitrack.remove(0);
        }
        self.multitrack.push(MultitrackHeader { item, tracks });
    }
}

pub(super) struct Ring {
    pub(super) items: VecDeque<Arc<Item>>,
    /// The number of `items[0]`.
    pub(super) first: u64,
    bytes: usize,
    /// The number of the newest keyframe, if it is still in the ring.
    pub(super) newest_keyframe: Option<u64>,
    pub(super) headers: Headers,
    timeline: Timeline,
    token: u64,
    epoch: u64,
    /// When the broadcast's own clock stood at `origin_ms`.
    origin: Instant,
    origin_ms: i64,
    rate: Rate,
    last_media: Option<Instant>,
    /// When readers were last woken, on the timeline.
    woken_ms: i64,
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    ended: bool,
}

/// What a broadcast says about itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The newest fencing token.
    pub token: u64,
    /// Pictures per second over two seconds.
    pub frames_per_second: f64,
    /// Bits per second over two seconds.
    pub bits_per_second: u64,
    /// Since the last media.
    pub silence: Option<Duration>,
    /// The video track, in a codec that we read.
    pub video: Option<VideoTrack>,
    /// The audio track, in a codec that we read.
    pub audio: Option<AudioTrack>,
    /// RTMP players now.
    pub rtmp_players: u32,
    /// HTTP-FLV players now.
    pub flv_players: u32,
}

/// One stream's media.
pub struct Broadcast {
    url: StreamUrl,
    since: jiff::Timestamp,
    ring: Mutex<Ring>,
    head: watch::Sender<Head>,
    /// By [`PlayerKind`].
    players: [AtomicU32; 2],
}

impl Broadcast {
    /// An empty broadcast whose own clock stands at `clock_ms`; [`START_MS`] for one that never was before.
    #[must_use]
    pub fn new(url: StreamUrl, now: Instant, since: jiff::Timestamp, clock_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            url,
            since,
            ring: Mutex::new(Ring {
                items: VecDeque::new(),
                first: 0,
                bytes: 0,
                newest_keyframe: None,
                headers: Headers::default(),
                timeline: Timeline::new(),
                token: 0,
                epoch: 0,
                origin: now,
                origin_ms: clock_ms.max(START_MS),
                rate: Rate::new(now),
                last_media: None,
                woken_ms: 0,
                video: None,
                audio: None,
                ended: false,
            }),
            head: watch::Sender::new(Head::default()),
            players: [const { AtomicU32::new(0) }; 2],
        })
    }

    /// Which stream it is.
    #[must_use]
    pub fn url(&self) -> &StreamUrl {
        &self.url
    }

    /// When it was opened, for people.
    #[must_use]
    pub fn since(&self) -> jiff::Timestamp {
        self.since
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing below can leave the ring half changed: a panic while holding it poisons only a figure.
        self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets a newly admitted publisher write; every older one is refused from now on. What decoders need before their
    /// first frame, and where they can start, are the new publisher's to say: it may send other tracks.
    ///
    /// # Errors
    /// [`WriteError::Stale`] if the token is not newer than the newest, [`WriteError::Ended`] after the end.
    pub fn admit(&self, token: u64) -> Result<(), WriteError> {
        let mut ring = self.ring();
        if ring.ended {
            return Err(WriteError::Ended);
        }
        if token <= ring.token {
            return Err(WriteError::Stale { offered: token, newest: ring.token });
        }
        ring.token = token;
        ring.epoch += 1;
        ring.timeline.begin();
        ring.headers = Headers::default();
        ring.newest_keyframe = None;
        (ring.video, ring.audio) = (None, None);
        Ok(())
    }

    /// Appends one message.
    ///
    /// # Errors
    /// [`WriteError`]; a malformed message leaves the broadcast as it was.
    pub fn write(&self, now: Instant, token: u64, mut message: Message) -> Result<(), WriteError> {
        let tag = match message.kind {
            MessageKind::Video => Tag::Video(flv::parse_video(&message.body)?),
            MessageKind::Audio => Tag::Audio(flv::parse_audio(&message.body)?),
            MessageKind::Data => Tag::Data,
        };
        let mut ring = self.ring();
        if ring.ended {
            return Err(WriteError::Ended);
        }
        if token != ring.token {
            return Err(WriteError::Stale { offered: token, newest: ring.token });
        }
        let clock_ms = ring.clock_ms(now);
        let mapped = ring.timeline.map(message.timestamp, clock_ms);
        if mapped.jumped {
            ring.epoch += 1;
        }
        message.timestamp = mapped.at_ms as u32; // RTMP's 32 bits wrap, by design
        let item = Arc::new(Item::new(message, tag, mapped.at_ms, token, ring.epoch));
        let wakes = ring.append(now, item);
        let next = ring.first + ring.items.len() as u64;
        drop(ring);
        if wakes {
            self.head.send_modify(|head| head.next = next);
        }
        Ok(())
    }

    /// No more will come; readers finish what is there.
    pub fn end(&self) {
        let mut ring = self.ring();
        ring.ended = true;
        let next = ring.first + ring.items.len() as u64;
        drop(ring);
        self.head.send_modify(|head| *head = Head { next, ended: true });
    }

    /// The newest fencing token that was admitted.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.ring().token
    }

    /// Where the broadcast's own clock stands.
    #[must_use]
    pub fn clock_ms(&self, now: Instant) -> i64 {
        let ring = self.ring();
        ring.clock_ms(now).max(ring.timeline.newest())
    }

    /// When its newest message is, on its own timeline, in milliseconds.
    #[must_use]
    pub fn newest_ms(&self) -> i64 {
        self.ring().timeline.newest()
    }

    /// What it says about itself.
    #[must_use]
    pub fn facts(&self, now: Instant) -> Facts {
        let mut ring = self.ring();
        let (frames_per_second, bits_per_second) = ring.rate.per_second(now);
        Facts {
            token: ring.token,
            frames_per_second,
            bits_per_second,
            silence: ring.last_media.map(|at| now.saturating_duration_since(at)),
            video: ring.video.clone(),
            audio: ring.audio.clone(),
            rtmp_players: self.players(PlayerKind::Rtmp).load(Ordering::Relaxed),
            flv_players: self.players(PlayerKind::Flv).load(Ordering::Relaxed),
        }
    }

    /// A reader that starts at the newest keyframe and is set back to one when it lags by more than `lag_ms_max`.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, lag_ms_max: i64) -> Subscriber {
        Subscriber::new(self.clone(), self.head.subscribe(), lag_ms_max)
    }

    /// Counts a player for as long as the guard lives.
    #[must_use]
    pub fn count_player(self: &Arc<Self>, kind: PlayerKind) -> PlayerCount {
        self.players(kind).fetch_add(1, Ordering::Relaxed);
        PlayerCount(self.clone(), kind)
    }

    const fn players(&self, kind: PlayerKind) -> &AtomicU32 {
        &self.players[kind as usize]
    }
}

/// By what a player plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerKind {
    /// RTMP, plain or under TLS.
    Rtmp,
    /// HTTP-FLV.
    Flv,
}

/// One counted player.
pub struct PlayerCount(Arc<Broadcast>, PlayerKind);

impl Drop for PlayerCount {
    fn drop(&mut self) {
        self.0.players(self.1).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ring {
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    fn clock_ms(&self, now: Instant) -> i64 {
        self.origin_ms + now.saturating_duration_since(self.origin).as_millis() as i64
    }

    /// Returns whether readers should wake: at each picture, and at sound where pictures are rare or none.
    fn append(&mut self, now: Instant, item: Arc<Item>) -> bool {
        self.rate.add(now, item.payload_bytes(), item.is_picture());
        if item.kind() != MessageKind::Data {
            self.last_media = Some(now);
        }
        self.note_headers(&item);
        if item.is_keyframe() {
            self.newest_keyframe = Some(self.first + self.items.len() as u64);
        }
        let is_overdue = item.at_ms - self.woken_ms >= WAKE_MS;
        let wakes = item.is_picture() || self.headers.video.is_none() || is_overdue;
        if wakes {
            self.woken_ms = item.at_ms;
        }
        self.bytes += item.payload_bytes();
        self.items.push_back(item);
        self.trim();
        wakes
    }

    fn note_headers(&mut self, item: &Arc<Item>) {
        let place = match &item.tag {
            Tag::Data => &mut self.headers.metadata,
            Tag::Video(VideoTag::Config { codec, record }) => {
                self.video = codec.track(record).and_then(Result::ok);
                &mut self.headers.video
            }
            Tag::Audio(AudioTag::Config { codec, config }) => {
                self.audio = codec.track(config).and_then(Result::ok);
                &mut self.headers.audio
            }
            Tag::Video(VideoTag::Other) | Tag::Audio(AudioTag::Other) => {
                let body = &item.message.body;
                let tracks = flv::sequence_headers(item.kind(), body);
                if !tracks.is_empty() && body.len() <= MULTITRACK_HEADER_BYTES_MAX {
                    self.headers.keep_multitrack(item.clone(), tracks);
                }
                return;
            }
            Tag::Video(_) | Tag::Audio(_) => return,
        };
        *place = Some(item.clone());
    }

    fn trim(&mut self) {
        let newest_ms = self.timeline.newest();
        while let Some(oldest) = self.items.front() {
            let too_old = newest_ms - oldest.at_ms > SPAN_MS_MAX;
            if !too_old && self.bytes <= BYTES_MAX && self.items.len() <= ITEMS_MAX {
                break;
            }
            self.bytes -= oldest.payload_bytes();
            self.items.pop_front();
            self.first += 1;
        }
        self.newest_keyframe = self.newest_keyframe.filter(|at| *at >= self.first);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use bytes::Bytes;

    fn broadcast() -> (Arc<Broadcast>, Instant) {
        let now = Instant::now();
        (Broadcast::new("live/room".parse().unwrap(), now, jiff::Timestamp::UNIX_EPOCH, START_MS), now)
    }

    /// A legacy AVC picture (FLV 10.1 §E.4.3) with one NAL unit of one byte.
    fn picture(timestamp: u32, keyframe: bool) -> Message {
        let kind = if keyframe { 0x17 } else { 0x27 };
        let body = Bytes::copy_from_slice(&[kind, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
        Message { kind: MessageKind::Video, timestamp, body }
    }

    fn configuration() -> Message {
        let body = Bytes::from_static(&[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff]);
        Message { kind: MessageKind::Video, timestamp: 0, body }
    }

    /// Legacy AAC (FLV 10.1 §E.4.2.1): a frame of one byte.
    fn sound(timestamp: u32) -> Message {
        Message { kind: MessageKind::Audio, timestamp, body: Bytes::from_static(&[0xaf, 1, 0x21]) }
    }

    fn times(batch: &super::super::Batch) -> Vec<i64> {
        batch.items.iter().map(|item| item.at_ms - START_MS).collect()
    }

    #[test]
    fn a_write_with_an_older_token_is_refused_and_changes_nothing() {
        let (broadcast, now) = broadcast();
        broadcast.admit(7).unwrap();
        broadcast.write(now, 7, configuration()).unwrap();
        broadcast.write(now, 7, picture(0, true)).unwrap();
        broadcast.admit(8).unwrap();
        assert_eq!(
            broadcast.write(now, 7, picture(33, false)),
            Err(WriteError::Stale { offered: 7, newest: 8 })
        );
        assert_eq!(broadcast.admit(8), Err(WriteError::Stale { offered: 8, newest: 8 }));
        assert_eq!(broadcast.ring().items.len(), 2);
    }

    #[test]
    fn a_late_reader_begins_at_the_newest_keyframe_with_the_configuration() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        for at in 0..90u32 {
            broadcast.write(now, 1, picture(at * 33, at % 30 == 0)).unwrap();
        }
        let batch = broadcast.subscribe(3_000).take(100);
        assert!(batch.headers.unwrap().video.is_some());
        assert_eq!((batch.items.len(), batch.items[0].is_keyframe()), (30, true));
    }

    #[test]
    fn late_readers_get_one_sequence_header_per_kind_and_track() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        let tell = |kind, first: u8, four_cc: &[u8; 4], rest: &[u8]| {
            let body = [&[first, 0x00][..], four_cc, rest].concat().into();
            broadcast.write(now, 1, Message { kind, timestamp: 0, body }).unwrap();
        };
        tell(MessageKind::Video, 0x96, b"hvc1", &[1, 10]);
        tell(MessageKind::Video, 0x96, b"av01", &[2, 20]);
        tell(MessageKind::Audio, 0x95, b"Opus", &[1, 30]);
        tell(MessageKind::Video, 0x96, b"hvc1", &[1, 11]);
        let headers = broadcast.ring().headers.clone();
        let last: Vec<u8> = headers.all().map(|item| *item.message.body.last().unwrap()).collect();
        assert_eq!(last, [20, 30, 11]);
        for track in 0..=255 {
            tell(MessageKind::Video, 0x96, b"hvc1", &[track, 40]);
        }
        assert_eq!(broadcast.ring().headers.all().count(), MULTITRACK_HEADERS_MAX);
    }

    #[test]
    fn a_reader_that_lags_is_set_to_the_newest_keyframe_and_told_so() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        broadcast.write(now, 1, picture(0, true)).unwrap();
        let mut reader = broadcast.subscribe(3_000);
        assert_eq!(reader.take(100).items.len(), 1);
        for at in 1..=150u32 {
            broadcast.write(now, 1, picture(at * 33, at % 30 == 0)).unwrap();
        }
        let batch = reader.take(1_000);
        assert!(batch.skipped && batch.headers.is_some());
        assert_eq!(times(&batch), [150 * 33]);
        assert_eq!(reader.skips(), 1);
    }

    #[test]
    fn the_ring_is_bounded_in_time_and_a_reader_that_fell_out_waits_for_a_keyframe() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        broadcast.write(now, 1, picture(0, true)).unwrap();
        let mut reader = broadcast.subscribe(3_000);
        reader.take(100);
        for at in 1..1_000u32 {
            broadcast.write(now, 1, picture(at * 33, false)).unwrap();
        }
        assert!(broadcast.ring().items.len() < 310);
        assert!(reader.take(100).items.is_empty(), "no keyframe to go on from");
        broadcast.write(now, 1, picture(33_000, true)).unwrap();
        assert_eq!(times(&reader.take(100)), [33_000]);
    }

    #[test]
    fn sound_reaches_readers_when_pictures_stop() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        broadcast.write(now, 1, picture(0, true)).unwrap();
        let mut reader = broadcast.subscribe(3_000);
        reader.take(100);
        for at in 1..=40u32 {
            broadcast.write(now, 1, sound(at * 20)).unwrap();
        }
        assert!(futures_util::FutureExt::now_or_never(reader.changed()).is_some(), "the reader was woken");
        assert_eq!(reader.take(100).items.len(), 40);
    }

    #[test]
    fn after_a_publisher_without_pictures_took_over_readers_begin_with_its_sound() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        broadcast.write(now, 1, picture(0, true)).unwrap();
        broadcast.admit(2).unwrap();
        let mut reader = broadcast.subscribe(3_000);
        reader.take(100);
        broadcast.write(now, 2, sound(0)).unwrap();
        assert!(futures_util::FutureExt::now_or_never(reader.changed()).is_some(), "the reader was woken");
        let batch = reader.take(100);
        assert_eq!(batch.items.len(), 1);
        assert!(broadcast.subscribe(3_000).take(1).headers.unwrap().video.is_none(), "not the former one's");
    }

    #[test]
    fn the_end_is_told_after_the_last_message() {
        let (broadcast, now) = broadcast();
        broadcast.admit(1).unwrap();
        broadcast.write(now, 1, configuration()).unwrap();
        broadcast.write(now, 1, picture(0, true)).unwrap();
        broadcast.write(now, 1, picture(33, false)).unwrap();
        let mut reader = broadcast.subscribe(3_000);
        broadcast.end();
        assert!(!reader.take(1).ended);
        assert!(reader.take(1).ended);
        assert_eq!(broadcast.write(now, 1, picture(66, false)), Err(WriteError::Ended));
    }
}
