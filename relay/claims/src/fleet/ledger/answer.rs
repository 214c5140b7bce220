//! What the store's answers and news mean for a key.

use super::{Ledger, TRIES_MAX, foreign};
use crate::fleet::line::{Own, Save};
use crate::fleet::op::{Fence, Held, Outcome, WriteId};
use crate::fleet::told::Told;
use crate::{ClaimKey, Shown, Version};
use std::time::Duration;

impl Ledger {
    pub(super) fn saved(
        &mut self,
        key: &ClaimKey,
        save: Save,
        fence: Fence,
        write: WriteId,
        outcome: Outcome,
    ) {
        match outcome {
            Outcome::Done { version, fence: before } => self.granted(key, save, fence, version, before),
            Outcome::Conflict { found: Some((version, held)), .. } if self.is_ours(&held) => {
                if held.write == write {
                    // It was done; its answer was lost, and this one is of a second try.
                    self.granted(key, save, fence, version, Version::ABSENT);
                    return;
                }
                self.found_ours(key, version, &held);
                if save.tries >= TRIES_MAX {
                    self.told.push_back(Told::NotStored { save: save.id });
                } else {
                    self.line(key).save = Some(Save { tries: save.tries + 1, ..save });
                }
            }
            Outcome::Conflict { found, seen, .. } => {
                match found {
                    Some((version, held)) => self.found(key, version, *held),
                    None => self.gone(key, seen),
                }
                self.told.push_back(Told::Conflicted { save: save.id });
            }
            Outcome::Refused => self.told.push_back(Told::NotStored { save: save.id }),
            Outcome::Unknown => {
                // Whatever became of it is put right, whether or not the table says what is true.
                let guard_until = Some(self.now + self.guard);
                let line = self.line(key);
                line.guard_until = guard_until;
                line.is_dirty = true;
                line.is_stalled = true;
                self.told.push_back(Told::NotStored { save: save.id });
            }
        }
    }

    pub(super) fn granted(
        &mut self,
        key: &ClaimKey,
        save: Save,
        fence: Fence,
        version: Version,
        before: Version,
    ) {
        let token = self.token(version);
        let now = self.now;
        let guard_until = now + self.guard;
        let line = self.line(key);
        let is_overtaken = line.seen > version;
        line.saw(version);
        if is_overtaken {
            // News of what came after it were here first, and told.
            self.told.push_back(Told::Conflicted { save: save.id });
            return;
        }
        let was_ours = before == line.fence;
        if fence == Fence::Raise && !was_ours {
            line.guard_until = before.is_present().then_some(guard_until);
        }
        let guard = line.guard_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        line.foreign = None;
        line.ours = version;
        let mut record = save.record;
        if fence == Fence::Raise {
            line.fence = version;
            record.token = token;
        }
        let token = record.token;
        line.own = Some(Own { record, shown: Shown { standing: save.standing, ticket: None } });
        self.told.push_back(Told::Stored { save: save.id, token, guard });
    }

    pub(super) fn put_right(&mut self, key: &ClaimKey, is_put: bool, fence: Fence, outcome: Outcome) {
        match outcome {
            Outcome::Done { version, .. } => {
                let line = self.line(key);
                let is_overtaken = line.seen > version;
                if is_overtaken {
                    return;
                }
                if !is_put {
                    self.is_empty(key, version);
                    return;
                }
                line.saw(version);
                line.ours = version;
                if fence == Fence::Raise {
                    line.fence = version;
                    line.is_adopted = false;
                }
            }
            Outcome::Conflict { found: Some((version, held)), .. } if self.is_ours(&held) => {
                self.found_ours(key, version, &held);
            }
            Outcome::Conflict { found: Some((version, held)), .. } => self.found(key, version, *held),
            Outcome::Conflict { found: None, fence, seen } => {
                self.is_empty(key, seen);
                let line = self.line(key);
                if !is_put || line.own.is_none() {
                    return;
                }
                if fence.is_present() && fence == line.fence {
                    line.is_dirty = true;
                } else {
                    // Somebody had it meanwhile and gave it back, or so much time has passed that nobody knows.
                    line.own = None;
                    self.told.push_back(Told::Heard { key: key.clone(), foreign: None });
                }
            }
            Outcome::Refused | Outcome::Unknown => {
                let line = self.line(key);
                line.is_dirty = true;
                line.is_stalled = true;
            }
        }
    }

