//! One relay's part of the shared store. See the module's contract.

use super::line::{Line, Own, Save};
use super::op::{Cell, Fence, Held, News, Op, OpId, Outcome, Relay, Value, WriteId, token_of};
use crate::{
    BlockRecord, Change, ClaimKey, FencingToken, Foreign, Record, SaveId, Shown, Standing, Ticket, Version,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often a grant is tried anew against something of ours that an unanswered change left behind.
const TRIES_MAX: u8 = 8;

/// What the store held when we came.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// All cells, in any order.
    pub cells: Vec<News>,
    /// All fences.
    pub fences: Vec<(ClaimKey, Version)>,
    /// The store's version then.
    pub version: Version,
}

/// What does not change while a process runs.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Drawn anew by each process.
    pub process: Uuid,
    /// Raised by an operator when a store is replaced; below 32, so that a token stays a whole number everywhere.
    pub epoch: u16,
    /// How long a relay that hears nothing of the store may go on writing at most: the life of its lease.
    pub guard: Duration,
}

/// What a table is to be restored from.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Our own, from before.
    pub snapshot: crate::Snapshot,
    /// Others'.
    pub foreign: Vec<(ClaimKey, Foreign)>,
}

/// What the table is to be told, each by the method of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// [`crate::ClaimTable::stored_as`].
    Stored {
        /// Which.
        save: SaveId,
        /// The token that it has.
        token: FencingToken,
        /// How long somebody else may still write where nobody checks tokens: the key had a holder that did not give
        /// it back. Zero if it did.
        guard: Duration,
    },
    /// [`crate::ClaimTable::not_stored`].
    NotStored {
        /// Which.
        save: SaveId,
    },
    /// [`crate::ClaimTable::conflicted`].
    Conflicted {
        /// Which.
        save: SaveId,
    },
    /// [`crate::ClaimTable::heard`].
    Heard {
        /// Of which key.
        key: ClaimKey,
        /// What is there.
        foreign: Option<Box<Foreign>>,
    },
    /// [`crate::ClaimTable::heard_blocks`].
    HeardBlocks {
        /// Of which key.
        key: ClaimKey,
        /// All of them.
        blocks: Vec<BlockRecord>,
    },
    /// [`crate::ClaimTable::vouched`].
    Vouched {
        /// Whose claim.
        key: ClaimKey,
    },
    /// [`crate::ClaimTable::contested`].
    Contested {
        /// Whose claim.
        key: ClaimKey,
    },
    /// [`crate::ClaimTable::evicted`].
    Evicted {
        /// Whose claim.
        key: ClaimKey,
        /// Its token.
        token: FencingToken,
        /// What its publisher is told.
        why: String,
    },
}

/// See the module's contract. Bounded by the table that it serves, and by the store.
#[derive(Clone, Debug, Hash)]
pub struct Ledger {
    me: Relay,
    process: Uuid,
    epoch: u16,
    guard: Duration,
    now: Instant,
    lines: BTreeMap<ClaimKey, Line>,
    ops: BTreeMap<OpId, Sent>,
    /// How far the store's news have come.
    progress: Version,
    /// Idle lines, to be dropped once the news have come so far: an older echo must not be taken for news.
    leaving: BTreeSet<(Version, ClaimKey)>,
    next: u64,
    told: VecDeque<Told>,
    wanted: VecDeque<(OpId, Op)>,
}

/// A change under way.
#[derive(Clone, Debug, Hash)]
struct Sent {
    key: ClaimKey,
    what: What,
    write: WriteId,
}

#[derive(Clone, Debug, Hash)]
enum What {
    Save {
        save: Save,
        fence: Fence,
    },
    /// The cell is to say this.
    Truth {
        own: Option<Own>,
        fence: Fence,
    },
    Evict(Held),
    Blocks(Vec<BlockRecord>),
    /// A question or an answer; lost, it is asked again.
    Word,
}

