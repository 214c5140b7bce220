//! The control connection between relay and recorder: JSON messages over one WebSocket, opened by the recorder at
//! `GET /recorders/connect`.
//!
//! The recorder says hello with everything it already runs; the relay answers with what should run. From then on each
//! side tells changes, and both send a WebSocket ping now and then: a side that hears nothing for
//! [`SILENCE_SECONDS_MAX`] closes. A lost connection changes nothing that runs; after reconnecting, hello and welcome
//! reconcile both sides.

use crate::streams::CallKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// The path below [`crate::PREFIX`].
pub const CONNECT_PATH: &str = "/recorders/connect";
/// The largest message, in bytes; a larger one closes the connection.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// How often each side sends at least a ping, in seconds.
pub const PING_SECONDS: u64 = 3;
/// A side that hears nothing for this long closes the connection, in seconds.
pub const SILENCE_SECONDS_MAX: u64 = 10;

/// From the recorder to the relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromRecorder {
    /// The first message.
    Hello {
        /// The recorder's name, unique in the fleet. A second connection of the same name and instance replaces the
        /// first; of another instance, it is refused while the first answers.
        recorder: String,
        /// Chosen anew at each start of the recorder's process.
        instance: Uuid,
        /// Its software version.
        version: String,
        /// How many streams it can carry.
        slots: u32,
        /// What it can join.
        kinds: Vec<CallKind>,
        /// Words for placing: pools, regions.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// What it already runs.
        running: Vec<WorkerReport>,
    },
    /// How busy it is; about once in five seconds.
    Load {
        /// 0 idle, 1 full.
        stress: f64,
    },
    /// A worker changed, or about once in two seconds.
    Worker {
        /// Its whole state.
        worker: WorkerReport,
    },
    /// A job is over: no worker runs for it and none will be started. All its processes are gone.
    Ended {
        /// The stream.
        stream_id: Uuid,
        /// Machine-readable, as in `ipc::EndReason`: `stopped`, `call_ended`, `join_failed`, `refused`, `missing`, …
        /// `recorder_stopped` means that nobody asked for the stream's end: the recorder itself is shutting down, and
        /// another one should carry on.
        reason: String,
        /// For people, without secrets.
        detail: String,
    },
    /// The job cannot be taken: no slot is free, or the kind is unknown.
    Declined {
        /// The stream.
        stream_id: Uuid,
        /// For people.
        detail: String,
    },
    /// It wants no new jobs.
    Draining,
}

/// From the relay to the recorder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromRelay {
    /// The answer to hello. Workers of streams that are not in `keep` are to be stopped; jobs that are not running yet
    /// follow as [`FromRelay::Start`].
    Welcome {
        /// The streams that this recorder is to go on carrying.
        keep: Vec<Uuid>,
    },
    /// Carry this stream. Repeating it changes nothing but the publish URL, which later workers use.
    Start {
        /// The job.
        job: Box<Job>,
    },
    /// Stop carrying a stream; answered by [`FromRecorder::Ended`] once all its processes are gone. Unknown streams are
    /// answered at once.
    Stop {
        /// The stream.
        stream_id: Uuid,
        /// How long a clean end may take, in milliseconds.
        within_ms: u32,
    },
    /// Replace the stream's worker by a new one.
    Restart {
        /// The stream.
        stream_id: Uuid,
        /// For people.
        reason: String,
    },
    /// Take no new jobs.
    Drain,
}

/// What a recorder needs to carry a stream.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The stream.
    pub stream_id: Uuid,
    /// `app/name`, for the recorder's logs.
    pub name: String,
    /// How the call is entered; never `auto`.
    pub kind: CallKind,
    /// The call's URL. Secret.
    pub call_url: Option<String>,
    /// `540p30`, `720p30` or `1080p30`.
    pub profile: String,
    /// Where to publish, with the grant. Secret. The recorder adds `&incarnation=N`.
    pub publish_url: String,
    /// The first incarnation number to use; each further worker takes the next.
    pub first_incarnation: u32,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Job {{ {} {} {:?} {}, call and publish URL … }}",
            self.stream_id, self.name, self.kind, self.profile
        )
    }
}

/// A worker's whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The stream.
    pub stream_id: Uuid,
    /// Which worker of the stream.
    pub incarnation: u32,
    /// `starting`, `joining`, `joined`, `publishing`, `degraded`, `leaving`, or `waiting` between two workers.
    pub state: String,
    /// For people, without secrets: what it does, or why the last one ended.
    #[serde(default)]
    pub detail: Option<String>,
    /// Its process id.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Pictures sent.
    #[serde(default)]
    pub frames_sent: u64,
    /// Pictures dropped.
    #[serde(default)]
    pub frames_dropped: u64,
    /// Reconnects to the relay.
    #[serde(default)]
    pub reconnects: u64,
}
