//! From cuts to what everyone sees.

use super::{Packager, PushError, Run};
use crate::counters::add;
use crate::fmp4::fragment;
use crate::live::Stage;
use crate::playlist::{Scope, media_playlist, multivariant_playlist};
use crate::segmenter::{Cut, Part};
use crate::snapshot::{Body, Snapshot};
use crate::window::{Segment, WindowPart};
use std::sync::Arc;

impl Packager {
    /// Puts what the segmenter has decided into the window.
    pub(super) fn apply_cuts(&mut self) -> Result<(), PushError> {
        while let Run::Cutting { segmenter, .. } = &mut self.run {
            match segmenter.next_cut() {
                None => break,
                Some(Cut::Part(part)) => self.add_part(part)?,
                Some(Cut::Segment) => self.close_segment(),
            }
        }
        Ok(())
    }

    fn add_part(&mut self, part: Part) -> Result<(), PushError> {
        let Some((init, _)) = self.init else { return Ok(()) };
        let mut window = self.live.window_mut();
        let number = window.next_part;
        let bytes =
            (!part.is_gap()).then(|| fragment(number.wrapping_add(1) as u32, &part.video, &part.audio));
        let size = bytes.as_ref().map_or(0, bytes::Bytes::len);
        let open_bytes = window.open.as_ref().map_or(0, Segment::bytes) + size;
        let segment_bytes_max = self.config.bytes_max / 4;
        if open_bytes > segment_bytes_max {
            drop(window);
            self.close_segment();
            self.run = Run::Waiting { sound_since: None };
            self.discontinuity_is_due = true;
            return Err(PushError::SegmentTooLarge { bytes_max: segment_bytes_max });
        }
        window.make_room(open_bytes);
        if window.open.is_none() {
            let marks = std::mem::take(&mut self.discontinuity_is_due);
            add(&self.live.counters.discontinuities, u64::from(marks));
            let date = self.wall.date(part.start);
            window.open = Some(Segment::new(window.open_msn, self.token, number, marks, init, date));
        }
        window.add_part(WindowPart { duration: part.duration, independent: part.independent, bytes });
        add(&self.live.counters.parts, u64::from(size > 0));
        add(&self.live.counters.bytes, size as u64);
        self.changed = true;
        Ok(())
    }

    fn close_segment(&mut self) {
        let mut window = self.live.window_mut();
        let Some(open) = &window.open else { return };
        self.last_parts = open.parts.len() as u64;
        window.close_segment();
        add(&self.live.counters.segments, 1);
        self.multivariant = None;
        self.changed = true;
    }

    /// Shows everyone what changed since the last publication, if anything did.
    pub(super) fn publish(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let window = self.live.window();
        let Some(rules) = window.rules() else { return };
        let multivariant = self.multivariant.get_or_insert_with(|| {
            let tracks = self.init.as_ref().map(|(_, tracks)| tracks.clone()).unwrap_or_default();
            let text = multivariant_playlist(&window, tracks.video.as_ref(), tracks.audio.as_ref());
            Arc::new(Body::new(text))
        });
        let full = media_playlist(&window, &rules, self.ended, Scope::Full).unwrap_or_default();
        let delta = media_playlist(&window, &rules, self.ended, Scope::Delta).map(Body::new);
        let snapshot = Snapshot {
            rules,
            open_msn: window.open_msn,
            open_parts: window.open.as_ref().map_or(0, |open| open.parts.len() as u64),
            last_parts: self.last_parts,
            ended: self.ended,
            hint: (self.token, window.next_part),
            full: Body::new(full),
            delta,
            multivariant: Arc::clone(multivariant),
        };
        drop(window);
        self.published = true;
        self.live.publish(Stage::Published(Arc::new(snapshot)));
    }
}
