//! The rules, one promise each, as stories.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use claims::{
    Admission, Block, Change, ClaimId, ClaimKey, ClaimTable, ContenderId, Effect, FencingToken, Holder,
    Label, OperatorError, Origin, Publish, Reason, Reference, RenewError, Reserve, RowState, Rules, Snapshot,
    Ticket, TokenSource, What,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A table with a store that never fails, and everything it said.
struct Desk {
    table: ClaimTable,
    now: Instant,
    said: Vec<Effect>,
    next: u64,
}

impl Desk {
    fn new() -> Self {
        let table = ClaimTable::new(Rules::default(), TokenSource::after(FencingToken::new(0)));
        Self { table, now: Instant::now(), said: Vec::new(), next: 0 }
    }

    fn origin(&mut self, holder: &Holder) -> Origin {
        self.next += 1;
        Origin {
            contender: ContenderId(self.next),
            key: room(),
            holder: holder.clone(),
            fresh_id: ClaimId::new(Uuid::from_u128(self.next.into())),
            reference: Reference(0x7f3a),
            unix_ms: 43_203_000,
        }
    }

    fn publish(&mut self, holder: &Holder) -> ContenderId {
        let plain = Publish::plain(self.origin(holder));
        self.ask(plain)
    }

    fn ask(&mut self, publish: Publish) -> ContenderId {
        let contender = publish.origin.contender;
        self.table.publish(self.now, publish);
        self.settle();
        contender
    }

    fn reserve(&mut self, holder: &Holder, keep: Duration) -> ContenderId {
        let origin = self.origin(holder);
        let contender = origin.contender;
        self.table.reserve(self.now, Reserve { origin, keep });
        self.settle();
        contender
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        self.table.handle_timeout(self.now);
        self.settle();
    }

    fn media(&mut self, token: FencingToken) {
        self.table.media(self.now, token);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(effect) = self.table.poll_effect() {
            if let Effect::Save { save, .. } = effect {
                self.table.stored(self.now, save);
            }
            self.said.push(effect);
        }
    }

    /// How the contender fared: its claim, token and ground, or nothing yet.
    fn admitted(&self, who: ContenderId) -> Option<(ClaimId, FencingToken, Admission)> {
        self.said.iter().find_map(|effect| match effect {
            Effect::Admitted { contender, claim_id, token, kind, .. } if *contender == who => {
                Some((*claim_id, *token, *kind))
            }
            _ => None,
        })
    }

    fn token(&self, who: ContenderId) -> FencingToken {
        self.admitted(who).expect("admitted").1
    }

    fn refused(&self, who: ContenderId) -> Option<(Reason, String, Duration)> {
        self.said.iter().find_map(|effect| match effect {
            Effect::Refused { contender, refusal, after } if *contender == who => {
                Some((refusal.reason, refusal.text(), *after))
            }
            _ => None,
        })
    }

    fn reason(&self, who: ContenderId) -> Option<Reason> {
        self.refused(who).map(|(reason, _, _)| reason)
    }

    fn events(&self) -> Vec<What> {
        let what = |effect: &Effect| match effect {
            Effect::Event(event) => Some(event.what),
            _ => None,
        };
        self.said.iter().filter_map(what).collect()
    }

    fn was_cut(&self, token: FencingToken) -> bool {
        self.said
            .iter()
            .any(|effect| matches!(effect, Effect::Disconnect { token: cut, .. } if *cut == token))
    }

    fn was_probed(&self, token: FencingToken) -> bool {
        self.said.iter().any(|effect| matches!(effect, Effect::Probe { token: asked } if *asked == token))
    }

    fn state(&self) -> Option<RowState> {
        self.table.row(self.now, &room()).map(|row| row.state)
    }

    /// A recorder that publishes and has sent media.
    fn with_live(holder: &Holder) -> (Self, ContenderId, FencingToken) {
        let mut desk = Self::new();
        let contender = desk.publish(holder);
        let token = desk.token(contender);
        desk.media(token);
        (desk, contender, token)
    }
}

