//! Listens whether the call makes any sound, while it is being joined.

use super::sound;
use crate::cell;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::warn;

/// What counts as sound, of 32768: -60 dB of full scale, well above dither.
const LOUD: u16 = 33;
/// Buffers that may wait to be listened to; beyond it the newest wait in PulseAudio.
const BUFFERS_MAX: u32 = 8;

/// A recording that is thrown away; ends when it is dropped.
pub(super) struct Ear {
    pipeline: Option<gst::Pipeline>,
    heard: Arc<AtomicBool>,
}

impl Ear {
    /// Begins to listen. Without an ear the picture alone decides, so that failing is no error.
    pub(super) fn open(folder: &Path) -> Self {
        let heard = Arc::new(AtomicBool::new(false));
        let pipeline = listen(folder, Arc::clone(&heard));
        if let Err(error) = &pipeline {
            warn!(%error, "cannot listen to the call while it is joined");
        }
        Self { pipeline: pipeline.ok(), heard }
    }

    /// Whether there was any sound since it was opened.
    pub(super) fn heard(&self) -> bool {
        self.heard.load(Relaxed)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(pipeline) = &self.pipeline {
            let _ = pipeline.set_state(gst::State::Null); // it is of no more use either way
        }
    }
}

fn listen(folder: &Path, heard: Arc<AtomicBool>) -> Result<gst::Pipeline, gst::glib::BoolError> {
    let source = gst::ElementFactory::make("pulsesrc")
        .name("ear-source")
        .property("server", cell::pulse_server(folder).to_string_lossy().as_ref())
        .property("device", sound::MONITOR)
        .property("client-name", "sluice-worker-ear")
        .build()?;
    let caps = gst::Caps::builder("audio/x-raw").field("format", "S16LE").build();
    let sink = AppSink::builder().name("ear").sync(false).max_buffers(BUFFERS_MAX).caps(&caps).build();
    let callbacks = AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(Ok(map)) = sample.buffer().map(gst::BufferRef::map_readable)
                && map
                    .chunks_exact(2)
                    .any(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() >= LOUD)
            {
                heard.store(true, Relaxed);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
    let pipeline = gst::Pipeline::with_name("ear");
    pipeline.add_many([&source, sink.upcast_ref()])?;
    source.link(&sink)?;
    pipeline.set_state(gst::State::Playing).map_err(|_| gst::glib::bool_error!("pulsesrc does not start"))?;
    Ok(pipeline)
}
