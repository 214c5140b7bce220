//! The desk with a real store and real time; its rules run in a quarter of their time, and less. All of it runs over
//! each kind of store: the module's name says over which.

use super::*;
use crate::claim_store::EtcdStore;
use crate::claim_store::etcd::test_member;
use api::claim_events::ClaimEventsQuery;
use claims::{Admission, Reason, Timing};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A desk, its folder and its task.
pub(super) struct Office {
    pub(super) desk: ClaimDesk,
    pub(super) store: Store,
    folder: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn is_over_etcd() -> bool {
    module_path!().ends_with("over_etcd")
}

fn rules() -> Rules {
    let millis = Duration::from_millis;
    Rules {
        timing: Timing { first_media: millis(2_000), idle: millis(2_000), grace: millis(2_500) },
        probe_quiet: millis(500),
        probe_answer: millis(500),
        delays: [0, 100, 200, 400].map(millis),
        ..Rules::default()
    }
}

impl Office {
    pub(super) async fn open() -> Self {
        Self::open_in(tempfile::tempdir().unwrap()).await
    }

    pub(super) async fn open_in(folder: TempDir) -> Self {
        let store = Store::open(&folder.path().join("sluice.db")).unwrap();
        let (desk, task) = if is_over_etcd() {
            let prefix = folder.path().display().to_string();
            let joined = EtcdStore::open(test_member::place(&prefix), store.clone()).await.unwrap();
            ClaimDesk::join(store.clone(), joined, rules())
        } else {
            ClaimDesk::load(store.clone(), rules()).await.unwrap()
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(task.run(stop.clone()));
        Self { desk, store, folder, stop, task }
    }

    pub(super) async fn close(self) -> TempDir {
        self.stop.cancel();
        self.task.await.unwrap();
        self.store.close().await;
        self.folder
    }

    pub(super) async fn publish(&self, holder: Holder) -> Result<Admitted, Refused> {
        self.desk.publish(room(), holder).await
    }
}

pub(super) fn room() -> ClaimKey {
    ClaimKey::Ingest("live/room-1".parse().unwrap())
}

pub(super) fn recorder(number: u32) -> Holder {
    Holder::new("fosdem", format!("recorder-{number}"), format!("rec-{number}"))
}

/// Sends media every 20 ms, like an encoder, until it is dropped.
pub(super) struct Encoder(JoinHandle<()>);

impl Encoder {
    pub(super) fn of(admitted: &Admitted) -> Self {
        let liveness = admitted.liveness.clone();
        Self(tokio::spawn(async move {
            loop {
                liveness.media(clock::now());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn reason(refused: &Refused) -> Option<Reason> {
    match refused {
        Refused::Claim(refusal) => Some(refusal.reason),
        Refused::Unavailable => None,
    }
}

async fn next(orders: &mut mpsc::Receiver<HolderOrder>) -> Option<HolderOrder> {
    tokio::time::timeout(Duration::from_secs(5), orders.recv()).await.expect("an order or the end of them")
}

#[tokio::test]
async fn of_many_racers_exactly_one_wins_and_the_losers_are_told_who() {
    let office = Office::open().await;
    let racers: Vec<_> = (0..20)
        .map(|number| {
            let desk = office.desk.clone();
            tokio::spawn(async move {
                let outcome = desk.publish(room(), recorder(number)).await;
                let encoder = outcome.as_ref().ok().map(Encoder::of);
                (outcome, encoder)
            })
        })
        .collect();
    let mut winners = Vec::new();
    let mut losers = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            (Ok(admitted), encoder) => winners.push((admitted, encoder)),
            (Err(refused), _) => losers.push(refused),
        }
    }
    assert_eq!((winners.len(), losers.len()), (1, 19));
    let rows = office.desk.list().await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].token, rows[0].refused_last_hour), (winners[0].0.token.get(), 19));
    for loser in &losers {
        let text = loser.description();
        let expected = format!("URL held by {} since ", rows[0].holder);
        assert!(text.starts_with(&expected) && text.len() <= 200, "{text}");
        assert!(text.contains("Z; publish refused, running stream unaffected (ref "), "{text}");
        assert_eq!(loser.holder().unwrap().0, rows[0].holder);
        assert!(!loser.is_unavailable());
    }
}

#[tokio::test]
async fn the_same_holder_takes_over_at_once_and_its_old_connection_is_told() {
    let office = Office::open().await;
    let mut first = office.publish(recorder(1)).await.unwrap();
    let _encoder = Encoder::of(&first);
    let second = office.publish(recorder(1)).await.unwrap();
    assert_eq!(second.kind, Admission::Displaced { old_token: first.token });
    assert!(second.token > first.token && second.claim_id == first.claim_id);
    assert!(first.liveness.is_fenced() && !second.liveness.is_fenced());
    assert!(
        matches!(next(&mut first.orders).await, Some(HolderOrder::Disconnect { why }) if why.contains("newer"))
    );
    assert_eq!(next(&mut first.orders).await, None);
    assert_eq!(office.desk.current_token(&room()), Some(second.token));
    // The old connection notices late; nothing happens.
    office.desk.lost(first.token);
    assert_eq!(office.desk.list().await[0].token, second.token.get());
    assert_eq!(office.desk.current_token(&room()), Some(second.token));
}

#[tokio::test]
async fn a_silent_holder_is_probed_and_followed_and_one_that_answers_is_not() {
    let office = Office::open().await;
    let mut first = office.publish(recorder(1)).await.unwrap();
    let token = first.token;
    first.liveness.media(clock::now());
    let desk = office.desk.clone();
    let challenger = tokio::spawn(async move { desk.publish(room(), recorder(2)).await });
    assert_eq!(next(&mut first.orders).await, Some(HolderOrder::Probe));
    office.desk.pong(token);
    let refused = challenger.await.unwrap().unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::Held));
    assert_eq!(office.desk.current_token(&room()), Some(token));

