//! Who may publish where, decided before anything else happens.
//!
//! The order is fixed: parse the name, apply the application's rule, check the grant, take the claim, ask the hooks; only
//! an admitted publisher gets a broadcast and its outputs. A refused one leaves a log line, a counter and a row in the claim's
//! list of refusals, nothing else.

mod play;
mod timings;
mod vetting;

pub use play::{PlayAdmitted, PlayAttempt, PlayRefused};
pub use timings::Timings;

use crate::access::{AccessRules, Asker, Denied, Named, PublishRight, Query};
use crate::claim_desk::{self, Brought, ClaimDesk, HolderOrder};
use crate::grant::{Grant, GrantError, GrantKey};
use crate::hooks::{ClientWords, Hooks, Redirect, Visit};
use crate::hub::{Broadcast, Hub, WriteError};
use crate::metrics::RefusedFor;
use crate::output::Outputs;
use crate::push::PublicationPushes;
use crate::{clock, hub};
use claims::{ClaimId, ClaimKey, FencingToken, Holder, Label, Ticket};
use media::StreamUrl;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What a peer sent with `publish`.
#[derive(Clone)]
pub struct PublishAttempt {
    /// The application as sent, with its query.
    pub app: String,
    /// The stream name as sent, with its query. May hold a grant: never printed.
    pub name: String,
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
    /// Its connection.
    pub connection: Uuid,
    /// What it said about itself.
    pub client: ClientWords,
}

/// Why a publisher is turned away.
#[derive(Debug)]
pub struct Refused {
    /// For the figures.
    pub reason: RefusedFor,
    /// For the peer: plain, at most 200 bytes, without addresses or keys.
    pub description: String,
}

impl Refused {
    fn new(reason: RefusedFor, description: impl Into<String>) -> Self {
        Self { reason, description: description.into() }
    }
}

/// A publisher that may write.
pub struct Admitted {
    /// Its claim; dropping it reports the publisher lost.
    pub claim: HeldClaim,
    /// Where it writes.
    pub broadcast: Arc<Broadcast>,
    /// What the desk tells it.
    pub orders: mpsc::Receiver<HolderOrder>,
    /// What hooks know of it; dropping it tells them of its end.
    pub visit: Visit,
}

/// The right to write, held by one connection.
pub struct HeldClaim {
    /// The fencing token to show with each write.
    pub token: FencingToken,
    desk: ClaimDesk,
    liveness: claim_desk::Liveness,
}

impl HeldClaim {
    /// Media came; cheap, and waits for nobody.
    pub fn saw_media(&self, now: Instant) {
        self.liveness.media(now);
    }

    /// The peer answered a ping.
    pub fn answer_probe(&self) {
        self.desk.pong(self.token);
    }

    /// The publisher said goodbye.
    pub fn finish(self) {
        self.desk.finish(self.token); // the drop that follows finds nothing to lose
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        self.desk.lost(self.token);
    }
}

/// Decides about publishers.
#[derive(Clone)]
pub struct Admission {
    /// The applications' rules.
    pub access: AccessRules,
    /// How long their claims live without media.
    pub timings: Timings,
    /// What grants are signed with.
    pub grants: GrantKey,
    /// Who holds which claim.
    pub desk: ClaimDesk,
    /// Who is asked about publishers and players.
    pub hooks: Hooks,
    /// Where publications are pushed.
    pub pushes: PublicationPushes,
}

impl Admission {
    /// Decides about one publisher; may take some seconds while a silent holder is asked whether it still lives.
    ///
    /// # Errors
    /// [`Refused`] with what to tell the peer.
    pub async fn decide(
        &self,
        attempt: PublishAttempt,
        hub: &Hub,
        outputs: &Outputs,
    ) -> Result<Admitted, Refused> {
        let url = StreamUrl::from_rtmp(&attempt.app, &attempt.name)
            .map_err(|error| Refused::new(RefusedFor::Name, format!("Bad stream name: {error}")))?;
        let named = self.access.named(url); // from here on the name is public
        let url = named.url.clone();
        let query = Query::of(&attempt.app, &attempt.name);
        let (holder, under) = self.authenticate(&attempt, named, &query).await?;
        if hub.find(&url).is_none() && hub.all().len() >= hub::BROADCASTS_MAX {
            return Err(Refused::new(
                RefusedFor::Unavailable,
                "This relay carries as many streams as it can",
            ));
        }
        let brought = Brought { only: under, ticket: ticket_in(&query)?, timing: self.timings.of(url.app()) };
        let keyframe_seconds = holder.stream_id.map(|_| KEYFRAME_SECONDS);
        let claimed = self.claim(&url, &holder, brought).await?;
        // From here on the claim is ours; whatever fails below gives it back by dropping this.
        let vetted = self.vet(attempt, url, &query, holder, under, claimed).await?;
        let vetting::Vetted { url, claim, orders, visit, redirect } = vetted;
        let token = claim.token;
        let broadcast = open_broadcast(hub, outputs, &url, token.get(), keyframe_seconds).await?;
        let by_hook = match redirect {
            Some(Redirect::Push(target)) => Some(target),
            Some(Redirect::Rename(_)) | None => None,
        };
        self.pushes.begin(&url, token.get(), by_hook);
        if claim.liveness.is_fenced() {
            // The claim ended while the broadcast was prepared, and its end found nothing to end.
            hub.end(&url, token.get());
            self.pushes.end(&url, token.get());
            return Err(Refused::new(RefusedFor::Held, "This publication has ended before it began"));
        }
        Ok(Admitted { claim, broadcast, orders, visit })
    }

