//! How long things may take.

use std::time::Duration;

/// The bounds of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the process until the call's page is being opened. Longer than a worker's own patience of 30
    /// seconds, since its words say more than ours.
    pub start: Duration,
    /// From there until the call plays; the worker is told, and gets a little longer to say that it failed.
    pub join: Duration,
    /// From there until frames reach the relay.
    pub publish: Duration,
    /// Between two lines of a worker, which writes one at least every two seconds.
    pub silence: Duration,
    /// How long refusals by the relay are answered by another try: an earlier publisher's claim may linger.
    pub refused_for: Duration,
    /// After how many failures to join in a row the stream ends.
    pub join_attempts_max: u32,
    /// The longest pause between two workers.
    pub backoff_max: Duration,
    /// After how much publishing the pauses begin anew.
    pub settled_after: Duration,
    /// The budget of a clean end where the relay gives none.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(35),
            join: Duration::from_secs(30),
            publish: Duration::from_secs(15),
            silence: Duration::from_secs(15),
            refused_for: Duration::from_secs(60),
            join_attempts_max: 5,
            backoff_max: Duration::from_secs(15),
            settled_after: Duration::from_secs(30),
            stop_within: Duration::from_millis(1500),
        }
    }
}
