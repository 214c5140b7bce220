//! The world around a claim table, kept by other means than the table's own: publishers with their connections, a
//! store that may lag, fail or be cut off, an operator. After every command all effects are held against it.
//!
//! A broken promise panics with the promise. `Clone` and `Hash`, so that a search can branch and recognise states.

use claims::{
    Admission, Block, BlockRecord, Change, ClaimId, ClaimKey, ClaimTable, ContenderId, Effect, Event,
    FencingToken, Holder, HolderId, Label, Origin, Publish, Record, Reference, Reserve, RowState, Rules,
    SaveId, Snapshot, Ticket, TokenSource, What,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A publisher's connection as it is, whatever the table thinks of it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Connection {
    pub(crate) key: ClaimKey,
    pub(crate) holder: Holder,
    pub(crate) claim_id: ClaimId,
    pub(crate) admitted: Instant,
    pub(crate) last_media: Option<Instant>,
    /// When it last answered a probe.
    pub(crate) answered: Option<Instant>,
    /// Since when it owes an answer.
    pub(crate) probed: Option<Instant>,
    pub(crate) over: bool,
}

/// Somebody who waits for an outcome.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Contender {
    pub(crate) key: ClaimKey,
    pub(crate) holder: Holder,
    pub(crate) asked: Instant,
    pub(crate) preempt: bool,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) auditioned: bool,
    pub(crate) showed_keyframe: bool,
    pub(crate) only: Option<ClaimId>,
}

/// A write on its way to the disk.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Write {
    Save(SaveId, Record),
    Persist(Change),
}

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) claims: BTreeMap<ClaimKey, Record>,
    pub(crate) blocks: BTreeMap<ClaimKey, Vec<BlockRecord>>,
    pub(crate) high_water: u64,
}

/// Why the present command may cut a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    None,
    Operator(ClaimId),
    Released(ClaimId),
}

/// The publisher of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    pub(crate) preempt: bool,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) only: Option<ClaimId>,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct World {
    pub(crate) table: ClaimTable,
    pub(crate) rules: Rules,
    pub(crate) now: Instant,
    pub(crate) connections: BTreeMap<FencingToken, Connection>,
    pub(crate) contenders: BTreeMap<ContenderId, Contender>,
    pub(crate) writes: VecDeque<Write>,
    pub(crate) disk: Disk,
    pub(crate) claim_ids: Vec<ClaimId>,
    pub(crate) tickets: BTreeMap<Ticket, (FencingToken, Instant)>,
    pub(crate) used_tickets: BTreeSet<Ticket>,
    /// Until when a claim is kept by renewals, and for whom.
    pub(crate) kept: BTreeMap<ClaimId, (ClaimKey, Holder, Instant)>,
    pub(crate) blocked: Vec<(ClaimKey, Option<HolderId>, Instant)>,
    newest: BTreeMap<ClaimKey, FencingToken>,
    next: u64,
    cause: Cause,
    /// The connection that ends by itself in the present command.
    leaving: Option<FencingToken>,
    /// The contender that gives up in the present command.
    withdrawing: Option<ContenderId>,
}

