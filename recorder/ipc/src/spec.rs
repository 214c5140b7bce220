//! Orders: what a worker is to do.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The longest line in either direction, in bytes; a longer one is refused and ends the conversation.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// A text that is never printed: `Debug` and `Display` show `…`. It is serialised, since the worker needs it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; the caller sees to it that it is not printed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How a call is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// A moving test picture with a burnt-in clock and a beep each second; needs no call and no browser.
    Test,
    /// Any web page, opened in a browser of its own.
    Web,
}

/// Picture size, frame rate and bit rate of what is published. All have a closed GOP of two seconds, no scene-cut
/// keyframes and AAC at 128 kbit/s, 48 kHz, stereo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// 960x540 at 30 frames per second, 1.2 Mbit/s.
    #[serde(rename = "540p30")]
    P540,
    /// 1280x720 at 30 frames per second, 2.5 Mbit/s.
    #[default]
    #[serde(rename = "720p30")]
    P720,
    /// 1920x1080 at 30 frames per second, 4.5 Mbit/s.
    #[serde(rename = "1080p30")]
    P1080,
}

impl Profile {
    /// Width and height in pixels.
    #[must_use]
    pub const fn size(self) -> (u32, u32) {
        match self {
            Self::P540 => (960, 540),
            Self::P720 => (1280, 720),
            Self::P1080 => (1920, 1080),
        }
    }

    /// Frames per second.
    #[must_use]
    pub const fn frames_per_second(self) -> u32 {
        30
    }

    /// The cap of the picture's bit rate in kbit/s.
    #[must_use]
    pub const fn video_kbps(self) -> u32 {
        match self {
            Self::P540 => 1_200,
            Self::P720 => 2_500,
            Self::P1080 => 4_500,
        }
    }

    /// Frames from one keyframe to the next: two seconds.
    #[must_use]
    pub const fn keyframe_interval_frames(self) -> u32 {
        2 * self.frames_per_second()
    }
}

/// A worker's orders: one JSON document on one line, the first line of its standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSpec {
    /// The stream that this worker serves.
    pub stream_id: Uuid,
    /// 1 for the stream's first worker; larger for each that replaces one.
    pub incarnation: u32,
    /// How the call is entered.
    pub kind: CallKind,
    /// The call's URL, secret because it may contain a key. Unused by [`CallKind::Test`].
    pub call_url: Option<Secret>,
    /// The complete RTMP URL to publish to, with its grant and the incarnation.
    pub publish_url: Secret,
    /// Size and bit rate.
    pub profile: Profile,
    /// How long the call may take to really play before the worker gives up, in seconds.
    pub join_timeout_seconds: u32,
}

/// A later line on the worker's standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Leave the call, say goodbye to the relay and exit within the given time.
    Stop {
        /// How long that may take, in milliseconds, before the worker's process group is killed.
        within_ms: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_its_line_and_prints_no_secret() {
        let spec = WorkerSpec {
            stream_id: Uuid::nil(),
            incarnation: 2,
            kind: CallKind::Web,
            call_url: Some(Secret::new("https://call.example/#key=hidden")),
            publish_url: Secret::new("rtmp://127.0.0.1/live/x?grant=hidden"),
            profile: Profile::P720,
            join_timeout_seconds: 15,
        };
        let line = serde_json::to_string(&spec).unwrap();
        assert!(!line.contains('\n') && line.contains("720p30"));
        assert_eq!(serde_json::from_str::<WorkerSpec>(&line).unwrap(), spec);
        assert!(!format!("{spec:?}").contains("hidden"));
    }
}
