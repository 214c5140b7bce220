//! Several relays around one shared store, with all that may go wrong between them: changes that are late, lost or done
//! without an answer, news that lag, relays cut off, frozen, killed and restarted, leases that end.
//!
//! The store is played by its own rules here; the real one is met by the tests of the relay. A broken promise panics.

use claims::fleet::{
    Cell, Fence, Held, Ledger, News, Op, OpId, Opening, Outcome, Relay, RelayId, Terms, Told, Value,
};
use claims::{
    BlockRecord, Change, ClaimId, ClaimKey, ClaimTable, ContenderId, Effect, FencingToken, Holder, Label,
    Origin, Publish, Reference, Rules, Standing, Ticket, TokenSource, Version,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a relay's lease lives.
pub(crate) const TTL: Duration = Duration::from_secs(10);
/// How much earlier than its claim a push ends.
const MARGIN: Duration = Duration::from_secs(2);
/// What a push's fresh claim is worth, and how long a renewal keeps it.
const FIRST: Duration = Duration::from_secs(8);
const KEEP: Duration = Duration::from_secs(20);

/// The store that they share.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) version: u64,
    pub(crate) claims: BTreeMap<ClaimKey, (Version, Held, u64)>,
    fences: BTreeMap<ClaimKey, Version>,
    blocks: BTreeMap<ClaimKey, (News, Instant)>,
    leases: BTreeMap<u64, Instant>,
    next_lease: u64,
    log: Vec<News>,
    /// The newest token granted on each key, and to which process.
    granted: BTreeMap<ClaimKey, (FencingToken, Uuid)>,
}

impl Store {
    const fn new() -> Self {
        Self {
            version: 0,
            claims: BTreeMap::new(),
            fences: BTreeMap::new(),
            blocks: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_lease: 0,
            log: Vec::new(),
            granted: BTreeMap::new(),
        }
    }

    fn tell(&mut self, cell: Cell, value: Option<Value>) {
        self.log.push(News { cell, version: Version(self.version), value });
    }

    fn expire(&mut self, now: Instant) {
        let ended: Vec<_> =
            self.leases.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        for lease in ended {
            self.leases.remove(&lease);
            let gone: Vec<_> = self
                .claims
                .iter()
                .filter(|(_, (_, _, of))| *of == lease)
                .map(|(key, _)| key.clone())
                .collect();
            for key in gone {
                self.version += 1;
                self.claims.remove(&key);
                self.tell(Cell::Claim(key), None);
            }
        }
        let over: Vec<_> =
            self.blocks.iter().filter(|(_, (_, until))| *until <= now).map(|(key, _)| key.clone()).collect();
        for key in over {
            self.version += 1;
            self.blocks.remove(&key);
            self.tell(Cell::Blocks(key), None);
        }
    }

    fn at(&self, key: &ClaimKey) -> Version {
        self.claims.get(key).map_or(Version::ABSENT, |(version, _, _)| *version)
    }

    fn conflict(&self, key: &ClaimKey) -> Outcome {
        let found = self.claims.get(key).map(|(version, held, _)| (*version, Box::new(held.clone())));
        let fence = self.fences.get(key).copied().unwrap_or_default();
        Outcome::Conflict { found, fence, seen: Version(self.version) }
    }