    let asked = clock::now();
    let second = office.publish(recorder(3)).await;
    // It proved itself just now, so it is not asked again at once.
    assert!(second.is_err() || asked.elapsed() >= rules().probe_answer);
    tokio::time::sleep(rules().probe_quiet).await;
    let third = office.publish(recorder(4)).await.unwrap();
    assert_eq!(third.kind, Admission::Takeover { old_token: token });
    assert!(first.liveness.is_fenced());
    assert_eq!(office.desk.current_token(&room()), Some(third.token));
}

#[tokio::test]
async fn repeated_refusals_are_told_later_and_later() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    let _encoder = Encoder::of(&first);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let asked = clock::now();
        office.publish(recorder(2)).await.unwrap_err();
        waits.push(asked.elapsed());
    }
    assert!(waits[1] >= rules().delays[1] && waits[2] >= rules().delays[2], "{waits:?}");
}

#[tokio::test]
async fn a_reservation_is_renewed_released_and_serves_its_own_grant_only() {
    let office = Office::open().await;
    let keep = Duration::from_secs(60);
    let reserved = office.desk.reserve(room(), recorder(1), keep).await.unwrap();
    let again = office.desk.reserve(room(), recorder(1), keep).await.unwrap();
    assert_eq!((again.claim_id, again.token), (reserved.claim_id, reserved.token));
    let other = office.desk.reserve(room(), recorder(2), keep).await.unwrap_err();
    assert_eq!(other.holder().unwrap().0, "rec-1");
    assert!(office.desk.is_held(reserved.claim_id).await);
    let mut publisher =
        office.desk.publish_under(reserved.claim_id, room(), recorder(1).incarnation(1)).await.unwrap();
    assert_eq!(publisher.claim_id, reserved.claim_id);
    let kept = office.desk.renew(reserved.claim_id, keep).await.unwrap();
    assert!(if is_over_etcd() { kept <= crate::claim_store::etcd::LEASE } else { kept == keep }, "{kept:?}");
    assert!(office.desk.release(reserved.claim_id, "the stream was stopped").await);
    assert!(matches!(next(&mut publisher.orders).await, Some(HolderOrder::Disconnect { .. })));
    assert!(!office.desk.release(reserved.claim_id, "again").await);
    assert_eq!(office.desk.renew(reserved.claim_id, keep).await, Err(Some(RenewError::Unknown)));
    let late = office.desk.publish_under(reserved.claim_id, room(), recorder(1).incarnation(2)).await;
    assert_eq!(reason(&late.unwrap_err()), Some(Reason::Gone));
    assert!(office.desk.list().await.is_empty());
}

