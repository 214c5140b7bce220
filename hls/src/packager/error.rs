//! Why frames are refused.

use media::codec::av1::BadObu;
use media::codec::h264::BadLength;

/// The largest frame; a keyframe of 4K video has about a tenth.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;

/// Why a frame's bytes make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Its NAL units contradict its size.
    #[error(transparent)]
    Nal(#[from] BadLength),
    /// Its OBUs contradict its size.
    #[error(transparent)]
    Obu(#[from] BadObu),
}

/// Why a frame was not packaged. The stream goes on with the next one, except after [`PushError::Ended`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The frame is of a track that was never set.
    #[error("a frame came before its track's configuration")]
    NoTrack,
    /// The frame's NAL units or OBUs contradict its size.
    #[error("the frame is malformed: {0}")]
    Malformed(Malformed),
    /// The frame is larger than any decoder would want.
    #[error("the frame has {bytes} bytes, of at most {FRAME_BYTES_MAX}")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The segment grew over a quarter of the stream's bytes: frames are dropped until the next keyframe.
    #[error("the segment has more than {bytes_max} bytes; dropping frames until the next keyframe")]
    SegmentTooLarge {
        /// The limit for one segment.
        bytes_max: usize,
    },
    /// The frame's time is before or after what MP4 can say.
    #[error("the frame's time is outside of what can be packaged")]
    Time,
    /// No init section can be written for a track.
    #[error("{0}")]
    Track(String),
    /// [`Packager::finish`](crate::Packager::finish) was called.
    #[error("the stream has ended")]
    Ended,
}
