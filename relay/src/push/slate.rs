//! The clip that is shown while a stream pauses: an FLV file with H.264 and, if it has sound, AAC.
//!
//! Read once and kept in memory; nothing is encoded here. It is repeated from its first keyframe for as long as needed.

use super::parameter_sets;
use bytes::Bytes;
use rtmp::MessageKind;
use rtmp::flv::{AudioCodec, AudioTag, VideoCodec, VideoTag, parse_audio, parse_video};
use std::io::Read;
use std::path::Path;

/// The largest file, in bytes.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A clip.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slate {
    /// The decoder configuration of its pictures, as a tag's body.
    pub(super) video: Bytes,
    /// The same of its sound.
    pub(super) audio: Option<Bytes>,
    /// In the order of their times, of which the first is zero; there is at least one, a keyframe.
    pub(super) frames: Vec<SlateFrame>,
    /// After which it begins anew; at least a millisecond.
    pub(super) length_ms: i64,
}

/// One frame of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlateFrame {
    pub(super) kind: MessageKind,
    pub(super) at_ms: i64,
    /// A tag's body.
    pub(super) body: Bytes,
}

/// Why a file cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlateError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is larger than it may be.
    #[error("the file is larger than {BYTES_MAX} bytes; a few seconds are enough, it is repeated")]
    TooLarge,
    /// It is no FLV file, or ends within a tag.
    #[error("this is not a whole FLV file")]
    NotFlv,
    /// Other codecs, or no pictures.
    #[error("it must have H.264 video that begins with a keyframe, and AAC sound or none")]
    Unsuitable,
}

impl Slate {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, SlateError> {
        let mut file = Vec::new();
        // What is no plain file may have no end.
        std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut file)?;
        if file.len() as u64 > BYTES_MAX {
            return Err(SlateError::TooLarge);
        }
        Self::parse(&file.into())
    }

    /// Reads an FLV file (FLV 10.1 §E.2, §E.3, §E.4.1).
    fn parse(file: &Bytes) -> Result<Self, SlateError> {
        let header =
            file.get(..9).filter(|header| header.starts_with(b"FLV\x01")).ok_or(SlateError::NotFlv)?;
        let mut at = number(&header[5..9]);
        let (mut video, mut audio, mut frames) = (None, None, Vec::new());
        // Before each tag, and after the last, stands the size of the one before it.
        while let Some(tag) = file.get(at + 4..).filter(|rest| !rest.is_empty()) {
            let head = tag.get(..11).ok_or(SlateError::NotFlv)?;
            let size = number(&head[1..4]);
            let from = at + 4 + 11;
            if file.len() < from + size {
                return Err(SlateError::NotFlv);
            }
            let body = file.slice(from..from + size);
            let at_ms = (number(&head[4..7]) | usize::from(head[7]) << 24) as i64;
            match head[0] {
                9 => match parse_video(&body).map_err(|_| SlateError::Unsuitable)? {
                    VideoTag::Config { codec: VideoCodec::H264, .. } => video = Some(body),
                    VideoTag::Frame { codec: VideoCodec::H264, keyframe, .. } => {
                        frames.push((SlateFrame { kind: MessageKind::Video, at_ms, body }, keyframe));
                    }
                    VideoTag::Config { .. } | VideoTag::Frame { .. } => return Err(SlateError::Unsuitable),
                    VideoTag::End | VideoTag::Other => {}
                },
                8 => match parse_audio(&body).map_err(|_| SlateError::Unsuitable)? {
                    AudioTag::Config { codec: AudioCodec::Aac, .. } => audio = Some(body),
                    AudioTag::Frame { codec: AudioCodec::Aac, .. } => {
                        frames.push((SlateFrame { kind: MessageKind::Audio, at_ms, body }, false));
                    }
                    AudioTag::Config { .. } | AudioTag::Frame { .. } => return Err(SlateError::Unsuitable),
                    AudioTag::Other => {}
                },
                _ => {}
            }
            at = from + size;
        }
        Self::of(video.ok_or(SlateError::Unsuitable)?, audio, frames)
    }

    fn of(video: Bytes, audio: Option<Bytes>, frames: Vec<(SlateFrame, bool)>) -> Result<Self, SlateError> {
        let is_picture = |frame: &SlateFrame| frame.kind == MessageKind::Video;
        let start = match frames.iter().find(|(frame, _)| is_picture(frame)) {
            Some((first, true)) => first.at_ms,
            _ => return Err(SlateError::Unsuitable),
        };
        let with_sets = |(frame, keyframe): (SlateFrame, bool)| match keyframe {
            true => SlateFrame { body: parameter_sets::inside(&frame.body, &video), ..frame },
            false => frame,
        };
        let frames = frames.into_iter().map(with_sets).filter(|frame| frame.at_ms >= start);
        let mut frames: Vec<_> =
            frames.map(|frame| SlateFrame { at_ms: frame.at_ms - start, ..frame }).collect();
        frames.sort_by_key(|frame| frame.at_ms);
        let last = frames.last().map_or(0, |frame| frame.at_ms);
        let pictures: Vec<_> =
            frames.iter().filter(|frame| is_picture(frame)).map(|frame| frame.at_ms).collect();
        // The last picture is shown for as long as the one before it.
        let step = match pictures.as_slice() {
            [.., before, last] => last - before,
            _ => 1_000,
        };
        Ok(Self { video, audio, frames, length_ms: last + step.max(1) })
    }
}