#[tokio::test]
async fn seizing_is_told_to_the_holder_within_a_second_and_written_to_the_log() {
    let office = Office::open().await;
    let mut events = office.desk.events();
    let mut first = office.publish(recorder(1)).await.unwrap();
    first.liveness.media(clock::now());
    let claim = first.claim_id;
    let stale = office.desk.seize(claim, FencingToken(first.token.get() + 1), "alice", "typo").await;
    assert!(
        matches!(stale, Err(ActError::Operator(claims::OperatorError::Stale { newest })) if newest == first.token)
    );
    let asked = clock::now();
    office.desk.seize(claim, first.token, "alice", "wrong room").await.unwrap();
    let order = next(&mut first.orders).await;
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(
        order,
        Some(HolderOrder::Disconnect { why: "taken over by operator alice: wrong room".into() })
    );
    assert!(first.liveness.is_fenced() && office.desk.current_token(&room()).is_none());
    let back = office.publish(recorder(1)).await.unwrap_err();
    assert_eq!(reason(&back), Some(Reason::HolderBlocked));
    assert!(!office.desk.is_held(claim).await);
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        heard.push(event.what.as_str());
    }
    assert_eq!(heard, ["granted", "live", "seized", "refused"]);
    office.store.probe().await.unwrap();
    let log = office.desk.history(ClaimEventsQuery::default()).await.unwrap().events;
    let seized = log.iter().find(|row| row.what == "seized").unwrap();
    assert_eq!((seized.who.as_str(), seized.why.as_str()), ("rec-1", "by operator alice: wrong room"));
    let refused = log.iter().find(|row| row.what == "refused").unwrap();
    assert_eq!((refused.claim_id, refused.token), (None, None), "nothing of the winner's");
}

#[tokio::test]
async fn a_publisher_that_hangs_up_while_it_waits_leaves_nothing_behind() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    first.liveness.media(clock::now());
    let desk = office.desk.clone();
    let waiting = tokio::spawn(async move { desk.publish(room(), recorder(2)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let contenders: Vec<_> = office.desk.list().await.remove(0).contenders;
    assert_eq!(contenders.iter().map(|one| one.who.as_str()).collect::<Vec<_>>(), ["rec-2"]);
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    // The first dies of being contested; nobody takes its place.
    tokio::time::sleep(rules().probe_answer * 2).await;
    let rows = office.desk.list().await;
    assert_eq!((rows[0].holder.as_str(), rows[0].contenders.len()), ("rec-1", 0));
    assert_eq!(rows[0].state, api::claims::ClaimState::Lingering);
    assert_eq!(office.desk.current_token(&room()), None);
}

#[tokio::test]
async fn a_caller_that_gives_up_at_any_moment_never_leaves_a_publisher_behind() {
    let office = Office::open().await;
    for micros in (0..3_000).step_by(60) {
        let attempt = office.publish(recorder(1));
        // The outcome is dropped as well, as by a connection that closes.
        if let Ok(Ok(admitted)) = tokio::time::timeout(Duration::from_micros(micros), attempt).await {
            office.desk.lost(admitted.token);
        }
    }
    tokio::time::timeout(Duration::from_secs(10), async {
        while !office.desk.list().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("every claim ends");
}

#[tokio::test]
async fn a_goodbye_frees_the_key_at_once_and_a_loss_only_lets_it_linger() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    first.liveness.media(clock::now());
    office.desk.finish(first.token);
    office.desk.lost(first.token);
    let second = office.publish(recorder(2)).await.unwrap();
    assert_eq!(second.kind, Admission::New);
    second.liveness.media(clock::now());
    office.desk.lost(second.token);
    let third = office.publish(recorder(3)).await.unwrap();
    assert_eq!(third.kind, Admission::Takeover { old_token: second.token });
}

#[tokio::test]
async fn a_healthy_holder_s_next_frame_answers_for_it() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    let _encoder = Encoder::of(&first);
    let asked = clock::now();
    let refused = office.publish(recorder(2)).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::Held));
    assert!(
        asked.elapsed() < rules().probe_answer,
        "refused at its next frame, and not after the probe's time"
    );
}

