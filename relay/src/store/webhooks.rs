//! Events that webhooks have not taken yet.
//!
//! Bounded by the senders, which take out what they give up; an endpoint that is no longer configured is emptied at the
//! next start.

use super::{Store, StoreError};
use crate::webhooks::Item;
use rusqlite::{params, params_from_iter};

impl Store {
    /// Keeps events for a receiver, in order; returns under which number each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_webhook_events(&self, endpoint: &str, items: Vec<Item>) -> Result<Vec<i64>, StoreError> {
        let endpoint = endpoint.to_owned();
        self.run(move |db| {
            let insert = "INSERT INTO webhook_events (endpoint, event_id, kind, stream, body, at_unix_ms)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut statement = db.prepare_cached(insert)?;
            let numbers = items.iter().map(|item| {
                let (id, at) = (item.id.to_string(), item.at.as_millisecond());
                statement.insert(params![endpoint, id, item.kind, item.stream, item.body, at])
            });
            numbers.collect()
        })
        .await
    }

    /// The newest events that wait for a receiver, at most `max`, in order. Older ones are dropped; how many is told too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhook_events(&self, endpoint: &str, max: usize) -> Result<(Vec<Item>, u64), StoreError> {
        let endpoint = endpoint.to_owned();
        self.run(move |db| {
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            // The newest of those that are too many, if there are: it and what is older goes.
            let delete = "DELETE FROM webhook_events WHERE endpoint = ?1 AND number <= (SELECT number FROM webhook_events
                WHERE endpoint = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
            let lost = db.execute(delete, params![endpoint, max])?;
            let query = "SELECT number, event_id, kind, stream, body, at_unix_ms FROM webhook_events
                WHERE endpoint = ?1 ORDER BY number";
            let mut statement = db.prepare(query)?;
            let rows = statement.query_map(params![endpoint], |row| {
                let id: String = row.get(1)?;
                Ok(Item {
                    number: Some(row.get(0)?),
                    id: id.parse().unwrap_or_default(),
                    kind: row.get(2)?,
                    stream: row.get(3)?,
                    body: row.get(4)?,
                    at: jiff::Timestamp::from_millisecond(row.get(5)?).unwrap_or_default(),
                })
            })?;
            Ok((rows.collect::<Result<_, _>>()?, lost as u64))
        })
        .await
    }

    /// Forgets an event. Waits for nobody: at worst it is found again after a restart.
    pub fn forget_webhook_event(&self, number: i64) {
        let forget = move |db: &rusqlite::Connection| {
            db.prepare_cached("DELETE FROM webhook_events WHERE number = ?1")?.execute([number]).map(drop)
        };
        // Its answer is nobody's.
        let _ = self.submit(forget);
    }

    /// Forgets the events of all receivers but these; how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_webhooks_of(&self, endpoints: Vec<String>) -> Result<usize, StoreError> {
        self.run(move |db| {
            let places = vec!["?"; endpoints.len()].join(",");
            let delete = format!("DELETE FROM webhook_events WHERE endpoint NOT IN ({places})");
            db.execute(&delete, params_from_iter(endpoints))
        })
        .await
    }
}
