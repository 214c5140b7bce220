//! The audit log of claims at rest: what happened, to which key, by whose doing, and why.
//!
//! Bounded three ways: by age, by number, and by refusals per key, so that a storm on one key takes neither the room of
//! the others nor hides what happened to its own holders.

use super::claims::kind_text;
use super::{Store, StoreError};
use claims::{ClaimId, Event};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Rising.
    pub number: i64,
    /// When.
    pub at: jiff::Timestamp,
    /// What; [`claims::What::as_str`].
    pub what: String,
    /// Which key, without secrets.
    pub key: String,
    /// Which claim; `None` for refusals and blocks.
    pub claim_id: Option<Uuid>,
    /// Under which token; `None` as above.
    pub token: Option<u64>,
    /// Who, by public label.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What an audit query is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditOf {
    /// Everything.
    All,
    /// One key, as shown.
    Key(String),
    /// One claim, ended or not; of an ingest claim with the refusals and blocks of its key from its grant until another
    /// claim had the key. Two targets can be shown alike, so theirs are not told apart and left out.
    Claim(ClaimId),
}

/// Which entries of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of what.
    pub of: AuditOf,
    /// Not older than this.
    pub since: Option<jiff::Timestamp>,
    /// Only entries with a smaller number.
    pub before: Option<i64>,
    /// How many at most.
    pub limit: u32,
}

/// What of the audit log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditBounds {
    /// Nothing older than this.
    pub since: jiff::Timestamp,
    /// The newest so many entries.
    pub rows_max: u32,
    /// Of each key the newest so many refusals.
    pub refusals_max: u32,
}

impl Store {
    /// Entries of the audit log, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_events(&self, query: AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        self.run(move |db| {
            let since = query.since.map_or(i64::MIN, jiff::Timestamp::as_millisecond);
            let before = query.before.unwrap_or(i64::MAX);
            let limit = query.limit;
            match query.of {
                AuditOf::All => {
                    read(db, "number < ?1 AND at_unix_ms >= ?2", params![before, since, limit], 3)
                }
                AuditOf::Key(key) => {
                    let which = "key = ?3 AND number < ?1 AND at_unix_ms >= ?2";
                    read(db, which, params![before, since, key, limit], 4)
                }
                AuditOf::Claim(id) => {
                    let id = id.get().to_string();
                    let Some(Life { key, is_ingest, first, end }) = life(db, &id)? else {
                        return Ok(Vec::new());
                    };
                    let end = if is_ingest { end } else { first };
                    let which = "key = ?3 AND number < ?1 AND at_unix_ms >= ?2 AND
                        (claim_id = ?4 OR (claim_id IS NULL AND number >= ?5 AND number < ?6))";
                    read(db, which, params![before, since, key, id, first, end, limit], 7)
                }
            }
        })
        .await
    }

    /// Forgets audit entries out of bounds; how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_claim_events(&self, bounds: AuditBounds) -> Result<usize, StoreError> {
        let AuditBounds { since, rows_max, refusals_max } = bounds;
        self.run(move |db| {
            let old =
                db.execute("DELETE FROM claim_events WHERE at_unix_ms < ?1", [since.as_millisecond()])?;
            let refusals = db.execute(
                "DELETE FROM claim_events WHERE number IN (
                    SELECT number FROM (
                        SELECT number, row_number() OVER (PARTITION BY key ORDER BY number DESC) AS place
                        FROM claim_events WHERE what = 'refused')
                    WHERE place > ?1)",
                [refusals_max],
            )?;
            let surplus = db.execute(
                "DELETE FROM claim_events WHERE number <=
                    (SELECT number FROM claim_events ORDER BY number DESC LIMIT 1 OFFSET ?1)",
                [rows_max],
            )?;
            Ok(old + refusals + surplus)
        })
        .await
    }
}

/// From a claim's first entry to the first one of the claim that had its key next.
struct Life {
    key: String,
    is_ingest: bool,
    first: i64,
    end: i64,
}

fn life(db: &Connection, id: &str) -> rusqlite::Result<Option<Life>> {
    let query = "SELECT key, kind, min(number), max(number) FROM claim_events WHERE claim_id = ?1
        GROUP BY key, kind LIMIT 1";
    let found: Option<(String, String, i64, i64)> = db
        .prepare_cached(query)?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((key, kind, first, last)) = found else { return Ok(None) };
    let query = "SELECT number FROM claim_events WHERE key = ?1 AND number > ?2 AND claim_id IS NOT NULL
        ORDER BY number LIMIT 1";
    let next = db.prepare_cached(query)?.query_row(params![key, last], |row| row.get(0)).optional()?;
    Ok(Some(Life { key, is_ingest: kind == "ingest", first, end: next.unwrap_or(i64::MAX) }))
}

/// The rows that `which` names; the limit is the parameter of this number.
fn read(
    db: &Connection,
    which: &str,
    parameters: &[&dyn rusqlite::ToSql],
    limit: u8,
) -> rusqlite::Result<Vec<AuditRow>> {
    let query = format!("SELECT * FROM claim_events WHERE {which} ORDER BY number DESC LIMIT ?{limit}");
    let mut statement = db.prepare_cached(&query)?;
    let rows = statement.query_map(parameters, read_event)?;
    rows.collect()
}

pub(super) fn log(db: &Connection, event: &Event, at: jiff::Timestamp) -> rusqlite::Result<()> {
    let insert = "INSERT INTO claim_events (at_unix_ms, what, kind, key, claim_id, token, who, why)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    db.prepare_cached(insert)?.execute(params![
        at.as_millisecond(),
        event.what.as_str(),
        kind_text(&event.key),
        event.key.to_string(),
        event.claim_id.map(|id| id.get().to_string()),
        event.token.map(|token| token.get().cast_signed()),
        event.who.as_str(),
        event.why,
    ])?;
    Ok(())
}

fn read_event(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let claim_id: Option<String> = row.get("claim_id")?;
    let token: Option<i64> = row.get("token")?;
    Ok(AuditRow {
        number: row.get("number")?,
        at: jiff::Timestamp::from_millisecond(row.get("at_unix_ms")?).unwrap_or_default(),
        what: row.get("what")?,
        key: row.get("key")?,
        claim_id: claim_id.and_then(|id| Uuid::parse_str(&id).ok()),
        token: token.map(i64::cast_unsigned),
        who: row.get("who")?,
        why: row.get("why")?,
    })
}
