//! Where pictures and sound come from: one kind of call, one file.

mod test;
mod web;

pub(crate) use test::TestSource;
pub(crate) use web::WebSource;

use crate::ending::Ending;
use crate::pipeline::{Epoch, PipelineError};
use gstreamer as gst;
use std::time::Duration;

/// The two elements whose `src` pads give raw pictures and raw sound.
pub(crate) struct Feed {
    pub(crate) video: gst::Element,
    pub(crate) audio: gst::Element,
}

/// One way to see and hear a call. Used in this order; every future may be dropped at any time.
pub(crate) trait CallSource {
    /// Brings up what the call needs on this machine.
    async fn open(&mut self) -> Result<(), Ending>;

    /// Enters the call, and waits until it really plays; fails if it does not within the given time.
    async fn join(&mut self, within: Duration) -> Result<(), Ending>;

    /// Adds the elements that capture the call.
    fn feed(&self, pipeline: &gst::Pipeline, epoch: Epoch) -> Result<Feed, PipelineError>;

    /// Waits for the end of the call, or of something that it needs.
    async fn ended(&mut self) -> Ending;

    /// Leaves the call and ends what [`CallSource::open`] brought up, within the given time.
    async fn leave(&mut self, within: Duration);
}
