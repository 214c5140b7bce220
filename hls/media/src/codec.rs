//! The few facts about each codec that packaging needs.

pub mod aac;
pub mod h264;
