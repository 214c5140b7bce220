//! Pushes that hooks asked for: `302 Location: rtmp://…` sends a stream there as well.
//!
//! They are pushes like those of a started stream, each with the claim on its target, and last as long as the claim on
//! the stream: a publisher that comes back in time finds its push connected. The next publisher's hook decides anew.

use super::Redirect;
use crate::claim_desk::{ClaimDesk, ClaimEvent};
use crate::streams::Target;
use crate::streams::ports::{PushOrder, Pushes as Port};
use api::claims::{ClaimKind, ClaimState};
use claims::ClaimKey;
use media::StreamUrl;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// All of them. Cloning shares them.
#[derive(Clone)]
pub struct HookPushes {
    pushes: Arc<dyn Port>,
    rows: Arc<Mutex<HashMap<StreamUrl, Row>>>,
}

/// Bounded by the broadcasts that there are.
struct Row {
    /// Under which the pushes are kept; no stream that a bot started has it.
    id: Uuid,
    /// The fencing token of the publisher whose hook asked for it.
    token: u64,
    target: Target,
}

impl HookPushes {
    /// None yet.
    #[must_use]
    pub fn new(pushes: Arc<dyn Port>) -> Self {
        Self { pushes, rows: Arc::default() }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<StreamUrl, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publisher was let in, and its stream is to be pushed there, or nowhere by a hook's doing.
    pub fn set(&self, url: &StreamUrl, token: u64, redirect: Option<Redirect>) {
        let target = match redirect {
            Some(Redirect::Push(target)) => target,
            Some(Redirect::Rename(_)) | None => return self.end(url, token),
        };
        let mut rows = self.rows();
        let former = rows.get(url);
        if former.is_some_and(|row| row.token > token) {
            return;
        }
        let id = former.map_or_else(Uuid::new_v4, |row| row.id);
        info!(%url, target = %target.url(), "a hook has the stream pushed to a target");
        rows.insert(url.clone(), Row { id, token, target: target.clone() });
        let order = PushOrder {
            name: url.clone(),
            label: format!("hook for {url}"),
            targets: vec![target],
            written_since: Some(token),
        };
        self.pushes.set(id, Some(order));
    }

    /// The claim of this token is over, and no other follows on it.
    pub fn end(&self, url: &StreamUrl, token: u64) {
        let mut rows = self.rows();
        if rows.get(url).is_some_and(|row| row.token <= token)
            && let Some(row) = rows.remove(url)
        {
            info!(%url, target = %row.target.url(), "the push that a hook asked for ends");
            self.pushes.set(row.id, None);
        }
    }

    /// Ends them with the claims of their streams, until told to stop.
    pub async fn follow(self, desk: ClaimDesk, stop: CancellationToken) {
        let mut changes = desk.events();
        loop {
            let event = tokio::select! {
                event = changes.recv() => event,
                () = stop.cancelled() => return,
            };
            match event {
                Ok(event) => self.note(&event),
                Err(RecvError::Lagged(missed)) => {
                    warn!(
                        missed,
                        "claim events came faster than pushes of hooks could follow; all are compared"
                    );
                    self.compare(&desk).await;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn note(&self, event: &ClaimEvent) {
        // While another holds the key, its own hook decides.
        let is_free = event.row.as_ref().is_none_or(|row| row.state == ClaimState::Blocked);
        if let (true, true, ClaimKey::Ingest(url), Some(token)) =
            (event.ends_claim(), is_free, &event.key, event.token)
        {
            self.end(url, token.get());
        }
    }

    async fn compare(&self, desk: &ClaimDesk) {
        let there: Vec<_> = self.rows().iter().map(|(url, row)| (url.clone(), row.token)).collect();
        let claims = desk.list().await;
        if claims.is_empty() {
            return; // or the desk does not answer
        }
        let is_held =
            |row: &&api::claims::ClaimView| row.kind == ClaimKind::Ingest && row.state != ClaimState::Blocked;
        let held: HashSet<_> = claims.iter().filter(is_held).map(|row| row.key.as_str()).collect();
        for (url, token) in there {
            if !held.contains(url.as_str()) {
                self.end(&url, token);
            }
        }
    }
}