    async fn claim(
        &self,
        url: &StreamUrl,
        holder: &Holder,
        brought: Brought,
    ) -> Result<(HeldClaim, mpsc::Receiver<HolderOrder>), Refused> {
        let key = ClaimKey::Ingest(url.clone());
        let granted = self.desk.publish_with(key, holder.clone(), brought).await;
        let granted = granted.map_err(|refused| {
            let reason = if refused.is_unavailable() { RefusedFor::Unavailable } else { RefusedFor::Held };
            Refused::new(reason, refused.description())
        })?;
        let claim = HeldClaim { token: granted.token, desk: self.desk.clone(), liveness: granted.liveness };
        Ok((claim, granted.orders))
    }

    async fn authenticate(
        &self,
        attempt: &PublishAttempt,
        named: Named,
        query: &Query,
    ) -> Result<Identity, Refused> {
        let Named { url, by } = named;
        let denied = |Denied(why)| Refused::new(RefusedFor::Access, why);
        let address = attempt.peer.map(|peer| peer.ip().to_canonical());
        self.access.may_publish_from(url.app(), address).map_err(denied)?;
        if let Some(text) = query.get("grant") {
            return self.holder_by_grant(text, query, &url).await;
        }
        let asker = Asker { url: &url, query, address };
        let right = self.access.may_publish(asker, by).map_err(denied)?;
        let holder = match right {
            PublishRight::Token(label) => holder_by_token(url.app(), &label, query),
            PublishRight::Anonymous => stranger(attempt.connection, address),
        };
        Ok((holder, None))
    }

    async fn holder_by_grant(&self, text: &str, query: &Query, url: &StreamUrl) -> Result<Identity, Refused> {
        let void =
            |why: &str| Refused::new(RefusedFor::Grant, format!("The grant in this publish URL {why}"));
        let grant = match Grant::verify(&self.grants, text, clock::wall()) {
            Ok(grant) => grant,
            // Past its time to be taken up, it still serves the claim that it once took up.
            Err(GrantError::Expired(grant)) if self.desk.is_held(grant.claim_id).await => *grant,
            Err(GrantError::Expired(_)) => return Err(void("has expired; ask the API for a new one")),
            Err(_) => return Err(void("is not one of this relay's; ask the API for one")),
        };
        if grant.url != *url {
            return Err(void("is for another stream URL"));
        }
        let incarnation = query.get("incarnation").map_or(Ok(1), str::parse);
        let incarnation = incarnation.map_err(|_| void("comes with an incarnation that is no number"))?;
        Ok((grant.holder(incarnation), Some(grant.claim_id)))
    }
}

/// The handover ticket in a publish URL (`handover=`). It only lets an authenticated publisher pass the holder.
fn ticket_in(query: &Query) -> Result<Option<Ticket>, Refused> {
    let Some(text) = query.get("handover") else { return Ok(None) };
    let secret = Uuid::try_parse(text).map_err(|_| {
        Refused::new(RefusedFor::Access, "The handover ticket in this publish URL is malformed; leave it out")
    })?;
    Ok(Some(Ticket::new(secret)))
}

/// The keyframe interval of every profile that a recorder encodes, in seconds: known, it need not be learned from the first
/// pictures, and viewers see them a second and a half sooner.
const KEYFRAME_SECONDS: u32 = 2;

/// How often a broadcast is opened for one publisher: the one that was there may end, with its former claim, at the
/// same moment. The one after it is new, so that a second time is enough.
const OPENINGS_MAX: usize = 3;

async fn open_broadcast(
    hub: &Hub,
    outputs: &Outputs,
    url: &StreamUrl,
    token: u64,
    keyframe_seconds: Option<u32>,
) -> Result<Arc<Broadcast>, Refused> {
    let unavailable =
        || Refused::new(RefusedFor::Unavailable, "This relay cannot take the stream now; try again shortly");
    for _ in 0..OPENINGS_MAX {
        let broadcast = outputs.broadcast(hub, url, token, keyframe_seconds).await.ok_or_else(unavailable)?;
        match broadcast.admit(token) {
            Ok(()) => return Ok(broadcast),
            Err(WriteError::Ended) => {}
            Err(error @ (WriteError::Stale { .. } | WriteError::Malformed(_))) => {
                return Err(Refused::new(RefusedFor::Held, error.to_string()));
            }
        }
    }
    Err(unavailable())
}

/// Who asks, and the claim that its grant names.
type Identity = (Holder, Option<ClaimId>);

/// The longest instance that a publisher may name, in bytes.
const INSTANCE_BYTES_MAX: usize = 64;

/// Its token says who it is; which of that one's publishers, it may say itself. Without, it never counts as one that
/// came back: two encoders may well have the same token.
fn holder_by_token(app: &str, label: &str, query: &Query) -> Holder {
    let instance = query.get("instance").filter(|text| !text.is_empty() && text.len() <= INSTANCE_BYTES_MAX);
    let holder = Holder::anonymous(Label::new(label));
    Holder { principal: format!("{app} token {label}"), instance: instance.map(str::to_owned), ..holder }
}

/// Nobody has proved who it is, so nobody can come back as the same: each connection is a holder of its own, and takes
/// over only from one that is dead.
fn stranger(connection: Uuid, address: Option<IpAddr>) -> Holder {
    let id = connection.simple().to_string();
    let holder = Holder::anonymous(Label::new(&format!("encoder {}", &id[..8])));
    // Never shown to anybody: repeated refusals of one address are answered later and later.
    let address = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    Holder { principal: format!("anonymous at {address}"), ..holder }
}
