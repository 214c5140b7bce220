//! What the desk promises of a store that is its own.

use super::tests::{Encoder, Office, reason, recorder, room};
use super::*;
use claims::Reason;

#[tokio::test]
async fn a_grant_is_on_disk_before_it_is_answered() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    let (stored, mark) = office.store.load_claims().await.unwrap();
    assert_eq!((stored.claims[0].token, mark), (first.token, first.token));
}

#[tokio::test]
async fn without_a_store_nobody_new_gets_in_and_the_one_who_is_there_stays() {
    let office = Office::open().await;
    let first = office.publish(recorder(1)).await.unwrap();
    let _encoder = Encoder::of(&first);
    office.store.close().await;
    let refused = office.publish(recorder(1)).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::StoreUnavailable));
    assert!(refused.is_unavailable());
    let other = office.desk.publish(ClaimKey::Ingest("live/other".parse().unwrap()), recorder(2)).await;
    assert!(other.unwrap_err().is_unavailable());
    assert!(!first.liveness.is_fenced());
    assert_eq!(office.desk.current_token(&room()), Some(first.token));
}

#[tokio::test]
async fn many_claims_share_their_commits() {
    let office = Office::open().await;
    let before = office.store.commits();
    let askers: Vec<_> = (0..400)
        .map(|number| {
            let desk = office.desk.clone();
            let key = ClaimKey::Ingest(format!("live/room-{number}").parse().unwrap());
            tokio::spawn(async move { desk.publish(key, recorder(number)).await.unwrap().token })
        })
        .collect();
    let mut tokens = Vec::new();
    for asker in askers {
        tokens.push(asker.await.unwrap());
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 400, "no token twice");
    let commits = office.store.commits() - before;
    assert!(commits < 200, "{commits} commits for 400 grants and their events");
}
