//! The GStreamer pipeline of one call: a source's two feeds, the encoders, the taps.
//!
//! One clock for everything: the system's monotonic clock, forced on the pipeline. Running time 0 is a whole tenth of
//! a second of UTC (the pipeline's epoch), so that at 30 frames per second a picture begins exactly with each second.

use crate::clock;
use crate::encode;
use crate::source::{CallSource, Feed};
use crate::tap::Tap;
use gstreamer as gst;
use gstreamer::glib::BoolError;
use gstreamer::prelude::*;
use ipc::Profile;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, warn};

/// Failures that may wait to be read; the first one ends the worker, so the rest may be lost.
const FAILURES_MAX: usize = 4;
/// Running time 0 is a multiple of this in UTC, in microseconds.
const EPOCH_GRID_MICROS: i64 = 100_000;

/// A pipeline that does not come to life.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PipelineError {
    #[error("an element is missing or cannot be linked: {0}")]
    Element(#[from] BoolError),
    #[error("the pipeline does not start")]
    Start,
    #[error("the pipeline did not start within {0:?}")]
    Slow(Duration),
}

/// A running pipeline. [`Pipeline::stop`] it; dropping it stops it too, and waits for that.
pub(crate) struct Pipeline {
    inner: gst::Pipeline,
    failures: mpsc::Receiver<String>,
}

impl Pipeline {
    /// Puts everything together, still at rest.
    pub(crate) fn build(
        source: &impl CallSource,
        profile: Profile,
        tap: &Arc<Tap>,
    ) -> Result<Self, PipelineError> {
        let inner = gst::Pipeline::with_name("call");
        let system_clock = gst::SystemClock::obtain();
        let wall_micros = clock::wall().as_microsecond();
        let since_grid = wall_micros.rem_euclid(EPOCH_GRID_MICROS);
        let base =
            system_clock.time().saturating_sub(gst::ClockTime::from_useconds(since_grid.unsigned_abs()));
        inner.use_clock(Some(&system_clock));
        inner.set_start_time(gst::ClockTime::NONE); // or the pipeline would choose a base time of its own
        inner.set_base_time(base);

        let Feed { video, audio } = source.feed(&inner, Epoch { utc_micros: wall_micros - since_grid })?;
        tap.listen_to_video(&encode::add_video(&inner, &video, profile)?);
        tap.listen_to_audio(&encode::add_audio(&inner, &audio)?);
        let failures = watch_bus(&inner);
        Ok(Self { inner, failures })
    }

    /// Starts it.
    pub(crate) async fn start(&self, deadline: Duration) -> Result<(), PipelineError> {
        let inner = self.inner.clone();
        let start = spawn_blocking(move || inner.set_state(gst::State::Playing));
        match timeout(deadline, start).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(_) => Err(PipelineError::Start),
            Err(_) => Err(PipelineError::Slow(deadline)),
        }
    }

    /// Waits until something in it fails, and tells what. Can be dropped while waiting.
    pub(crate) async fn failed(&mut self) -> String {
        self.failures.recv().await.unwrap_or_else(|| "the pipeline ended".into())
    }

    /// Stops it. Past the deadline it is left to the end of the process.
    pub(crate) async fn stop(self, deadline: Duration) {
        let inner = self.inner.clone();
        let stop = spawn_blocking(move || inner.set_state(gst::State::Null));
        if timeout(deadline, stop).await.is_err() {
            warn!("the pipeline did not stop within {deadline:?}");
            std::mem::forget(self);
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.inner.set_state(gst::State::Null); // it is over either way
    }
}

/// The wall time of running time 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) utc_micros: i64,
}

/// Begins to build an element: its factory, and its name in logs and errors.
pub(crate) fn element<'a>(factory: &'a str, name: &'a str) -> gst::element_factory::ElementBuilder<'a> {
    gst::ElementFactory::make(factory).name(name)
}

/// Adds elements to the pipeline and links them into one chain behind `first`, which is in it already.
pub(crate) fn add_chain<const N: usize>(
    pipeline: &gst::Pipeline,
    first: &gst::Element,
    chain: [Result<gst::Element, BoolError>; N],
) -> Result<gst::Element, PipelineError> {
    let mut last = first.clone();
    for built in chain {
        let next = built?;
        pipeline.add(&next)?;
        last.link(&next)?;
        last = next;
    }
    Ok(last)
}

/// Passes the bus's errors on. What the pipeline says contains no secrets, since it knows none.
fn watch_bus(pipeline: &gst::Pipeline) -> mpsc::Receiver<String> {
    let (sender, failures) = mpsc::channel(FAILURES_MAX);
    let Some(bus) = pipeline.bus() else { return failures }; // a pipeline always has one
    bus.set_sync_handler(move |_, message| {
        let from = message.src().map(|source| source.name().to_string()).unwrap_or_default();
        match message.view() {
            gst::MessageView::Error(error) => {
                let _ = sender.try_send(format!("{from}: {}", error.error())); // an earlier one is being read
            }
            gst::MessageView::Eos(_) => {
                let _ = sender.try_send("the pipeline ended by itself".into()); // as above
            }
            gst::MessageView::Warning(warning) => warn!(from, "{}", warning.error()),
            gst::MessageView::Latency(_) => debug!(from, "latency changed"),
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
    failures
}
