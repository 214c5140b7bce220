//! Keys of our own, made once.

use super::{Store, StoreError};
use crate::grant::GrantKey;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// What grants are signed with; made at the first call, the same ever after.
    ///
    /// # Errors
    /// [`StoreError`], also when the system has no random numbers.
    pub async fn grant_key(&self) -> Result<GrantKey, StoreError> {
        let mut fresh = [0_u8; GrantKey::BYTES];
        getrandom::fill(&mut fresh).map_err(|error| StoreError::Failed(error.to_string()))?;
        self.run(move |db| {
            let insert = "INSERT OR IGNORE INTO secrets (name, value) VALUES ('grant-key', ?1)";
            db.execute(insert, params![fresh])?;
            let query = "SELECT value FROM secrets WHERE name = 'grant-key'";
            let key: Option<[u8; GrantKey::BYTES]> = db.query_row(query, [], |row| row.get(0)).optional()?;
            key.map(GrantKey::new).ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
        .await
    }
}