fn room() -> ClaimKey {
    ClaimKey::Ingest("live/room-1".parse().unwrap())
}

fn recorder(number: u32, incarnation: u32) -> Holder {
    let (instance, label) = (format!("recorder-{number}"), format!("rec-{number}"));
    Holder::new("fosdem", instance, label).incarnation(incarnation)
}

fn alice() -> Label {
    Label::new("alice")
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_second_recorder_with_the_same_credentials_is_refused_and_the_first_notices_only_a_ping() {
    let (mut desk, _, token) = Desk::with_live(&recorder(2, 0));
    desk.said.clear();
    let second = desk.publish(&recorder(1, 0));
    assert!(desk.was_probed(token));
    desk.media(token);
    assert_eq!(
        desk.refused(second),
        Some((
            Reason::Held,
            "URL held by rec-2 since 12:00:03Z; publish refused, running stream unaffected (ref 7f3a)".into(),
            Duration::ZERO
        ))
    );
    assert_eq!(desk.events(), [What::Refused]);
    assert!(!desk.was_cut(token));
    assert_eq!(desk.table.writer(&room()), Some(token));
    assert_eq!(desk.table.last_token(), token, "a loser takes no token");
}

#[test]
fn of_two_racers_exactly_one_wins_and_the_other_waits_for_the_first_to_be_durable() {
    let mut desk = Desk::new();
    let (one, two) = (desk.origin(&recorder(1, 0)), desk.origin(&recorder(2, 0)));
    let (first, second) = (one.contender, two.contender);
    desk.table.publish(desk.now, Publish::plain(one));
    desk.table.publish(desk.now, Publish::plain(two));
    let saves = std::iter::from_fn(|| desk.table.poll_effect())
        .filter(|effect| matches!(effect, Effect::Save { .. }));
    let saves: Vec<_> = saves.collect();
    assert_eq!(saves.len(), 1, "only one grant is written");
    assert_eq!(desk.table.writer(&room()), None, "nobody is in before it is durable");
    let [Effect::Save { save, .. }] = saves[..] else { panic!("{saves:?}") };
    desk.table.stored(desk.now, save);
    desk.settle();
    let token = desk.token(first);
    desk.media(token);
    assert_eq!(desk.reason(second), Some(Reason::Held));
}

#[test]
fn a_holder_that_is_silent_and_does_not_answer_is_followed_within_its_time_and_readers_are_kept() {
    let (mut desk, _, old_token) = Desk::with_live(&recorder(1, 0));
    desk.pass(3.0);
    let second = desk.publish(&recorder(2, 0));
    assert!(desk.was_probed(old_token) && desk.table.is_probed(old_token) && desk.admitted(second).is_none());
    desk.pass(1.9);
    assert!(desk.admitted(second).is_none());
    desk.pass(0.1);
    let (_, token, kind) = desk.admitted(second).unwrap();
    assert_eq!(kind, Admission::Takeover { old_token });
    assert!(token > old_token && desk.was_cut(old_token));
}

#[test]
fn a_holder_that_went_silent_this_instant_is_not_dead_before_two_seconds() {
    let (mut desk, _, old_token) = Desk::with_live(&recorder(1, 0));
    let second = desk.publish(&recorder(2, 0));
    desk.pass(1.999);
    assert!(!desk.was_cut(old_token) && desk.refused(second).is_none());
    desk.pass(0.001);
    assert!(desk.was_cut(old_token) && desk.admitted(second).is_some());
}

#[test]
fn a_pong_keeps_a_silent_holder_but_only_until_its_idle_time() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    desk.pass(3.0);
    let second = desk.publish(&recorder(2, 0));
    desk.pass(1.0);
    desk.table.pong(desk.now, token);
    desk.settle();
    assert!(!desk.table.is_probed(token));
    assert_eq!(desk.reason(second), Some(Reason::Held));
    desk.pass(6.0);
    assert!(desk.was_cut(token), "ten seconds without media");
    assert_eq!(desk.state(), Some(RowState::Lingering));
}

