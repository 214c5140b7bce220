//! One relay's part of the shared store. See the module's contract.

mod answer;
mod work;

use super::line::{Line, Own, Save};
use super::op::{Cell, Fence, Held, News, Op, OpId, Outcome, Relay, Value, WriteId, token_of};
use super::told::{Opening, Restored, Terms, Told};
use crate::{
    BlockRecord, Change, ClaimKey, FencingToken, Foreign, Record, SaveId, Shown, Standing, Ticket, Version,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often a grant is tried anew against something of ours that an unanswered change left behind.
const TRIES_MAX: u8 = 8;

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
                    self.hear_of_others(write, Told::HeardBlocks { key, blocks });
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
                    self.hear_of_others(write, Told::Vouched { key });
                }
                _ => {}
            }
        }
        self.progress = self.progress.max(progress);
        self.drop_idle();
    }

    fn hear_of_others(&mut self, write: WriteId, told: Told) {
        if write.process != self.process {
            self.told.push_back(told);
        }
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
