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
        // A hook is asked about what can be played alone.
        hub.find(&url).ok_or_else(|| NOT_LIVE.to_owned())?;
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
            self.hooks.ask_play(visitor).await.map_err(|Refusal(why)| why.to_owned())?;
        let url = match redirect {
            None => url,
            Some(Redirect::Rename(name)) => {
                format!("{}/{name}", url.app()).parse().map_err(|_| NOT_LIVE.to_owned())?
            }
            Some(Redirect::Push(_)) => {
                warn!(%url, "on_play redirected to an RTMP URL, which is not pulled; the stream itself is played");
                url
            }
        };
        let broadcast = hub.find(&url).ok_or_else(|| NOT_LIVE.to_owned())?;
        Ok(PlayAdmitted { broadcast, visit })
    }
}