#[test]
fn a_thousand_refusals_do_not_reach_the_holder_as_more_than_a_ping_every_two_seconds() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    desk.said.clear();
    for _ in 0..1000 {
        desk.publish(&recorder(2, 0));
        desk.pass(0.01);
        desk.media(token);
    }
    let pings = desk.said.iter().filter(|effect| matches!(effect, Effect::Probe { .. })).count();
    assert!(pings <= 6, "{pings} pings in ten seconds");
    assert!(desk.said.iter().all(|effect| {
        matches!(effect, Effect::Probe { .. } | Effect::Refused { .. })
            || matches!(effect, Effect::Event(event) if event.what == What::Refused)
    }));
    let row = desk.table.row(desk.now, &room()).unwrap();
    assert_eq!((row.refused_last_hour, row.token), (1000, token));
}

#[test]
fn the_same_process_reconnecting_takes_over_at_once_under_a_larger_token() {
    let (mut desk, first, old_token) = Desk::with_live(&recorder(1, 0));
    let again = desk.publish(&recorder(1, 0));
    let (claim, token, kind) = desk.admitted(again).unwrap();
    assert_eq!(kind, Admission::Displaced { old_token });
    assert_eq!(claim, desk.admitted(first).unwrap().0, "it is the same claim");
    assert!(token > old_token && desk.was_cut(old_token));
}

#[test]
fn a_successor_takes_over_and_the_stale_process_is_refused_even_after_it_was_lost() {
    let (mut desk, _, _) = Desk::with_live(&recorder(1, 0));
    let successor = desk.publish(&recorder(1, 1));
    let token = desk.token(successor);
    let stale = desk.publish(&recorder(1, 0));
    assert_eq!(desk.reason(stale), Some(Reason::Stale));
    desk.media(token);
    desk.table.lost(desk.now, token, "reset");
    let stale = desk.publish(&recorder(1, 0));
    assert_eq!(desk.reason(stale), Some(Reason::Stale));
}

#[test]
fn a_stale_token_does_nothing() {
    let (mut desk, _, old_token) = Desk::with_live(&recorder(1, 0));
    let again = desk.publish(&recorder(1, 0));
    let token = desk.token(again);
    desk.said.clear();
    desk.media(old_token);
    desk.table.pong(desk.now, old_token);
    desk.table.lost(desk.now, old_token, "late");
    desk.table.finish(desk.now, old_token);
    assert!(!desk.table.ticket(desk.now, old_token, Ticket::new(Uuid::from_u128(1))));
    desk.settle();
    assert_eq!(desk.said, []);
    assert_eq!(desk.table.writer(&room()), Some(token));
}

#[test]
fn an_anonymous_publisher_is_nobodys_same_holder_but_follows_its_own_lost_connection() {
    let obs = Holder::anonymous(Label::new("obs"));
    let (mut desk, _, token) = Desk::with_live(&obs);
    let second = desk.publish(&obs);
    desk.media(token);
    assert_eq!(desk.reason(second), Some(Reason::Held));
    desk.table.lost(desk.now, token, "reset");
    desk.settle();
    let third = desk.publish(&obs);
    assert!(matches!(desk.admitted(third), Some((_, _, Admission::Takeover { .. }))));
}

#[test]
fn a_lost_publisher_lingers_and_the_same_holder_resumes() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    desk.table.lost(desk.now, token, "reset");
    desk.pass(14.0);
    assert_eq!(desk.state(), Some(RowState::Lingering));
    let again = desk.publish(&recorder(1, 1));
    assert!(matches!(desk.admitted(again), Some((_, _, Admission::Resumed))));
    assert_eq!(desk.events(), [What::Granted, What::Live, What::Lingering, What::Resumed]);
}

