//! Durability, order and bounds, with real files, real locks and a process that is really killed.

use super::*;
use crate::auth;
use ::claims::{BlockRecord, Change, ClaimId, ClaimKey, Event, FencingToken, Holder, Label, Record, What};
use media::{StreamUrl, TargetUrl};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use uuid::Uuid;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("deep/er/sluice.db")
}

fn room(number: u64) -> ClaimKey {
    ClaimKey::Ingest(format!("live/room-{number}").parse().unwrap())
}

fn target() -> ClaimKey {
    ClaimKey::Target("rtmp://a.example/live/s3cret".parse::<TargetUrl>().unwrap().key().clone())
}

fn record(key: ClaimKey, token: u64) -> Record {
    Record {
        key,
        claim_id: ClaimId(Uuid::from_u128(token.into())),
        token: FencingToken(token),
        holder: Holder { priority: 3, ..Holder::new("principal", "instance", "rec-1").incarnation(4) },
        since_unix_ms: 1_234,
        keep: Some(Duration::from_secs(60)),
        published: true,
    }
}

fn put(record: Record) -> Vec<ClaimWrite> {
    vec![ClaimWrite::Change(Change::Put(record))]
}

async fn write(store: &Store, writes: Vec<ClaimWrite>) -> Result<(), StoreError> {
    store.submit_claims(writes).unwrap().await.unwrap()
}

#[tokio::test]
async fn claims_blocks_and_the_token_mark_survive_a_restart() {
    let folder = folder();
    let block = BlockRecord {
        id: ClaimId(Uuid::from_u128(9)),
        holder: Some(Holder::anonymous(Label::new("obs")).id()),
        operator: Label::new("alice"),
        reason: "wrong room".into(),
        since_unix_ms: 5,
        lasts: Duration::from_secs(60),
    };
    let (one, two) = (record(room(1), 7), Record { keep: None, ..record(target(), 8) });
    {
        let store = Store::open(&file(&folder)).unwrap();
        write(&store, put(one.clone())).await.unwrap();
        write(&store, put(two.clone())).await.unwrap();
        write(&store, put(record(room(2), 900))).await.unwrap();
        write(&store, vec![ClaimWrite::Change(Change::Remove(room(2)))]).await.unwrap();
        let blocks =
            Change::Blocks(room(1), vec![block.clone(), BlockRecord { holder: None, ..block.clone() }]);
        write(&store, vec![ClaimWrite::Change(blocks)]).await.unwrap();
        write(&store, vec![ClaimWrite::Change(Change::Blocks(room(1), vec![block.clone()]))]).await.unwrap();
        store.close().await;
        assert_eq!(store.probe().await, Err(StoreError::Closed));
    }
    let store = Store::open(&file(&folder)).unwrap();
    let (snapshot, token) = store.load_claims().await.unwrap();
    assert_eq!(snapshot.claims, [one, two]);
    assert_eq!(snapshot.blocks, [(room(1), block)]);
    assert_eq!(token, FencingToken(900), "the released claim's token is never used again");
}

/// The file of the process that [`nothing_that_was_answered_is_lost_when_the_process_is_killed`] kills.
const CHILD: &str = "SLUICE_TEST_STORE_CHILD";

#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Store::open(path.as_ref()).unwrap();
    let (_, last) = store.load_claims().await.unwrap();
    let mut out = std::io::stdout();
    for token in last.get() + 1.. {
        write(&store, put(record(room(token % 10), token))).await.unwrap();
        writeln!(out, "stored {token}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    let folder = folder();
    let mut told = BTreeMap::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, file(&folder))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let stored = lines.filter_map(|line| line.split_once("stored ")?.1.parse::<u64>().ok());
        for token in stored.take(20 * round) {
            told.insert(room(token % 10), token);
        }
        // SIGKILL, in the midst of the next write.
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(&file(&folder)).unwrap();
        let (snapshot, mark) = store.load_claims().await.unwrap();
        for (key, token) in &told {
            let kept = snapshot.claims.iter().find(|record| record.key == *key).unwrap();
            assert!(kept.token.get() >= *token, "{key}: told {token}, kept {}", kept.token);
            assert!(mark >= kept.token);
        }
        store.close().await;
    }
    assert_eq!(told.len(), 10);
}

