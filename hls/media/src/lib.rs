//! The words that every crate of Sluice shares about media.
//!
//! One coded access unit is a [`Frame`]; what a decoder must know before the first one is a [`VideoTrack`] or an
//! [`AudioTrack`]; when it is shown is a [`Timestamp`]; where it is published is a [`StreamUrl`] (here) or a
//! [`TargetUrl`] (anywhere). All are plain values, parsed once and cheap to clone. Nothing here reads a clock, a
//! socket or a file, and no input can make it panic.

pub mod codec;
mod frame;
mod time;
mod track;
mod url;

pub use frame::{Frame, TrackKind};
pub use time::Timestamp;
pub use track::{AudioCodec, AudioTrack, TrackError, VideoCodec, VideoTrack};
pub use url::{RtmpScheme, StreamUrl, StreamUrlError, TargetKey, TargetUrl, TargetUrlError};
