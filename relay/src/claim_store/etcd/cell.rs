//! Keys and values in etcd.

use crate::store::{key_of_text, key_text};
use claims::fleet::{Cell, Held, News, Relay, RelayId, Value, WriteId};
use claims::{
    BlockRecord, ClaimId, ClaimKey, FencingToken, Holder, HolderId, Label, Record, Shown, Standing, Ticket,
    Version,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// All keys of one prefix.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    prefix: String,
}

impl Cells {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn claim(&self, key: &ClaimKey) -> String {
        self.of("claims", key)
    }

    pub(super) fn fence(&self, key: &ClaimKey) -> String {
        self.of("fences", key)
    }

    pub(super) fn blocks(&self, key: &ClaimKey) -> String {
        self.of("blocks", key)
    }

    pub(super) fn ask(&self, key: &ClaimKey) -> String {
        self.of("asks", key)
    }

    pub(super) fn relay(&self, id: RelayId) -> String {
        format!("{}relays/{}", self.prefix, id.0)
    }

    pub(super) fn epoch(&self) -> String {
        format!("{}epoch", self.prefix)
    }

    pub(super) fn grants(&self) -> String {
        format!("{}grants", self.prefix)
    }

    fn of(&self, what: &str, key: &ClaimKey) -> String {
        let (kind, text) = key_text(key);
        format!("{}{what}/{kind}/{text}", self.prefix)
    }

    /// Which kind of cell a key names, and of which claim; `None` for keys that are not about claims.
    fn parse<'a>(&self, key: &'a str) -> Option<(&'a str, ClaimKey)> {
        let mut parts = key.strip_prefix(self.prefix.as_str())?.splitn(3, '/');
        let (what, kind, text) = (parts.next()?, parts.next()?, parts.next()?);
        Some((what, key_of_text(kind, text)?))
    }

    /// The fence that a key names.
    pub(super) fn fence_of(&self, key: &str) -> Option<ClaimKey> {
        self.parse(key).filter(|(what, _)| *what == "fences").map(|(_, key)| key)
    }

    /// What a key and its value tell; `None` if it is nothing about claims, or cannot be read.
    pub(super) fn news(&self, key: &str, value: Option<&[u8]>, version: Version) -> Option<News> {
        let (what, key) = self.parse(key)?;
        let cell = match what {
            "claims" => Cell::Claim(key.clone()),
            "blocks" => Cell::Blocks(key.clone()),
            "asks" => Cell::Ask(key.clone()),
            _ => return None,
        };
        let Some(value) = value else { return Some(News { cell, version, value: None }) };
        let value = match what {
            "claims" => {
                serde_json::from_slice(value).map(|held: HeldJson| Value::Claim(Box::new(held.read(key))))
            }
            "blocks" => serde_json::from_slice(value).map(BlocksJson::read),
            _ => serde_json::from_slice(value).map(|word: WordJson| word.read()),
        };
        match value {
            Ok(value) => Some(News { cell, version, value: Some(value) }),
            Err(error) => {
                tracing::warn!(%error, what, "a value in etcd cannot be read and is left alone");
                None
            }
        }
    }
}