    fn apply(&mut self, now: Instant, lease: u64, op: &Op) -> Outcome {
        let (key, done) = match op {
            Op::Put { held, replaces, fence } => {
                let key = &held.record.key;
                let before = self.fences.get(key).copied().unwrap_or_default();
                let is_still = !matches!(fence, Fence::Still(wanted) if *wanted != before);
                if !self.leases.contains_key(&lease) {
                    return Outcome::Refused;
                }
                if self.at(key) != *replaces || !is_still {
                    return self.conflict(key);
                }
                self.check_replacement(held);
                self.version += 1;
                let version = Version(self.version);
                if *fence == Fence::Raise {
                    self.fences.insert(key.clone(), version);
                }
                self.check_token(held, version);
                self.claims.insert(key.clone(), (version, (**held).clone(), lease));
                self.tell(Cell::Claim(key.clone()), Some(Value::Claim(held.clone())));
                (key, before)
            }
            Op::Remove { key, version, is_clean } => {
                if self.at(key) != *version {
                    return self.conflict(key);
                }
                let fence = self.fences.get(key).copied().unwrap_or_default();
                if *is_clean {
                    self.fences.remove(key);
                }
                if self.claims.remove(key).is_some() {
                    self.version += 1;
                    self.tell(Cell::Claim(key.clone()), None);
                }
                (key, fence)
            }
            Op::Evict { held, replaces } => {
                let key = &held.record.key;
                if self.at(key) != *replaces {
                    return self.conflict(key);
                }
                self.version += 1;
                let of = self.claims[key].2;
                let value = Value::Claim(held.clone());
                self.claims.insert(key.clone(), (Version(self.version), (**held).clone(), of));
                self.tell(Cell::Claim(key.clone()), Some(value));
                (key, Version::ABSENT)
            }
            Op::Blocks { key, blocks, write } => {
                self.version += 1;
                let lasts = blocks.iter().map(|block| block.lasts).max();
                let value = lasts.map(|_| Value::Blocks(blocks.clone(), *write));
                self.tell(Cell::Blocks(key.clone()), value.clone());
                match lasts {
                    Some(lasts) => {
                        let news =
                            News { cell: Cell::Blocks(key.clone()), version: Version(self.version), value };
                        self.blocks.insert(key.clone(), (news, now + lasts));
                    }
                    None => drop(self.blocks.remove(key)),
                }
                (key, Version::ABSENT)
            }
            Op::Ask { key, write } => {
                self.version += 1;
                self.tell(Cell::Ask(key.clone()), Some(Value::Asked(*write)));
                (key, Version::ABSENT)
            }
            Op::Vouch { key, write } => {
                self.version += 1;
                self.tell(Cell::Ask(key.clone()), Some(Value::Vouched(*write)));
                (key, Version::ABSENT)
            }
        };
        let _ = key;
        Outcome::Done { version: Version(self.version), fence: done }
    }

    /// Nobody's claim is taken by another relay without one of the grounds that the rules name.
    fn check_replacement(&self, new: &Held) {
        let Some((_, old, _)) = self.claims.get(&new.record.key) else { return };
        let (from, to) = (&old.record.holder, &new.record.holder);
        let same = from.instance.is_some() && from.instance == to.instance && from.principal == to.principal;
        let is_own_judgement = old.relay.id == new.relay.id;
        let is_open = old.shown.standing == Standing::Open || old.evicted.is_some();
        let by_ticket = old.shown.ticket.is_some();
        let by_priority = to.priority > from.priority;
        assert!(
            same || is_own_judgement || is_open || by_ticket || by_priority,
            "a healthy holder was displaced by an equal stranger at another relay: {old:?} by {new:?}"
        );
    }

    /// Tokens only rise; and a claim is taken up again only by the one who was granted it last.
    fn check_token(&mut self, held: &Held, version: Version) {
        let key = &held.record.key;
        let process = held.write.process;
        let (before, to) = self.granted.get(key).copied().unwrap_or((FencingToken::new(0), process));
        if held.record.token == FencingToken::new(0) {
            let token = FencingToken::new(version.0);
            assert!(token > before, "token {token} after {before}");
            self.granted.insert(key.clone(), (token, process));
            return;
        }
        // A grant whose answer was lost was told to nobody: its own process may go back to the one before.
        let is_newest = held.record.token == before;
        let is_back = to == process && held.record.token < before;
        assert!(is_newest || is_back, "an older grant was put over a newer one: {held:?}");
        self.granted.insert(key.clone(), (held.record.token, process));
    }

    fn opening(&self) -> Opening {
        let claims = self.claims.iter().map(|(key, (version, held, _))| News {
            cell: Cell::Claim(key.clone()),
            version: *version,
            value: Some(Value::Claim(Box::new(held.clone()))),
        });
        let blocks = self.blocks.values().map(|(news, _)| news.clone());
        Opening {
            cells: claims.chain(blocks).collect(),
            fences: self.fences.iter().map(|(key, version)| (key.clone(), *version)).collect(),
            version: Version(self.version),
        }
    }
}

