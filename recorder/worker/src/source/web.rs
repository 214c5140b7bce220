//! Any web page, in a browser of its own: a private display, a private sound server, Chromium on both.
//!
//! Watched all the time: if the display, the sound server or the browser dies, the cell has failed; a page whose
//! renderer crashes is loaded anew once. A page may say `START_RECORDING` and `END_RECORDING` on its console, or set
//! `window.__sluice = { ready: false }` early and `true` later; otherwise it plays when something on it does.

mod browser;
mod display;
mod ear;
mod sound;

use super::{CallSource, Feed};
use crate::cell;
use crate::clock;
use crate::ending::Ending;
use crate::pipeline::{Epoch, PipelineError, add_chain, element};
use browser::Cell;
use cdp::Event;
use display::Display;
use ear::Ear;
use gstreamer as gst;
use gstreamer::prelude::*;
use ipc::{EndReason, Profile, Secret, WorkerSpec};
use sound::Sound;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tracing::{info, warn};

/// How often we look whether the page plays.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How much sound is read from PulseAudio at once, and how much it may keep for us, in microseconds.
const SOUND_PIECE_MICROS: i64 = 10_000;
const SOUND_BUFFER_MICROS: i64 = 200_000;
/// How much later than its sound a page's picture is on the display: Chromium's compositor and the wait for the next
/// capture. Measured with a page that flashes and beeps (46 to 50 ms, steady); the sound is delayed by it.
const PICTURE_LATE_NANOS: i64 = 45_000_000;
/// How long the call may take to play again after its renderer crashed.
const REJOIN_WITHIN: Duration = Duration::from_secs(30);

/// What the browser, the display and the sound server do together.
pub(crate) struct WebSource {
    url: Secret,
    profile: Profile,
    folder: PathBuf,
    cell: Option<Cell>,
    reloaded: bool,
}

impl WebSource {
    /// Checks the orders; starts nothing yet.
    pub(crate) fn new(spec: &WorkerSpec) -> Result<Self, Ending> {
        let bad = |detail: &str| Ending::new(EndReason::BadSpec, detail);
        let url = spec.call_url.clone().ok_or_else(|| bad("a web call needs a call URL"))?;
        let parsed = url::Url::parse(url.expose()).map_err(|_| bad("the call URL cannot be read"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("the call URL must begin with http:// or https://"));
        }
        let folder = cell::folder().map_err(|error| Ending::bug(format!("the current folder: {error}")))?;
        Ok(Self { url, profile: spec.profile, folder, cell: None, reloaded: false })
    }

    fn cell(&mut self) -> Result<&mut Cell, Ending> {
        self.cell.as_mut().ok_or_else(|| Ending::bug("the call was used before it was opened"))
    }

    /// Waits until the page plays. Fails at `give_up`, and as soon as something of the cell dies.
    async fn until_playing(&mut self, ear: &Ear, give_up: Instant) -> Result<(), Ending> {
        loop {
            let mut news = None;
            let cell = self.cell()?;
            tokio::select! {
                event = cell.next_event() => news = Some(event?),
                () = sleep(LOOK_EVERY) => {}
            }
            match news {
                Some(Event::Console { text, .. }) if text.trim() == "START_RECORDING" => {
                    info!("the page says that it is ready");
                    return Ok(());
                }
                Some(Event::Console { text, .. }) if text.trim() == "END_RECORDING" => {
                    return Err(call_ended());
                }
                Some(Event::Crashed) => self.reload().await?,
                Some(_) => {}
                None => {
                    let look = self.cell()?.look().await?;
                    if look.plays(ear.heard()) {
                        info!(moving = look.moving, heard = ear.heard(), "the page plays");
                        return Ok(());
                    }
                }
            }
            if clock::now() >= give_up {
                self.cell()?.keep_screenshot().await;
                return Err(Ending::join_failed("the page loaded, but did not play in time"));
            }
        }
    }

