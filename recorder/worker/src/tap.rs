//! Where encoded frames leave GStreamer: the only file that knows both its buffers and [`media::Frame`].

use crate::backlog::Backlog;
use crate::totals::Totals;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};
use std::sync::Arc;

/// What avenc_aac delays the sound by: its first output frame describes samples that were never put in. Taken off
/// here, so that sound and picture that happened together carry one time. Measured with a flash and a beep.
const AAC_PRIMING: Timestamp = Timestamp::from_micros(1024 * 1_000_000 / 48_000);

/// Hands what the encoders make to the backlog.
pub(crate) struct Tap {
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) totals: Arc<Totals>,
}

impl Tap {
    pub(crate) fn listen_to_video(self: &Arc<Self>, sink: &AppSink) {
        let tap = Arc::clone(self);
        let mut config = Bytes::new();
        listen(sink, move |sample| tap.video(sample, &mut config));
    }

    pub(crate) fn listen_to_audio(self: &Arc<Self>, sink: &AppSink) {
        let tap = Arc::clone(self);
        let mut config = Bytes::new();
        listen(sink, move |sample| tap.audio(sample, &mut config));
    }

    fn video(&self, sample: &gst::Sample, config: &mut Bytes) -> Option<()> {
        if let Some(new) = changed_config(sample, config) {
            self.backlog.set_video(VideoTrack::from_avcc(new).ok()?);
        }
        let (mut frame, buffer) = frame(TrackKind::Video, sample)?;
        frame.keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        Totals::add(&self.totals.frames_encoded, 1);
        Totals::add(&self.totals.frames_dropped, self.backlog.push(frame));
        Some(())
    }

    fn audio(&self, sample: &gst::Sample, config: &mut Bytes) -> Option<()> {
        if let Some(new) = changed_config(sample, config) {
            self.backlog.set_audio(AudioTrack::from_asc(new).ok()?);
        }
        let (mut frame, _) = frame(TrackKind::Audio, sample)?;
        frame.pts = frame.pts - AAC_PRIMING;
        frame.dts = frame.pts;
        Totals::add(&self.totals.frames_dropped, self.backlog.push(frame));
        Some(())
    }
}

/// `take` says `None` for a sample that cannot be used; the watch for missing frames notices if all are like that.
fn listen(sink: &AppSink, mut take: impl FnMut(&gst::Sample) -> Option<()> + Send + 'static) {
    let callbacks = AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let _ = take(&sample);
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
}

/// The codec's configuration record, if it is not the one of the sample before.
fn changed_config(sample: &gst::Sample, before: &mut Bytes) -> Option<Bytes> {
    let data = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let map = data.map_readable().ok()?;
    if *before == map.as_slice() {
        return None;
    }
    *before = Bytes::copy_from_slice(&map);
    Some(before.clone())
}

fn frame(kind: TrackKind, sample: &gst::Sample) -> Option<(Frame, gst::Buffer)> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let buffer = sample.buffer_owned()?;
    // Through the segment, since x264enc begins its timestamps at 1000 hours to leave room for negative ones.
    let on_timeline = |time: gst::ClockTime| {
        let nanos = match segment.to_running_time_full(time)? {
            gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok()?,
            gst::Signed::Negative(time) => -i64::try_from(time.nseconds()).ok()?,
        };
        Some(Timestamp::from_micros(nanos.div_euclid(1_000)))
    };
    let pts = on_timeline(buffer.pts()?)?;
    let dts = buffer.dts().and_then(on_timeline).unwrap_or(pts);
    let mapped = buffer.clone().into_mapped_buffer_readable().ok()?;
    Some((Frame { kind, dts, pts, keyframe: true, data: Bytes::from_owner(mapped) }, buffer))
}
