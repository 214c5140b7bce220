//! One key: its claim, who waits for it, who is kept off it.

use super::abroad::Abroad;
use super::refusals::Refusals;
use crate::{
    BlockRecord, ClaimId, ClaimKey, ContenderId, FencingToken, Holder, HolderId, Label, Origin, Publish,
    Record, Reserve, Rules, SaveId, Shown, Ticket, Timing, Version,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Everything about one key.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Entry {
    pub(super) claim: Option<Claim>,
    /// Another relay's claim; then there is none of our own.
    pub(super) abroad: Option<Abroad>,
    /// Whether another relay asks if our publisher lives, and has no answer yet.
    pub(super) is_contested: bool,
    /// The winner whose grant is being made durable. Everybody else waits meanwhile.
    pub(super) saving: Option<Saving>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) blocks: Vec<KeyBlock>,
    pub(super) refusals: Refusals,
    /// The deadline under which the table has noted this key.
    pub(super) scheduled: Option<Instant>,
}

/// One holder's hold on the key.
#[derive(Clone, Debug, Hash)]
pub(super) struct Claim {
    pub(super) id: ClaimId,
    pub(super) token: FencingToken,
    /// With the largest incarnation admitted so far.
    pub(super) holder: Holder,
    pub(super) since_unix_ms: i64,
    pub(super) held_since: Instant,
    pub(super) kept: Option<Kept>,
    pub(super) phase: Phase,
    /// Whether readers may be waiting: media came, here or from the predecessor whose readers were kept.
    pub(super) had_media: bool,
    /// Whether a publisher was admitted.
    pub(super) published: bool,
    pub(super) ticket: Option<(Ticket, Instant)>,
    pub(super) timing: Timing,
    pub(super) flaps: Flaps,
    /// What other relays know of it.
    pub(super) shown: Shown,
}

/// A reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    pub(super) until: Instant,
    pub(super) keep: Duration,
}

/// What the claim is doing.
#[derive(Clone, Debug, Hash)]
pub(super) enum Phase {
    /// No publisher; `Claim::kept` is set and is what holds it.
    Reserved,
    /// A publisher is connected.
    Live(Connection),
    /// The publisher is gone. Strangers may follow from `open_at` on, if nothing keeps the claim.
    Lingering { until: Instant, open_at: Instant },
    /// Seized: whoever is authorised and not blocked may follow.
    Vacant { until: Instant, operator: Label },
}

/// A connected publisher.
#[derive(Clone, Debug, Hash)]
pub(super) struct Connection {
    pub(super) admitted: Instant,
    pub(super) last_media: Option<Instant>,
    /// When it last answered while being probed.
    pub(super) proven: Option<Instant>,
    /// When it was asked, while it has not answered.
    pub(super) probed: Option<Instant>,
}

impl Connection {
    pub(super) const fn new(admitted: Instant) -> Self {
        Self { admitted, last_media: None, proven: None, probed: None }
    }

    /// When it last gave a sign of life.
    pub(super) fn last_sign(&self) -> Instant {
        self.admitted.max(self.last_media.unwrap_or(self.admitted)).max(self.proven.unwrap_or(self.admitted))
    }

    /// When it is dead for want of media.
    pub(super) fn silent_until(&self, timing: &Timing) -> Instant {
        match self.last_media {
            Some(at) => at + timing.idle,
            None => self.admitted + timing.first_media,
        }
    }

    /// When it is dead for want of an answer, if it was asked.
    pub(super) fn answer_until(&self, rules: &Rules) -> Option<Instant> {
        self.probed.map(|at| (at + rules.probe_answer).max(self.last_sign() + rules.probe_quiet))
    }
}

/// How often the holder displaced its own live connection lately.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Flaps {
    pub(super) count: u32,
    pub(super) since: Option<Instant>,
}

/// What was asked.
#[derive(Clone, Debug, Hash)]
pub(super) enum Request {
    Publish(Publish),
    Reserve(Reserve),
}

impl Request {
    pub(super) const fn origin(&self) -> &Origin {
        match self {
            Self::Publish(publish) => &publish.origin,
            Self::Reserve(reserve) => &reserve.origin,
        }
    }
}

/// A contender without a decision.
#[derive(Clone, Debug, Hash)]
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) give_up: Instant,
    pub(super) audition: Audition,
}

/// Whether a contender of higher priority has shown a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Audition {
    NotAsked,
    Asked,
    Passed,
}

