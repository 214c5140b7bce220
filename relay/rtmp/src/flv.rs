//! The bodies of audio and video messages, which are FLV tags (FLV 10.1 §E.4; Enhanced RTMP v2).
//!
//! H.264 and AAC are read in their legacy and in their enhanced form and written in the legacy one, which everybody
//! understands. Every other codec is told apart by its FourCC and passed on unread; multitrack and metadata bodies are
//! passed on as `Other`.

mod audio;
mod file;
mod metadata;
mod modex;
mod video;

pub use audio::{AudioCodec, AudioTag, audio_config, audio_frame, parse_audio};
pub use file::{file_header, file_tag};
pub use metadata::metadata;
pub use video::{VideoCodec, VideoTag, parse_video, video_config, video_frame};

/// Why a body is not an FLV tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The body ends inside its header.
    #[error("an FLV tag is cut short")]
    Short,
    /// A NAL unit of an H.264 frame is longer than the frame.
    #[error("a NAL length runs past the end of its FLV tag")]
    NalLength,
}
