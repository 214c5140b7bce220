//! The worker as its supervisor sees it: the real program, real children, and ffmpeg as the relay.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and people read along"
)]
#![allow(clippy::disallowed_methods, reason = "tests wait for real processes, on the real clock")]

mod orders;
mod pages;
mod process;
mod recording;
mod relay;
mod test_call;
mod web_call;
