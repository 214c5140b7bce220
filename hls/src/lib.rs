//! Live HLS and low-latency HLS (RFC 8216bis) from coded frames, in memory.
//!
//! Frames of one stream go into a [`Packager`]; it cuts them into parts and segments, writes them as fragmented MP4
//! and publishes them to an [`Origin`], from which `http` (the module and the feature) answers players. Usable
//! alone: it needs only the words of crate `media`.
//!
//! ```text
//! Frame ─▶ intake ─▶ learn (first GOP) ─▶ segmenter ─▶ fmp4 ─▶ window ─▶ playlist ─▶ snapshot ─watch─▶ http
//! ```
//!
//! What it promises:
//!
//! * **Visible at once.** What a call to [`Packager::push`] completes can be fetched when the call returns; everyone
//!   who waits is woken by one watch.
//! * **Constant targets.** `EXT-X-TARGETDURATION` and `PART-TARGET` are learned from the first GOP (at most 6 s)
//!   before the first playlist is published, and never change while the packager lives. Until then the plain playlist
//!   is held, not refused.
//! * **Parts** are never longer than PART-TARGET, and never shorter than 85 % of it but for a segment's last.
//!   Durations are measured on the decoding timeline in microseconds and printed whole, so that any run of them adds
//!   up to the real time; time without media is listed as `GAP`, not left out.
//! * **Segments** are closed GOPs of at least a second. A GOP longer than the target is cut where a part ends, and
//!   `EXT-X-INDEPENDENT-SEGMENTS` is then left out for as long as such a segment is listed.
//! * **Numbers never go back**, neither media sequence, discontinuity sequence nor part numbers; a restarted relay
//!   hands on where it was as a [`StartPoint`]. Every media URL contains the fencing token of the publisher whose
//!   media it is, and is never reused for other bytes.
//! * **Bounded.** Memory per stream, streams, waiters and the viewer table all have limits ([`Config`], [`Limits`]);
//!   over them the answer is 503 with `Retry-After`, or the oldest media goes.
//!
//! What it does not do: read a clock (callers give `now` and wall time), write to disk, transcode, or offer more than
//! one rendition. Sound and picture share one rendition, since a second one would double every viewer's requests.

#![cfg_attr(not(feature = "http"), allow(dead_code, reason = "only requests read what is stored"))]

mod clock;
mod config;
mod counters;
mod fmp4;
#[cfg(feature = "http")]
pub mod http;
mod learn;
mod live;
mod origin;
mod packager;
mod playlist;
mod segmenter;
mod snapshot;
mod unit;
mod viewers;
mod window;

pub use config::{Config, Limits, Position, StartPoint};
pub use counters::Counters;
pub use origin::{OpenError, Origin};
pub use packager::{Malformed, Packager, PushError};
