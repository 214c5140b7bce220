//! What hooks say of a publisher that has the claim.

use super::{Admission, HeldClaim, PublishAttempt, Refused};
use crate::access::Query;
use crate::claim_desk::{Brought, HolderOrder};
use crate::hooks::{Denied, Redirect, Visit, Visitor, Welcome};
use crate::metrics::RefusedFor;
use claims::{ClaimId, Holder};
use media::StreamUrl;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// A publisher that its hooks let in.
pub(super) struct Vetted {
    /// The stream: another of the application where the hook renamed it.
    pub(super) url: StreamUrl,
    pub(super) claim: HeldClaim,
    pub(super) orders: mpsc::Receiver<HolderOrder>,
    pub(super) visit: Visit,
    pub(super) redirect: Option<Redirect>,
}

impl Admission {
    pub(super) async fn vet(
        &self,
        attempt: PublishAttempt,
        url: StreamUrl,
        query: &Query,
        holder: Holder,
        under: Option<ClaimId>,
        claimed: (HeldClaim, mpsc::Receiver<HolderOrder>),
    ) -> Result<Vetted, Refused> {
        let (claim, mut orders) = claimed;
        let visitor = Visitor {
            url: url.clone(),
            address: attempt.peer.map(|peer| peer.ip().to_canonical()),
            connection: attempt.connection,
            client: attempt.client,
            arguments: self.arguments(&url, query),
            principal: holder.principal.clone(),
            instance: holder.instance.clone(),
        };
        let asked = self.hooks.ask_publish(visitor);
        tokio::pin!(asked);
        let Welcome { visit, redirect } = loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    // It is we who let the publisher wait; it is not dead for sending nothing.
                    Some(HolderOrder::Probe) => claim.answer_probe(),
                    Some(HolderOrder::Disconnect { why }) => return Err(Refused::new(RefusedFor::Held, why)),
                    None => {
                        let why = "This publication has ended before it began";
                        return Err(Refused::new(RefusedFor::Held, why));
                    }
                },
                answer = &mut asked => match answer {
                    Ok(welcome) => break welcome,
                    Err(Denied(why)) => {
                        claim.finish();
                        return Err(Refused::new(RefusedFor::Hook, why));
                    }
                },
            }
        };
        let Some(Redirect::Rename(name)) = &redirect else {
            return Ok(Vetted { url, claim, orders, visit, redirect });
        };
        if under.is_some() {
            warn!(%url, "a hook renamed a stream whose name is in its grant; it keeps that");
            return Ok(Vetted { url, claim, orders, visit, redirect: None });
        }
        let renamed: StreamUrl = format!("{}/{name}", url.app())
            .parse()
            .map_err(|_| Refused::new(RefusedFor::Name, "The name that this stream was given is too long"))?;
        if renamed == url {
            return Ok(Vetted { url, claim, orders, visit, redirect: None });
        }
        info!(%url, %renamed, "a hook gave the stream another name");
        let (new_claim, orders) = self
            .claim(
                &renamed,
                &holder,
                Brought { timing: self.timings.of(renamed.app()), ..Brought::default() },
            )
            .await?;
        claim.finish();
        Ok(Vetted { url: renamed, claim: new_claim, orders, visit, redirect: None })
    }

    /// The parameters of a peer's URL that hooks are told: those that are not secrets between it and this relay.
    pub(super) fn arguments(&self, url: &StreamUrl, query: &Query) -> Vec<(String, String)> {
        let pairs = query.pairs().filter(|(name, value)| !self.access.is_our_secret(url.app(), name, value));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
