//! The queue between encoder and relay.
//!
//! The encoder never waits. When the relay does not take frames, the queue keeps the newest [`SPAN_MAX`]; beyond it,
//! everything up to the next keyframe in it is dropped, and if there is none, everything until one is made. So what
//! comes out always decodes: after a gap, a keyframe comes first.

use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How far the relay may lag: one GOP and a little, so that there is a keyframe to skip to. Older frames are lost.
const SPAN_MAX: Duration = Duration::from_millis(2_500);
/// The same bound in frames of both kinds (77 a second), for an encoder whose clock stands still.
const FRAMES_MAX: usize = 256;

/// Both tracks; known once the encoders have made their first frame.
#[derive(Clone, Debug)]
pub(crate) struct Tracks {
    pub(crate) video: VideoTrack,
    pub(crate) audio: AudioTrack,
}

#[derive(Default)]
struct Queue {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    frames: VecDeque<Frame>,
    /// Pictures are useless until the next keyframe.
    broken: bool,
}

/// Shared between the encoder's threads and the publishing task.
#[derive(Default)]
pub(crate) struct Backlog {
    queue: Mutex<Queue>,
    news: Notify,
}

impl Backlog {
    pub(crate) fn set_video(&self, track: VideoTrack) {
        self.lock().video = Some(track);
        self.news.notify_one();
    }

    pub(crate) fn set_audio(&self, track: AudioTrack) {
        self.lock().audio = Some(track);
        self.news.notify_one();
    }

    /// Adds a frame; returns how many pictures were dropped for it.
    pub(crate) fn push(&self, frame: Frame) -> u64 {
        let dropped = self.lock().push(frame);
        self.news.notify_one();
        dropped
    }

    /// Waits until there is something to take. Can be dropped while waiting.
    pub(crate) async fn filled(&self) {
        while !self.lock().is_filled() {
            self.news.notified().await;
        }
    }

    /// Takes everything that waits, at least one frame; waits for it. Can be dropped while waiting.
    pub(crate) async fn take(&self) -> (Tracks, Vec<Frame>) {
        loop {
            if let Some(taken) = self.lock().take() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    /// What was taken did not reach the relay: what follows must begin with a keyframe. Returns how many pictures
    /// were dropped to make that true.
    pub(crate) fn restart(&self) -> u64 {
        self.lock().restart()
    }

    /// How long the oldest frame waits, on the media's clock.
    pub(crate) fn span(&self) -> Duration {
        self.lock().span()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, frame: Frame) -> u64 {
        if frame.kind == TrackKind::Video {
            if self.broken && !frame.keyframe {
                return 1;
            }
            self.broken = false;
        }
        self.frames.push_back(frame);
        if self.span() <= SPAN_MAX && self.frames.len() <= FRAMES_MAX {
            return 0;
        }
        let mut dropped = self.pop(); // what is at the front is too old, even if it is a keyframe
        dropped += self.restart();
        dropped
    }

    /// Drops everything before the first keyframe.
    fn restart(&mut self) -> u64 {
        self.broken = true;
        let mut dropped = 0;
        while let Some(front) = self.frames.front() {
            if front.kind == TrackKind::Video && front.keyframe {
                self.broken = false;
                break;
            }
            dropped += self.pop();
        }
        dropped
    }

    fn pop(&mut self) -> u64 {
        self.frames.pop_front().is_some_and(|frame| frame.kind == TrackKind::Video).into()
    }

    fn is_filled(&self) -> bool {
        self.video.is_some() && self.audio.is_some() && !self.frames.is_empty()
    }

    fn take(&mut self) -> Option<(Tracks, Vec<Frame>)> {
        let (Some(video), Some(audio)) = (&self.video, &self.audio) else { return None };
        if self.frames.is_empty() {
            return None;
        }
        let tracks = Tracks { video: video.clone(), audio: audio.clone() };
        Some((tracks, self.frames.drain(..).collect()))
    }

    fn span(&self) -> Duration {
        let oldest = self.frames.front().map_or(Timestamp::ZERO, |frame| frame.dts);
        self.frames.back().map_or(Duration::ZERO, |newest| newest.dts.saturating_duration_since(oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn picture(number: i64) -> Frame {
        let at = Timestamp::from_micros(number * 1_000_000 / 30);
        let keyframe = number % 60 == 0;
        Frame { kind: TrackKind::Video, dts: at, pts: at, keyframe, data: Bytes::new() }
    }

    fn sound(number: i64) -> Frame {
        let at = Timestamp::from_micros(number * 1_024_000_000 / 48_000);
        Frame { kind: TrackKind::Audio, dts: at, pts: at, keyframe: true, data: Bytes::new() }
    }

    #[test]
    fn a_relay_that_takes_nothing_costs_whole_groups_of_pictures_and_the_rest_decodes() {
        let mut queue = Queue::default();
        let mut dropped = 0;
        for number in 0..600 {
            dropped += queue.push(picture(number));
            dropped += queue.push(sound(number * 14 / 10));
            assert!(queue.frames.len() <= FRAMES_MAX && queue.span() <= SPAN_MAX);
            assert!(
                queue.frames.front().is_none_or(|front| front.keyframe && front.kind == TrackKind::Video)
            );
        }
        let kept = queue.frames.iter().filter(|frame| frame.kind == TrackKind::Video).count();
        assert_eq!(dropped as usize + kept, 600);
        assert_eq!(dropped % 60, 0);
        assert!(kept >= 15, "at most one group is dropped too many, but {kept} are left");
    }

    #[test]
    fn after_a_lost_connection_the_next_picture_is_a_keyframe() {
        let mut queue = Queue::default();
        for number in 61..70 {
            queue.push(picture(number));
        }
        assert_eq!(queue.restart(), 9);
        assert_eq!(queue.push(picture(70)), 1);
        queue.push(sound(187)); // just before picture 120
        assert_eq!(queue.push(picture(120)), 0);
        assert_eq!(queue.frames.len(), 2);
        assert_eq!(queue.restart(), 0);
        assert_eq!(queue.frames.len(), 1, "sound before the keyframe goes too");
    }
}