impl Ledger {
    /// From what the store held when we came. What was ours in a former process is taken up again under our new lease.
    ///
    #[must_use]
    pub fn open(now: Instant, me: Relay, terms: Terms, opening: Opening) -> (Self, Restored) {
        let Terms { process, epoch, guard } = terms;
        let mut ledger = Self {
            me,
            process,
            epoch,
            guard,
            now,
            lines: BTreeMap::new(),
            ops: BTreeMap::new(),
            progress: opening.version,
            leaving: BTreeSet::new(),
            next: 0,
            told: VecDeque::new(),
            wanted: VecDeque::new(),
        };
        let fences: BTreeMap<_, _> = opening.fences.into_iter().collect();
        let mut restored = Restored::default();
        for News { cell, version, value } in opening.cells {
            match (cell, value) {
                (Cell::Claim(key), Some(Value::Claim(held))) => {
                    let fence = fences.get(&key).copied().unwrap_or_default();
                    ledger.take_up(key, version, *held, fence, &mut restored);
                }
                (Cell::Blocks(key), Some(Value::Blocks(blocks, _))) => {
                    let blocks = blocks.into_iter().map(|block| (key.clone(), block));
                    restored.snapshot.blocks.extend(blocks);
                }
                _ => {}
            }
        }
        (ledger, restored)
    }

    fn take_up(
        &mut self,
        key: ClaimKey,
        version: Version,
        held: Held,
        fence: Version,
        restored: &mut Restored,
    ) {
        let line = self.lines.entry(key.clone()).or_default();
        line.saw(version);
        if held.relay.id != self.me.id {
            let foreign = foreign(version, &held, self.epoch);
            line.foreign = Some((version, held));
            restored.foreign.push((key, foreign));
            return;
        }
        line.ours = version;
        line.fence = fence;
        line.is_dirty = true;
        line.is_adopted = true;
        if held.evicted.is_none() {
            let record = held.record_at(version, self.epoch);
            line.own = Some(Own { record: record.clone(), shown: held.shown });
            restored.snapshot.claims.push(record);
        }
        self.work_on(&key);
    }

    /// What time it is, for all calls until the next of this one. It never goes back.
    pub fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The token of the store's version.
    #[must_use]
    pub const fn token(&self, version: Version) -> FencingToken {
        token_of(version, self.epoch)
    }

    /// The table wants a grant stored.
    pub fn save(&mut self, id: SaveId, record: Record, replaces: Version, standing: Standing) {
        let key = record.key.clone();
        let line = self.lines.entry(key.clone()).or_default();
        line.save = Some(Save { id, record, replaces, standing, tries: 0 });
        self.work_on(&key);
    }

    /// The table says what is true of a key.
    pub fn persist(&mut self, change: Change) {
        let key = match change {
            Change::Put(record) => {
                let key = record.key.clone();
                let line = self.lines.entry(key.clone()).or_default();
                if line.foreign.is_some() {
                    // It is another's by now; the table is about to hear of it.
                    return;
                }
                let shown = line.own.as_ref().map(|own| own.shown);
                let shown = shown.unwrap_or(Shown { standing: Standing::Held, ticket: None });
                line.own = Some(Own { record, shown });
                line.is_dirty = true;
                key
            }
            Change::Remove(key) => {
                let line = self.lines.entry(key.clone()).or_default();
                line.own = None;
                line.is_dirty = true;
                key
            }
            Change::Blocks(key, blocks) => {
                self.lines.entry(key.clone()).or_default().blocks.wanted = Some(blocks);
                key
            }
        };
        self.work_on(&key);
    }