/// Big-endian.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    // FLV 10.1 §E.4.3: AVC configuration, keyframe, other picture; §E.4.2: AAC configuration and frame.
    const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x28, 0xff];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65];
    const DELTA: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41];
    const SOUND_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];
    const SOUND: &[u8] = &[0xaf, 1, 0x21];

    fn file(tags: &[(u8, u32, &[u8])]) -> Bytes {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for (kind, at_ms, body) in tags {
            let size = u32::try_from(body.len()).unwrap().to_be_bytes();
            let time = at_ms.to_be_bytes();
            file.push(*kind);
            file.extend_from_slice(&size[1..]);
            file.extend_from_slice(&[time[1], time[2], time[3], time[0], 0, 0, 0]);
            file.extend_from_slice(body);
            file.extend_from_slice(&(u32::try_from(body.len()).unwrap() + 11).to_be_bytes());
        }
        file.into()
    }

    /// Two pictures of 500 ms, with sound that begins before them.
    pub(in crate::push) fn slate() -> Slate {
        let tags: [(u8, u32, &[u8]); 6] = [
            (9, 0, CONFIG),
            (8, 0, SOUND_CONFIG),
            (8, 980, SOUND),
            (9, 1_000, KEY),
            (8, 1_001, SOUND),
            (9, 1_500, DELTA),
        ];
        Slate::parse(&file(&tags)).unwrap()
    }

    #[test]
    fn a_clip_begins_at_its_first_keyframe_at_zero() {
        let slate = slate();
        let frames: Vec<_> = slate.frames.iter().map(|frame| (frame.body[0], frame.at_ms)).collect();
        assert_eq!((frames, slate.length_ms), (vec![(0x17, 0), (0xaf, 1), (0x27, 500)], 1_000));
        assert_eq!((slate.video.as_ref(), slate.audio.as_deref()), (CONFIG, Some(SOUND_CONFIG)));
    }

    #[test]
    fn a_file_that_cannot_be_shown_is_refused() {
        let whole = file(&[(9, 0, CONFIG), (9, 0, KEY)]);
        assert!(Slate::parse(&whole).is_ok());
        for cut in [0, 8, 12, 20, whole.len() - 8] {
            assert!(Slate::parse(&whole.slice(..cut)).is_err(), "{cut}");
        }
        for tags in [&[][..], &[(9, 0, KEY)], &[(9, 0, CONFIG)], &[(9, 0, CONFIG), (9, 0, DELTA)]] {
            assert!(matches!(Slate::parse(&file(tags)), Err(SlateError::Unsuitable)), "{tags:?}");
        }
        let mp3: &[u8] = &[0x2f, 1, 2];
        let h263: &[u8] = &[0x12, 1, 2];
        assert!(Slate::parse(&file(&[(9, 0, CONFIG), (9, 0, KEY), (8, 0, mp3)])).is_ok(), "passed over");
        assert!(Slate::parse(&file(&[(9, 0, h263)])).is_err());
    }
}
