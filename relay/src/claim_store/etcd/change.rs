//! One change, as etcd transactions.

use super::cell::{self, Cells};
use claims::fleet::{Fence, Held, Op, Outcome, Value};
use claims::{BlockRecord, ClaimKey, Version};
use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, Error, GetResponse, PutOptions, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};
use std::time::Duration;
use tokio::time::timeout;

/// How long a change may take. It may still be done afterwards; nobody knows.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);
/// `google.rpc.Code`: what etcd answers when it surely did nothing. Of "not found" the one case is a lease that has
/// ended ("etcdserver: requested lease not found").
const DID_NOTHING: [i32; 5] = [
    3,  // INVALID_ARGUMENT
    5,  // NOT_FOUND
    7,  // PERMISSION_DENIED
    8,  // RESOURCE_EXHAUSTED
    16, // UNAUTHENTICATED
];

/// A member that answers, and the leases under which we write.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) cells: Cells,
    /// Of claims.
    pub(super) lease: i64,
    /// Of fences.
    pub(super) fences: i64,
}

impl Session {
    /// Does one change.
    pub(super) async fn change(&self, op: Op) -> Outcome {
        match timeout(CHANGE_WITHIN, self.run(op)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => failed(&error),
            Err(_) => {
                tracing::warn!("etcd does not answer in time");
                Outcome::Unknown
            }
        }
    }

    async fn run(&self, op: Op) -> Result<Outcome, Error> {
        let cells = &self.cells;
        match op {
            Op::Put { held, replaces, fence } => self.put(&held, replaces, fence).await,
            Op::Remove { key, version, is_clean } => {
                let mut then = vec![TxnOp::delete(cells.claim(&key), None)];
                if is_clean {
                    let before = DeleteOptions::new().with_prev_key();
                    then.push(TxnOp::delete(cells.fence(&key), Some(before)));
                }
                self.transact(&key, vec![is_at(cells.claim(&key), version)], then).await
            }
            Op::Evict { held, replaces } => {
                let key = held.record.key.clone();
                let put = PutOptions::new().with_ignore_lease();
                let then = vec![TxnOp::put(cells.claim(&key), cell::write_held(&held), Some(put))];
                self.transact(&key, vec![is_at(cells.claim(&key), replaces)], then).await
            }
            Op::Blocks { key, blocks, write } => {
                let mut client = self.client.clone();
                let Some(lasts) = blocks.iter().map(|block: &BlockRecord| block.lasts).max() else {
                    client.delete(cells.blocks(&key), None).await?;
                    return Ok(done(Version::ABSENT, Version::ABSENT));
                };
                let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX).saturating_add(1);
                let lease = client.lease_grant(seconds, None).await?.id();
                let put = PutOptions::new().with_lease(lease);
                client.put(cells.blocks(&key), cell::write_blocks(&blocks, write), Some(put)).await?;
                Ok(done(Version::ABSENT, Version::ABSENT))
            }
            Op::Ask { key, write } => self.say(&key, cell::write_asked(write)).await,
            Op::Vouch { key, write } => self.say(&key, cell::write_vouched(write)).await,
        }
    }

    async fn put(&self, held: &Held, replaces: Version, fence: Fence) -> Result<Outcome, Error> {
        let key = &held.record.key;
        let (claim, fence_key) = (self.cells.claim(key), self.cells.fence(key));
        let mut when = vec![is_at(claim.clone(), replaces)];
        let under_lease = PutOptions::new().with_lease(self.lease);
        let mut then = vec![TxnOp::put(claim, cell::write_held(held), Some(under_lease))];
        match fence {
            Fence::Raise => {
                let put = PutOptions::new().with_lease(self.fences).with_prev_key();
                then.push(TxnOp::put(fence_key, held.relay.id.0.to_string(), Some(put)));
            }
            Fence::Keep => {}
            Fence::Still(version) => when.push(is_at(fence_key, version)),
        }
        self.transact(key, when, then).await
    }

    async fn transact(&self, key: &ClaimKey, when: Vec<Compare>, then: Vec<TxnOp>) -> Result<Outcome, Error> {
        let otherwise = [TxnOp::get(self.cells.claim(key), None), TxnOp::get(self.cells.fence(key), None)];
        let txn = Txn::new().when(when).and_then(then).or_else(otherwise);
        let answer = self.client.kv_client().txn(txn).await?;
        let seen = Version(answer.header().map_or(0, etcd_client::ResponseHeader::revision).cast_unsigned());
        if answer.succeeded() {
            return Ok(done(seen, fence_before(&answer)));
        }
        let mut got = answer.op_responses().into_iter().filter_map(|response| match response {
            TxnOpResponse::Get(got) => Some(got),
            _ => None,
        });
        let (claim, fence) = (got.next(), got.next());
        let fence = fence.as_ref().map_or(Version::ABSENT, version_of);
        let found = match claim.as_ref().and_then(|claim| claim.kvs().first()) {
            None => None,
            Some(pair) => {
                let version = Version(pair.mod_revision().cast_unsigned());
                let name = self.cells.claim(key);
                match self.cells.news(&name, Some(pair.value()), version).and_then(|news| news.value) {
                    Some(Value::Claim(held)) => Some((version, held)),
                    // What nobody can read is not replaced.
                    _ => return Ok(Outcome::Refused),
                }
            }
        };
        Ok(Outcome::Conflict { found, fence, seen })
    }

    async fn say(&self, key: &ClaimKey, word: Vec<u8>) -> Result<Outcome, Error> {
        let put = PutOptions::new().with_lease(self.lease);
        self.client.kv_client().put(self.cells.ask(key), word, Some(put)).await?;
        Ok(done(Version::ABSENT, Version::ABSENT))
    }
}

fn is_at(key: String, version: Version) -> Compare {
    Compare::mod_revision(key, CompareOp::Equal, version.0.cast_signed())
}

const fn done(version: Version, fence: Version) -> Outcome {
    Outcome::Done { version, fence }
}

/// The fence that a transaction replaced or removed, its second operation.
fn fence_before(answer: &TxnResponse) -> Version {
    let version = match answer.op_responses().get(1) {
        Some(TxnOpResponse::Put(put)) => put.prev_key().map(etcd_client::KeyValue::mod_revision),
        Some(TxnOpResponse::Delete(deleted)) => {
            deleted.prev_kvs().first().map(etcd_client::KeyValue::mod_revision)
        }
        _ => None,
    };
    Version(version.unwrap_or(0).cast_unsigned())
}

fn version_of(got: &GetResponse) -> Version {
    Version(got.kvs().first().map_or(0, etcd_client::KeyValue::mod_revision).cast_unsigned())
}

fn failed(error: &Error) -> Outcome {
    tracing::warn!(%error, "a change failed in etcd");
    match error {
        Error::GRpcStatus(status) if DID_NOTHING.contains(&i32::from(status.code())) => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