#[tokio::test]
async fn a_second_relay_is_kept_out_until_the_first_is_gone() {
    let folder = folder();
    let first = Store::open(&file(&folder)).unwrap();
    let second = Store::open(&file(&folder)).err().unwrap();
    assert!(matches!(second, OpenError::InUse { .. }));
    assert!(second.to_string().contains("in use by another relay"), "{second}");
    first.close().await;
    Store::open(&file(&folder)).unwrap().probe().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_damaged_foreign_or_newer_is_named_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("garbage.db");
    std::fs::write(&path, "this is not a database, and long enough to be looked at ".repeat(20)).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is not"));

    let path = folder.path().join("foreign.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&path).err().unwrap(), OpenError::Damaged { .. }));

    let path = folder.path().join("newer.db");
    Store::open(&path).unwrap().close().await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path).err().unwrap(), OpenError::Newer { found: 99, .. }));

    let path = folder.path().join("hurt.db");
    let store = Store::open(&path).unwrap();
    for token in 1..300 {
        write(&store, put(record(room(token), token))).await.unwrap();
    }
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Store::open(&path).err().unwrap(), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn the_files_are_readable_by_their_owner_alone() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    write(&store, put(record(target(), 1))).await.unwrap();
    let files = std::fs::read_dir(file(&folder).parent().unwrap()).unwrap().map(Result::unwrap);
    let modes: BTreeMap<_, _> =
        files.map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777)).collect();
    assert!(modes.len() >= 3, "database, log and lock: {modes:?}");
    assert!(modes.values().all(|mode| *mode == 0o600), "{modes:?}");
}

#[tokio::test]
async fn many_writes_share_one_commit() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let before = store.commits();
    // While this one is being done, the others gather.
    let (go, wait) = sync_channel::<()>(0);
    let slow = store.submit(move |_| Ok(wait.recv().is_ok())).unwrap();
    let answers: Vec<_> =
        (1..=500).map(|token| store.submit_claims(put(record(room(token), token))).unwrap()).collect();
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), Ok(true));
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(()));
    }
    assert!(store.commits() - before <= 3, "{} commits for 501 requests", store.commits() - before);
    assert_eq!(store.load_claims().await.unwrap().0.claims.len(), 500);
}

#[tokio::test]
async fn a_write_that_fails_is_undone_alone() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let (go, wait) = sync_channel::<()>(0);
    let slow = store.submit(move |_| Ok(wait.recv().is_ok())).unwrap();
    let good = store.submit_claims(put(record(room(1), 1))).unwrap();
    let mut half = put(record(room(2), 2));
    half.extend(put(record(room(3), u64::MAX)));
    let bad = store.submit_claims(half).unwrap();
    let also_good = store.submit_claims(put(record(room(4), 4))).unwrap();
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), Ok(true));
    assert_eq!(good.await.unwrap(), Ok(()));
    assert!(matches!(bad.await.unwrap(), Err(StoreError::Failed(_))));
    assert_eq!(also_good.await.unwrap(), Ok(()));
    let (snapshot, token) = store.load_claims().await.unwrap();
    let keys: Vec<_> = snapshot.claims.into_iter().map(|record| record.key).collect();
    assert_eq!((keys, token), (vec![room(1), room(4)], FencingToken(4)), "all of a batch or nothing");
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let (go, wait) = sync_channel::<()>(0);
    let slow = store.submit(move |_| Ok(wait.recv().is_ok())).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        match store.submit(|_| Ok(())) {
            Ok(answer) => waiting.push(answer),
            Err(error) => break error,
        }
        assert!(waiting.len() <= QUEUE_MAX + 512 + 1, "the queue has no end");
    };
    assert_eq!(full, StoreError::Busy);
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), Ok(true));
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Ok(()));
    }
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_store_that_hangs_is_an_error_in_time() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let (go, wait) = sync_channel::<()>(0);
    let slow = store.submit(move |_| Ok(wait.recv().is_ok())).unwrap();
    let hung = store.run_within(Duration::from_millis(50), |_| Ok(())).await;
    assert_eq!(hung, Err(StoreError::NoAnswer));
    drop(go);
    assert_eq!(slow.await.unwrap(), Ok(false));
}