/// A claim.
#[derive(Debug, Deserialize, Serialize)]
struct HeldJson {
    relay: Uuid,
    relay_label: String,
    process: Uuid,
    write: u64,
    claim_id: Uuid,
    /// Absent where it is the key's mod revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    principal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    incarnation: u32,
    label: String,
    priority: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream_id: Option<Uuid>,
    since_unix_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_ms: Option<u64>,
    published: bool,
    standing: StandingJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticket: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evicted: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StandingJson {
    Reserved,
    Held,
    Open,
}

pub(super) fn write_held(held: &Held) -> Vec<u8> {
    let record = &held.record;
    let holder = &record.holder;
    json(&HeldJson {
        relay: held.relay.id.0,
        relay_label: held.relay.label.to_string(),
        process: held.write.process,
        write: held.write.number,
        claim_id: record.claim_id.get(),
        token: (record.token.get() > 0).then_some(record.token.get()),
        principal: holder.principal.clone(),
        instance: holder.instance.clone(),
        incarnation: holder.incarnation,
        label: holder.label.to_string(),
        priority: holder.priority,
        stream_id: holder.stream_id,
        since_unix_ms: record.since_unix_ms,
        keep_ms: record.keep.map(millis),
        published: record.published,
        standing: match held.shown.standing {
            Standing::Reserved => StandingJson::Reserved,
            Standing::Held => StandingJson::Held,
            Standing::Open => StandingJson::Open,
        },
        ticket: held.shown.ticket.map(Ticket::expose),
        evicted: held.evicted.clone(),
    })
}

impl HeldJson {
    fn read(self, key: ClaimKey) -> Held {
        let holder = Holder {
            principal: self.principal,
            instance: self.instance,
            incarnation: self.incarnation,
            label: Label::new(&self.label),
            priority: self.priority,
            stream_id: self.stream_id,
        };
        let record = Record {
            key,
            claim_id: ClaimId::new(self.claim_id),
            token: FencingToken::new(self.token.unwrap_or(0)),
            holder,
            since_unix_ms: self.since_unix_ms,
            keep: self.keep_ms.map(Duration::from_millis),
            published: self.published,
        };
        let standing = match self.standing {
            StandingJson::Reserved => Standing::Reserved,
            StandingJson::Held => Standing::Held,
            StandingJson::Open => Standing::Open,
        };
        Held {
            record,
            relay: Relay { id: RelayId(self.relay), label: Label::new(&self.relay_label) },
            shown: Shown { standing, ticket: self.ticket.map(Ticket::new) },
            write: WriteId { process: self.process, number: self.write },
            evicted: self.evicted,
        }
    }
}

/// All blocks of a key.
#[derive(Debug, Deserialize, Serialize)]
struct BlocksJson {
    process: Uuid,
    write: u64,
    blocks: Vec<BlockJson>,
}

#[derive(Debug, Deserialize, Serialize)]
struct BlockJson {
    id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    operator: String,
    reason: String,
    since_unix_ms: i64,
    lasts_ms: u64,
}

pub(super) fn write_blocks(blocks: &[BlockRecord], write: WriteId) -> Vec<u8> {
    let blocks = blocks.iter().map(|block| BlockJson {
        id: block.id.get(),
        principal: block.holder.as_ref().map(|holder| holder.principal.clone()),
        instance: block.holder.as_ref().and_then(|holder| holder.instance.clone()),
        operator: block.operator.to_string(),
        reason: block.reason.clone(),
        since_unix_ms: block.since_unix_ms,
        lasts_ms: millis(block.lasts),
    });
    json(&BlocksJson { process: write.process, write: write.number, blocks: blocks.collect() })
}

impl BlocksJson {
    fn read(self) -> Value {
        let blocks = self.blocks.into_iter().map(|block| BlockRecord {
            id: ClaimId::new(block.id),
            holder: block.principal.map(|principal| HolderId { principal, instance: block.instance }),
            operator: Label::new(&block.operator),
            reason: block.reason,
            since_unix_ms: block.since_unix_ms,
            lasts: Duration::from_millis(block.lasts_ms),
        });
        Value::Blocks(blocks.collect(), WriteId { process: self.process, number: self.write })
    }
}

/// A question about a claim, or its answer.
#[derive(Debug, Deserialize, Serialize)]
struct WordJson {
    process: Uuid,
    write: u64,
    lives: bool,
}

pub(super) fn write_asked(write: WriteId) -> Vec<u8> {
    json(&WordJson { process: write.process, write: write.number, lives: false })
}

pub(super) fn write_vouched(write: WriteId) -> Vec<u8> {
    json(&WordJson { process: write.process, write: write.number, lives: true })
}

impl WordJson {
    const fn read(self) -> Value {
        let write = WriteId { process: self.process, number: self.write };
        if self.lives { Value::Vouched(write) } else { Value::Asked(write) }
    }
}

/// A relay's heartbeat.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct BeatJson {
    pub(super) label: String,
    pub(super) process: Uuid,
    pub(super) beat: u64,
}

pub(super) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Text, numbers and lists of them: it cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