/// A publisher's connection to one relay.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    pub(crate) key: ClaimKey,
    pub(crate) is_sending: bool,
    /// If it pushes to a target: from when to when it may write.
    may_write: (Instant, Instant),
}

/// One relay.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    id: RelayId,
    pub(crate) table: ClaimTable,
    pub(crate) ledger: Ledger,
    lease: u64,
    /// Until when its lease cannot have ended, as far as it knows.
    valid_until: Instant,
    /// When it last knew all news there were.
    current_at: Instant,
    pub(crate) is_cut_off: bool,
    pub(crate) is_frozen: bool,
    ops: VecDeque<(OpId, Op)>,
    read: usize,
    pub(crate) publishers: BTreeMap<FencingToken, Publisher>,
    contenders: BTreeMap<ContenderId, (ClaimKey, Holder, Instant)>,
    guards: BTreeMap<FencingToken, Duration>,
    pub(crate) tickets: Vec<Ticket>,
}

#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) rules: Rules,
    pub(crate) now: Instant,
    pub(crate) store: Store,
    pub(crate) nodes: Vec<Node>,
    /// The largest token that each target was written under.
    targets: BTreeMap<ClaimKey, FencingToken>,
    next: u64,
}

impl Node {
    /// How long its claims cannot be another's.
    fn left(&self, now: Instant) -> Duration {
        self.valid_until.min(self.current_at + TTL).saturating_duration_since(now)
    }
}

