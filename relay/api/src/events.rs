//! Live events: `GET /events`, server-sent events whose `event` is [`Event::name`] and whose `data` is the JSON.

use crate::claims::ClaimView;
use crate::recorders::RecorderView;
use crate::streams::{BroadcastView, StreamView};
use crate::targets::TargetView;
use serde::{Deserialize, Serialize};

/// One event. A view in it is the whole new row, so a reader that missed some is right again with the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Everything as it is now; the first event of every connection, and again after a reader fell behind.
    Snapshot {
        /// All streams that have not ended, and those that ended lately.
        streams: Vec<StreamView>,
        /// All broadcasts.
        broadcasts: Vec<BroadcastView>,
        /// All claims.
        claims: Vec<ClaimView>,
        /// All recorders.
        recorders: Vec<RecorderView>,
        /// All pushes.
        #[serde(default)]
        targets: Vec<TargetView>,
    },
    /// A stream changed.
    Stream {
        /// The new row.
        stream: Box<StreamView>,
    },
    /// The broadcasts and their figures; about once a second while any is live.
    Broadcasts {
        /// All broadcasts.
        broadcasts: Vec<BroadcastView>,
    },
    /// Something happened to a claim.
    Claim {
        /// What: `granted`, `live`, `lingering`, `resumed`, `displaced`, `seized`, `released`, `expired`, `refused`.
        what: String,
        /// The row after it; absent when the claim is gone.
        claim: Option<Box<ClaimView>>,
        /// The canonical key.
        key: String,
        /// Who, by public label, and why, for people.
        detail: String,
        /// When, RFC 3339.
        at: jiff::Timestamp,
    },
    /// The claims as they are now.
    Claims {
        /// All claims.
        claims: Vec<ClaimView>,
    },
    /// A recorder changed.
    Recorder {
        /// The new row.
        recorder: Box<RecorderView>,
    },
    /// The pushes to targets and their figures: when one of them changes its state, and about once a second while
    /// there are any.
    Targets {
        /// All pushes.
        targets: Vec<TargetView>,
    },
}

impl Event {
    /// The SSE event name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Snapshot { .. } => "snapshot",
            Self::Stream { .. } => "stream",
            Self::Broadcasts { .. } => "broadcasts",
            Self::Claim { .. } => "claim",
            Self::Claims { .. } => "claims",
            Self::Recorder { .. } => "recorder",
            Self::Targets { .. } => "targets",
        }
    }
}