    /// Loads a crashed page anew, the first time.
    async fn reload(&mut self) -> Result<(), Ending> {
        if std::mem::replace(&mut self.reloaded, true) {
            return Err(Ending::cell_failed("the page crashed for the second time"));
        }
        warn!("the page crashed and is loaded anew");
        self.cell()?.reload().await
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, Ending> {
        loop {
            match self.cell()?.next_event().await? {
                Event::Console { text, .. } if text.trim() == "END_RECORDING" => return Err(call_ended()),
                Event::Crashed => {
                    self.reload().await?;
                    let ear = Ear::open(&self.folder);
                    let again = self.until_playing(&ear, clock::now() + REJOIN_WITHIN).await;
                    again.map_err(|ending| match ending.reason {
                        EndReason::JoinFailed => {
                            Ending::cell_failed("the page crashed and did not play again in time")
                        }
                        _ => ending,
                    })?;
                }
                _ => {}
            }
        }
    }

    fn add_video(&self, pipeline: &gst::Pipeline, display: &str) -> Result<gst::Element, PipelineError> {
        let source = element("ximagesrc", "video-source")
            .property("display-name", display)
            .property("use-damage", false)
            .property("show-pointer", false)
            .build()?;
        pipeline.add(&source)?;
        let rate = gst::Fraction::new(i32::try_from(self.profile.frames_per_second()).unwrap_or(i32::MAX), 1);
        let caps = gst::Caps::builder("video/x-raw").field("framerate", rate).build();
        let steady = element("capsfilter", "video-source-caps").property("caps", &caps).build();
        add_chain(pipeline, &source, [steady])
    }

    fn add_audio(&self, pipeline: &gst::Pipeline) -> Result<gst::Element, PipelineError> {
        let source = element("pulsesrc", "audio-source")
            .property("server", cell::pulse_server(&self.folder).to_string_lossy().as_ref())
            .property("device", sound::MONITOR)
            .property("client-name", "sluice-worker")
            .property("provide-clock", false)
            .property("latency-time", SOUND_PIECE_MICROS)
            .property("buffer-time", SOUND_BUFFER_MICROS)
            .build()?;
        if let Some(pad) = source.static_pad("src") {
            pad.set_offset(PICTURE_LATE_NANOS);
        }
        pipeline.add(&source)?;
        Ok(source)
    }
}

impl CallSource for WebSource {
    async fn open(&mut self) -> Result<(), Ending> {
        let failed =
            |what: &str, error: &dyn std::fmt::Display| Ending::cell_failed(format!("{what}: {error}"));
        cell::create_folders(&self.folder).map_err(|error| failed("the cell's folder", &error))?;
        let (display, sound) = tokio::try_join!(
            async {
                let display = Display::start(&self.folder, self.profile.size()).await;
                display.map_err(|error| failed("the display", &error))
            },
            async { Sound::start(&self.folder).await.map_err(|error| failed("the sound server", &error)) },
        )?;
        self.cell = Some(Cell::start(&self.folder, self.profile.size(), display, sound).await?);
        Ok(())
    }

    async fn join(&mut self, within: Duration) -> Result<(), Ending> {
        let give_up = clock::now() + within;
        let ear = Ear::open(&self.folder);
        let url = self.url.clone();
        self.cell()?.navigate(&url, within).await?;
        self.until_playing(&ear, give_up).await
    }

    fn feed(&self, pipeline: &gst::Pipeline, _epoch: Epoch) -> Result<Feed, PipelineError> {
        let display = self.cell.as_ref().map(|cell| cell.display.name.as_str()).unwrap_or_default();
        Ok(Feed { video: self.add_video(pipeline, display)?, audio: self.add_audio(pipeline)? })
    }

    async fn ended(&mut self) -> Ending {
        match self.follow().await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn leave(&mut self, within: Duration) {
        if let Some(cell) = self.cell.take() {
            cell.stop(within).await;
        }
    }
}

fn call_ended() -> Ending {
    Ending::new(EndReason::CallEnded, "the page says that the call is over")
}
