//! Who may play, decided before a player gets its first byte.

use super::Admission;
use crate::access::{Asker, Denied, Query};
use crate::clock;
use crate::hooks::{ClientWords, Denied as Refusal, Redirect, Visit, Visitor, Welcome};
use crate::hub::{Broadcast, Hub};
use media::StreamUrl;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::warn;
use uuid::Uuid;

/// What a peer sent with `play`.
#[derive(Clone)]
pub struct PlayAttempt {
    /// The application as sent, with its query.
    pub app: String,
    /// The stream name as sent, with its query. May hold a token: never printed.
    pub name: String,
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
    /// Its connection.
    pub connection: Uuid,
    /// What it said about itself.
    pub client: ClientWords,
}

/// A player that may read.
pub struct PlayAdmitted {
    /// What it plays.
    pub broadcast: Arc<Broadcast>,
    /// What hooks know of it; dropping it tells them of its end.
    pub visit: Visit,
}

/// Why a player gets nothing; prints what it is told: plain, without addresses or keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayRefused {
    /// There is nothing of that name.
    #[error("No such stream is live here")]
    NotLive,
    /// It may not.
    #[error("{0}")]
    Denied(String),
}

impl Admission {
    /// Decides about one player.
    ///
    /// # Errors
    /// [`PlayRefused`] is what to tell the peer.
    pub async fn decide_play(&self, attempt: PlayAttempt, hub: &Hub) -> Result<PlayAdmitted, PlayRefused> {
        let url = StreamUrl::from_rtmp(&attempt.app, &attempt.name).map_err(|_| PlayRefused::NotLive)?;
        let query = Query::of(&attempt.app, &attempt.name);
        let address = attempt.peer.map(|peer| peer.ip().to_canonical());
        // First, so that a stranger does not learn what is live.
        let asker = Asker { url: &url, query: &query, address };
        let denied = |why: &str| PlayRefused::Denied(why.to_owned());
        self.access.may_play(asker, clock::wall()).map_err(|Denied(why)| denied(why))?;
        // A hook is asked about what can be played alone.
        hub.find(&url).ok_or(PlayRefused::NotLive)?;
        let shown = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        let visitor = Visitor {
            address,
            connection: attempt.connection,
            client: attempt.client,
            arguments: self.arguments(&url, &query),
            principal: format!("player at {shown}"),
            instance: None,
            url: url.clone(),
        };
        let Welcome { visit, redirect } =
            self.hooks.ask_play(visitor).await.map_err(|Refusal(why)| denied(why))?;
        let url = match redirect {
            None => url,
            Some(Redirect::Rename(name)) => {
                format!("{}/{name}", url.app()).parse().map_err(|_| PlayRefused::NotLive)?
            }
            Some(Redirect::Push(_)) => {
                warn!(%url, "on_play redirected to an RTMP URL, which is not pulled; the stream itself is played");
                url
            }
        };
        let broadcast = hub.find(&url).ok_or(PlayRefused::NotLive)?;
        Ok(PlayAdmitted { broadcast, visit })
    }
}
