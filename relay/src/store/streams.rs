//! The durable documents of streams: opaque JSON by id.

use super::{Store, StoreError};
use crate::clock;
use crate::streams::ports::{Documents, NotStored, Pending};
use rusqlite::params;
use uuid::Uuid;

impl Store {
    /// All documents, oldest id first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_streams(&self) -> Result<Vec<(Uuid, String)>, StoreError> {
        let rows: Vec<(String, String)> = self
            .run(|db| {
                let mut statement = db.prepare("SELECT id, document FROM streams ORDER BY id")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|(id, document)| Some((Uuid::parse_str(&id).ok()?, document)))
            .collect())
    }

    /// Writes documents and takes out those without text, all or none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_streams(&self, batch: Vec<(Uuid, Option<String>)>) -> Result<(), StoreError> {
        let now = clock::wall().as_millisecond();
        self.run(move |db| {
            batch.into_iter().try_for_each(|(id, document)| {
                let id = id.to_string();
                match document {
                    Some(document) => db
                        .prepare_cached(
                            "INSERT OR REPLACE INTO streams (id, document, updated_unix_ms) VALUES (?1, ?2, ?3)",
                        )?
                        .execute(params![id, document, now]),
                    None => db.prepare_cached("DELETE FROM streams WHERE id = ?1")?.execute([id]),
                }
                .map(drop)
            })
        })
        .await
    }
}

impl Documents for Store {
    fn load(&self) -> Pending<Result<Vec<(Uuid, String)>, NotStored>> {
        let store = self.clone();
        Box::pin(async move { store.load_streams().await.map_err(not_stored) })
    }

    fn save(&self, batch: Vec<(Uuid, Option<String>)>) -> Pending<Result<(), NotStored>> {
        let store = self.clone();
        Box::pin(async move { store.save_streams(batch).await.map_err(not_stored) })
    }
}

pub(super) fn not_stored(error: StoreError) -> NotStored {
    NotStored(error.to_string())
}