#[test]
fn a_lost_publisher_has_two_seconds_before_a_stranger_may_follow() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    desk.table.lost(desk.now, token, "reset");
    let stranger = desk.publish(&recorder(2, 0));
    desk.pass(1.9);
    assert!(desk.admitted(stranger).is_none() && desk.refused(stranger).is_none());
    let back = desk.publish(&recorder(1, 0));
    assert!(matches!(desk.admitted(back), Some((_, _, Admission::Resumed))));
    let token = desk.token(back);
    desk.media(token);
    assert_eq!(desk.reason(stranger), Some(Reason::Held));
}

#[test]
fn grace_ends_by_itself() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    desk.table.lost(desk.now, token, "reset");
    desk.pass(15.0);
    assert_eq!(desk.state(), None);
    assert_eq!(desk.events().last(), Some(&What::Expired));
    assert_eq!(desk.table.poll_timeout(), None);
}

#[test]
fn a_publisher_without_first_media_is_cut_and_nothing_waits_for_it() {
    let mut desk = Desk::new();
    let contender = desk.publish(&recorder(1, 0));
    desk.pass(9.9);
    assert_eq!(desk.state(), Some(RowState::Live));
    desk.pass(0.1);
    assert!(desk.was_cut(desk.token(contender)));
    assert_eq!(desk.state(), None);
}

#[test]
fn a_reservation_is_held_by_its_stream_while_publishers_come_and_go() {
    let mut desk = Desk::new();
    desk.reserve(&recorder(1, 0), MINUTE);
    let claim = desk.table.row(desk.now, &room()).unwrap().claim_id;
    let stranger = desk.publish(&recorder(2, 0));
    assert_eq!(desk.reason(stranger), Some(Reason::Reserved));
    for incarnation in 1..4 {
        let publisher = desk.publish(&recorder(1, incarnation));
        let (id, token, _) = desk.admitted(publisher).unwrap();
        assert_eq!(id, claim);
        desk.media(token);
        desk.table.lost(desk.now, token, "worker died");
        desk.pass(40.0);
        assert_eq!(desk.state(), Some(RowState::Reserved));
        let stranger = desk.publish(&recorder(2, 0));
        assert_eq!(desk.reason(stranger), Some(Reason::Reserved));
        assert_eq!(desk.table.renew(desk.now, claim, MINUTE), Ok(MINUTE));
        desk.settle();
    }
    desk.pass(60.0);
    assert_eq!(desk.state(), None, "not renewed");
    assert_eq!(desk.table.renew(desk.now, claim, MINUTE), Err(RenewError::Unknown));
}

#[test]
fn a_live_publisher_goes_on_when_its_reservation_lapses() {
    let mut desk = Desk::new();
    desk.reserve(&recorder(1, 0), MINUTE);
    let publisher = desk.publish(&recorder(1, 0));
    let token = desk.token(publisher);
    for _ in 0..100 {
        desk.media(token);
        desk.pass(1.0);
    }
    assert_eq!(desk.table.writer(&room()), Some(token));
    assert!(!desk.was_cut(token));
}

#[test]
fn reserving_again_returns_the_same_claim_and_token() {
    let mut desk = Desk::new();
    desk.reserve(&recorder(1, 0), MINUTE);
    let publisher = desk.publish(&recorder(1, 3));
    desk.reserve(&recorder(1, 0), MINUTE);
    let reserved: Vec<_> = desk
        .said
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reserved { claim_id, token, .. } => Some((*claim_id, *token)),
            _ => None,
        })
        .collect();
    assert_eq!(reserved[0].0, reserved[1].0);
    assert_eq!(reserved[1].1, desk.token(publisher), "the newest token, and no newer one");
    assert_eq!(desk.table.writer(&room()), Some(desk.token(publisher)));
}

