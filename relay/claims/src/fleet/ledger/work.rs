//! What is to be done next on a key.

use super::{Ledger, What, held};
use crate::fleet::line::Own;
use crate::fleet::op::{Fence, Held, Op};
use crate::fleet::told::Told;
use crate::{ClaimKey, FencingToken, Shown};

impl Ledger {
    /// Starts what is to be done next on a key, if nothing is under way.
    pub(super) fn work_on(&mut self, key: &ClaimKey) {
        let write = self.write();
        let me = self.me.clone();
        let now = self.now;
        let Some(line) = self.lines.get_mut(key) else { return };
        if line.blocks.busy.is_none()
            && !line.blocks.is_stalled
            && let Some(blocks) = line.blocks.wanted.take()
        {
            let op = Op::Blocks { key: key.clone(), blocks: blocks.clone(), write };
            let id = self.send(key, What::Blocks(blocks), write, op);
            self.line(key).blocks.busy = Some(id);
        }
        let line = self.line(key);
        // A key is not given up, nor another's claim ended, before the others know who is kept off it.
        let blocks_first = line.blocks.busy.is_some() || line.blocks.wanted.is_some();
        if line.busy.is_some() {
            return;
        }
        if line.is_stalled {
            if let Some(save) = line.save.take() {
                self.told.push_back(Told::NotStored { save: save.id });
            }
            return;
        }
        if line.is_dirty {
            if blocks_first && line.own.is_none() {
                return;
            }
            line.is_dirty = false;
            let own = line.own.clone();
            let (ours, fence) = (line.ours, line.fence);
            let fence = match (line.is_adopted, ours.is_present()) {
                // Its fence goes with the lease of the process before us.
                (true, true) => Fence::Raise,
                (false, true) => Fence::Keep,
                (_, false) => Fence::Still(fence),
            };
            let op = match &own {
                Some(own) => Op::Put { held: Box::new(held(own, me, write)), replaces: ours, fence },
                None => {
                    let is_clean = line.guard_until.is_none_or(|until| until <= now);
                    Op::Remove { key: key.clone(), version: ours, is_clean }
                }
            };
            let id = self.send(key, What::Truth { own, fence }, write, op);
            self.line(key).busy = Some(id);
            return;
        }
        if line.evict.is_some() && blocks_first {
            return;
        }
        // Before a grant in its place, so that whoever is evicted is told by whom.
        if let Some((version, why)) = line.evict.take()
            && let Some((known, held)) = &line.foreign
            && *known == version
        {
            let held = Held { evicted: Some(why), write, ..held.clone() };
            let op = Op::Evict { held: Box::new(held.clone()), replaces: version };
            let id = self.send(key, What::Evict(held), write, op);
            self.line(key).busy = Some(id);
            return;
        }
        if let Some(save) = line.save.take() {
            let same_token = line.own.as_ref().is_some_and(|own| own.record.token == save.record.token);
            let keeps_token = same_token && line.ours.is_present();
            let replaces = if line.ours.is_present() { line.ours } else { save.replaces };
            let mut record = save.record.clone();
            if !keeps_token {
                record.token = FencingToken::new(0);
            }
            let fence = if keeps_token { Fence::Keep } else { Fence::Raise };
            let shown = Shown { standing: save.standing, ticket: None };
            let held = Box::new(held(&Own { record, shown }, me, write));
            let id = self.send(key, What::Save { save, fence }, write, Op::Put { held, replaces, fence });
            self.line(key).busy = Some(id);
            return;
        }
        if line.is_idle() {
            let seen = line.seen;
            if seen <= self.progress {
                self.lines.remove(key);
            } else {
                self.leaving.insert((seen, key.clone()));
            }
        }
    }
}