#[tokio::test]
async fn every_commit_is_synced() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let read = |name: &'static str| {
        store.run(move |db| db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)))
    };
    assert_eq!(read("synchronous").await.unwrap(), rusqlite::types::Value::Integer(2), "FULL");
    assert_eq!(read("journal_mode").await.unwrap(), rusqlite::types::Value::Text("wal".into()));
}

#[tokio::test]
async fn the_audit_log_is_kept_in_order_without_secrets_and_within_its_bounds() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    for second in 0..10 {
        let event = Event {
            what: What::Granted,
            key: target(),
            claim_id: Some(ClaimId(Uuid::from_u128(1))),
            token: Some(FencingToken(5)),
            stream_id: None,
            who: Label::new("rec-1"),
            why: "why not".into(),
        };
        write(&store, vec![ClaimWrite::Event(event, at(second))]).await.unwrap();
    }
    let rows = store.claim_events(newest(AuditOf::All, 3)).await.unwrap();
    let seconds: Vec<_> = rows.iter().map(|row| row.at.as_second()).collect();
    assert_eq!(seconds, [9, 8, 7], "newest first");
    assert!(!format!("{rows:?}").contains("s3cret"));
    let next = AuditQuery { before: Some(rows[2].number), ..newest(AuditOf::All, 2) };
    let rows = store.claim_events(next).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.at.as_second()).collect::<Vec<_>>(), [6, 5], "the next page");
    let late = AuditQuery { since: Some(at(8)), ..newest(AuditOf::All, 9) };
    assert_eq!(store.claim_events(late).await.unwrap().len(), 2);
    let other = newest(AuditOf::Key("live/other".into()), 9);
    assert_eq!(store.claim_events(other).await.unwrap(), []);
    let bounds = |second, rows_max| AuditBounds { since: at(second), rows_max, refusals_max: 100 };
    assert_eq!(store.prune_claim_events(bounds(2, 100)).await.unwrap(), 2, "by age");
    assert_eq!(store.prune_claim_events(bounds(0, 5)).await.unwrap(), 3, "by number");
    assert_eq!(store.claim_events(newest(AuditOf::All, 100)).await.unwrap().len(), 5);
    assert_eq!(store.prune_claim_events(bounds(0, 5)).await.unwrap(), 0);
}

fn newest(of: AuditOf, limit: u32) -> AuditQuery {
    AuditQuery { of, since: None, before: None, limit }
}

fn told(what: What, claim: Option<u128>, who: &str) -> ClaimWrite {
    let event = Event {
        what,
        key: room(1),
        claim_id: claim.map(|id| ClaimId(Uuid::from_u128(id))),
        token: claim.map(|_| FencingToken(5)),
        stream_id: None,
        who: Label::new(who),
        why: "why not".into(),
    };
    ClaimWrite::Event(event, jiff::Timestamp::from_second(1).unwrap())
}

#[tokio::test]
async fn a_claim_s_history_has_the_refusals_of_its_time_and_nothing_of_other_claims() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let story = vec![
        told(What::Granted, Some(1), "before"),
        told(What::Refused, None, "too early"),
        told(What::Released, Some(1), "before"),
        told(What::Granted, Some(2), "rec-1"),
        told(What::Refused, None, "stranger"),
        told(What::Seized, Some(2), "rec-1"),
        told(What::Refused, None, "rec-1"),
        told(What::Granted, Some(3), "after"),
        told(What::Refused, None, "too late"),
    ];
    write(&store, story).await.unwrap();
    let of = async |claim| {
        let of = AuditOf::Claim(ClaimId(Uuid::from_u128(claim)));
        let rows = store.claim_events(newest(of, 100)).await.unwrap();
        rows.into_iter().rev().map(|row| format!("{} {}", row.what, row.who)).collect::<Vec<_>>()
    };
    assert_eq!(of(2).await, ["granted rec-1", "refused stranger", "seized rec-1", "refused rec-1"]);
    assert_eq!(of(1).await, ["granted before", "refused too early", "released before"]);
    assert_eq!(of(3).await, ["granted after", "refused too late"]);
    assert_eq!(of(9).await, [""; 0]);
}

