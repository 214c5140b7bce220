//! One message of a broadcast, as every reader shares it.

use bytes::Bytes;
use media::{Frame, Timestamp, TrackKind};
use rtmp::flv::{AudioCodec, AudioTag, VideoCodec, VideoTag};
use rtmp::{Message, MessageKind};
use std::sync::OnceLock;

/// What a message carries, read once when it came in.
#[derive(Debug)]
pub enum Tag {
    /// `onMetaData` and other data, passed on as it came.
    Data,
    /// A picture, its configuration, or something of video's that is passed on unread.
    Video(VideoTag),
    /// The same for sound.
    Audio(AudioTag),
}

/// One message at its place on the broadcast's timeline.
#[derive(Debug)]
pub struct Item {
    /// The message, with its timestamp already mapped.
    pub message: Message,
    /// What is in it.
    pub tag: Tag,
    /// Milliseconds on the broadcast's timeline, before they wrap into the message's 32 bits.
    pub at_ms: i64,
    /// The fencing token that it was written under.
    pub token: u64,
    /// Grows with each publisher and each jump of its time: items of different epochs do not belong to one decoder
    /// state.
    pub epoch: u64,
    chunks: OnceLock<Bytes>,
    flv: OnceLock<Bytes>,
}

impl Item {
    pub(super) fn new(message: Message, tag: Tag, at_ms: i64, token: u64, epoch: u64) -> Self {
        Self { message, tag, at_ms, token, epoch, chunks: OnceLock::new(), flv: OnceLock::new() }
    }

    /// The RTMP chunks of this message, made at the first call and shared by all players.
    #[must_use]
    pub fn chunks(&self) -> Bytes {
        self.chunks.get_or_init(|| rtmp::shared_chunks(&self.message)).clone()
    }

    /// The FLV tag of this message, made at the first call and shared by all players.
    #[must_use]
    pub fn flv_tag(&self) -> Bytes {
        self.flv.get_or_init(|| rtmp::flv::file_tag(&self.message)).clone()
    }

    /// Whether a decoder of pictures can start here.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        matches!(self.tag, Tag::Video(VideoTag::Frame { keyframe: true, .. }))
    }

    /// Whether it is a picture.
    #[must_use]
    pub fn is_picture(&self) -> bool {
        matches!(self.tag, Tag::Video(VideoTag::Frame { .. }))
    }

    /// The coded frame in it, if there is one in a codec that HLS packages.
    #[must_use]
    pub fn frame(&self) -> Option<Frame> {
        let dts = Timestamp::from_millis(self.at_ms);
        match &self.tag {
            Tag::Video(VideoTag::Frame { codec: VideoCodec::Other(_), .. })
            | Tag::Audio(AudioTag::Frame { codec: AudioCodec::Other(_), .. }) => None,
            Tag::Video(VideoTag::Frame { keyframe, composition_ms, data, .. }) => Some(Frame {
                kind: TrackKind::Video,
                dts,
                pts: dts + Timestamp::from_millis(i64::from(*composition_ms)),
                keyframe: *keyframe,
                data: data.clone(),
            }),
            Tag::Audio(AudioTag::Frame { data, .. }) => {
                Some(Frame { kind: TrackKind::Audio, dts, pts: dts, keyframe: true, data: data.clone() })
            }
            _ => None,
        }
    }

    /// Payload bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.message.body.len()
    }

    pub(super) fn kind(&self) -> MessageKind {
        self.message.kind
    }
}
