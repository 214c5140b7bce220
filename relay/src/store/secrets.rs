//! Keys of our own, made once.

use super::{Store, StoreError};
use crate::grant::GrantKey;
use rusqlite::{OptionalExtension, params};

/// The length of a [`Store::push_seed`], in bytes.
pub const PUSH_SEED_BYTES: usize = 16;

impl Store {
    /// What grants are signed with; made at the first call, the same ever after.
    ///
    /// # Errors
    /// [`StoreError`], also when the system has no random numbers.
    pub async fn grant_key(&self) -> Result<GrantKey, StoreError> {
        self.secret("grant-key").await.map(GrantKey::new)
    }

    /// What the pushes of this relay's publications are named by, so that it knows their claims for its own after a
    /// restart; made at the first call, the same ever after.
    ///
    /// # Errors
    /// As for [`grant_key`](Self::grant_key).
    pub async fn push_seed(&self) -> Result<[u8; PUSH_SEED_BYTES], StoreError> {
        self.secret("push-seed").await
    }

    async fn secret<const BYTES: usize>(&self, name: &'static str) -> Result<[u8; BYTES], StoreError> {
        let mut fresh = [0_u8; BYTES];
        getrandom::fill(&mut fresh).map_err(|error| StoreError::Failed(error.to_string()))?;
        self.run(move |db| {
            let insert = "INSERT OR IGNORE INTO secrets (name, value) VALUES (?1, ?2)";
            db.execute(insert, params![name, fresh])?;
            let query = "SELECT value FROM secrets WHERE name = ?1";
            let key: Option<[u8; BYTES]> = db.query_row(query, [name], |row| row.get(0)).optional()?;
            key.ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
        .await
    }
}
