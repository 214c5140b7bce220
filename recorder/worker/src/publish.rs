//! From the backlog to the relay.
//!
//! One connection at a time, made anew with growing pauses whenever it is lost; the encoder never notices. Each
//! connection begins with metadata, both codec configurations and a keyframe. All of them share one timeline, which
//! begins with the first picture that the worker ever sent.

use crate::backlog::{Backlog, Tracks};
use crate::clock;
use crate::ending::Ending;
use crate::reports::Reports;
use crate::totals::Totals;
use ipc::{EndReason, WorkerState};
use media::{Frame, TargetUrl, Timestamp, TrackKind};
use rtmp::io::{Deadlines, PublishError, Publisher};
use rtmp::{Message, MessageKind, flv};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long each step towards the relay may take. A refusal may be held back by some seconds.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(3),
    handshake: Duration::from_secs(3),
    request: Duration::from_secs(8),
    write: Duration::from_secs(5),
};
/// The first pause before another attempt; doubled with each failure up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// For how long refusals count as a claim of our own predecessor that still lingers.
const REFUSED_FOR_GOOD_AFTER: Duration = Duration::from_secs(10);
/// What the metadata announces for sound, in kbit/s.
const AUDIO_KBPS: u32 = 128;

/// The connection to the relay.
pub(crate) struct Publishing<'a> {
    url: TargetUrl,
    kbps: u32,
    backlog: Arc<Backlog>,
    totals: Arc<Totals>,
    reports: &'a Reports,
    open: Option<Publisher>,
    start: Option<Timestamp>,
    was_up: bool,
}

impl<'a> Publishing<'a> {
    pub(crate) fn new(
        url: TargetUrl,
        video_kbps: u32,
        backlog: Arc<Backlog>,
        totals: Arc<Totals>,
        reports: &'a Reports,
    ) -> Self {
        let kbps = video_kbps + AUDIO_KBPS;
        Self { url, kbps, backlog, totals, reports, open: None, start: None, was_up: false }
    }

    /// Publishes until the relay refuses for good. Can be dropped at any time, for [`Publishing::goodbye`].
    pub(crate) async fn run(&mut self) -> Ending {
        let mut pause = PAUSE_FIRST;
        let mut refused_since: Option<Instant> = None;
        loop {
            let sent_before = self.totals.stats(0).frames_sent;
            let error = self.connection().await;
            self.open = None;
            if self.totals.stats(0).frames_sent > sent_before {
                (pause, refused_since) = (PAUSE_FIRST, None);
            }
            // The relay's words name no key or address (by contract), and the rest of the error is our own.
            warn!(%error, relay = %self.url, "the connection to the relay ended");
            if let PublishError::Refused { .. } = error {
                let since = *refused_since.get_or_insert_with(clock::now);
                if clock::now().duration_since(since) >= REFUSED_FOR_GOOD_AFTER {
                    return Ending::new(EndReason::Refused, error.to_string());
                }
            } else {
                refused_since = None;
            }
            self.reports.state(WorkerState::Degraded, Some(&error.to_string()));
            sleep(with_jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Tells the relay that this is the end, rather than a loss.
    pub(crate) async fn goodbye(mut self, deadline: Duration) {
        if let Some(publisher) = self.open.take() {
            let _ = timeout(deadline, publisher.close()).await; // the relay then sees the socket close
        }
    }

    /// One connection, from its making to its end.
    async fn connection(&mut self) -> PublishError {
        // Frames first: a relay counts the seconds from the connection to its first media.
        self.backlog.filled().await;
        match Publisher::connect(&self.url, DEADLINES).await {
            Ok(publisher) => self.open = Some(publisher),
            Err(error) => return error,
        }
        Totals::add(&self.totals.frames_dropped, self.backlog.restart());
        if self.was_up {
            Totals::add(&self.totals.reconnects, 1);
        }
        info!(relay = %self.url, again = self.was_up, "publishing");
        let mut greeted = false;
        loop {
            let Some(publisher) = &mut self.open else { return PublishError::Closed };
            let (tracks, frames) = tokio::select! {
                taken = self.backlog.take() => taken,
                error = publisher.failed() => return error,
            };
            let mut messages = Vec::with_capacity(frames.len() + 3);
            for frame in &frames {
                let is_picture = frame.kind == TrackKind::Video;
                let start = match self.start {
                    Some(start) => start,
                    None if is_picture => *self.start.insert(frame.dts),
                    None => continue, // sound from before the very first picture
                };
                if !greeted {
                    greeted = true;
                    messages.extend(greeting(&tracks, self.kbps, wire_time(frame, start)));
                }
                messages.push(message(frame, wire_time(frame, start)));
            }
            let pictures = frames.iter().filter(|frame| frame.kind == TrackKind::Video).count() as u64;
            if let Err(error) = publisher.send(&messages).await {
                Totals::add(&self.totals.frames_dropped, pictures);
                return error;
            }
            Totals::add(&self.totals.frames_sent, pictures);
            Totals::add(
                &self.totals.bytes_sent,
                messages.iter().map(|message| message.body.len() as u64).sum(),
            );
            if greeted {
                self.was_up = true;
                self.reports.state(WorkerState::Publishing, None);
            }
        }
    }
}

/// What a player must know before the first frame.
fn greeting(tracks: &Tracks, kbps: u32, timestamp: u32) -> [Message; 3] {
    let Tracks { video, audio } = tracks;
    [
        (MessageKind::Data, flv::metadata(Some(video), Some(audio), kbps)),
        (MessageKind::Video, flv::video_config(video)),
        (MessageKind::Audio, flv::audio_config(audio)),
    ]
    .map(|(kind, body)| Message { kind, timestamp, body })
}

fn message(frame: &Frame, timestamp: u32) -> Message {
    let (kind, body) = match frame.kind {
        TrackKind::Video => (MessageKind::Video, flv::video_frame(frame)),
        TrackKind::Audio => (MessageKind::Audio, flv::audio_frame(frame)),
    };
    Message { kind, timestamp, body }
}

/// Milliseconds since `start`, wrapping after 49.7 days as RTMP does; never before it.
fn wire_time(frame: &Frame, start: Timestamp) -> u32 {
    let millis = (frame.dts - start).as_millis().max(0);
    (millis & i64::from(u32::MAX)) as u32
}

/// Between half the pause and the whole, so that workers that lost one relay do not come back in step.
fn with_jitter(pause: Duration) -> Duration {
    let half = pause / 2;
    let random = getrandom::u32().unwrap_or(u32::MAX); // without randomness, the whole pause
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
