//! A fake publisher: it brings the grant of a publish URL to the real claim desk, and says that media comes.

use super::Relay;
use crate::claim_desk::{Admitted, ClaimDesk};
use crate::clock;
use crate::grant::Grant;
use claims::ClaimKey;

pub(super) struct FakePublisher {
    desk: ClaimDesk,
    admitted: Admitted,
}

impl FakePublisher {
    /// Publishes as the worker of an incarnation would.
    pub(super) async fn publish(relay: &Relay, publish_url: &str, incarnation: u32) -> Result<Self, String> {
        let text = publish_url.split_once("grant=").expect("a grant").1;
        let grant = Grant::verify(&relay.grants, text, clock::wall()).unwrap();
        let (key, holder) = (ClaimKey::Ingest(grant.url.clone()), grant.holder(incarnation));
        let desk = relay.desk.clone();
        let admitted = desk.publish_under(grant.claim_id, key, holder).await;
        let admitted = admitted.map_err(|refused| refused.description())?;
        admitted.liveness.media(clock::now());
        Ok(Self { desk, admitted })
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.admitted.liveness.is_fenced()
    }

    /// Its connection breaks.
    pub(super) fn vanish(self) {
        self.desk.lost(self.admitted.token);
    }
}
