//! Frames of one stream in, published parts and segments out.
//!
//! A *run* is what lies between two discontinuities: it begins at a keyframe, has a fixed set of tracks and one
//! timeline. The first run is learned from before it is cut. Frames outside of a run are dropped and counted.

mod admit;
mod error;
mod publication;

pub use error::{Malformed, PushError};

use crate::clock::{AudioClock, Step, Timeline, WallClock};
use crate::config::{Config, Position, StartPoint};
use crate::counters::{Counters, add};
use crate::fmp4::init_section;
use crate::learn::{self, TARGET_DURATION_MAX};
use crate::live::{Live, Stage};
use crate::segmenter::Segmenter;
use crate::snapshot::Body;
use crate::unit::Unit;
use crate::window::InitId;
use error::FRAME_BYTES_MAX;
use media::{AudioTrack, Frame, TrackKind, VideoTrack};
use std::sync::Arc;

/// How long sound is dropped while we wait for the first keyframe of a stream that announced pictures.
const PICTURE_WAIT_MICROS: i64 = TARGET_DURATION_MAX as i64 * 1_000_000;
/// Sound that is missing for this long leaves the rendition at the next keyframe: players with an announced track
/// that brings nothing stand still.
const SOUND_MISSING_MICROS: i64 = 5_000_000;

/// What a rendition is made of, for one run.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tracks {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
}

#[derive(Debug)]
enum Run {
    /// Until a keyframe comes.
    Waiting { sound_since: Option<i64> },
    /// The first one, before its targets are known. Bounded by 6 s and by bytes; both then start it.
    Learning { driver: TrackKind, units: Vec<Unit> },
    /// Being cut.
    Cutting { segmenter: Box<Segmenter>, tracks: Tracks, start: i64 },
}

/// The writing side of one stream; see the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Packager {
    live: Arc<Live>,
    config: Config,
    token: u64,
    tracks: Tracks,
    timeline: Timeline,
    audio_clock: Option<AudioClock>,
    wall: WallClock,
    newest_video: Option<i64>,
    newest_audio: Option<i64>,
    run: Run,
    /// The init section in force and what it describes.
    init: Option<(InitId, Tracks)>,
    discontinuity_is_due: bool,
    multivariant: Option<Arc<Body>>,
    /// Parts of the segment that was completed last.
    last_parts: u64,
    changed: bool,
    published: bool,
    ended: bool,
}

impl Packager {
    pub(crate) fn new(live: Arc<Live>, config: Config, start: StartPoint) -> Self {
        Self {
            live,
            config,
            token: start.token,
            tracks: Tracks::default(),
            timeline: Timeline::default(),
            audio_clock: None,
            wall: WallClock::default(),
            newest_video: None,
            newest_audio: None,
            run: Run::Waiting { sound_since: None },
            init: None,
            discontinuity_is_due: start.continues,
            multivariant: None,
            last_parts: 0,
            changed: false,
            published: false,
            ended: false,
        }
    }

    /// Whether this is the stream that it writes.
    pub(crate) fn writes(&self, live: &Arc<Live>) -> bool {
        Arc::ptr_eq(&self.live, live)
    }

    /// Announces or changes the pictures. The same record again changes nothing; another one ends the run, and its
    /// first keyframe opens a segment with EXT-X-DISCONTINUITY and a new EXT-X-MAP.
    pub fn set_video(&mut self, track: VideoTrack) {
        if let Some(current) = &self.tracks.video {
            let is_same_record = (current.codec, &current.config) == (track.codec, &track.config);
            // A record that leaves the size to keyframes does not take back what one of them said.
            if current == &track || (is_same_record && !track.is_sized()) {
                return;
            }
        }
        let had_pictures = self.tracks.video.replace(track).is_some();
        // Sound alone goes on until the first keyframe.
        if had_pictures {
            self.end_run();
            self.publish();
        }
    }

    /// Announces or changes the sound. Where there are pictures a change takes effect with the next keyframe, so that
    /// they go on; its frames are dropped until then.
    pub fn set_audio(&mut self, track: AudioTrack) {
        if self.tracks.audio.as_ref() == Some(&track) {
            return;
        }
        self.audio_clock = Some(AudioClock::new(track.sample_rate));
        self.newest_audio = None;
        let had_sound = self.tracks.audio.replace(track).is_some();
        let must_restart = match &self.run {
            Run::Waiting { .. } => false,
            Run::Learning { .. } => had_sound,
            Run::Cutting { segmenter, .. } => segmenter.driver() == TrackKind::Audio,
        };
        if must_restart {
            self.end_run();
            self.publish();
        }
    }

    /// Takes the next frame; `wall_micros` is the wall time of its arrival, in microseconds since the UNIX epoch.
    /// What it completes is published when this returns.
    ///
    /// A step of the timeline by more than 5 s, or backwards, marks a discontinuity and waits for a keyframe.
    ///
    /// # Errors
    /// [`PushError`] says why this frame was dropped.
    pub fn push(&mut self, wall_micros: i64, frame: Frame) -> Result<(), PushError> {
        let result = self.take(wall_micros, frame);
        if result.is_err() {
            add(&self.live.counters.frames_dropped, 1);
        }
        self.publish();
        result
    }

