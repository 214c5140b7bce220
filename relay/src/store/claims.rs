//! Claims, blocks and the token mark at rest.

use super::{Answer, Store, StoreError};
use claims::{
    BlockRecord, Change, ClaimId, ClaimKey, Event, FencingToken, Holder, HolderId, Label, Record, Snapshot,
};
use media::{StreamUrl, TargetUrl};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;
use uuid::Uuid;

/// The largest token that the file can hold: SQLite's integers are signed. At a thousand a second, this lasts for
/// 292 million years.
const TOKEN_MAX: u64 = i64::MAX as u64;

/// One change of the claims.
#[derive(Clone, Debug)]
pub enum ClaimWrite {
    /// The truth about a key.
    Change(Change),
    /// An entry of the audit log, and when it happened.
    Event(Event, jiff::Timestamp),
}

impl Store {
    /// All claims and blocks, and the largest token ever.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_claims(&self) -> Result<(Snapshot, FencingToken), StoreError> {
        self.run(|db| {
            let claims = collect(db, "SELECT * FROM claims ORDER BY kind, key", |row| {
                let Some(key) = key_of(row)? else { return Ok(None) };
                read_record(row, key).map(Some)
            })?;
            let blocks = collect(db, "SELECT * FROM claim_blocks ORDER BY rowid", |row| {
                let Some(key) = key_of(row)? else { return Ok(None) };
                read_block(row).map(|block| Some((key, block)))
            })?;
            let mark = db.query_row("SELECT value FROM marks WHERE name = 'token'", [], |row| row.get(0));
            let mark: Option<i64> = mark.optional()?;
            let token = FencingToken(mark.map_or(0, i64::cast_unsigned));
            Ok((Snapshot { claims, blocks }, token))
        })
        .await
    }

    /// Queues changes of the claims, all or none, after everything queued before; the answer comes once they are on
    /// disk.
    ///
    /// # Errors
    /// [`StoreError`] if they were not even queued.
    pub fn submit_claims(&self, writes: Vec<ClaimWrite>) -> Result<Answer<()>, StoreError> {
        self.submit(move |db| {
            writes.into_iter().try_for_each(|write| match write {
                ClaimWrite::Change(change) => apply(db, change),
                ClaimWrite::Event(event, at) => super::history::log(db, &event, at),
            })
        })
    }
}

fn apply(db: &Connection, change: Change) -> rusqlite::Result<()> {
    match change {
        Change::Put(record) => put(db, &record),
        Change::Remove(key) => {
            let (kind, key) = key_text(&key);
            db.prepare_cached("DELETE FROM claims WHERE kind = ?1 AND key = ?2")?.execute([kind, &key])?;
            Ok(())
        }
        Change::Blocks(key, blocks) => {
            let (kind, key) = key_text(&key);
            db.prepare_cached("DELETE FROM claim_blocks WHERE kind = ?1 AND key = ?2")?
                .execute([kind, &key])?;
            blocks.iter().try_for_each(|block| put_block(db, kind, &key, block))
        }
    }
}

fn put(db: &Connection, record: &Record) -> rusqlite::Result<()> {
    let token = record.token.get();
    if token > TOKEN_MAX {
        return Err(rusqlite::Error::ToSqlConversionFailure("the fencing token is too large".into()));
    }
    let (kind, key) = key_text(&record.key);
    let holder = &record.holder;
    let insert =
        "INSERT OR REPLACE INTO claims (kind, key, claim_id, token, principal, instance, incarnation, label,
        priority, stream_id, since_unix_ms, keep_ms, published)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    db.prepare_cached(insert)?.execute(params![
        kind,
        key,
        record.claim_id.get().to_string(),
        token.cast_signed(),
        holder.principal,
        holder.instance,
        holder.incarnation,
        holder.label.as_str(),
        holder.priority,
        holder.stream_id.map(|id| id.to_string()),
        record.since_unix_ms,
        record.keep.map(millis),
        record.published,
    ])?;
    let raise = "INSERT INTO marks (name, value) VALUES ('token', ?1)
        ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)";
    db.prepare_cached(raise)?.execute([token.cast_signed()])?;
    Ok(())
}

fn put_block(db: &Connection, kind: &str, key: &str, block: &BlockRecord) -> rusqlite::Result<()> {
    let insert =
        "INSERT INTO claim_blocks (kind, key, block_id, principal, instance, operator, reason, since_unix_ms,
        lasts_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let holder = block.holder.as_ref();
    db.prepare_cached(insert)?.execute(params![
        kind,
        key,
        block.id.get().to_string(),
        holder.map(|holder| &holder.principal),
        holder.and_then(|holder| holder.instance.as_ref()),
        block.operator.as_str(),
        block.reason,
        block.since_unix_ms,
        millis(block.lasts),
    ])?;
    Ok(())
}

