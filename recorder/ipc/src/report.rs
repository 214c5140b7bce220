//! News: how a worker is doing.

use serde::{Deserialize, Serialize};

/// Where a worker is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Display, sound and browser are coming up.
    Starting,
    /// The call's page is open but does not play yet.
    Joining,
    /// The call plays; nothing has been published yet.
    Joined,
    /// Frames reach the relay.
    Publishing,
    /// Frames are made, but do not reach the relay, or the picture or sound is not what it should be.
    Degraded,
    /// The call is being left.
    Leaving,
}

/// Running totals of what a worker made and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishStats {
    /// Pictures that left the encoder.
    pub frames_encoded: u64,
    /// Pictures that reached the relay's socket.
    pub frames_sent: u64,
    /// Pictures that were dropped because the relay did not take them in time.
    pub frames_dropped: u64,
    /// Bytes that reached the relay's socket.
    pub bytes_sent: u64,
    /// How often the connection to the relay was made anew.
    pub reconnects: u64,
    /// How long the oldest picture waits to be sent, in milliseconds.
    pub backlog_ms: u64,
}

/// One line on the worker's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The worker reached a state.
    State {
        /// Which one.
        state: WorkerState,
        /// A short sentence for the operator, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Running totals, about once in two seconds while publishing.
    Stats {
        /// The totals.
        #[serde(flatten)]
        stats: PublishStats,
    },
    /// The last line before the exit.
    Ended {
        /// Why; also the exit code.
        reason: EndReason,
        /// A short sentence for the operator, without secrets.
        detail: String,
    },
}

/// Why a worker ended. Its process exits with [`EndReason::exit_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// It was told to, or its standard input was closed.
    Stopped,
    /// The call itself is over.
    CallEnded,
    /// The orders could not be read.
    BadSpec,
    /// Something that it needs is missing on this machine: a program or a GStreamer element.
    Missing,
    /// The call's page did not load or did not play in time.
    JoinFailed,
    /// Display, sound, browser or encoder died or stalled.
    CellFailed,
    /// The relay refused the publication for good: somebody else holds the claim, or the grant is void.
    Refused,
    /// A bug.
    Bug,
}

impl EndReason {
    /// The process exit code (sysexits where one fits).
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::CallEnded => 10,
            Self::JoinFailed => 11,
            Self::CellFailed => 12,
            Self::Refused => 13,
            Self::BadSpec => 64,
            Self::Missing => 69,
            Self::Bug => 70,
        }
    }

    /// The reason behind an exit code; `None` for a code that no worker chooses, such as after a signal.
    #[must_use]
    pub fn from_exit_code(code: i32) -> Option<Self> {
        use EndReason::{BadSpec, Bug, CallEnded, CellFailed, JoinFailed, Missing, Refused, Stopped};
        [Stopped, CallEnded, BadSpec, Missing, JoinFailed, CellFailed, Refused, Bug]
            .into_iter()
            .find(|reason| i32::from(reason.exit_code()) == code)
    }

    /// Whether another worker may fare better.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::JoinFailed | Self::CellFailed | Self::Bug => true,
            Self::Stopped | Self::CallEnded | Self::BadSpec | Self::Missing | Self::Refused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_exit_code_of_its_own() {
        for code in 0..=255 {
            if let Some(reason) = EndReason::from_exit_code(code) {
                assert_eq!(i32::from(reason.exit_code()), code);
            }
        }
        assert_eq!(EndReason::from_exit_code(137), None);
    }

    #[test]
    fn reports_are_flat_json_lines() {
        let line = serde_json::to_string(&Report::Stats {
            stats: PublishStats { frames_sent: 3, ..Default::default() },
        });
        assert!(line.unwrap().starts_with(r#"{"report":"stats","frames_encoded":0,"frames_sent":3"#));
        let state: Report = serde_json::from_str(r#"{"report":"state","state":"publishing"}"#).unwrap();
        assert_eq!(state, Report::State { state: WorkerState::Publishing, detail: None });
    }
}