impl World {
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        let table = ClaimTable::new(rules.clone(), TokenSource::after(FencingToken::new(0)));
        Self {
            table,
            rules,
            now,
            connections: BTreeMap::new(),
            contenders: BTreeMap::new(),
            writes: VecDeque::new(),
            disk: Disk::default(),
            claim_ids: Vec::new(),
            tickets: BTreeMap::new(),
            used_tickets: BTreeSet::new(),
            kept: BTreeMap::new(),
            blocked: Vec::new(),
            newest: BTreeMap::new(),
            next: 1,
            cause: Cause::None,
            leaving: None,
            withdrawing: None,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn origin(&mut self, key: &ClaimKey, holder: &Holder, preempt: bool, ticket: Option<Ticket>) -> Origin {
        let number = self.number();
        let contender = ContenderId(number);
        let asked = Contender {
            key: key.clone(),
            holder: holder.clone(),
            asked: self.now,
            preempt,
            ticket,
            auditioned: false,
            showed_keyframe: false,
            only: None,
        };
        self.contenders.insert(contender, asked);
        Origin {
            contender,
            key: key.clone(),
            holder: holder.clone(),
            fresh_id: ClaimId::new(Uuid::from_u128(number.into())),
            reference: Reference(number as u16),
            unix_ms: 0,
        }
    }

    pub(crate) fn publish(&mut self, key: &ClaimKey, holder: &Holder, asking: Asking) -> ContenderId {
        let is_on_time = self.next.is_multiple_of(2);
        if is_on_time {
            self.timeout();
        }
        let origin = self.origin(key, holder, asking.preempt, asking.ticket);
        let contender = origin.contender;
        if let Some(asked) = self.contenders.get_mut(&contender) {
            asked.only = asking.only;
        }
        let publish = Publish {
            only: asking.only,
            ticket: asking.ticket,
            preempt: asking.preempt,
            ..Publish::plain(origin)
        };
        if is_on_time {
            let without = self.table.clone();
            self.table.publish(self.now, publish.clone());
            self.check_no_trace(contender, without, key);
        } else {
            self.table.publish(self.now, publish.clone());
        }
        self.drain();
        if self.contenders.contains_key(&contender) {
            self.table.publish(self.now, publish);
            self.drain();
        }
        contender
    }

    pub(crate) fn reserve(&mut self, key: &ClaimKey, holder: &Holder, keep: Duration) -> ContenderId {
        let origin = self.origin(key, holder, false, None);
        let contender = origin.contender;
        self.table.reserve(self.now, Reserve { origin, keep });
        self.drain();
        contender
    }

    /// If it was refused at once, everything is as if it had never come, but for the refusal's own row and event.
    fn check_no_trace(&mut self, contender: ContenderId, mut without: ClaimTable, key: &ClaimKey) {
        let mut with = self.table.clone();
        let effects: Vec<_> = std::iter::from_fn(|| with.poll_effect()).collect();
        let is_refused = effects.iter().any(
            |effect| matches!(effect, Effect::Refused { contender: refused, .. } if *refused == contender),
        );
        if !is_refused {
            return;
        }
        let holder = &self.contenders[&contender].holder;
        let mut own = 0;
        let others: Vec<_> = effects
            .iter()
            .filter(|effect| {
                let is_own = match effect {
                    Effect::Refused { contender: refused, .. } => *refused == contender,
                    Effect::Event(event) if event.what == What::Refused && event.who == holder.label => {
                        own += 1;
                        own == 1
                    }
                    _ => false,
                };
                !is_own
            })
            .cloned()
            .collect();
        let expected: Vec<_> = std::iter::from_fn(|| without.poll_effect()).collect();
        assert_eq!(others, expected, "a loser caused something");
        let bare = |table: &ClaimTable| {
            table.row(self.now, key).map(|mut row| {
                row.refused_last_hour = 0;
                row.last_refusal = None;
                row
            })
        };
        assert_eq!(bare(&with), bare(&without), "a loser changed the winner's row");
        assert_eq!(with.last_token(), without.last_token(), "a loser burned a token");
    }

    pub(crate) fn withdraw(&mut self, contender: ContenderId) {
        // An outcome may be reached by the time alone, before the withdrawal counts.
        self.withdrawing = Some(contender);
        self.table.withdraw(self.now, contender);
        self.drain();
    }

    pub(crate) fn keyframe(&mut self, contender: ContenderId) {
        if let Some(asked) = self.contenders.get_mut(&contender)
            && asked.auditioned
        {
            asked.showed_keyframe = true;
        }
        self.table.keyframe(self.now, contender);
        self.drain();
    }

    pub(crate) fn media(&mut self, token: FencingToken, ago: Duration) {
        let at = self.now.checked_sub(ago).unwrap_or(self.now);
        if let Some(connection) = self.connections.get_mut(&token)
            && !connection.over
        {
            let at = at.max(connection.admitted);
            connection.last_media = Some(connection.last_media.map_or(at, |last| last.max(at)));
            if connection.probed.is_some_and(|probed| at >= probed) {
                connection.probed = None;
                connection.answered = Some(at);
            }
        }
        self.table.media(at, token);
        self.drain();
    }

    pub(crate) fn pong(&mut self, token: FencingToken) {
        // An answer that comes after its time finds the publisher dead.
        self.timeout();
        if let Some(connection) = self.connections.get_mut(&token)
            && !connection.over
            && connection.probed.take().is_some()
        {
            connection.answered = Some(self.now);
        }
        self.table.pong(self.now, token);
        self.drain();
    }

    pub(crate) fn lost(&mut self, token: FencingToken) {
        self.leaving = Some(token);
        self.table.lost(self.now, token, "connection reset");
        self.drain();
    }

    pub(crate) fn finish(&mut self, token: FencingToken) {
        self.leaving = Some(token);
        self.table.finish(self.now, token);
        self.drain();
    }

    fn over(&mut self, token: FencingToken) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.over = true;
        }
    }

    pub(crate) fn renew(&mut self, claim: ClaimId, keep: Duration) {
        let renewed = self.table.renew(self.now, claim, keep);
        if let Ok(keep) = renewed {
            let row = self.table.row_of(self.now, claim).expect("a renewed claim is there");
            let holder = row.holder.expect("a renewed claim has a holder");
            self.kept.insert(claim, (row.key, holder, self.now + keep));
        }
        self.drain();
    }

    pub(crate) fn release(&mut self, claim: ClaimId) {
        self.cause = Cause::Released(claim);
        self.kept.remove(&claim);
        self.table.release(self.now, claim, "not needed any more");
        self.drain();
        assert!(self.table.row_of(self.now, claim).is_none(), "a released claim is gone");
    }

    pub(crate) fn seize(&mut self, claim: ClaimId, expected: FencingToken) {
        self.timeout();
        let before = self.table.row_of(self.now, claim);
        let holder = before.as_ref().and_then(|row| row.holder.clone());
        self.cause = Cause::Operator(claim);
        let seized = self.table.seize(self.now, claim, expected, &Label::new("alice"), "wrong room", 0);
        if let (Ok(()), Some(row), Some(holder)) = (seized, before, holder) {
            assert_eq!(row.token, expected, "only with the newest token");
            self.kept.remove(&claim);
            let until = self.now + self.rules.block;
            self.blocked.retain(|(key, id, _)| *key != row.key || *id != Some(holder.id()));
            self.blocked.push((row.key, Some(holder.id()), until));
        }
        self.drain();
        let row = self.table.row_of(self.now, claim);
        assert!(
            seized.is_err() || row.is_none_or(|row| row.holder.is_none()),
            "a seized claim has no holder"
        );
    }

    pub(crate) fn block(&mut self, key: &ClaimKey, lasts: Duration) {
        let id = ClaimId::new(Uuid::from_u128(self.number().into()));
        let operator = Label::new("alice");
        self.blocked.retain(|(blocked, id, _)| blocked != key || id.is_some());
        self.blocked.push((key.clone(), None, self.now + lasts));
        let block = Block { key: key.clone(), id, operator, reason: "night".into(), lasts, unix_ms: 0 };
        self.table.block(self.now, block);
        self.drain();
    }

    pub(crate) fn unblock(&mut self, key: &ClaimKey) {
        self.blocked.retain(|(blocked, _, _)| blocked != key);
        self.table.unblock(self.now, key, &Label::new("alice"), "morning");
        self.drain();
    }

    pub(crate) fn ticket(&mut self, token: FencingToken) -> Ticket {
        let ticket = Ticket::new(Uuid::from_u128(self.number().into()));
        if self.table.ticket(self.now, token, ticket) {
            self.tickets.insert(ticket, (token, self.now + self.rules.ticket));
        }
        self.drain();
        ticket
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn timeout(&mut self) {
        self.table.handle_timeout(self.now);
        assert!(self.table.poll_timeout().is_none_or(|at| at > self.now), "a timeout was left behind");
        self.drain();
    }

    /// The store carries out its oldest write.
    pub(crate) fn store_next(&mut self) -> bool {
        let Some(write) = self.writes.pop_front() else { return false };
        self.disk.apply(&write);
        if let Write::Save(save, _) = write {
            self.table.stored(self.now, save);
            self.table.stored(self.now, save);
            self.drain();
        }
        true
    }

    /// The store fails its oldest write; `really` tells whether the disk has it all the same.
    pub(crate) fn fail_next(&mut self, really: bool) {
        let Some(write) = self.writes.pop_front() else { return };
        match write {
            Write::Save(save, record) => {
                if really {
                    self.disk.apply(&Write::Save(save, record));
                }
                self.table.not_stored(self.now, save);
                self.drain();
            }
            // A change without an answer is tried until it is written.
            persist @ Write::Persist(_) => self.writes.push_front(persist),
        }
    }

    /// The relay dies after `written` more writes, comes back and reads its disk.
    pub(crate) fn crash(&mut self, written: usize) {
        for write in self.writes.drain(..).take(written) {
            self.disk.apply(&write);
        }
        self.writes.clear();
        for (token, connection) in self.connections.iter().filter(|(_, connection)| !connection.over) {
            let stored = self.disk.claims.get(&connection.key).map(|record| record.token);
            assert!(
                stored.is_some_and(|stored| stored >= *token),
                "{token} was let in, the disk has {stored:?}"
            );
        }
        self.contenders.clear();
        self.tickets.clear();
        self.kept.clear();
        for connection in self.connections.values_mut() {
            connection.over = true;
        }
        let snapshot = self.disk.snapshot();
        let stored = snapshot.claims.clone();
        let tokens = TokenSource::after(FencingToken::new(self.disk.high_water));
        self.table = ClaimTable::restore(self.now, self.rules.clone(), tokens, snapshot);
        self.blocked.clear();
        for (key, blocks) in &self.disk.blocks {
            for block in blocks {
                self.blocked.push((key.clone(), block.holder.clone(), self.now + block.lasts));
            }
        }
        for record in stored {
            if let Some(keep) = record.keep {
                let until = self.now + keep;
                self.kept.insert(record.claim_id, (record.key.clone(), record.holder.clone(), until));
            }
            let row = self.table.row(self.now, &record.key).expect("a stored claim is there after a restart");
            let (state, left) = match (record.published, record.keep) {
                (false, Some(keep)) => (RowState::Reserved, keep),
                _ => (RowState::Lingering, self.rules.timing.grace),
            };
            assert_eq!((row.state, row.ends_in), (state, Some(left)), "its time runs again in full");
            assert_eq!((row.claim_id, row.token), (record.claim_id, record.token));
        }
        self.drain();
    }

    /// Everybody falls silent; all that is left is time. Then nothing may be left at all.
    pub(crate) fn let_everything_end(&mut self) {
        while self.store_next() {}
        for _ in 0..10_000 {
            while self.store_next() {}
            let Some(at) = self.table.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.timeout();
        }
        assert_eq!(self.table.poll_timeout(), None, "the table never comes to rest");
        assert!(self.contenders.is_empty(), "somebody was never answered: {:?}", self.contenders);
        assert_eq!(self.table.claims(self.now).next(), None, "a claim never ends");
        assert!(self.connections.values().all(|connection| connection.over), "a connection was forgotten");
        assert_eq!(self.disk.claims.len(), 0, "the store keeps a claim that has ended");
        assert!(self.disk.blocks.values().all(Vec::is_empty), "the store keeps a block that has ended");
    }

    /// Takes all effects, holds each against the world, and then the whole against the promises.
    pub(crate) fn drain(&mut self) {
        let effects: Vec<_> = std::iter::from_fn(|| self.table.poll_effect()).collect();
        for (at, effect) in effects.iter().enumerate() {
            match effect {
                Effect::Save { save, record, .. } => {
                    self.writes.push_back(Write::Save(*save, record.clone()));
                }
                Effect::Persist(change) => self.writes.push_back(Write::Persist(change.clone())),
                Effect::Show { .. } | Effect::Ask { .. } | Effect::Vouch { .. } | Effect::Evict { .. } => {
                    panic!("a table with a store of its own speaks to other relays: {effect:?}");
                }
                Effect::Event(event) => self.check_event(event),
                Effect::Probe { token } => {
                    let connection = self.connections.get_mut(token).expect("a probe goes to a publisher");
                    assert!(!connection.over, "a probe goes to a connected publisher");
                    connection.probed = Some(self.now);
                }
                Effect::Audition { contender } => {
                    self.contenders.get_mut(contender).expect("one who waits").auditioned = true;
                }
                Effect::Refused { contender, refusal, .. } => {
                    let loser = self.contenders.remove(contender);
                    assert!(loser.is_some(), "an outcome for nobody: {refusal:?}");
                    assert!(refusal.text().is_ascii() && refusal.text().len() <= 200);
                }
                Effect::Reserved { contender, key, claim_id, token, keep } => {
                    let winner = self.contenders.remove(contender).expect("an outcome for one who waits");
                    self.check_not_kept(key, &winner);
                    self.kept.insert(*claim_id, (key.clone(), winner.holder.clone(), self.now + *keep));
                    self.claim_ids.push(*claim_id);
                    self.check_not_blocked(key, &winner.holder);
                    self.check_durable(key, *claim_id, *token);
                }
                Effect::Disconnect { token, why } => {
                    assert!(why.is_ascii() && why.len() <= 200);
                    self.check_cut(*token, &effects[at + 1..]);
                    self.over(*token);
                }
                Effect::Admitted { contender, key, claim_id, token, kind } => {
                    self.admitted(*contender, key, *claim_id, *token, *kind);
                }
            }
        }
        self.cause = Cause::None;
        if let Some(token) = self.leaving.take() {
            self.over(token);
        }
        if let Some(contender) = self.withdrawing.take() {
            self.contenders.remove(&contender);
        }
        self.check_promises();
    }

    fn admitted(
        &mut self,
        contender: ContenderId,
        key: &ClaimKey,
        claim_id: ClaimId,
        token: FencingToken,
        kind: Admission,
    ) {
        let winner = self.contenders.remove(&contender).expect("an outcome for one who waits");
        let newest = self.newest.insert(key.clone(), token);
        assert!(newest.is_none_or(|newest| token > newest), "token {token} after {newest:?}");
        let still_there =
            self.connections.iter().find(|(_, connection)| connection.key == *key && !connection.over);
        assert!(still_there.is_none(), "two publishers at once: {still_there:?} and {token}");
        self.check_not_blocked(key, &winner.holder);
        self.check_not_kept(key, &winner);
        self.check_durable(key, claim_id, token);
        assert!(winner.only.is_none_or(|only| only == claim_id), "a grant served another claim");
        if let Admission::Displaced { old_token } | Admission::Takeover { old_token } = kind {
            assert!(old_token < token);
        }
        if let Some(old) = self.connections.values().rfind(|old| old.claim_id == claim_id) {
            assert!(is_same(&old.holder, &winner.holder), "a claim changed hands under one id");
            assert!(old.holder.incarnation <= winner.holder.incarnation, "a stale process came back");
        }
        let connection = Connection {
            key: key.clone(),
            holder: winner.holder,
            claim_id,
            admitted: self.now,
            last_media: None,
            answered: None,
            probed: None,
            over: false,
        };
        self.connections.insert(token, connection);
        self.claim_ids.push(claim_id);
        while self.connections.len() > 24 {
            self.connections.pop_first();
        }
        while self.claim_ids.len() > 24 {
            self.claim_ids.remove(0);
        }
    }

    /// Nobody is cut without one of the grounds that the rules name.
    fn check_cut(&mut self, token: FencingToken, rest: &[Effect]) {
        let old = self.connections.get(&token).expect("only a publisher is cut");
        assert!(!old.over, "cut twice");
        let timing = self.rules.timing;
        let since = |at: Instant| self.now.saturating_duration_since(at);
        let without_media = match old.last_media {
            None => since(old.admitted) >= timing.first_media,
            Some(at) => since(at) >= timing.idle,
        };
        let without_answer = old.probed.is_some_and(|probed| {
            since(probed) >= self.rules.probe_answer && since(old.last_sign()) >= self.rules.probe_quiet
        });
        let by_command =
            matches!(&self.cause, Cause::Operator(id) | Cause::Released(id) if *id == old.claim_id);
        let by_winner = rest.iter().any(|effect| match effect {
            Effect::Admitted { contender, kind, key, .. } if *key == old.key => {
                let winner = &self.contenders[contender];
                match kind {
                    Admission::Displaced { old_token } => {
                        *old_token == token
                            && is_same(&old.holder, &winner.holder)
                            && old.holder.incarnation <= winner.holder.incarnation
                    }
                    Admission::Takeover { old_token } => {
                        let by_priority = winner.preempt
                            && winner.showed_keyframe
                            && winner.holder.priority > old.holder.priority;
                        let by_ticket = winner.ticket.is_some_and(|ticket| {
                            self.tickets.get(&ticket).is_some_and(|(issuer, until)| {
                                *issuer == token && self.now < *until && self.used_tickets.insert(ticket)
                            })
                        });
                        *old_token == token && (by_priority || by_ticket)
                    }
                    Admission::New | Admission::Resumed => false,
                }
            }
            _ => false,
        });
        assert!(
            without_media || without_answer || by_command || by_winner,
            "a healthy publisher was cut: {token} {old:?} at {:?}",
            self.now
        );
    }

    fn check_event(&self, event: &Event) {
        assert!(event.why.is_ascii() && event.why.len() <= 200);
        let is_of_claim = !matches!(event.what, What::Refused | What::Blocked | What::Unblocked);
        assert_eq!(event.claim_id.is_some(), is_of_claim, "{event:?}");
        assert_eq!(event.token.is_some(), is_of_claim, "{event:?}");
        if event.what == What::Refused {
            let is_a_loser = self.contenders.values().any(|loser| loser.holder.label == event.who);
            assert!(is_a_loser, "a refusal under another's name: {event:?}");
        }
    }

    fn check_not_blocked(&self, key: &ClaimKey, winner: &Holder) {
        let block = self.blocked.iter().find(|(blocked, holder, until)| {
            blocked == key && *until > self.now && holder.as_ref().is_none_or(|holder| *holder == winner.id())
        });
        assert!(block.is_none(), "{winner:?} was let in past {block:?}");
    }

    /// Who renews its claim keeps it, whatever becomes of its publishers.
    fn check_not_kept(&mut self, key: &ClaimKey, winner: &Contender) {
        let now = self.now;
        self.kept.retain(|_, (_, _, until)| *until > now);
        let others =
            self.kept.iter().filter(|(_, (kept, holder, _))| kept == key && !is_same(holder, &winner.holder));
        let others: Vec<_> = others.map(|(id, (_, holder, _))| (*id, holder.clone())).collect();
        for (id, holder) in others {
            let by_priority = winner.preempt && winner.holder.priority > holder.priority;
            let by_ticket = winner
                .ticket
                .is_some_and(|ticket| self.tickets.get(&ticket).is_some_and(|(_, until)| now < *until));
            assert!(by_priority || by_ticket, "a reservation was taken from {holder:?} by {winner:?}");
            self.kept.remove(&id);
        }
    }

    fn check_durable(&self, key: &ClaimKey, claim_id: ClaimId, token: FencingToken) {
        let stored = self.disk.claims.get(key).map(|record| (record.claim_id, record.token));
        assert_eq!(stored, Some((claim_id, token)), "a grant was answered before it was durable");
        assert!(self.disk.high_water >= token.get());
    }

    fn check_promises(&self) {
        for row in self.table.claims(self.now) {
            let connected = self
                .connections
                .iter()
                .filter(|(_, connection)| connection.key == row.key && !connection.over)
                .map(|(token, _)| *token);
            let connected: Vec<_> = connected.collect();
            let is_live = matches!(row.state, RowState::Live | RowState::Probing);
            let expected = if is_live { vec![row.token] } else { vec![] };
            assert_eq!(connected, expected, "who is connected is who is shown: {row:?}");
            assert_eq!(self.table.writer(&row.key), is_live.then_some(row.token));
            assert!(row.ends_in.is_some(), "a row that never ends: {row:?}");
        }
        assert_eq!(self.table.pending(), self.contenders.len(), "who waits is who is noted");
        if self.writes.is_empty() {
            self.check_disk();
        }
    }

    /// With nothing on its way, the disk tells the truth.
    fn check_disk(&self) {
        let claimed = self.table.claims(self.now).filter(|row| row.holder.is_some());
        let rows: BTreeMap<_, _> =
            claimed.map(|row| (row.key.clone(), (row.claim_id, row.token, row.holder))).collect();
        let stored: BTreeMap<_, _> = self
            .disk
            .claims
            .values()
            .map(|record| (record.key.clone(), (record.claim_id, record.token, Some(record.holder.clone()))))
            .collect();
        assert_eq!(rows, stored, "the store and the table differ");
        let is_up_to_date = self.table.poll_timeout().is_none_or(|at| at > self.now);
        for record in self.disk.claims.values().filter(|_| is_up_to_date) {
            let kept = self.kept.get(&record.claim_id).is_some_and(|(_, _, until)| *until > self.now);
            assert_eq!(record.keep.is_some(), kept, "the store keeps another reservation: {record:?}");
        }
    }
}

impl Connection {
    pub(crate) fn last_sign(&self) -> Instant {
        let later = |at: Option<Instant>| at.unwrap_or(self.admitted).max(self.admitted);
        later(self.last_media).max(later(self.answered))
    }
}

impl Disk {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Save(_, record) | Write::Persist(Change::Put(record)) => {
                self.high_water = self.high_water.max(record.token.get());
                self.claims.insert(record.key.clone(), record.clone());
            }
            Write::Persist(Change::Remove(key)) => {
                self.claims.remove(key);
            }
            Write::Persist(Change::Blocks(key, blocks)) => {
                self.blocks.insert(key.clone(), blocks.clone());
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let blocks = self
            .blocks
            .iter()
            .flat_map(|(key, blocks)| blocks.iter().map(move |block| (key.clone(), block.clone())));
        Snapshot { claims: self.claims.values().cloned().collect(), blocks: blocks.collect() }
    }
}

/// By the rule, and not by the crate's own word for it.
fn is_same(one: &Holder, other: &Holder) -> bool {
    match (&one.instance, &other.instance) {
        (Some(one_instance), Some(other_instance)) => {
            one_instance == other_instance && one.principal == other.principal
        }
        _ => false,
    }
}