#[test]
fn seizing_cuts_the_holder_keeps_it_off_for_a_minute_and_lets_another_follow() {
    let (mut desk, first, token) = Desk::with_live(&recorder(1, 0));
    let claim = desk.admitted(first).unwrap().0;
    let stale = FencingToken::new(token.get() + 7);
    assert_eq!(
        desk.table.seize(desk.now, claim, stale, &alice(), "wrong room", 0),
        Err(OperatorError::Stale { newest: token })
    );
    desk.settle();
    assert!(!desk.was_cut(token));
    desk.table.seize(desk.now, claim, token, &alice(), "wrong room", 0).unwrap();
    desk.table.seize(desk.now, claim, token, &alice(), "wrong room", 0).unwrap();
    desk.settle();
    assert!(
        desk.said
            .contains(&Effect::Disconnect { token, why: "taken over by operator alice: wrong room".into() })
    );
    assert_eq!(desk.events().iter().filter(|what| **what == What::Seized).count(), 1);
    let back = desk.publish(&recorder(1, 1));
    assert_eq!(desk.reason(back), Some(Reason::HolderBlocked));
    let other = desk.publish(&recorder(2, 0));
    assert!(matches!(desk.admitted(other), Some((_, _, Admission::Takeover { .. }))));
    let token = desk.token(other);
    desk.table.finish(desk.now, token);
    desk.pass(59.0);
    let back = desk.publish(&recorder(1, 1));
    assert_eq!(desk.reason(back), Some(Reason::HolderBlocked));
    desk.pass(1.0);
    let back = desk.publish(&recorder(1, 1));
    assert!(desk.admitted(back).is_some());
}

#[test]
fn a_seized_stream_learns_it_at_its_next_renewal() {
    let mut desk = Desk::new();
    desk.reserve(&recorder(1, 0), MINUTE);
    let row = desk.table.row(desk.now, &room()).unwrap();
    desk.table.seize(desk.now, row.claim_id, row.token, &alice(), "", 0).unwrap();
    assert_eq!(desk.table.renew(desk.now, row.claim_id, MINUTE), Err(RenewError::Seized));
}

#[test]
fn nobody_gets_past_a_blocked_key() {
    let mut desk = Desk::new();
    let block = |id, lasts| Block {
        key: room(),
        id: ClaimId::new(Uuid::from_u128(id)),
        operator: alice(),
        reason: "closed".into(),
        lasts,
        unix_ms: 0,
    };
    desk.table.block(desk.now, block(900, MINUTE));
    desk.settle();
    assert_eq!(desk.state(), Some(RowState::Blocked));
    let publisher = desk.publish(&recorder(1, 0));
    assert_eq!(desk.reason(publisher), Some(Reason::KeyBlocked));
    assert!(desk.table.unblock(desk.now, &room(), &alice(), "open"));
    desk.settle();
    let publisher = desk.publish(&recorder(1, 0));
    assert!(desk.admitted(publisher).is_some());
}

#[test]
fn a_ticket_of_ours_lets_another_take_over_once() {
    let (mut desk, _, old_token) = Desk::with_live(&recorder(1, 0));
    let ticket = Ticket::new(Uuid::from_u128(42));
    assert!(desk.table.ticket(desk.now, old_token, ticket));
    let handed = Publish { ticket: Some(ticket), ..Publish::plain(desk.origin(&recorder(2, 0))) };
    let winner = desk.ask(handed);
    assert_eq!(desk.admitted(winner).unwrap().2, Admission::Takeover { old_token });
    let token = desk.token(winner);
    desk.media(token);
    let again = Publish { ticket: Some(ticket), ..Publish::plain(desk.origin(&recorder(3, 0))) };
    let loser = desk.ask(again);
    desk.media(token);
    assert_eq!(desk.reason(loser), Some(Reason::Held));
}

