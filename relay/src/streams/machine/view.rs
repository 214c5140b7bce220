//! A stream as the API shows it.

use super::{Carrier, Machine, Media, Moment, State};
use crate::streams::ports::PushOrder;
use api::streams::{Playback, StreamState, StreamView};
use api::targets::{TargetState, TargetView};
use media::StreamUrl;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

impl Machine {
    /// The row for the API; what arrives is filled in by whoever knows the broadcasts.
    #[must_use]
    pub fn view(&self) -> StreamView {
        let end_reason = match &self.state {
            State::Ended { reason } => Some(reason.as_str().to_owned()),
            State::Scheduled
            | State::Waiting { .. }
            | State::Claiming { .. }
            | State::Running { .. }
            | State::Stopping { .. } => None,
        };
        StreamView {
            id: self.spec.id,
            name: self.spec.name.to_string(),
            state: self.shown,
            end_reason,
            detail: self.detail.clone(),
            kind: self.spec.kind,
            call_host: self.spec.call.as_ref().map(|call| call.host().to_owned()),
            profile: self.spec.profile.as_str().into(),
            record: false,
            created_at: self.spec.created_at,
            state_since: self.state_since,
            live_since: self.live_since,
            starts_at: self.spec.starts_at,
            ends_at: self.spec.ends_at,
            claims: self.claim().map(|claim| claim.id).into_iter().collect(),
            playback: playback(&self.spec.name),
            recorder: self.recorder().map(str::to_owned),
            incarnation: self.workers,
            media: None,
            targets: if self.is_ended() { Vec::new() } else { self.targets_to_come() },
            labels: self.spec.labels.clone(),
        }
    }

    /// Its targets before anything is pushed there.
    fn targets_to_come(&self) -> Vec<TargetView> {
        let row = |(index, target): (u32, &crate::streams::Target)| TargetView {
            stream_id: self.spec.id,
            name: self.spec.name.to_string(),
            index,
            url: target.url().to_string(),
            state: TargetState::Waiting,
            since: self.spec.created_at,
            holder: None,
            detail: None,
            last_error: None,
            claim_id: None,
            bytes: 0,
            reconnects: 0,
            lag_ms: 0,
            gap_since: None,
        };
        self.spec.targets.iter().map(row).collect()
    }

    /// What is to be pushed now: from the first claim until the claim is given back, whoever publishes meanwhile.
    #[must_use]
    pub fn push_order(&self) -> Option<PushOrder> {
        let has_begun = matches!(self.state, State::Running { .. } | State::Stopping { .. });
        (has_begun && !self.spec.targets.is_empty()).then(|| PushOrder {
            name: self.spec.name.clone(),
            label: self.spec.label(),
            targets: self.spec.targets.clone(),
            written_since: self.claim().map(|claim| claim.token),
        })
    }

    pub(super) fn state_now(&self) -> StreamState {
        let ends_soon = self.stop.is_some();
        match &self.state {
            State::Ended { .. } => StreamState::Ended,
            State::Stopping { .. } => StreamState::Stopping,
            State::Scheduled | State::Waiting { .. } | State::Claiming { .. } | State::Running { .. }
                if ends_soon =>
            {
                StreamState::Stopping
            }
            State::Scheduled | State::Waiting { .. } => StreamState::Queued,
            State::Claiming { .. } => StreamState::Claiming,
            State::Running { media: Media::NotYet { .. }, .. } => StreamState::Joining,
            State::Running { media: Media::Flowing { .. }, .. } => StreamState::Live,
            State::Running { media: Media::Lost { .. }, .. } => StreamState::Recovering,
        }
    }

    pub(super) fn note_shown_state(&mut self, moment: Moment) {
        let state = self.state_now();
        if state != self.shown {
            self.shown = state;
            self.state_since = moment.wall;
        }
    }

    /// Whether a recorder is looked for.
    #[must_use]
    pub const fn wants_place(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Running { carrier: Carrier::None { .. }, .. })
    }
}

/// Where a stream is watched.
#[must_use]
pub fn playback(name: &StreamUrl) -> Playback {
    let path = name.to_url_path();
    let in_query = utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC);
    Playback {
        hls: format!("/hls/{path}/index.m3u8"),
        widget: format!("/widget/preview?stream={in_query}"),
        flv: Some(format!("/flv/{path}.flv")),
    }
}
