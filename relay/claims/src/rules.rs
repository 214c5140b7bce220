//! The numbers of the rules, in one place.

use std::time::Duration;

/// How long a publisher may stay away; an app may have its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From admission to the first media.
    pub first_media: Duration,
    /// Between media and media.
    pub idle: Duration,
    /// From the loss of a publisher to the end of what waits for it.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_media: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            grace: Duration::from_secs(15),
        }
    }
}

/// All numbers of the claim rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// For publishers whose request brings no timing of its own.
    pub timing: Timing,
    /// A contested holder is not dead before this long without media.
    pub probe_quiet: Duration,
    /// How long a contested holder has to answer a probe, and a lost one to come back before a stranger may follow.
    pub probe_answer: Duration,
    /// Whether a lost holder's key stays its own for the whole grace time; otherwise for `probe_answer`.
    pub reserve_on_loss: bool,
    /// For how long a seized holder is kept off the key.
    pub block: Duration,
    /// The longest block an operator may set.
    pub block_max: Duration,
    /// The longest reservation between two renewals; longer wishes are shortened to it.
    pub keep_max: Duration,
    /// For how long a handover ticket may be used.
    pub ticket: Duration,
    /// For how long a contender may wait for a decision (and, with higher priority, for its keyframe).
    pub decide: Duration,
    /// How long a holder is safe from a higher priority after it took over; stops two from alternating.
    pub preempt_gate: Duration,
    /// How often one holder may displace its own live connection within `flap_window` before it has to prove that the
    /// old one is dead. Two senders that share one grant would otherwise evict each other for ever.
    pub flaps_max: u32,
    /// See `flaps_max`.
    pub flap_window: Duration,
    /// How much later each repeated refusal of one peer on one key is answered; the last repeats.
    pub delays: [Duration; 4],
    /// After this long without a refusal a peer's next one is a first one again.
    pub forget_refusals: Duration,
    /// How many refusals wait for their delay on one key; further ones are answered at once and not told as events.
    pub held_refusals_max: usize,
    /// How many contenders wait for a decision on one key; further ones are refused at once.
    pub waiting_max: usize,
    /// How many keys may be claimed or blocked; further ones are refused.
    pub keys_max: usize,
    /// How many holders may be blocked from one key; the block that ends first makes room.
    pub blocks_max: usize,
    /// Whether other relays have claims in the same store, and must know who may follow whom.
    pub shared: bool,
    /// How long another relay may take to say whether its publisher lives, beyond the time of the probe itself.
    pub ask_answer: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            timing: Timing::default(),
            probe_quiet: seconds(2),
            probe_answer: seconds(2),
            reserve_on_loss: false,
            block: seconds(60),
            block_max: seconds(7 * 24 * 3600),
            keep_max: seconds(24 * 3600),
            ticket: seconds(30),
            decide: seconds(10),
            preempt_gate: seconds(10),
            flaps_max: 4,
            flap_window: seconds(30),
            delays: [seconds(0), seconds(1), seconds(2), seconds(4)],
            forget_refusals: seconds(60),
            held_refusals_max: 64,
            waiting_max: 64,
            keys_max: 65_536,
            blocks_max: 16,
            shared: false,
            ask_answer: seconds(1),
        }
    }
}
