//! The test call: a moving picture with a burnt-in UTC clock, and with each second of UTC a flash and a beep.
//!
//! Needs no call and no browser. What comes out tells when it was made and whether picture and sound are together:
//! see [`stamp`] for where clock and flash are.

mod beep;
mod stamp;

use super::{CallSource, Feed};
use crate::ending::Ending;
use crate::pipeline::{Epoch, PipelineError, add_chain, element};
use gstreamer as gst;
use gstreamer::prelude::*;
use ipc::Profile;
use std::future::pending;
use std::time::Duration;

/// Samples in one buffer of sound: 10 ms.
const BUFFER_SAMPLES: i32 = 480;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// How fast the colour bars move to the left.
const PIXELS_PER_PICTURE: i32 = 4;

pub(crate) struct TestSource {
    profile: Profile,
}

impl TestSource {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile }
    }

    fn add_video(&self, pipeline: &gst::Pipeline, epoch: Epoch) -> Result<gst::Element, PipelineError> {
        let (width, height) = self.profile.size();
        let source = element("videotestsrc", "video-source")
            .property("is-live", true)
            .property_from_str("pattern", "smpte75")
            .property("horizontal-speed", PIXELS_PER_PICTURE)
            .build()?;
        pipeline.add(&source)?;
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", i32::try_from(width).unwrap_or(i32::MAX))
            .field("height", i32::try_from(height).unwrap_or(i32::MAX))
            .field(
                "framerate",
                gst::Fraction::new(i32::try_from(self.profile.frames_per_second()).unwrap_or(30), 1),
            )
            .build();
        let last = add_chain(
            pipeline,
            &source,
            [element("capsfilter", "video-source-caps").property("caps", &caps).build()],
        )?;
        let (width, height) = (width as usize, height as usize);
        let rate = u64::from(self.profile.frames_per_second());
        // One more, since a time on the grid is itself rounded down.
        let on_grid = move |nanos: u64| ((nanos + 1) * rate / NANOS_PER_SECOND) * NANOS_PER_SECOND / rate;
        let draw = move |utc_micros, bytes: &mut [u8]| stamp::draw(bytes, width, height, utc_micros);
        on_buffers(&last, epoch, on_grid, draw);
        Ok(last)
    }

    fn add_audio(&self, pipeline: &gst::Pipeline, epoch: Epoch) -> Result<gst::Element, PipelineError> {
        let source = element("audiotestsrc", "audio-source")
            .property("is-live", true)
            .property_from_str("wave", "silence")
            .property("samplesperbuffer", BUFFER_SAMPLES)
            .build()?;
        pipeline.add(&source)?;
        let caps = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", 48_000i32)
            .field("channels", 2i32)
            .build();
        let last = add_chain(
            pipeline,
            &source,
            [element("capsfilter", "audio-source-caps").property("caps", &caps).build()],
        )?;
        on_buffers(&last, epoch, |nanos| nanos, |utc_micros, bytes| beep::mix(bytes, utc_micros));
        Ok(last)
    }
}

impl CallSource for TestSource {
    async fn open(&mut self) -> Result<(), Ending> {
        Ok(())
    }

    async fn join(&mut self, _within: Duration) -> Result<(), Ending> {
        Ok(())
    }

    fn feed(&self, pipeline: &gst::Pipeline, epoch: Epoch) -> Result<Feed, PipelineError> {
        Ok(Feed { video: self.add_video(pipeline, epoch)?, audio: self.add_audio(pipeline, epoch)? })
    }

    async fn ended(&mut self) -> Ending {
        pending().await
    }

    async fn leave(&mut self, _within: Duration) {}
}

/// Calls `change` with each buffer that leaves the element and the wall time of its first sample, after `retime` has
/// moved its timestamp. A live source begins to count when it starts, between two pictures of the pipeline's grid;
/// `videorate` would then show each of them up to a whole picture late.
fn on_buffers(
    element: &gst::Element,
    epoch: Epoch,
    retime: impl Fn(u64) -> u64 + Send + Sync + 'static,
    change: impl Fn(i64, &mut [u8]) + Send + Sync + 'static,
) {
    let Some(pad) = element.static_pad("src") else { return }; // a capsfilter always has one
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
        let Some(pts) = buffer.pts() else { return gst::PadProbeReturn::Ok };
        let nanos = retime(pts.nseconds());
        let buffer = buffer.make_mut();
        buffer.set_pts(gst::ClockTime::from_nseconds(nanos));
        buffer.unset_flags(gst::BufferFlags::GAP); // silence is marked as such, and a beep is none
        let Ok(mut map) = buffer.map_writable() else { return gst::PadProbeReturn::Ok };
        // Rounded, since a thirtieth of a second is no whole number of microseconds.
        let since_epoch = i64::try_from((nanos + 500) / 1_000).unwrap_or(i64::MAX);
        change(epoch.utc_micros.saturating_add(since_epoch), &mut map);
        gst::PadProbeReturn::Ok
    });
}
