//! Who may play, decided before a player gets its first byte.

use super::Admission;
use crate::access::{Asker, Denied, Query};
use crate::clock;
use crate::hub::{Broadcast, Hub};
use media::StreamUrl;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a peer sent with `play`.
#[derive(Clone)]
pub struct PlayAttempt {
    /// The application as sent, with its query.
    pub app: String,
    /// The stream name as sent, with its query. May hold a token: never printed.
    pub name: String,
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
}

/// A player that may read.
pub struct PlayAdmitted {
    /// What it plays.
    pub broadcast: Arc<Broadcast>,
}

const NOT_LIVE: &str = "No such stream is live here";

impl Admission {
    /// Decides about one player.
    ///
    /// # Errors
    /// What to tell the peer: plain, without addresses or keys.
    pub async fn decide_play(&self, attempt: PlayAttempt, hub: &Hub) -> Result<PlayAdmitted, String> {
        let url = StreamUrl::from_rtmp(&attempt.app, &attempt.name).map_err(|_| NOT_LIVE.to_owned())?;
        let query = Query::of(&attempt.app, &attempt.name);
        let address = attempt.peer.map(|peer| peer.ip().to_canonical());
        // First, so that a stranger does not learn what is live.
        let asker = Asker { url: &url, query: &query, address };
        self.access.may_play(asker, clock::wall()).map_err(|Denied(why)| why.to_owned())?;
        let broadcast = hub.find(&url).ok_or_else(|| NOT_LIVE.to_owned())?;
        Ok(PlayAdmitted { broadcast })
    }
}