impl Waiting {
    pub(super) fn new(now: Instant, decide: Duration, request: Request) -> Self {
        Self { request, give_up: now + decide, audition: Audition::NotAsked }
    }

    pub(super) const fn contender(&self) -> ContenderId {
        self.request.origin().contender
    }

    pub(super) fn shows_keyframe(&mut self) {
        if self.audition == Audition::Asked {
            self.audition = Audition::Passed;
        }
    }
}

/// A winner whose grant is not durable yet.
#[derive(Clone, Debug, Hash)]
pub(super) struct Saving {
    pub(super) save: SaveId,
    pub(super) waiting: Waiting,
    pub(super) record: Record,
    /// What it replaces in a shared store.
    pub(super) replaces: Version,
    /// It hung up meanwhile.
    pub(super) withdrawn: bool,
    /// The claim changed meanwhile, so that the truth must be written afterwards.
    pub(super) dirty: bool,
}

/// Somebody is kept off the key.
#[derive(Clone, Debug, Hash)]
pub(super) struct KeyBlock {
    pub(super) record: BlockRecord,
    pub(super) until: Instant,
}

/// Under what the table can find an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexed {
    pub(super) claims: [Option<ClaimId>; 2],
    pub(super) token: Option<FencingToken>,
}

impl Claim {
    /// The token of its connected publisher.
    pub(super) fn writer(&self) -> Option<FencingToken> {
        matches!(self.phase, Phase::Live(_)).then_some(self.token)
    }

    /// The claim at rest; a seized one is not kept.
    pub(super) fn record(&self, key: &ClaimKey) -> Option<Record> {
        if matches!(self.phase, Phase::Vacant { .. }) {
            return None;
        }
        Some(Record {
            key: key.clone(),
            claim_id: self.id,
            token: self.token,
            holder: self.holder.clone(),
            since_unix_ms: self.since_unix_ms,
            keep: self.kept.map(|kept| kept.keep),
            published: self.published,
        })
    }
}

impl Entry {
    pub(super) fn writer(&self) -> Option<FencingToken> {
        self.claim.as_ref()?.writer()
    }

    pub(super) fn is_probed(&self, token: FencingToken) -> bool {
        let claim = self.claim.as_ref().filter(|claim| claim.token == token);
        claim.is_some_and(|claim| matches!(&claim.phase, Phase::Live(live) if live.probed.is_some()))
    }

    /// The block of the whole key.
    pub(super) fn key_block(&self) -> Option<&KeyBlock> {
        self.blocks.iter().find(|block| block.record.holder.is_none())
    }

    pub(super) fn blocks_holder(&self, holder: &Holder) -> bool {
        let meets = |blocked: &HolderId| holder.is_met_by(blocked);
        self.blocks.iter().any(|block| block.record.holder.as_ref().is_some_and(meets))
    }

    /// Notes media; whether it is the connection's first, `None` if the token is not the writer's.
    pub(super) fn heard_media(&mut self, at: Instant, token: FencingToken) -> Option<bool> {
        let claim = self.claim.as_mut().filter(|claim| claim.token == token)?;
        let Phase::Live(connection) = &mut claim.phase else { return None };
        let first = connection.last_media.is_none();
        let at = at.max(connection.admitted);
        connection.last_media = Some(connection.last_media.map_or(at, |last| last.max(at)));
        if connection.probed.is_some_and(|probed| at >= probed) {
            connection.probed = None;
            connection.proven = Some(at);
        }
        claim.had_media = true;
        Some(first)
    }

    pub(super) fn heard_pong(&mut self, now: Instant, token: FencingToken) {
        let Some(claim) = self.claim.as_mut().filter(|claim| claim.token == token) else { return };
        let Phase::Live(connection) = &mut claim.phase else { return };
        if connection.probed.take().is_some() {
            connection.proven = Some(now);
        }
    }

    pub(super) fn indexed(&self) -> Indexed {
        let claim = self.claim.as_ref();
        let abroad = self.abroad.as_ref().map(|abroad| abroad.foreign.record.claim_id);
        Indexed {
            claims: [claim.map(|claim| claim.id).or(abroad), self.key_block().map(|block| block.record.id)],
            token: claim.map(|claim| claim.token),
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.claim.is_none()
            && self.abroad.is_none()
            && self.saving.is_none()
            && self.waiting.is_empty()
            && self.blocks.is_empty()
            && self.refusals.are_forgotten()
    }
}
