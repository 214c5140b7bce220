//! Each stream's place in its HLS numbering.

use super::{Store, StoreError};
use crate::clock;
use media::StreamUrl;
use rusqlite::{OptionalExtension, params};

/// How many streams' places are kept; beyond it the one written longest ago is forgotten, so that its numbering would
/// begin anew.
const POSITIONS_MAX: i64 = 100_000;

/// Where a stream's HLS goes on after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HlsPosition {
    /// Media sequence numbers below this may have been used.
    pub msn_reserved: u64,
    /// The discontinuity sequence reached.
    pub discontinuity_sequence: u64,
    /// The declared target duration in seconds, once it is known: it must not change while viewers are there.
    pub target_duration_seconds: Option<u32>,
    /// When the stream's timeline began.
    pub origin: jiff::Timestamp,
}

impl Store {
    /// A stream's place, if it ever had one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_hls_position(&self, url: &StreamUrl) -> Result<Option<HlsPosition>, StoreError> {
        let url = url.as_str().to_owned();
        self.run(move |db| {
            let query = "SELECT msn_reserved, discontinuity_sequence, origin, target_duration_seconds
                FROM hls_positions WHERE url = ?1";
            db.query_row(query, [url], |row| {
                let origin: String = row.get(2)?;
                Ok(HlsPosition {
                    msn_reserved: row.get::<_, i64>(0)?.cast_unsigned(),
                    discontinuity_sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                    target_duration_seconds: row.get(3)?,
                    origin: origin.parse().map_err(|error: jiff::Error| {
                        rusqlite::Error::FromSqlConversionFailure(
                            2,
                            rusqlite::types::Type::Text,
                            Box::new(error),
                        )
                    })?,
                })
            })
            .optional()
        })
        .await
    }

    /// Keeps a stream's place. Sequence numbers never go back: of two writes the larger numbers stay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_hls_position(&self, url: &StreamUrl, position: &HlsPosition) -> Result<(), StoreError> {
        let (url, position) = (url.as_str().to_owned(), position.clone());
        let now = clock::wall().as_millisecond();
        self.run(move |db| {
            let insert = "INSERT INTO hls_positions
                (url, msn_reserved, discontinuity_sequence, origin, updated_unix_ms, target_duration_seconds)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT (url) DO UPDATE SET
                    msn_reserved = max(msn_reserved, excluded.msn_reserved),
                    discontinuity_sequence = max(discontinuity_sequence, excluded.discontinuity_sequence),
                    origin = excluded.origin,
                    target_duration_seconds = excluded.target_duration_seconds,
                    updated_unix_ms = excluded.updated_unix_ms";
            db.prepare_cached(insert)?.execute(params![
                url,
                position.msn_reserved.cast_signed(),
                position.discontinuity_sequence.cast_signed(),
                position.origin.to_string(),
                now,
                position.target_duration_seconds,
            ])?;
            let count: i64 = db.query_row("SELECT count(*) FROM hls_positions", [], |row| row.get(0))?;
            if count > POSITIONS_MAX {
                db.execute(
                    "DELETE FROM hls_positions WHERE url =
                        (SELECT url FROM hls_positions ORDER BY updated_unix_ms LIMIT 1)",
                    [],
                )?;
            }
            Ok(())
        })
        .await
    }
}