impl Fleet {
    pub(crate) fn new(rules: Rules, now: Instant, relays: usize) -> Self {
        let rules = Rules { shared: true, ..rules };
        let mut fleet =
            Self { rules, now, store: Store::new(), nodes: Vec::new(), targets: BTreeMap::new(), next: 0 };
        for number in 0..relays {
            let node = fleet.start(RelayId(Uuid::from_u128(1_000 + number as u128)));
            fleet.nodes.push(node);
        }
        fleet
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A process begins: a lease, then all that is there, then its work.
    fn start(&mut self, id: RelayId) -> Node {
        self.store.expire(self.now);
        let lease = self.grant_lease();
        let process = Uuid::from_u128((1 << 100) + u128::from(self.number()));
        let me = Relay { id, label: Label::new(&format!("relay-{}", id.0.as_u128() % 1_000)) };
        let terms = Terms { process, epoch: 0, guard: TTL };
        let (ledger, restored) = Ledger::open(self.now, me, terms, self.store.opening());
        let tokens = TokenSource::after(FencingToken::new(self.store.version));
        let mut table = ClaimTable::restore(self.now, self.rules.clone(), tokens, restored.snapshot);
        for (key, foreign) in restored.foreign {
            table.heard_before(self.now, &key, foreign);
        }
        Node {
            id,
            table,
            ledger,
            lease,
            valid_until: self.now + TTL,
            current_at: self.now,
            is_cut_off: false,
            is_frozen: false,
            ops: VecDeque::new(),
            read: self.store.log.len(),
            publishers: BTreeMap::new(),
            contenders: BTreeMap::new(),
            guards: BTreeMap::new(),
            tickets: Vec::new(),
        }
    }

    fn grant_lease(&mut self) -> u64 {
        self.store.next_lease += 1;
        self.store.leases.insert(self.store.next_lease, self.now + TTL);
        self.store.next_lease
    }

    /// kill -9, and a new process in its place.
    pub(crate) fn restart(&mut self, at: usize) {
        if self.nodes[at].is_cut_off {
            return;
        }
        // What was on its way may still be done.
        while let Some((_, op)) = self.nodes[at].ops.pop_front() {
            if self.number().is_multiple_of(2) {
                let lease = self.nodes[at].lease;
                let _ = self.store.apply(self.now, lease, &op);
            }
        }
        let node = self.start(self.nodes[at].id);
        self.nodes[at] = node;
        self.work(at);
    }

    pub(crate) fn publish(
        &mut self,
        at: usize,
        key: &ClaimKey,
        holder: &Holder,
        asking: (bool, Option<Ticket>),
    ) {
        if self.nodes[at].is_frozen {
            return;
        }
        let number = self.number();
        let contender = ContenderId(number);
        let origin = Origin {
            contender,
            key: key.clone(),
            holder: holder.clone(),
            fresh_id: ClaimId::new(Uuid::from_u128(number.into())),
            reference: Reference(0),
            unix_ms: 0,
        };
        let (preempt, ticket) = asking;
        let publish = Publish { preempt, ticket, ..Publish::plain(origin) };
        self.nodes[at].contenders.insert(contender, (key.clone(), holder.clone(), self.now));
        self.nodes[at].table.publish(self.now, publish);
        self.work(at);
    }

    pub(crate) fn media(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.is_frozen {
            return;
        }
        let sending: Vec<_> = node
            .publishers
            .iter()
            .filter(|(_, publisher)| publisher.is_sending)
            .map(|(token, _)| *token)
            .collect();
        for token in sending {
            node.table.media(now, token);
        }
        self.work(at);
    }

    pub(crate) fn with_table(&mut self, at: usize, act: impl FnOnce(&mut ClaimTable, Instant)) {
        if self.nodes[at].is_frozen {
            return;
        }
        let now = self.now;
        act(&mut self.nodes[at].table, now);
        self.work(at);
    }

    pub(crate) fn leave(&mut self, at: usize, token: FencingToken) {
        if self.nodes[at].is_frozen {
            return;
        }
        let goes_politely = token.get().is_multiple_of(2);
        self.nodes[at].publishers.remove(&token);
        self.with_table(at, |table, now| {
            if goes_politely { table.finish(now, token) } else { table.lost(now, token, "reset") }
        });
    }

    pub(crate) fn keyframes(&mut self, at: usize) {
        let contenders: Vec<_> = self.nodes[at].contenders.keys().copied().collect();
        for contender in contenders {
            self.with_table(at, |table, now| table.keyframe(now, contender));
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.store.expire(self.now);
    }

    pub(crate) fn timeout(&mut self, at: usize) {
        self.with_table(at, ClaimTable::handle_timeout);
    }

    /// The store does a relay's oldest change; `how` says what becomes of it and its answer.
    pub(crate) fn deliver(&mut self, at: usize, how: Delivery) {
        if self.nodes[at].is_frozen {
            return;
        }
        let Some((id, op)) = self.nodes[at].ops.pop_front() else { return };
        let lease = self.nodes[at].lease;
        let outcome = match (self.nodes[at].is_cut_off, how) {
            (false, Delivery::Well) => self.store.apply(self.now, lease, &op),
            (false, Delivery::AnswerLost) => {
                let _ = self.store.apply(self.now, lease, &op);
                Outcome::Unknown
            }
            (true, Delivery::Well | Delivery::AnswerLost) => Outcome::Unknown,
            (_, Delivery::Refused) => Outcome::Refused,
            (_, Delivery::Late) => {
                // Given up here, done there, later: the answer comes before the deed.
                self.nodes[at].ledger.at(self.now);
                self.nodes[at].ledger.answered(id, Outcome::Unknown);
                self.work(at);
                if !self.nodes[at].is_cut_off {
                    let _ = self.store.apply(self.now, lease, &op);
                }
                return;
            }
        };
        self.nodes[at].ledger.at(self.now);
        self.nodes[at].ledger.answered(id, outcome.clone());
        self.nodes[at].ledger.answered(id, outcome);
        self.work(at);
    }

    /// A relay reads some news.
    pub(crate) fn watch(&mut self, at: usize, many: usize) {
        let node = &mut self.nodes[at];
        if node.is_frozen || node.is_cut_off {
            return;
        }
        let end = (node.read + many).min(self.store.log.len());
        let news: Vec<_> = self.store.log[node.read..end].to_vec();
        let progress = news.last().map_or(Version(0), |news| news.version);
        // An interrupted watch tells some of it again.
        node.read = if many.is_multiple_of(3) { end.saturating_sub(1) } else { end };
        if end == self.store.log.len() {
            node.current_at = self.now;
        }
        node.ledger.at(self.now);
        node.ledger.watched(news, progress);
        self.work(at);
    }

    /// A relay renews its lease, or takes a new one and compares everything.
    pub(crate) fn keep_alive(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.is_frozen || node.is_cut_off {
            return;
        }
        self.store.expire(self.now);
        let until = self.now + TTL;
        if let Some(lease) = self.store.leases.get_mut(&self.nodes[at].lease) {
            *lease = until;
            self.nodes[at].ledger.retry();
        } else {
            let lease = self.grant_lease();
            let opening = self.store.opening();
            let end = self.store.log.len();
            let node = &mut self.nodes[at];
            node.lease = lease;
            node.read = end;
            node.current_at = self.now;
            node.ledger.at(self.now);
            node.ledger.compared(opening);
        }
        self.nodes[at].valid_until = until;
        self.work(at);
    }

    /// Those that push to targets renew their claims, and write.
    pub(crate) fn push(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.is_frozen {
            return;
        }
        let tokens: Vec<_> = node.publishers.keys().copied().collect();
        for token in tokens {
            let publisher = &node.publishers[&token];
            let ClaimKey::Target(_) = publisher.key else { continue };
            let (from, until) = publisher.may_write;
            if from <= now && now < until {
                let newest = self.targets.entry(publisher.key.clone()).or_insert(token);
                assert!(
                    *newest <= token,
                    "an old writer wrote to a target after a new one: {token} {publisher:?}"
                );
                *newest = token;
            }
            let Some(row) = node.table.row(now, &publisher.key) else { continue };
            if row.token != token || row.relay.is_some() {
                continue;
            }
            let left = node.left(now);
            if let Ok(kept) = node.table.renew(now, row.claim_id, KEEP)
                && !left.is_zero()
                && let Some(publisher) = node.publishers.get_mut(&token)
            {
                let until = now + kept.min(left);
                publisher.may_write.1 = until.checked_sub(MARGIN).unwrap_or(now);
            }
        }
        self.work(at);
    }

    /// Carries effects and words between a table and its ledger until both have nothing more to say.
    pub(crate) fn work(&mut self, at: usize) {
        let now = self.now;
        loop {
            let node = &mut self.nodes[at];
            node.ledger.at(now);
            if let Some(effect) = node.table.poll_effect() {
                self.effect(at, effect);
                continue;
            }
            if let Some(told) = node.ledger.poll_told() {
                match told {
                    Told::Stored { save, token, guard } => {
                        node.guards.insert(token, guard);
                        node.table.stored_as(now, save, token);
                    }
                    Told::NotStored { save } => node.table.not_stored(now, save),
                    Told::Conflicted { save } => node.table.conflicted(now, save),
                    Told::Heard { key, foreign } => {
                        node.table.heard(now, &key, foreign.map(|foreign| *foreign));
                    }
                    Told::HeardBlocks { key, blocks } => node.table.heard_blocks(now, &key, blocks),
                    Told::Vouched { key } => node.table.vouched(now, &key),
                    Told::Contested { key } => node.table.contested(now, &key),
                    Told::Evicted { key, token, why } => node.table.evicted(now, &key, token, &why),
                }
                continue;
            }
            while let Some(op) = node.ledger.poll_op() {
                node.ops.push_back(op);
            }
            return;
        }
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let now = self.now;
        let node = &mut self.nodes[at];
        match effect {
            Effect::Save { save, record, replaces, standing } => {
                node.ledger.save(save, record, replaces, standing);
            }
            Effect::Persist(change) => {
                if let Change::Blocks(_, blocks) = &change {
                    assert!(blocks.iter().all(|block: &BlockRecord| block.lasts <= self.rules.block_max));
                }
                node.ledger.persist(change);
            }
            Effect::Show { key, shown } => {
                if shown.standing == Standing::Open {
                    assert_eq!(node.table.writer(&key), None, "a claim with a publisher is shown as open");
                }
                node.ledger.show(&key, shown);
            }
            Effect::Ask { key } => node.ledger.ask(&key),
            Effect::Vouch { key } => node.ledger.vouch(&key),
            Effect::Evict { key, version, why } => node.ledger.evict(&key, version, &why),
            Effect::Admitted { contender, key, token, .. } => {
                let (_, _, asked) = node.contenders.remove(&contender).expect("one who waits");
                let wait = node.guards.remove(&token).unwrap_or_default();
                let left = node.left(now);
                let until = (asked + FIRST).min((now + left).checked_sub(MARGIN).unwrap_or(now));
                let may_write = (now + wait, until);
                node.publishers.insert(token, Publisher { key, is_sending: true, may_write });
            }
            Effect::Refused { contender, .. } => {
                assert!(node.contenders.remove(&contender).is_some(), "an outcome for nobody");
            }
            Effect::Disconnect { token, .. } => {
                node.publishers.remove(&token);
            }
            Effect::Event(_) | Effect::Reserved { .. } | Effect::Audition { .. } | Effect::Probe { .. } => {}
        }
    }

    /// All is well again, and everything that was on its way arrives.
    pub(crate) fn heal(&mut self) {
        for at in 0..self.nodes.len() {
            self.nodes[at].is_cut_off = false;
            self.nodes[at].is_frozen = false;
        }
        for _ in 0..200 {
            for at in 0..self.nodes.len() {
                self.timeout(at);
                self.keep_alive(at);
                self.deliver(at, Delivery::Well);
                self.watch(at, 1_000_001);
            }
            if self.is_calm() {
                return;
            }
        }
        panic!("the relays never come to an agreement: {:#?}", self.nodes);
    }

    fn is_calm(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.ops.is_empty() && node.read == self.store.log.len() && !node.ledger.is_stalled())
    }

    /// Of every key, all relays and the store say the same.
    pub(crate) fn check_agreement(&self) {
        let mut owners: BTreeMap<ClaimKey, (FencingToken, RelayId)> = BTreeMap::new();
        for node in &self.nodes {
            for row in node.table.claims(self.now).filter(|row| row.relay.is_none() && row.holder.is_some()) {
                let twice = owners.insert(row.key.clone(), (row.token, node.id));
                assert_eq!(twice, None, "two relays have {}", row.key);
            }
            for (token, publisher) in &node.publishers {
                assert_eq!(node.table.writer(&publisher.key), Some(*token), "a publisher without its claim");
            }
        }
        let stored: BTreeMap<_, _> = self
            .store
            .claims
            .iter()
            .map(|(key, (version, held, _))| {
                let token = held.record.token;
                let token = if token.get() == 0 { FencingToken::new(version.0) } else { token };
                (key.clone(), (token, held.relay.id))
            })
            .collect();
        assert_eq!(owners, stored, "the store and the relays differ: {:#?}", self.nodes);
        for node in &self.nodes {
            for (key, (token, owner)) in &owners {
                let row = node.table.row(self.now, key).expect("every relay knows of every claim");
                assert_eq!((row.token, row.relay.is_some()), (*token, *owner != node.id));
            }
            let known = node.table.claims(self.now).filter(|row| row.holder.is_some()).map(|row| row.key);
            let unknown: Vec<_> = known.filter(|key| !owners.contains_key(key)).collect();
            assert!(
                unknown.is_empty(),
                "{:?} remembers claims that are no more: {unknown:?}\n{node:#?}",
                node.id
            );
        }
    }

    /// Everybody falls silent; in the end nothing is left.
    pub(crate) fn let_everything_end(&mut self) {
        for round in 0..400 {
            self.pass(Duration::from_secs(2));
            self.heal();
            if round > 60 && self.store.claims.is_empty() && self.store.blocks.is_empty() {
                break;
            }
        }
        assert!(self.store.claims.is_empty(), "a claim never ends: {:?}", self.store.claims);
        assert!(self.store.fences.is_empty() || self.store.fences.len() <= 3);
        for node in &self.nodes {
            assert!(node.contenders.is_empty(), "somebody was never answered: {:?}", node.contenders);
            assert!(node.publishers.is_empty(), "a publisher was forgotten");
            assert_eq!(node.table.claims(self.now).next(), None);
            assert_eq!(node.ledger.own().next(), None);
        }
    }
}

/// What becomes of a change and of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    Well,
    AnswerLost,
    Refused,
    Late,
}
