//! Raw picture and sound in, H.264 and AAC out.
//!
//! Each branch begins with a short queue that drops the oldest when the machine is too slow, so that delay never
//! grows; `videorate` and `audiorate` then make the timeline even again.

use crate::pipeline::{PipelineError, add_chain, element};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use ipc::Profile;

/// Raw pictures that may wait for the encoder; beyond it the oldest are lost.
const RAW_PICTURES_MAX: u32 = 4;
/// Raw sound that may wait for the encoder, in nanoseconds; beyond it the oldest is lost, and silence takes its place.
const RAW_SOUND_NANOS_MAX: u64 = 1_000_000_000;
/// How far sound may be off its time before it is filled up or cut, in nanoseconds. GStreamer's own 40 ms can be seen.
const SOUND_SLACK_NANOS: u64 = 5_000_000;
/// Encoded frames that may wait for the tap, which never blocks.
const ENCODED_FRAMES_MAX: u32 = 32;
/// Over what time the bit rate is capped.
const RATE_WINDOW_MS: u32 = 1_000;
/// Slices and threads of a picture: enough for 1080p, and few enough that slices cost little quality.
const THREADS: u32 = 2;
/// x264's own words for what GStreamer has no property for: a keyframe every two seconds and at no other time, each
/// of them a point where a decoder can start.
const X264_OPTIONS: &str = "scenecut=0:open-gop=0";
const SAMPLE_RATE: i32 = 48_000;
const SOUND_BITS_PER_SECOND: i32 = 128_000;

/// Adds the video branch behind `source`.
pub(crate) fn add_video(
    pipeline: &gst::Pipeline,
    source: &gst::Element,
    profile: Profile,
) -> Result<AppSink, PipelineError> {
    let (width, height) = profile.size();
    let rate = gst::Fraction::new(signed(profile.frames_per_second()), 1);
    let steady = gst::Caps::builder("video/x-raw").field("framerate", rate).build();
    let raw = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", signed(width))
        .field("height", signed(height))
        .field("framerate", rate)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    let avc =
        gst::Caps::builder("video/x-h264").field("stream-format", "avc").field("alignment", "au").build();
    let queue = element("queue", "video-queue")
        .property_from_str("leaky", "downstream")
        .property("max-size-buffers", RAW_PICTURES_MAX)
        .property("max-size-bytes", 0u32)
        .property("max-size-time", 0u64);
    let encoder = element("x264enc", "video-encoder")
        .property_from_str("speed-preset", "superfast")
        .property_from_str("tune", "zerolatency")
        .property_from_str("pass", "cbr")
        .property("bitrate", profile.video_kbps())
        .property("vbv-buf-capacity", RATE_WINDOW_MS)
        .property("key-int-max", profile.keyframe_interval_frames())
        .property("bframes", 0u32)
        .property("b-adapt", false)
        .property("threads", THREADS)
        .property("option-string", X264_OPTIONS);
    let sink = sink("video-tap");
    add_chain(
        pipeline,
        source,
        [
            queue.build(),
            element("videorate", "video-rate").build(),
            filter("video-steady", &steady),
            element("videoconvert", "video-convert").build(),
            filter("video-raw", &raw),
            encoder.build(),
            element("h264parse", "video-parser").build(),
            filter("video-coded", &avc),
            Ok(sink.clone().upcast()),
        ],
    )?;
    Ok(sink)
}

/// Adds the audio branch behind `source`.
pub(crate) fn add_audio(pipeline: &gst::Pipeline, source: &gst::Element) -> Result<AppSink, PipelineError> {
    let raw = gst::Caps::builder("audio/x-raw").field("rate", SAMPLE_RATE).field("channels", 2i32).build();
    let aac = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4i32)
        .field("stream-format", "raw")
        .field("framed", true)
        .build();
    let queue = element("queue", "audio-queue")
        .property_from_str("leaky", "downstream")
        .property("max-size-buffers", 0u32)
        .property("max-size-bytes", 0u32)
        .property("max-size-time", RAW_SOUND_NANOS_MAX);
    let sink = sink("audio-tap");
    add_chain(
        pipeline,
        source,
        [
            queue.build(),
            element("audioconvert", "audio-convert").build(),
            element("audioresample", "audio-resample").build(),
            filter("audio-raw", &raw),
            element("audiorate", "audio-rate")
                .property("skip-to-first", true)
                .property("tolerance", SOUND_SLACK_NANOS)
                .build(),
            element("avenc_aac", "audio-encoder").property("bitrate", SOUND_BITS_PER_SECOND).build(),
            element("aacparse", "audio-parser").build(),
            filter("audio-coded", &aac),
            Ok(sink.clone().upcast()),
        ],
    )?;
    Ok(sink)
}

/// A sink that does not wait for a frame's time: the relay wants it as soon as it is made.
fn sink(name: &str) -> AppSink {
    AppSink::builder().name(name).sync(false).max_buffers(ENCODED_FRAMES_MAX).build()
}

fn filter(name: &str, caps: &gst::Caps) -> Result<gst::Element, gst::glib::BoolError> {
    element("capsfilter", name).property("caps", caps).build()
}

/// GStreamer's sizes and rates are signed.
fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
