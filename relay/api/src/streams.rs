//! Streams: what a bot starts, sees and stops.

use crate::targets::TargetView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// `POST /streams`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartStream {
    /// The call to join.
    pub call: Call,
    /// Where it appears here: `app/name`.
    pub name: String,
    /// RTMP URLs that it is pushed to, at most 8. Secret: they end in the target's key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// `540p30`, `720p30` (default) or `1080p30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Whether to keep a recording.
    #[serde(default)]
    pub record: bool,
    /// When it starts, RFC 3339; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<jiff::Timestamp>,
    /// When it ends by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<jiff::Timestamp>,
    /// Free words for people and dashboards; never interpreted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long the request may wait for a recorder with a spare place; otherwise 503 at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
}

impl std::fmt::Debug for StartStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A target's URL ends in its key.
        let targets = self.targets.len();
        write!(f, "StartStream {{ call: {:?}, name: {:?}, targets: {targets}, … }}", self.call, self.name)
    }
}

/// Which call to join, and how.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The call's URL. Optional for kind `test` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How it is entered; `auto` looks at the URL.
    #[serde(default)]
    pub kind: CallKind,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A call's URL may carry its key.
        write!(f, "Call {{ kind: {:?}, url: … }}", self.kind)
    }
}

/// How a call is entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// Chosen by the URL; `web` where nothing better is known.
    #[default]
    Auto,
    /// A Jitsi Meet conference.
    Jitsi,
    /// A Janus VideoRoom.
    Janus,
    /// An Element Call.
    ElementCall,
    /// A BigBlueButton meeting.
    Bbb,
    /// A Galène group.
    Galene,
    /// Any web page.
    Web,
    /// A test picture; no call.
    Test,
}

impl CallKind {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Jitsi => "jitsi",
            Self::Janus => "janus",
            Self::ElementCall => "element-call",
            Self::Bbb => "bbb",
            Self::Galene => "galene",
            Self::Web => "web",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for CallKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Accepted; waits for its time or for a recorder.
    Queued,
    /// Its claim is being taken.
    Claiming,
    /// A recorder joins the call.
    Joining,
    /// Media arrives.
    Live,
    /// Media stopped; the recorder or its worker is being replaced.
    Recovering,
    /// Being ended.
    Stopping,
    /// Over; `end_reason` says why.
    Ended,
}

impl std::fmt::Display for StreamState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Claiming => "claiming",
            Self::Joining => "joining",
            Self::Live => "live",
            Self::Recovering => "recovering",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        })
    }
}

/// A stream as the API shows it. The call's URL and the targets' keys are never in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamView {
    /// Its id.
    pub id: Uuid,
    /// `app/name`.
    pub name: String,
    /// Where it is in its life.
    pub state: StreamState,
    /// Why it ended, machine-readable: `stopped`, `ends_at`, `call_ended`, `join_failed`, `refused`, `gave_up`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// What it is doing or what went wrong last, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How the call is entered.
    pub kind: CallKind,
    /// The call's host, for people; the rest of the URL may be secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_host: Option<String>,
    /// Size and bit rate.
    pub profile: String,
    /// Whether it is recorded.
    pub record: bool,
    /// When it was asked for, RFC 3339.
    pub created_at: jiff::Timestamp,
    /// When the present state was reached, RFC 3339.
    pub state_since: jiff::Timestamp,
    /// When media first arrived, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_since: Option<jiff::Timestamp>,
    /// When it starts, if later than it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<jiff::Timestamp>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<jiff::Timestamp>,
    /// The claims it holds.
    pub claims: Vec<Uuid>,
    /// Where to watch it.
    pub playback: Playback,
    /// The recorder that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorder: Option<String>,
    /// How many workers it has had.
    pub incarnation: u32,
    /// What arrives, while live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaView>,
    /// Where it is pushed to, until it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetView>,
    /// Free words given at start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What arrives on a broadcast now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaView {
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pictures per second, over the last two seconds.
    pub frames_per_second: f64,
    /// Bits per second, over the last two seconds.
    pub bits_per_second: u64,
    /// Video codec string of RFC 6381.
    pub video_codec: Option<String>,
    /// Audio codec string of RFC 6381.
    pub audio_codec: Option<String>,
    /// RTMP players now.
    pub rtmp_players: u32,
    /// HTTP-FLV players now.
    #[serde(default)]
    pub flv_players: u32,
    /// Viewers by HLS in the last ten seconds, by distinct address and port; an estimate.
    pub hls_viewers: u32,
    /// Milliseconds since the last frame.
    pub silent_ms: u64,
}

/// Where to watch a stream; paths on the relay's HTTP address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playback {
    /// The multivariant playlist.
    pub hls: String,
    /// The preview widget.
    pub widget: String,
    /// HTTP-FLV, where served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flv: Option<String>,
}

/// A broadcast as the API shows it: what is live, whether a bot started it or an encoder published it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BroadcastView {
    /// `app/name`.
    pub name: String,
    /// Whether media arrives; false while lingering after a lost publisher.
    pub live: bool,
    /// The fencing token that it is written under.
    pub token: u64,
    /// Since when, RFC 3339.
    pub since: jiff::Timestamp,
    /// What arrives.
    pub media: MediaView,
    /// Where to watch it.
    pub playback: Playback,
}