    pub(super) fn was_evicted(&mut self, key: &ClaimKey, held: Held, outcome: Outcome) {
        match outcome {
            Outcome::Done { version, .. } => self.found(key, version, held),
            Outcome::Conflict { found: Some((version, held)), .. } => self.found(key, version, *held),
            Outcome::Conflict { found: None, seen, .. } => self.gone(key, seen),
            // The table hears how it really stands: it was not ended.
            Outcome::Refused | Outcome::Unknown => {
                let epoch = self.epoch;
                let line = self.line(key);
                // A grant in its place was won on the word that it was.
                let save = line.save.take();
                if let Some((version, held)) = &line.foreign {
                    let foreign = Some(Box::new(foreign(*version, held, epoch)));
                    self.told.push_back(Told::Heard { key: key.clone(), foreign });
                }
                if let Some(save) = save {
                    self.told.push_back(Told::Conflicted { save: save.id });
                }
            }
        }
    }

    /// Whether this process wrote it, or another relay marked it as ended.
    pub(super) fn is_ours(&self, held: &Held) -> bool {
        held.relay.id == self.me.id && (held.write.process == self.process || held.evicted.is_some())
    }

    /// Something of this process is in the cell, and perhaps not what should be.
    pub(super) fn found_ours(&mut self, key: &ClaimKey, version: Version, held: &Held) {
        let epoch = self.epoch;
        let guard_until = Some(self.now + self.guard);
        let line = self.line(key);
        if version < line.ours {
            return;
        }
        line.saw(version);
        line.ours = version;
        line.is_dirty = true;
        // Nobody saw what it replaced.
        line.guard_until = guard_until;
        if let Some(why) = &held.evicted {
            // The table answers with the truth, and the cell is removed.
            let token =
                line.own.take().map_or_else(|| held.record_at(version, epoch).token, |own| own.record.token);
            let why = why.clone();
            self.told.push_back(Told::Evicted { key: key.clone(), token, why });
        }
    }

    /// The cell says this.
    pub(super) fn found(&mut self, key: &ClaimKey, version: Version, held: Held) {
        let epoch = self.epoch;
        if self.is_ours(&held) {
            let line = self.line(key);
            if version <= line.ours || version <= line.seen {
                return;
            }
            if line.busy.is_some() {
                // The answer of what is under way will tell; an eviction must be looked for after it.
                line.is_dirty |= held.evicted.is_some();
                return;
            }
            self.found_ours(key, version, &held);
            self.work_on(key);
            return;
        }
        let is_former = held.relay.id == self.me.id;
        let line = self.line(key);
        if version < line.seen || (is_former && version == line.seen) {
            return;
        }
        if is_former {
            // The process before us had still something on its way.
            line.is_adopted = true;
            self.found_ours(key, version, &held);
            self.work_on(key);
            return;
        }
        line.own = None;
        line.ours = Version::ABSENT;
        if version == line.seen {
            return;
        }
        line.saw(version);
        let foreign = foreign(version, &held, epoch);
        line.foreign = Some((version, held));
        self.told.push_back(Told::Heard { key: key.clone(), foreign: Some(Box::new(foreign)) });
        self.work_on(key);
    }

    /// Nothing is in the cell, ours or another's.
    pub(super) fn is_empty(&mut self, key: &ClaimKey, version: Version) {
        let line = self.line(key);
        line.saw(version);
        line.ours = Version::ABSENT;
        if line.foreign.take().is_some() {
            self.told.push_back(Told::Heard { key: key.clone(), foreign: None });
        }
    }

    /// The cell was emptied.
    pub(super) fn gone(&mut self, key: &ClaimKey, version: Version) {
        let Some(line) = self.lines.get_mut(key) else { return };
        if version <= line.seen {
            return;
        }
        self.is_empty(key, version);
        let line = self.line(key);
        if line.own.is_some() {
            // It went with our lease: is it still free?
            line.is_dirty = true;
        }
        self.work_on(key);
    }
}