#[test]
fn a_higher_priority_displaces_at_its_keyframe_and_only_where_allowed() {
    let (mut desk, _, old_token) = Desk::with_live(&recorder(1, 0));
    for _ in 0..11 {
        desk.pass(1.0);
        desk.media(old_token);
    }
    let stage = Holder { priority: 1, ..recorder(2, 0) };
    let not_allowed = desk.publish(&stage);
    desk.media(old_token);
    assert_eq!(desk.reason(not_allowed), Some(Reason::Held));
    let equal = Publish { preempt: true, ..Publish::plain(desk.origin(&recorder(3, 0))) };
    let equal = desk.ask(equal);
    desk.media(old_token);
    assert_eq!(desk.reason(equal), Some(Reason::Held), "equal never displaces");
    let higher = Publish { preempt: true, ..Publish::plain(desk.origin(&stage)) };
    let higher = desk.ask(higher);
    assert!(desk.said.contains(&Effect::Audition { contender: higher }));
    assert!(desk.admitted(higher).is_none());
    desk.table.keyframe(desk.now, higher);
    desk.settle();
    assert_eq!(desk.admitted(higher).unwrap().2, Admission::Takeover { old_token });
    assert!(desk.was_cut(old_token));
}

#[test]
fn two_senders_that_share_one_grant_cannot_evict_each_other_for_ever() {
    let (mut desk, _, mut token) = Desk::with_live(&recorder(1, 0));
    let mut admitted = 0;
    for _ in 0..100 {
        desk.pass(0.1);
        desk.media(token);
        let other = desk.publish(&recorder(1, 0));
        if desk.admitted(other).is_some() {
            admitted += 1;
            token = desk.token(other);
        }
        desk.media(token);
        if desk.admitted(other).is_none() {
            assert_eq!(desk.reason(other), Some(Reason::Shared));
        }
    }
    assert_eq!(admitted, Rules::default().flaps_max);
    assert_eq!(desk.table.writer(&room()), Some(token));
}

#[test]
fn without_a_store_nobody_new_gets_in_and_nothing_that_runs_is_disturbed() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    let origin = desk.origin(&recorder(1, 1));
    let contender = origin.contender;
    desk.table.publish(desk.now, Publish::plain(origin));
    let Some(Effect::Save { save, .. }) = desk.table.poll_effect() else { panic!("it is saved first") };
    desk.table.not_stored(desk.now, save);
    desk.settle();
    assert_eq!(desk.reason(contender), Some(Reason::StoreUnavailable));
    assert!(!desk.was_cut(token));
    assert_eq!(desk.table.writer(&room()), Some(token));
    let back = desk.publish(&recorder(1, 0));
    assert!(desk.admitted(back).is_some(), "the refused successor left no incarnation behind");
}

#[test]
fn a_winner_that_hung_up_while_it_was_saved_changes_nothing() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    let origin = desk.origin(&recorder(1, 1));
    let contender = origin.contender;
    desk.table.publish(desk.now, Publish::plain(origin));
    let Some(Effect::Save { save, .. }) = desk.table.poll_effect() else { panic!("it is saved first") };
    desk.table.withdraw(desk.now, contender);
    desk.table.stored(desk.now, save);
    let truth = std::iter::from_fn(|| desk.table.poll_effect()).find_map(|effect| match effect {
        Effect::Persist(Change::Put(record)) => Some(record.token),
        _ => None,
    });
    assert_eq!(truth, Some(token), "the store is told the truth again");
    assert_eq!(desk.table.writer(&room()), Some(token));
}

#[test]
fn a_seizure_while_a_grant_is_being_saved_keeps_the_seized_holder_out() {
    let (mut desk, first, token) = Desk::with_live(&recorder(1, 0));
    let claim = desk.admitted(first).unwrap().0;
    let origin = desk.origin(&recorder(1, 1));
    let contender = origin.contender;
    desk.table.publish(desk.now, Publish::plain(origin));
    let Some(Effect::Save { save, .. }) = desk.table.poll_effect() else { panic!("it is saved first") };
    desk.table.seize(desk.now, claim, token, &alice(), "now", 0).unwrap();
    desk.table.stored(desk.now, save);
    desk.settle();
    assert_eq!(desk.reason(contender), Some(Reason::HolderBlocked));
    assert_eq!(desk.table.writer(&room()), None);
}