#[tokio::test]
async fn a_storm_of_refusals_takes_no_other_entry_s_room() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    write(&store, vec![told(What::Granted, Some(1), "rec-1")]).await.unwrap();
    let storm: Vec<_> = (0..500).map(|_| told(What::Refused, None, "storm")).collect();
    write(&store, storm).await.unwrap();
    let since = jiff::Timestamp::UNIX_EPOCH;
    let bounds = AuditBounds { since, rows_max: 100, refusals_max: 20 };
    assert_eq!(store.prune_claim_events(bounds).await.unwrap(), 480);
    let rows = store.claim_events(newest(AuditOf::All, 500)).await.unwrap();
    assert_eq!((rows.len(), rows[20].what.as_str()), (21, "granted"));
}

#[tokio::test]
async fn a_stream_s_place_in_its_numbering_never_goes_back() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let url: StreamUrl = "live/room-1".parse().unwrap();
    assert_eq!(store.load_hls_position(&url).await.unwrap(), None);
    let origin = "2026-02-01T09:00:00.123456Z".parse().unwrap();
    let place = |msn_reserved| HlsPosition {
        msn_reserved,
        discontinuity_sequence: msn_reserved / 100,
        target_duration_seconds: Some(2),
        origin,
    };
    store.put_hls_position(&url, &place(128)).await.unwrap();
    store.put_hls_position(&url, &place(64)).await.unwrap();
    store.close().await;
    let store = Store::open(&file(&folder)).unwrap();
    assert_eq!(store.load_hls_position(&url).await.unwrap(), Some(place(128)));
}

#[tokio::test]
async fn documents_are_saved_all_or_none_and_taken_out() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    store.save_streams(vec![(one, Some("{}".into())), (two, Some("{\"a\":1}".into()))]).await.unwrap();
    store.save_streams(vec![(one, None), (two, Some("{\"a\":2}".into()))]).await.unwrap();
    assert_eq!(store.load_streams().await.unwrap(), [(two, "{\"a\":2}".to_owned())]);
}

#[tokio::test]
async fn tokens_and_the_grant_key_stay_the_same() {
    let folder = folder();
    let store = Store::open(&file(&folder)).unwrap();
    assert!(!store.has_tokens().await.unwrap());
    let wall = jiff::Timestamp::from_second(1).unwrap();
    let request = serde_json::from_value(serde_json::json!({ "label": "bot", "scopes": ["start"] })).unwrap();
    let (minted, token) = auth::draw(wall, request).unwrap();
    store.put_token(&token).await.unwrap();
    let grant = crate::grant::Grant {
        claim_id: ClaimId(Uuid::from_u128(1)),
        url: "live/room".parse().unwrap(),
        principal: "p".into(),
        instance: "i".into(),
        label: Label::new("l"),
        stream_id: None,
        expires: wall,
    };
    let text = grant.mint(&store.grant_key().await.unwrap());
    store.close().await;
    let bytes = std::fs::read(file(&folder)).unwrap();
    let shown = minted.token.as_bytes();
    assert!(!bytes.windows(shown.len()).any(|window| window == shown), "only the digest is kept");
    let store = Store::open(&file(&folder)).unwrap();
    assert_eq!(store.tokens().await.unwrap(), std::slice::from_ref(&token));
    assert_eq!(grant.mint(&store.grant_key().await.unwrap()), text, "the key is made once");
    assert!(store.remove_token(token.id).await.unwrap());
    assert!(!store.has_tokens().await.unwrap());
}
