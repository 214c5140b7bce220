//! The tables, version by version. A step that was released is never changed; a change is a new step.

use super::open::{OpenError, explain};
use rusqlite::Connection;
use std::path::Path;

/// `SLUC`: marks a SQLite file as ours.
const APPLICATION: i64 = 0x534C_5543;

/// Each brings the schema from its index to the next version.
const STEPS: [&str; 3] = [
    "
    -- Counters that only rise: `token` is the largest fencing token of all keys, so it serves each of them and stays
    -- one row however many keys come and go.
    CREATE TABLE marks (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- One claim per key. A target's key is secret.
    CREATE TABLE claims (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        claim_id TEXT NOT NULL,
        token INTEGER NOT NULL,
        principal TEXT NOT NULL,
        instance TEXT,
        incarnation INTEGER NOT NULL,
        label TEXT NOT NULL,
        priority INTEGER NOT NULL,
        stream_id TEXT,
        since_unix_ms INTEGER NOT NULL,
        keep_ms INTEGER,
        published INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;

    -- Who is kept off a key; without principal: everybody.
    CREATE TABLE claim_blocks (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        block_id TEXT NOT NULL,
        principal TEXT,
        instance TEXT,
        operator TEXT NOT NULL,
        reason TEXT NOT NULL,
        since_unix_ms INTEGER NOT NULL,
        lasts_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX claim_blocks_by_key ON claim_blocks (kind, key);

    -- The audit log. Keys as shown to people, without secrets.
    CREATE TABLE claim_events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at_unix_ms INTEGER NOT NULL,
        what TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        claim_id TEXT,
        token INTEGER,
        who TEXT NOT NULL,
        why TEXT NOT NULL
    ) STRICT;
    CREATE INDEX claim_events_by_time ON claim_events (at_unix_ms);

    CREATE TABLE streams (
        id TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        updated_unix_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE hls_positions (
        url TEXT PRIMARY KEY,
        msn_reserved INTEGER NOT NULL,
        discontinuity_sequence INTEGER NOT NULL,
        origin TEXT NOT NULL,
        target_duration_seconds INTEGER,
        updated_unix_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Tokens as digests.
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    -- The history of one key and of one claim.
    CREATE INDEX claim_events_by_key ON claim_events (key, number);
    CREATE INDEX claim_events_by_claim ON claim_events (claim_id, number);
",
    "
    -- Events that a webhook has not taken yet. Endpoints are digests of URLs, which may hold secrets.
    CREATE TABLE webhook_events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        endpoint TEXT NOT NULL,
        event_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        stream TEXT NOT NULL,
        body TEXT NOT NULL,
        at_unix_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX webhook_events_by_endpoint ON webhook_events (endpoint, number);
",
];

/// Brings the file to the present version, all steps or none.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let known = STEPS.len() as i64;
    let explained = |error| explain(path, &error);
    let transaction = db.transaction().map_err(explained)?;
    let read = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) =
        (read("application_id").map_err(explained)?, read("user_version").map_err(explained)?);
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(explained)?;
    let is_new = tables == 0 && version == 0;
    if !is_new && application != APPLICATION {
        return Err(OpenError::Damaged {
            path: path.to_owned(),
            detail: "the file belongs to another program".into(),
        });
    }
    let done = usize::try_from(version).ok().filter(|done| *done <= STEPS.len());
    let Some(done) = done else {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known });
    };
    for step in &STEPS[done..] {
        transaction.execute_batch(step).map_err(explained)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(explained)?;
    transaction.pragma_update(None, "user_version", known).map_err(explained)?;
    transaction.commit().map_err(explained)
}
