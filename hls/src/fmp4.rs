//! Fragmented MP4 (ISO/IEC 14496-12): the init section and the fragments that follow it.
//!
//! Video is track 1 at 90 kHz, sound is track 2 at its sample rate. No edit lists: times are carried as they came.

mod fragment;
mod init;

pub(crate) use fragment::fragment;
pub(crate) use init::init_section;

const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;