    /// The table says who may follow.
    pub fn show(&mut self, key: &ClaimKey, shown: Shown) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let Some(own) = &mut line.own else { return };
        own.shown = shown;
        line.is_dirty = true;
        self.work_on(key);
    }

    /// The table wants to know whether another relay's publisher lives.
    pub fn ask(&mut self, key: &ClaimKey) {
        let write = self.write();
        self.send(key, What::Word, write, Op::Ask { key: key.clone(), write });
    }

    /// The table says that our publisher lives.
    pub fn vouch(&mut self, key: &ClaimKey) {
        let write = self.write();
        self.send(key, What::Word, write, Op::Vouch { key: key.clone(), write });
    }

    /// The table wants another relay's claim ended, as it was under this version.
    pub fn evict(&mut self, key: &ClaimKey, version: Version, why: &str) {
        let line = self.lines.entry(key.clone()).or_default();
        line.evict = Some((version, why.to_owned()));
        self.work_on(key);
    }

    /// A change has ended. Each is answered once; again, it has no effect.
    pub fn answered(&mut self, id: OpId, outcome: Outcome) {
        let Some(Sent { key, what, write }) = self.ops.remove(&id) else { return };
        let line = self.lines.entry(key.clone()).or_default();
        if line.busy == Some(id) {
            line.busy = None;
        }
        match what {
            What::Save { save, fence } => self.saved(&key, save, fence, write, outcome),
            What::Truth { own, fence } => self.put_right(&key, own.is_some(), fence, outcome),
            What::Evict(held) => self.was_evicted(&key, held, outcome),
            What::Blocks(blocks) => {
                let line = self.lines.entry(key.clone()).or_default();
                line.blocks.busy = None;
                let is_done = matches!(outcome, Outcome::Done { .. });
                line.blocks.is_stalled = !is_done;
                if !is_done && line.blocks.wanted.is_none() {
                    line.blocks.wanted = Some(blocks);
                }
            }
            What::Word => {}
        }
        self.work_on(&key);
    }

    /// The store tells of changes, in order, up to `progress`. Told again, they have no effect.
    pub fn watched(&mut self, news: Vec<News>, progress: Version) {
        for News { cell, version, value } in news {
            match (cell, value) {
                (Cell::Claim(key), Some(Value::Claim(held))) => self.found(&key, version, *held),
                (Cell::Claim(key), None) => self.gone(&key, version),
                (Cell::Blocks(key), Some(Value::Blocks(blocks, write))) => {
                    if write.process != self.process {
                        self.told.push_back(Told::HeardBlocks { key, blocks });
                    }
                }
                // They ended by themselves here as well, at about the same time.
                (Cell::Blocks(key), None) => self.unblocked(key),
                (Cell::Ask(key), Some(Value::Asked(write))) => {
                    let is_ours = self.lines.get(&key).is_some_and(|line| line.own.is_some());
                    if is_ours && write.process != self.process {
                        self.told.push_back(Told::Contested { key });
                    }
                }
                (Cell::Ask(key), Some(Value::Vouched(write))) => {
                    if write.process != self.process {
                        self.told.push_back(Told::Vouched { key });
                    }
                }
                _ => {}
            }
        }
        self.progress = self.progress.max(progress);
        self.drop_idle();
    }

    fn unblocked(&mut self, key: ClaimKey) {
        let has_own = self.lines.get(&key).is_some_and(|line| {
            line.blocks.busy.is_some() || line.blocks.wanted.as_ref().is_some_and(|blocks| !blocks.is_empty())
        });
        if !has_own {
            self.told.push_back(Told::HeardBlocks { key, blocks: Vec::new() });
        }
    }

    /// Everything that the store has now: news were missed, or our lease is another.
    pub fn compared(&mut self, opening: Opening) {
        let version = opening.version;
        let there: BTreeSet<_> = opening
            .cells
            .iter()
            .filter_map(|news| match &news.cell {
                Cell::Claim(key) => Some(key.clone()),
                Cell::Blocks(_) | Cell::Ask(_) => None,
            })
            .collect();
        let missing: Vec<_> = self.lines.keys().filter(|key| !there.contains(key)).cloned().collect();
        for key in missing {
            self.gone(&key, version);
        }
        self.watched(opening.cells, version);
        self.retry();
    }

    /// The store is within reach (again): what did not get through is tried again.
    pub fn retry(&mut self) {
        let stalled = |line: &Line| line.is_stalled || line.blocks.is_stalled;
        let keys: Vec<_> =
            self.lines.iter().filter(|(_, line)| stalled(line)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(line) = self.lines.get_mut(&key) {
                line.is_stalled = false;
                line.blocks.is_stalled = false;
            }
            self.work_on(&key);
        }
    }

    /// Whether something waits for [`Ledger::retry`].
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.lines.values().any(|line| line.is_stalled || line.blocks.is_stalled)
    }

    /// What the table is to be told, in order.
    pub fn poll_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// What is to be changed in the store. Changes of different keys may be done in any order.
    pub fn poll_op(&mut self) -> Option<(OpId, Op)> {
        self.wanted.pop_front()
    }

    /// The claims that we have, with the version of their cells, for those who look in from outside.
    pub fn own(&self) -> impl Iterator<Item = (&ClaimKey, FencingToken)> {
        self.lines.iter().filter_map(|(key, line)| Some((key, line.own.as_ref()?.record.token)))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&mut self) -> WriteId {
        WriteId { process: self.process, number: self.number() }
    }

    fn send(&mut self, key: &ClaimKey, what: What, write: WriteId, op: Op) -> OpId {
        let id = OpId(self.number());
        self.ops.insert(id, Sent { key: key.clone(), what, write });
        self.wanted.push_back((id, op));
        id
    }

    /// Starts what is to be done next on a key, if nothing is under way.
    fn work_on(&mut self, key: &ClaimKey) {
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

    fn line(&mut self, key: &ClaimKey) -> &mut Line {
        self.lines.entry(key.clone()).or_default()
    }

    fn drop_idle(&mut self) {
        while let Some((version, _)) = self.leaving.first()
            && *version <= self.progress
        {
            let Some((_, key)) = self.leaving.pop_first() else { return };
            let progress = self.progress;
            if self.lines.get(&key).is_some_and(|line| line.is_idle() && line.seen <= progress) {
                self.lines.remove(&key);
            }
        }
    }

    fn saved(&mut self, key: &ClaimKey, save: Save, fence: Fence, write: WriteId, outcome: Outcome) {
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

    fn granted(&mut self, key: &ClaimKey, save: Save, fence: Fence, version: Version, before: Version) {
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

    fn put_right(&mut self, key: &ClaimKey, is_put: bool, fence: Fence, outcome: Outcome) {
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

    fn was_evicted(&mut self, key: &ClaimKey, held: Held, outcome: Outcome) {
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
    fn is_ours(&self, held: &Held) -> bool {
        held.relay.id == self.me.id && (held.write.process == self.process || held.evicted.is_some())
    }

    /// Something of this process is in the cell, and perhaps not what should be.
    fn found_ours(&mut self, key: &ClaimKey, version: Version, held: &Held) {
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
    fn found(&mut self, key: &ClaimKey, version: Version, held: Held) {
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
    fn is_empty(&mut self, key: &ClaimKey, version: Version) {
        let line = self.line(key);
        line.saw(version);
        line.ours = Version::ABSENT;
        if line.foreign.take().is_some() {
            self.told.push_back(Told::Heard { key: key.clone(), foreign: None });
        }
    }

    /// The cell was emptied.
    fn gone(&mut self, key: &ClaimKey, version: Version) {
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

fn held(own: &Own, relay: Relay, write: WriteId) -> Held {
    Held { record: own.record.clone(), relay, shown: own.shown, write, evicted: None }
}

fn foreign(version: Version, held: &Held, epoch: u16) -> Foreign {
    let shown = match held.evicted {
        Some(_) => Shown { standing: Standing::Open, ticket: None::<Ticket> },
        None => held.shown,
    };
    Foreign { version, relay: held.relay.label.clone(), record: held.record_at(version, epoch), shown }
}
