//! What this relay must remember of the store that it shares with others.

use super::{Store, StoreError};
use claims::fleet::RelayId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// How far the shared store had come when last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdMark {
    /// Its `cluster_id`.
    pub cluster: u64,
    /// Its revision.
    pub revision: u64,
    /// The epoch that was configured then.
    pub epoch: u16,
}

impl Store {
    /// This relay's own name among others; drawn at the first call, the same ever after.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn relay_id(&self) -> Result<RelayId, StoreError> {
        let fresh = Uuid::new_v4().into_bytes();
        self.run(move |db| {
            let insert = "INSERT OR IGNORE INTO secrets (name, value) VALUES ('relay-id', ?1)";
            db.execute(insert, params![fresh])?;
            let query = "SELECT value FROM secrets WHERE name = 'relay-id'";
            db.query_row(query, [], |row| row.get(0)).map(|id| RelayId(Uuid::from_bytes(id)))
        })
        .await
    }

    /// How far the shared store had come; `None` if there never was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn etcd_mark(&self) -> Result<Option<EtcdMark>, StoreError> {
        self.run(|db| {
            let (Some(cluster), Some(revision), Some(epoch)) =
                (mark(db, "etcd-cluster")?, mark(db, "etcd-revision")?, mark(db, "etcd-epoch")?)
            else {
                return Ok(None);
            };
            let epoch = u16::try_from(epoch).unwrap_or(u16::MAX);
            Ok(Some(EtcdMark { cluster: cluster.cast_unsigned(), revision: revision.cast_unsigned(), epoch }))
        })
        .await
    }

    /// Remembers how far the shared store has come.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_etcd_mark(&self, seen: EtcdMark) -> Result<(), StoreError> {
        self.run(move |db| {
            let set = "INSERT INTO marks (name, value) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            let mut set = db.prepare_cached(set)?;
            set.execute(params!["etcd-cluster", seen.cluster.cast_signed()])?;
            set.execute(params!["etcd-revision", seen.revision.cast_signed()])?;
            set.execute(params!["etcd-epoch", seen.epoch])?;
            Ok(())
        })
        .await
    }
}

fn mark(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT value FROM marks WHERE name = ?1", [name], |row| row.get(0)).optional()
}