    /// Another publisher continues, with a newer fencing token and a timeline that rises past this one. The segment
    /// ends here; the next one opens at a keyframe, with EXT-X-DISCONTINUITY and URLs of the new token. The init
    /// section stays if the tracks do.
    pub fn discontinuity(&mut self, token: u64) {
        if self.ended {
            return;
        }
        self.end_run();
        self.timeline.reset();
        self.token = self.token.max(token);
        self.live.window_mut().token = self.token;
        self.changed = self.published;
        self.publish();
    }

    /// Where a successor after a restart may begin.
    #[must_use]
    pub fn position(&self) -> Position {
        let window = self.live.window();
        Position {
            next_msn: window.open_msn + u64::from(window.open.is_some()),
            next_part: window.next_part,
            discontinuity_sequence: window.discontinuities_so_far(),
            target_duration_seconds: window.rules().map(|rules| rules.target_duration),
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.live.read_counters()
    }

    /// Ends the stream: what is held is published, the playlist says EXT-X-ENDLIST, and all who wait are answered.
    pub fn finish(&mut self) {
        if self.ended {
            return;
        }
        if let Run::Learning { driver, units } = &mut self.run {
            let units = std::mem::take(units);
            let has = |kind| *driver == kind || units.iter().any(|unit| unit.kind == kind);
            let tracks = Tracks {
                video: self.tracks.video.clone().filter(|_| has(TrackKind::Video)),
                audio: self.tracks.audio.clone().filter(|_| has(TrackKind::Audio)),
            };
            if let Err(error) = self.start_cutting(units, tracks) {
                tracing::debug!(%error, "the stream ended before it could be packaged");
            }
        }
        self.end_run();
        self.ended = true;
        if self.published || self.changed {
            self.changed = true;
            self.publish();
        } else {
            self.live.publish(Stage::Gone);
        }
    }

    fn take(&mut self, wall: i64, frame: Frame) -> Result<(), PushError> {
        if self.ended {
            return Err(PushError::Ended);
        }
        if frame.data.len() > FRAME_BYTES_MAX {
            return Err(PushError::FrameTooLarge { bytes: frame.data.len() });
        }
        let has_track = match frame.kind {
            TrackKind::Video => self.tracks.video.is_some(),
            TrackKind::Audio => self.tracks.audio.is_some(),
        };
        if !has_track {
            return Err(PushError::NoTrack);
        }
        let at = admit::shifted(&frame).ok_or(PushError::Time)?;
        if frame.kind == TrackKind::Video && frame.keyframe {
            let sized = self.tracks.video.as_ref().and_then(|track| track.sized_by(&frame.data));
            if let Some(sized) = sized {
                self.set_video(sized);
            }
        }
        if self.timeline.observe(frame.kind, at) == Step::Jump {
            self.end_run();
        }
        let unit = match frame.kind {
            TrackKind::Video => {
                let Some(codec) = self.tracks.video.as_ref().map(|track| track.codec) else {
                    return Err(PushError::NoTrack);
                };
                let unit =
                    admit::picture(frame, codec, at, self.newest_video).map_err(PushError::Malformed)?;
                self.newest_video = Some(unit.at);
                unit
            }
            TrackKind::Audio => {
                self.newest_audio = Some(at);
                let placed = self.tracks.audio.as_ref().zip(self.audio_clock.as_mut());
                let Some(unit) = placed.and_then(|(track, clock)| admit::sound(frame, at, track, clock))
                else {
                    add(&self.live.counters.frames_dropped, 1);
                    return Ok(());
                };
                unit
            }
        };
        self.route(wall, unit)
    }

    /// Brings a unit to where its run is.
    fn route(&mut self, wall: i64, unit: Unit) -> Result<(), PushError> {
        let mut tracks = self.wanted_tracks(&unit);
        let is_picture_key = unit.kind == TrackKind::Video && unit.keyframe;
        let must_restart = match &self.run {
            Run::Waiting { .. } => false,
            Run::Learning { driver, .. } => *driver == TrackKind::Audio,
            Run::Cutting { tracks: current, .. } => *current != tracks,
        };
        if is_picture_key && must_restart {
            self.close_run();
        }
        match &mut self.run {
            Run::Waiting { sound_since } => {
                let may_start = match unit.kind {
                    TrackKind::Video => unit.keyframe,
                    TrackKind::Audio => {
                        let since = *sound_since.get_or_insert(unit.at);
                        self.tracks.video.is_none() || unit.at - since > PICTURE_WAIT_MICROS
                    }
                };
                if !may_start {
                    add(&self.live.counters.frames_dropped, 1);
                    return Ok(());
                }
                self.wall.observe(wall, unit.at);
                if self.live.window().learned.is_some() {
                    return self.start_cutting(vec![unit], tracks);
                }
                self.run = Run::Learning { driver: unit.kind, units: vec![unit] };
                Ok(())
            }
            Run::Learning { driver, units } => {
                let first = units.first().map_or(0, |first| first.at);
                let is_of_run = match (*driver, unit.kind) {
                    (driver, kind) if driver == kind => true,
                    (TrackKind::Video, _) => unit.at >= first,
                    (TrackKind::Audio, _) => false,
                };
                if !is_of_run {
                    add(&self.live.counters.frames_dropped, 1);
                    return Ok(());
                }
                self.wall.observe(wall, unit.at);
                units.push(unit);
                let known = self.config.target_duration_seconds;
                if !learn::is_enough(units, *driver, known, self.config.segment_min) {
                    return Ok(());
                }
                // Only now it is known whether there is any sound.
                let is_mute = units.iter().all(|unit| unit.kind == TrackKind::Video);
                tracks.video = tracks.video.filter(|_| *driver == TrackKind::Video);
                tracks.audio = tracks.audio.filter(|_| !is_mute);
                let units = std::mem::take(units);
                self.start_cutting(units, tracks)
            }
            Run::Cutting { segmenter, tracks, start } => {
                let is_of_run = match (segmenter.driver(), unit.kind) {
                    (TrackKind::Audio, TrackKind::Video) => false,
                    (TrackKind::Video, TrackKind::Audio) => {
                        tracks.audio == self.tracks.audio && unit.at >= *start
                    }
                    _ => true,
                };
                if !is_of_run {
                    add(&self.live.counters.frames_dropped, 1);
                    return Ok(());
                }
                if unit.kind == segmenter.driver() {
                    self.wall.observe(wall, unit.at);
                }
                segmenter.push(unit);
                self.apply_cuts()
            }
        }
    }

    /// What a run that begins with this unit should be made of.
    fn wanted_tracks(&self, first: &Unit) -> Tracks {
        let with_sound = match (first.kind, &self.run) {
            (TrackKind::Audio, _) => true,
            // To be seen.
            (TrackKind::Video, Run::Waiting { .. } | Run::Learning { .. }) => true,
            (TrackKind::Video, Run::Cutting { tracks, start, segmenter }) => {
                let missing = |since: i64| first.at - since >= SOUND_MISSING_MICROS;
                let is_heard = self.newest_audio.is_some_and(|heard| !missing(heard));
                let is_young = segmenter.driver() == TrackKind::Audio || !missing(*start);
                is_heard || (is_young && tracks.audio.is_some())
            }
        };
        Tracks {
            video: self.tracks.video.clone().filter(|_| first.kind == TrackKind::Video),
            audio: self.tracks.audio.clone().filter(|_| with_sound),
        }
    }

    /// Starts a run of `tracks` with the units it has so far.
    fn start_cutting(&mut self, units: Vec<Unit>, tracks: Tracks) -> Result<(), PushError> {
        let Some(first) = units.first() else { return Ok(()) };
        let (driver, start) = (first.kind, first.at);
        self.run = Run::Waiting { sound_since: None };
        let rules = {
            let mut window = self.live.window_mut();
            let config = &self.config;
            let learned = *window.learned.get_or_insert_with(|| {
                let known = config.target_duration_seconds;
                learn::learn(&units, driver, known, config.part, config.segment_min)
            });
            let is_new = self.init.as_ref().is_none_or(|(_, described)| *described != tracks);
            if is_new {
                let bytes = init_section(tracks.video.as_ref(), tracks.audio.as_ref())
                    .map_err(|error| PushError::Track(error.to_string()))?;
                let id = InitId { token: self.token, number: window.open_msn };
                window.add_init(id, bytes);
                self.init = Some((id, tracks.clone()));
                self.multivariant = None;
            }
            learned.rules
        };
        let mut units = units.into_iter();
        let Some(first) = units.next() else { return Ok(()) };
        let mut segmenter = Box::new(Segmenter::start(rules, first));
        for unit in units {
            segmenter.push(unit);
        }
        self.run = Run::Cutting { segmenter, tracks, start };
        self.apply_cuts()
    }

    /// Ends the run because the timeline does: whatever comes next begins at a keyframe, counted and dated anew.
    fn end_run(&mut self) {
        self.close_run();
        if let Some(clock) = &mut self.audio_clock {
            clock.reset();
        }
        self.wall.restart();
        self.newest_video = None;
        self.newest_audio = None;
    }

    fn close_run(&mut self) {
        match std::mem::replace(&mut self.run, Run::Waiting { sound_since: None }) {
            Run::Waiting { .. } => {}
            Run::Learning { units, .. } => add(&self.live.counters.frames_dropped, units.len() as u64),
            Run::Cutting { mut segmenter, tracks, start } => {
                segmenter.finish();
                self.run = Run::Cutting { segmenter, tracks, start };
                if let Err(error) = self.apply_cuts() {
                    tracing::debug!(%error, "the end of a run was dropped");
                }
                self.run = Run::Waiting { sound_since: None };
                self.discontinuity_is_due = true;
            }
        }
    }
}
