//! Pushes of a publication: where its application sends all of them, and where its hook asked for, as
//! `302 Location: rtmp://…`.
//!
//! They are pushes like those of a started stream, each with the claim on its target, and last as long as the claim on
//! the stream: a publisher that comes back in time finds its pushes connected. The next publisher's hook decides anew.

use crate::claim_desk::{ClaimDesk, ClaimEvent};
use crate::config::App;
use crate::store::PUSH_SEED_BYTES;
use crate::streams::ports::{PushOrder, Pushes as Port};
use crate::streams::{Target, Targets};
use api::claims::{ClaimKind, ClaimState};
use claims::ClaimKey;
use media::StreamUrl;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// All of them. Cloning shares them.
#[derive(Clone)]
pub struct PublicationPushes {
    apps: Arc<[App]>,
    seed: [u8; PUSH_SEED_BYTES],
    pushes: Arc<dyn Port>,
    rows: Arc<Mutex<HashMap<StreamUrl, Row>>>,
}

/// Bounded by the broadcasts that there are.
struct Row {
    /// The fencing token of the newest publisher.
    token: u64,
    targets: Targets,
}

impl PublicationPushes {
    /// None yet.
    #[must_use]
    pub fn new(apps: &[App], seed: [u8; PUSH_SEED_BYTES], pushes: Arc<dyn Port>) -> Self {
        Self { apps: apps.into(), seed, pushes, rows: Arc::default() }
    }

    /// Under which the pushes of a publication are kept and hold their targets: no stream that a bot started has it, and
    /// it is the same after a restart.
    fn id(&self, url: &StreamUrl) -> Uuid {
        let digest = Sha256::new().chain_update(self.seed).chain_update(url.as_str()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<StreamUrl, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publisher was let in. Its stream goes where its application says, and to this target if its hook named one.
    pub fn begin(&self, url: &StreamUrl, token: u64, by_hook: Option<Target>) {
        let targets: Targets = self.configured(url).chain(by_hook).collect();
        if targets.is_empty() {
            return self.end(url, token);
        }
        let mut rows = self.rows();
        if rows.get(url).is_some_and(|row| row.token > token) {
            return;
        }
        info!(%url, ?targets, "the publication is pushed to targets");
        let targets = match rows.remove(url) {
            Some(mut former) => {
                former.targets.replace(targets);
                former.targets
            }
            None => targets,
        };
        rows.insert(url.clone(), Row { token, targets: targets.clone() });
        let label = format!("push of {url}");
        let order = PushOrder { name: url.clone(), label, targets, written_since: Some(token) };
        self.pushes.set(self.id(url), Some(order));
    }

    /// Where the application sends all of its publications.
    fn configured<'a>(&'a self, url: &'a StreamUrl) -> impl Iterator<Item = Target> + 'a {
        let rule = self.apps.iter().find(|rule| rule.is_for(url.app()));
        rule.into_iter().flat_map(|rule| &rule.push).filter_map(move |template| match template.target(url) {
            Ok(target) => Some(target),
            Err(why) => {
                warn!(%url, ?template, %why, "this publication cannot be pushed there");
                None
            }
        })
    }

    /// The claim of this token is over, and no other follows on it.
    pub fn end(&self, url: &StreamUrl, token: u64) {
        let mut rows = self.rows();
        if rows.get(url).is_some_and(|row| row.token <= token) && rows.remove(url).is_some() {
            info!(%url, "the pushes of the publication end");
            self.pushes.set(self.id(url), None);
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
                    warn!(missed, "claim events came faster than pushes could follow; all are compared");
                    self.compare(&desk).await;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn note(&self, event: &ClaimEvent) {
        // While another holds the key, its own admission decides.
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
