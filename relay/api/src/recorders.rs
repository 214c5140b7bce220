//! Recorders, as operators see them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One recorder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecorderView {
    /// Its name, unique in the fleet.
    pub id: String,
    /// Its software version.
    pub version: String,
    /// Whether its control connection is open.
    pub connected: bool,
    /// Since when it is, or is not, RFC 3339.
    pub since: jiff::Timestamp,
    /// How many streams it can carry.
    pub slots: u32,
    /// How busy it says it is, 0 to 1.
    pub stress: f64,
    /// Whether it takes no new streams.
    pub draining: bool,
    /// What it carries.
    pub workers: Vec<WorkerView>,
}

/// One worker of a recorder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// The stream that it serves.
    pub stream_id: Uuid,
    /// The how-manieth worker of its stream it is.
    pub incarnation: u32,
    /// Where it is on its way: `starting`, `joining`, `joined`, `publishing`, `degraded`, `leaving`, `waiting`.
    pub state: String,
    /// A short sentence for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its process id on the recorder's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Pictures sent so far.
    pub frames_sent: u64,
    /// Pictures dropped so far.
    pub frames_dropped: u64,
    /// How often it reconnected to the relay.
    pub reconnects: u64,
}
