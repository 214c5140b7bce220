//! What operators may do: seize, release, block, unblock. All of it is audited.

use super::entry::{KeyBlock, Phase};
use super::{ClaimTable, Work, by};
use crate::{BlockRecord, ClaimId, ClaimKey, Effect, Event, FencingToken, HolderId, Label, What};
use std::time::{Duration, Instant};

/// Why an operator's wish was not carried out. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// There is no such claim.
    #[error("there is no such claim")]
    Unknown,
    /// The claim has changed hands since the operator looked.
    #[error("the claim has changed: its newest token is {newest}")]
    Stale {
        /// The token that it has now.
        newest: FencingToken,
    },
}

/// A block of a whole key, as an operator sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The key.
    pub key: ClaimKey,
    /// The block's id, drawn by the caller.
    pub id: ClaimId,
    /// Who sets it.
    pub operator: Label,
    /// Why; kept in the audit log.
    pub reason: String,
    /// How long; at most [`crate::Rules::block_max`].
    pub lasts: Duration,
    /// The wall clock in milliseconds since the UNIX epoch, for people.
    pub unix_ms: i64,
}

impl ClaimTable {
    /// Takes a claim away from its holder: the publisher is cut, its token counts no more, and it is kept off the key
    /// for [`crate::Rules::block`]. Readers are kept for the grace time for whoever follows. Repeated, it does nothing
    /// more. `unix_ms` is the wall clock, for people.
    ///
    /// # Errors
    /// [`OperatorError`]; then nothing happened.
    pub fn seize(
        &mut self,
        now: Instant,
        claim: ClaimId,
        expected: FencingToken,
        operator: &Label,
        reason: &str,
        unix_ms: i64,
    ) -> Result<(), OperatorError> {
        self.on_claim(now, claim, |work| {
            work.expect(claim, expected)?;
            work.seize(operator, reason, unix_ms);
            Ok(())
        })
        .unwrap_or(Err(OperatorError::Unknown))
    }

    /// Ends a claim in an operator's name. Its holder is not blocked.
    ///
    /// # Errors
    /// [`OperatorError`]; then nothing happened.
    pub fn release_by(
        &mut self,
        now: Instant,
        claim: ClaimId,
        expected: FencingToken,
        operator: &Label,
        reason: &str,
    ) -> Result<(), OperatorError> {
        self.on_claim(now, claim, |work| {
            work.expect(claim, expected)?;
            work.release(claim, &format!("by operator {}", by(operator, reason)));
            Ok(())
        })
        .unwrap_or(Err(OperatorError::Unknown))
    }

    /// Lets nobody take the key for a time, not even its holder's next connection. A publisher that is there stays;
    /// seize it first if it is to go.
    pub fn block(&mut self, now: Instant, block: Block) {
        let key = block.key.clone();
        self.on_key(now, &key, |work| work.block(block));
    }

    /// Lifts all blocks of a key, of holders as well; whether there were any.
    pub fn unblock(&mut self, now: Instant, key: &ClaimKey, operator: &Label, reason: &str) -> bool {
        self.on_key(now, key, |work| work.unblock(operator, reason))
    }
}

impl Work<'_> {
    fn expect(&self, id: ClaimId, expected: FencingToken) -> Result<(), OperatorError> {
        let here = self.entry.claim.as_ref().map(|claim| (claim.id, claim.token));
        let abroad = self.entry.abroad.as_ref().map(|abroad| &abroad.foreign.record);
        let known = here.or_else(|| abroad.map(|record| (record.claim_id, record.token)));
        let (_, newest) = known.filter(|(known, _)| *known == id).ok_or(OperatorError::Unknown)?;
        if newest == expected { Ok(()) } else { Err(OperatorError::Stale { newest }) }
    }

    fn seize(&mut self, operator: &Label, reason: &str, unix_ms: i64) {
        if let Some(abroad) = &self.entry.abroad {
            let (id, holder) = (abroad.foreign.record.claim_id, abroad.foreign.record.holder.id());
            self.keep_off(self.seizure(id, holder, operator, reason, unix_ms));
            self.evict(&format!("taken over by operator {}", by(operator, reason)));
            return;
        }
        let Some(claim) = &mut self.entry.claim else { return };
        if matches!(claim.phase, Phase::Vacant { .. }) {
            return;
        }
        let writer = claim.writer();
        let (id, holder) = (claim.id, claim.holder.id());
        let until = self.now + claim.timing.grace;
        claim.phase = Phase::Vacant { until, operator: operator.clone() };
        claim.kept = None;
        claim.ticket = None;
        let why = format!("by operator {}", by(operator, reason));
        self.event(What::Seized, &why);
        if let Some(token) = writer {
            self.disconnect(token, &format!("taken over {why}"));
        }
        // The block first: nobody may find the key free and not know who is kept off it.
        self.keep_off(self.seizure(id, holder, operator, reason, unix_ms));
        self.persist();
    }

    fn seizure(
        &self,
        id: ClaimId,
        holder: HolderId,
        operator: &Label,
        reason: &str,
        since_unix_ms: i64,
    ) -> BlockRecord {
        BlockRecord {
            id,
            holder: Some(holder),
            operator: operator.clone(),
            reason: super::told(reason),
            since_unix_ms,
            lasts: self.rules.block,
        }
    }

    fn block(&mut self, block: Block) {
        let Block { id, operator, reason, lasts, unix_ms, .. } = block;
        let lasts = lasts.min(self.rules.block_max);
        let why = format!("for {}: {reason}", span(lasts));
        self.keep_off(BlockRecord {
            id,
            holder: None,
            operator: operator.clone(),
            reason: super::told(&reason),
            since_unix_ms: unix_ms,
            lasts,
        });
        self.operator_event(What::Blocked, &operator, &why);
    }

    fn unblock(&mut self, operator: &Label, reason: &str) -> bool {
        if self.entry.blocks.is_empty() {
            return false;
        }
        self.entry.blocks.clear();
        self.persist_blocks();
        self.operator_event(What::Unblocked, operator, reason);
        true
    }

    /// Adds a block, in place of an older one of the same holder.
    fn keep_off(&mut self, record: BlockRecord) {
        let same = |holder: &Option<HolderId>| *holder == record.holder;
        self.entry.blocks.retain(|block| !same(&block.record.holder));
        if self.entry.blocks.len() >= self.rules.blocks_max.max(1)
            && let Some(first) = (0..self.entry.blocks.len()).min_by_key(|at| self.entry.blocks[*at].until)
        {
            self.entry.blocks.swap_remove(first);
        }
        let until = self.now + record.lasts;
        self.entry.blocks.push(KeyBlock { record, until });
        self.persist_blocks();
    }

    fn operator_event(&mut self, what: What, operator: &Label, why: &str) {
        let event = Event {
            what,
            key: self.key.clone(),
            claim_id: None,
            token: None,
            stream_id: None,
            who: operator.clone(),
            why: super::told(why),
        };
        self.effects.push_back(Effect::Event(event));
    }
}

/// A length of time in its largest whole unit.
fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