#[test]
fn a_publisher_whose_grant_names_an_ended_claim_is_refused_though_the_key_is_free() {
    let mut desk = Desk::new();
    desk.reserve(&recorder(1, 0), MINUTE);
    let claim = desk.table.row(desk.now, &room()).unwrap().claim_id;
    let named = Publish { only: Some(claim), ..Publish::plain(desk.origin(&recorder(1, 0))) };
    let publisher = desk.ask(named.clone());
    assert!(desk.admitted(publisher).is_some());
    assert!(desk.table.release(desk.now, claim, "stream stopped"));
    assert!(!desk.table.release(desk.now, claim, "stream stopped"), "a repeated release does nothing");
    desk.settle();
    let late = Publish { origin: desk.origin(&recorder(1, 1)), ..named };
    let late = desk.ask(late);
    assert_eq!(desk.reason(late), Some(Reason::Gone));
    let other = desk.publish(&recorder(1, 2));
    assert!(desk.admitted(other).is_some());
    let named = Publish { only: Some(claim), ..Publish::plain(desk.origin(&recorder(1, 3))) };
    let late = desk.ask(named);
    assert_eq!(desk.reason(late), Some(Reason::Gone), "the same holder has another claim now");
}

#[test]
fn after_a_restart_claims_have_their_full_time_and_tokens_go_on() {
    let (mut desk, _, token) = Desk::with_live(&recorder(1, 0));
    let record = desk
        .said
        .iter()
        .find_map(|effect| match effect {
            Effect::Save { record, .. } => Some(record.clone()),
            _ => None,
        })
        .unwrap();
    let high_water = FencingToken::new(token.get() + 100);
    let snapshot = Snapshot { claims: vec![record], blocks: vec![] };
    desk.table = ClaimTable::restore(desk.now, Rules::default(), TokenSource::after(high_water), snapshot);
    let stranger = desk.publish(&recorder(2, 0));
    assert_eq!(desk.reason(stranger), Some(Reason::Held), "the holder could not help the restart");
    desk.pass(14.0);
    let back = desk.publish(&recorder(1, 0));
    assert_eq!(desk.admitted(back).unwrap().2, Admission::Resumed);
    assert!(desk.token(back) > high_water);
}

#[test]
fn claims_on_different_keys_know_nothing_of_each_other() {
    let (mut desk, _, _) = Desk::with_live(&recorder(1, 0));
    let target: media::TargetUrl = "rtmp://a.example/live/secret".parse().unwrap();
    let key = ClaimKey::Target(target.key().clone());
    let origin = Origin { key: key.clone(), ..desk.origin(&recorder(2, 0)) };
    let other = desk.ask(Publish::plain(origin));
    assert!(desk.admitted(other).is_some());
    assert!(!format!("{:?}", desk.said).contains("secret"));
    assert_eq!(desk.table.claims(desk.now).count(), 2);
}

#[test]
fn a_full_table_refuses_a_new_key_and_serves_the_old_ones() {
    let mut desk = Desk::new();
    let rules = Rules { keys_max: 1, ..Rules::default() };
    desk.table = ClaimTable::new(rules, TokenSource::after(FencingToken::new(0)));
    desk.publish(&recorder(1, 0));
    let key = ClaimKey::Ingest("live/room-2".parse().unwrap());
    let origin = Origin { key, ..desk.origin(&recorder(2, 0)) };
    let refused = desk.ask(Publish::plain(origin));
    assert_eq!(desk.reason(refused), Some(Reason::Busy));
    let again = desk.publish(&recorder(1, 0));
    assert!(desk.admitted(again).is_some());
}
