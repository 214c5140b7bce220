//! The API's tokens, as digests.

use super::streams::not_stored;
use super::{Store, StoreError};
use crate::auth::TokenRecord;
use crate::http_api::TokenStore;
use crate::streams::ports::{NotStored, Pending};
use rusqlite::params;
use uuid::Uuid;

impl Store {
    /// All tokens.
    ///
    /// # Errors
    /// [`StoreError`], also for a record that cannot be read: a token that is not known would be refused, which is
    /// safe, but no token at all would open the API to this machine.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let records: Vec<String> = self
            .run(|db| {
                let mut statement = db.prepare("SELECT record FROM tokens ORDER BY id")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect()
            })
            .await?;
        let parse = |record: &String| serde_json::from_str(record);
        records
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// Whether there is any token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_tokens(&self) -> Result<bool, StoreError> {
        self.run(|db| db.query_row("SELECT EXISTS (SELECT 1 FROM tokens)", [], |row| row.get(0))).await
    }

    /// Keeps a token, in place of an older one of its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_token(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let id = record.id.to_string();
        let record = serde_json::to_string(record).map_err(|error| StoreError::Failed(error.to_string()))?;
        let insert = "INSERT OR REPLACE INTO tokens (id, record) VALUES (?1, ?2)";
        self.run(move |db| db.execute(insert, params![id, record]).map(drop)).await
    }

    /// Forgets a token; whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_token(&self, id: Uuid) -> Result<bool, StoreError> {
        let id = id.to_string();
        self.run(move |db| Ok(db.execute("DELETE FROM tokens WHERE id = ?1", [id])? > 0)).await
    }
}

impl TokenStore for Store {
    fn add(&self, record: TokenRecord) -> Pending<Result<(), NotStored>> {
        let store = self.clone();
        Box::pin(async move { store.put_token(&record).await.map_err(not_stored) })
    }
}
