//! The few facts about each codec that packaging needs.

pub mod aac;
pub mod av1;
mod bits;
pub mod h264;
pub mod hevc;
pub mod opus;
pub mod vp9;
