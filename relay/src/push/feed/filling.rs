//! What a target gets while its stream brings nothing: pure.

use crate::push::rules::Fill;
use crate::push::silence::Silence;
use crate::push::slate::Slate;
use bytes::Bytes;
use rtmp::MessageKind;
use std::sync::Arc;

/// How far apart the repeated keyframes are: seldom enough to cost little, often enough for readers with a short patience.
const REPEAT_MS: i64 = 1_000;
/// How many frames are made at once; the rest comes with the next call.
const FRAMES_MAX: usize = 512;

/// What is known of a stream that pauses.
pub(super) struct Before<'a> {
    /// The newest keyframe, as a tag's body.
    pub(super) keyframe: Option<&'a Bytes>,
    /// The decoder configuration of its sound, as a tag's body; `None` if it has no sound.
    pub(super) sound: Option<&'a Bytes>,
    /// Whether its pictures are in H.264.
    pub(super) is_h264: bool,
}

/// One gap that is being filled. Each track ends by itself, when its own media is there again.
#[derive(Debug)]
pub(super) struct Filling {
    /// Where the gap begins, on the connection's time.
    begins_ms: i64,
    pictures: Pictures,
    sound: Sound,
}

#[derive(Debug)]
enum Pictures {
    None,
    Again { keyframe: Bytes, next_ms: i64 },
    Clip(Cursor),
}

#[derive(Debug)]
enum Sound {
    None,
    Silence { silence: Silence, frames: u64 },
    Clip(Cursor),
}

/// One frame to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) kind: MessageKind,
    pub(super) at_ms: i64,
    pub(super) body: Bytes,
}

impl Filling {
    /// `None` if there is nothing to fill it with.
    pub(super) fn begin(fill: &Fill, before: &Before<'_>, begins_ms: i64) -> Option<Self> {
        let slate = match fill {
            Fill::Hold => return None,
            Fill::Silence => None,
            // Another codec in the middle would end the reader.
            Fill::Slate(slate) => before.is_h264.then_some(slate),
        };
        let again = |keyframe: &Bytes| Pictures::Again { keyframe: keyframe.clone(), next_ms: 0 };
        let pictures = match slate {
            Some(slate) => Pictures::Clip(Cursor::new(slate, MessageKind::Video)),
            None => before.keyframe.map_or(Pictures::None, again),
        };
        let silence =
            |config: &Bytes| Silence::fitting(config).map(|silence| Sound::Silence { silence, frames: 0 });
        let sound = match (before.sound, slate) {
            (None, _) => Sound::None,
            // Sound of another format in the middle would be noise.
            (Some(config), Some(slate)) if slate.audio.as_ref() == Some(config) => {
                Sound::Clip(Cursor::new(slate, MessageKind::Audio))
            }
            (Some(config), _) => silence(config).unwrap_or(Sound::None),
        };
        Some(Self { begins_ms, pictures, sound })
    }

    /// The decoder configuration that its pictures need, if not that of the stream.
    pub(super) fn configuration(&self) -> Option<&Bytes> {
        match &self.pictures {
            Pictures::Clip(cursor) => Some(&cursor.slate.video),
            Pictures::None | Pictures::Again { .. } => None,
        }
    }

    /// Whether it stands in for pictures, or has until now.
    pub(super) const fn has_pictures(&self) -> bool {
        !matches!(self.pictures, Pictures::None)
    }

    /// Pictures come again.
    pub(super) fn end_pictures(&mut self) {
        self.pictures = Pictures::None;
    }

    /// Sound comes again.
    pub(super) fn end_sound(&mut self) {
        self.sound = Sound::None;
    }

    /// Whether nothing is left to stand in for.
    pub(super) const fn is_over(&self) -> bool {
        matches!((&self.pictures, &self.sound), (Pictures::None, Sound::None))
    }

    /// What is due until then, on the connection's time, in order.
    pub(super) fn due(&mut self, until_ms: i64) -> Vec<Filled> {
        let until = until_ms - self.begins_ms;
        let mut frames = Vec::new();
        let mut put = |kind, at: i64, body| frames.push(Filled { kind, at_ms: self.begins_ms + at, body });
        for _ in 0..FRAMES_MAX {
            let picture = match &mut self.pictures {
                Pictures::None => None,
                Pictures::Again { keyframe, next_ms } if *next_ms <= until => {
                    let at = *next_ms;
                    *next_ms += REPEAT_MS;
                    Some((at, keyframe.clone()))
                }
                Pictures::Again { .. } => None,
                Pictures::Clip(cursor) => cursor.next(until),
            };
            let Some((at, body)) = picture else { break };
            put(MessageKind::Video, at, body);
        }
        for _ in 0..FRAMES_MAX {
            let sound = match &mut self.sound {
                Sound::None => None,
                Sound::Silence { silence, frames } => {
                    let at = silence.length_ms(*frames);
                    (at <= until).then(|| {
                        *frames += 1;
                        (at, silence.frame())
                    })
                }
                Sound::Clip(cursor) => cursor.next(until),
            };
            let Some((at, body)) = sound else { break };
            put(MessageKind::Audio, at, body);
        }
        frames.sort_by_key(|frame| frame.at_ms);
        frames
    }
}

/// A place in a clip that is repeated.
#[derive(Debug)]
struct Cursor {
    slate: Arc<Slate>,
    kind: MessageKind,
    /// How many of its frames, of both kinds, were passed.
    passed: usize,
}

impl Cursor {
    fn new(slate: &Arc<Slate>, kind: MessageKind) -> Self {
        Self { slate: slate.clone(), kind, passed: 0 }
    }

    /// The next frame of the kind, if it is due by then.
    fn next(&mut self, until_ms: i64) -> Option<(i64, Bytes)> {
        let count = self.slate.frames.len();
        loop {
            let frame = &self.slate.frames[self.passed % count];
            let at = (self.passed / count) as i64 * self.slate.length_ms + frame.at_ms;
            if at > until_ms {
                return None;
            }
            self.passed += 1;
            if frame.kind == self.kind {
                return Some((at, frame.body.clone()));
            }
        }
    }
}