fn read_record(row: &Row<'_>, key: ClaimKey) -> rusqlite::Result<Record> {
    let stream_id: Option<String> = row.get("stream_id")?;
    let label: String = row.get("label")?;
    let keep_ms: Option<i64> = row.get("keep_ms")?;
    Ok(Record {
        key,
        claim_id: ClaimId(read_id(row, "claim_id")?),
        token: FencingToken(row.get::<_, i64>("token")?.cast_unsigned()),
        holder: Holder {
            principal: row.get("principal")?,
            instance: row.get("instance")?,
            incarnation: row.get("incarnation")?,
            label: Label::new(&label),
            priority: row.get("priority")?,
            stream_id: stream_id.and_then(|id| Uuid::parse_str(&id).ok()),
        },
        since_unix_ms: row.get("since_unix_ms")?,
        keep: keep_ms.map(duration),
        published: row.get("published")?,
    })
}

fn read_block(row: &Row<'_>) -> rusqlite::Result<BlockRecord> {
    let operator: String = row.get("operator")?;
    let principal: Option<String> = row.get("principal")?;
    let instance = row.get("instance")?;
    Ok(BlockRecord {
        id: ClaimId(read_id(row, "block_id")?),
        holder: principal.map(|principal| HolderId { principal, instance }),
        operator: Label::new(&operator),
        reason: row.get("reason")?,
        since_unix_ms: row.get("since_unix_ms")?,
        lasts: duration(row.get("lasts_ms")?),
    })
}

/// All rows that can be read; one that cannot (its key's form is unknown) is left alone and named in the log.
fn collect<T>(
    db: &Connection,
    query: &str,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row)? {
            Some(value) => all.push(value),
            None => tracing::warn!(query, "a row with an unknown kind of key was left out"),
        }
    }
    Ok(all)
}

fn read_id(row: &Row<'_>, column: &str) -> rusqlite::Result<Uuid> {
    let text: String = row.get(column)?;
    Uuid::parse_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

pub(super) const fn kind_text(key: &ClaimKey) -> &'static str {
    match key {
        ClaimKey::Ingest(_) => "ingest",
        ClaimKey::Target(_) => "target",
    }
}

/// A key as text from which it is parsed again. A target's is its URL without the scheme, escaped, secret and all.
pub(crate) fn key_text(key: &ClaimKey) -> (&'static str, String) {
    let text = match key {
        ClaimKey::Ingest(url) => url.to_url_path(),
        ClaimKey::Target(target) => {
            let (authority, path) = target.expose().split_once('/').unwrap_or((target.expose(), ""));
            let escaped = path.split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
            format!("{authority}/{}", escaped.collect::<Vec<_>>().join("/"))
        }
    };
    (kind_text(key), text)
}

fn key_of(row: &Row<'_>) -> rusqlite::Result<Option<ClaimKey>> {
    let (kind, text): (String, String) = (row.get("kind")?, row.get("key")?);
    Ok(key_of_text(&kind, &text))
}

/// The key that [`key_text`] wrote so; `None` if it is none.
pub(crate) fn key_of_text(kind: &str, text: &str) -> Option<ClaimKey> {
    match kind {
        "ingest" => text.parse::<StreamUrl>().ok().map(ClaimKey::Ingest),
        "target" => {
            let target = format!("rtmp://{text}").parse::<TargetUrl>();
            target.ok().map(|target| ClaimKey::Target(target.key().clone()))
        }
        _ => None,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_back_as_it_was_written() {
        let ingest = ["live/room-1", "live/a%20b%25%3F%26", "a/b/c/%C3%BC"];
        let targets = [
            "rtmp://A.example/live/key-1_2",
            "rtmps://[::1]/live2/k%25%2541",
            "rtmp://h:99/a/b/c%3Fd%20e",
            "rtmp://h/a/%C3%BC?x=1",
        ];
        let ingest = ingest.into_iter().map(|url| ClaimKey::Ingest(url.parse().unwrap()));
        let targets =
            targets.into_iter().map(|url| ClaimKey::Target(url.parse::<TargetUrl>().unwrap().key().clone()));
        let db = Connection::open_in_memory().unwrap();
        for key in ingest.chain(targets) {
            let (kind, text) = key_text(&key);
            let read = db.query_row("SELECT ?1 AS kind, ?2 AS key", [kind, &text], key_of).unwrap();
            assert_eq!(read, Some(key), "{kind} {text}");
        }
    }
}