#[tokio::test]
async fn a_reservation_outlives_its_publisher_s_grace_and_says_so() {
    let office = Office::open().await;
    let mut events = office.desk.events();
    let reserved = office.desk.reserve(room(), recorder(1), Duration::from_secs(60)).await.unwrap();
    let publisher = office.publish(recorder(1)).await.unwrap();
    publisher.liveness.media(clock::now());
    office.desk.lost(publisher.token);
    let expired = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let event = events.recv().await.unwrap();
            if event.what == claims::What::Expired {
                return event;
            }
            assert!(!event.ends_claim());
        }
    });
    let expired = expired.await.expect("the grace ends");
    assert!(!expired.ends_claim() && expired.row.is_some());
    office.desk.release(reserved.claim_id, "done").await;
    assert!(events.recv().await.unwrap().ends_claim());
}

#[tokio::test]
async fn a_holder_finds_its_claim_after_a_restart() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    first.liveness.media(clock::now());
    let folder = office.close().await;

    let office = Office::open_in(folder).await;
    let rows = office.desk.list().await;
    assert_eq!((rows[0].id, rows[0].state), (first.claim_id.get(), api::claims::ClaimState::Lingering));
    let stranger = office.publish(recorder(2)).await.unwrap_err();
    assert_eq!(reason(&stranger), Some(Reason::Held));
    let back = office.publish(recorder(1)).await.unwrap();
    assert_eq!((back.kind, back.claim_id), (Admission::Resumed, first.claim_id));
    assert!(back.token > first.token);
}

#[tokio::test]
async fn a_handover_ticket_passes_a_healthy_holder_once_and_only_with_the_right_number() {
    let office = Office::open().await;
    let mut old = office.publish(recorder(1)).await.unwrap();
    let _old_media = Encoder::of(&old);
    let first = office.desk.hand_over(old.token).await.expect("a ticket for a running publisher");
    let ticket = office.desk.hand_over(old.token).await.expect("another one");

    let with = |ticket| Brought { ticket: Some(ticket), ..Brought::default() };
    let void = office.desk.publish_with(room(), recorder(2), with(first)).await.unwrap_err();
    assert_eq!(reason(&void), Some(Reason::Held), "the newer ticket has made this one void");

    let new = office.desk.publish_with(room(), recorder(2), with(ticket)).await.unwrap();
    let _new_media = Encoder::of(&new);
    assert!(new.token > old.token);
    assert!(old.liveness.is_fenced());
    let mut orders = Vec::new();
    while let Some(order) = next(&mut old.orders).await {
        orders.push(order);
    }
    // The one with the void ticket had it probed first.
    assert!(matches!(orders.last(), Some(HolderOrder::Disconnect { .. })), "{orders:?}");

    let again = office.desk.publish_with(room(), recorder(3), with(ticket)).await.unwrap_err();
    assert_eq!(reason(&again), Some(Reason::Held), "a ticket is good once");
    assert_eq!(office.desk.hand_over(old.token).await, None, "who writes no more hands nothing over");
}
