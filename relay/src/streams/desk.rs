//! The claim desk in the words of streams and of the API.

use super::ClaimNews;
use super::machine::{Claim, ClaimLoss};
use super::ports::{Claims, NoClaim, NotRenewed, Pending};
use super::rtmp_address::RtmpAddress;
use super::spec::Spec;
use crate::claim_desk::{ActError, ClaimDesk, ClaimEvent, Refused};
use crate::clock;
use crate::grant::{Grant, GrantKey, TAKE_UP};
use crate::http_api::ClaimRegister;
use ::claims::{ClaimId, ClaimKey, FencingToken, Holder, OperatorError, RenewError, What};
use api::claim_events::{ClaimEvents, ClaimEventsQuery};
use api::claims::{
    BLOCK_SECONDS, BlockRequest, ClaimAction, ClaimGranted, ClaimRequest, ClaimView, HandoverGranted,
    UnblockRequest,
};
use api::problem::HolderView;
use api::{Problem, ProblemCode};
use jiff::{SignedDuration, Timestamp};
use media::StreamUrl;
use std::time::Duration;
use uuid::Uuid;

/// Whom streams publish as; their instance is the stream's id.
const PRINCIPAL: &str = "stream";
/// How long a name is kept for an encoder that did not say how long.
const KEEP_SECONDS: u32 = 300;

/// The claim desk, for streams and for the API. Cloning shares it.
#[derive(Clone)]
pub struct DeskClaims {
    desk: ClaimDesk,
    grants: GrantKey,
    rtmp: RtmpAddress,
}

/// For how long a handover ticket may be used: [`claims::Rules::ticket`].
const HANDOVER_SECONDS: u32 = 30;

impl DeskClaims {
    /// Over a desk that runs.
    #[must_use]
    pub const fn new(desk: ClaimDesk, grants: GrantKey, rtmp: RtmpAddress) -> Self {
        Self { desk, grants, rtmp }
    }
}

fn stream_holder(id: Uuid, label: &str) -> Holder {
    Holder { stream_id: Some(id), ..Holder::new(PRINCIPAL, id.to_string(), label) }
}

/// `kept` is how long the name is kept for the holder, who may come as late as that.
fn publish_url(
    grants: &GrantKey,
    address: &str,
    url: &StreamUrl,
    claim: ClaimId,
    holder: Holder,
    kept: Duration,
) -> String {
    let lasts = SignedDuration::try_from(kept.max(TAKE_UP)).unwrap_or_default();
    let grant = Grant {
        claim_id: claim,
        url: url.clone(),
        principal: holder.principal,
        instance: holder.instance.unwrap_or_default(),
        label: holder.label,
        stream_id: holder.stream_id,
        expires: clock::wall().checked_add(lasts).unwrap_or(Timestamp::MAX),
    };
    format!("rtmp://{address}/{}?grant={}", url.to_url_path(), grant.mint(grants))
}

impl Claims for DeskClaims {
    fn reserve(&self, spec: &Spec, keep: Duration) -> Pending<Result<Claim, NoClaim>> {
        let desk = self.desk.clone();
        let (key, holder) = (ClaimKey::Ingest(spec.name.clone()), stream_holder(spec.id, &spec.label()));
        Box::pin(async move {
            match desk.reserve(key, holder, keep).await {
                Ok(reserved) => Ok(Claim { id: reserved.claim_id.get(), token: reserved.token.get() }),
                Err(refused) if refused.is_unavailable() => Err(NoClaim::Unavailable(refused.description())),
                Err(refused) => {
                    let (holder, since) = holder_of(&refused);
                    Err(NoClaim::Held { holder, since })
                }
            }
        })
    }

    fn renew(&self, claim: Claim, keep: Duration) -> Pending<Result<(), NotRenewed>> {
        let desk = self.desk.clone();
        Box::pin(async move {
            match desk.renew(ClaimId::new(claim.id), keep).await {
                Ok(_) => Ok(()),
                Err(Some(RenewError::Seized)) => Err(NotRenewed::Gone(ClaimLoss::Seized)),
                Err(Some(RenewError::Unknown)) => Err(NotRenewed::Gone(ClaimLoss::Expired)),
                Err(None) => Err(NotRenewed::Unavailable),
            }
        })
    }

    fn release(&self, claim: Claim) -> Pending<()> {
        let desk = self.desk.clone();
        Box::pin(async move {
            desk.release(ClaimId::new(claim.id), "the stream is over").await;
        })
    }

    fn publish_url(&self, spec: &Spec, claim: Claim, address: &str) -> String {
        let holder = stream_holder(spec.id, &spec.label());
        publish_url(&self.grants, address, &spec.name, ClaimId::new(claim.id), holder, TAKE_UP)
    }
}

/// Who holds what was refused; a block has no holder but the operator who set it.
fn holder_of(refused: &Refused) -> (String, Timestamp) {
    let (label, since) = refused.holder().unwrap_or(("an operator's block", clock::wall()));
    (label.to_owned(), since)
}

impl ClaimRegister for DeskClaims {
    fn list(&self) -> Pending<Vec<ClaimView>> {
        let desk = self.desk.clone();
        Box::pin(async move { desk.list().await })
    }

    fn request(
        &self,
        principal: &str,
        request: ClaimRequest,
        reached_at: Option<String>,
    ) -> Pending<Result<ClaimGranted, Problem>> {
        let this = self.clone();
        // Each asking is a holder of its own; whoever has the URL that it gets is that holder.
        let holder = Holder::new(principal, Uuid::new_v4().to_string(), &request.label);
        Box::pin(async move {
            let url: StreamUrl =
                request.name.parse().map_err(|why| Problem::field("name", format!("{why}")))?;
            let keep = Duration::from_secs(request.reserve_seconds.unwrap_or(KEEP_SECONDS).into());
            let key = ClaimKey::Ingest(url.clone());
            let reserved = this.desk.reserve(key, holder.clone(), keep).await;
            let reserved = reserved.map_err(|refused| refusal(&url, &refused))?;
            let address = this.rtmp.seen_from(reached_at.as_deref());
            let publish_url = publish_url(&this.grants, &address, &url, reserved.claim_id, holder, keep);
            Ok(ClaimGranted { claim: reserved.view, publish_url })
        })
    }

    fn hand_over(&self, id: Uuid, reached_at: Option<String>) -> Pending<Result<HandoverGranted, Problem>> {
        let this = self.clone();
        Box::pin(async move {
            let none = |why: &str| Problem::new(ProblemCode::NotFound, why);
            let claim = this.desk.find(ClaimId::new(id)).await;
            let claim = claim.ok_or_else(|| none("no claim has this id; it may have ended"))?;
            if let Some(relay) = claim.relay {
                return Err(none(&format!("the claim's publisher is at relay {relay}; ask there")));
            }
            let url: StreamUrl =
                claim.key.parse().map_err(|_| none("a target is handed over by removing and adding it"))?;
            let ticket = this.desk.hand_over(FencingToken::new(claim.token)).await;
            let ticket =
                ticket.ok_or_else(|| none("the claim has no publisher now; anybody who may can follow"))?;
            let address = this.rtmp.seen_from(reached_at.as_deref());
            let publish_url = format!("rtmp://{address}/{}?handover={}", url.to_url_path(), ticket.expose());
            Ok(HandoverGranted { publish_url, seconds: HANDOVER_SECONDS })
        })
    }

    fn renew(&self, id: Uuid) -> Pending<Result<ClaimView, Problem>> {
        let desk = self.desk.clone();
        Box::pin(async move {
            let gone = || Problem::new(ProblemCode::NotFound, "the claim has ended, or another has it");
            let claim = ClaimId::new(id);
            let keep = Duration::from_secs(KEEP_SECONDS.into());
            match desk.renew(claim, keep).await {
                Ok(_) => desk.find(claim).await.ok_or_else(gone),
                Err(Some(RenewError::Unknown | RenewError::Seized)) => Err(gone()),
                Err(None) => Err(unavailable()),
            }
        })
    }

    fn release(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>> {
        let (desk, operator) = (self.desk.clone(), operator.to_owned());
        Box::pin(async move {
            let token = FencingToken::new(action.expected_token);
            let done = desk.release_by(ClaimId::new(id), token, &operator, &action.reason).await;
            done.map_err(|error| refused_act(&error))
        })
    }

    fn block(&self, operator: &str, request: BlockRequest) -> Pending<Result<(), Problem>> {
        let (desk, operator) = (self.desk.clone(), operator.to_owned());
        Box::pin(async move {
            let lasts = Duration::from_secs(request.seconds.unwrap_or(BLOCK_SECONDS).into());
            let blocked = desk.block(ingest(&request.name)?, &operator, &request.reason, lasts).await;
            blocked.map_err(|error| refused_act(&error))
        })
    }

    fn unblock(&self, operator: &str, request: UnblockRequest) -> Pending<Result<(), Problem>> {
        let (desk, operator) = (self.desk.clone(), operator.to_owned());
        Box::pin(async move {
            let key = ingest(&request.name)?;
            match desk.unblock(key.clone(), &operator, &request.reason).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Problem::new(ProblemCode::NotFound, format!("{key} is not blocked"))),
                Err(error) => Err(refused_act(&error)),
            }
        })
    }

    fn history(&self, query: ClaimEventsQuery) -> Pending<Result<ClaimEvents, Problem>> {
        let desk = self.desk.clone();
        Box::pin(async move { desk.history(query).await.map_err(|_| unreadable()) })
    }

    fn history_of(&self, id: Uuid, query: ClaimEventsQuery) -> Pending<Result<ClaimEvents, Problem>> {
        let desk = self.desk.clone();
        Box::pin(async move {
            let page = desk.history_of(ClaimId::new(id), &query).await.map_err(|_| unreadable())?;
            let unknown = "no claim has had this id as long as the history is kept";
            page.ok_or_else(|| Problem::new(ProblemCode::NotFound, unknown))
        })
    }

    fn seize(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>> {
        let (desk, operator) = (self.desk.clone(), operator.to_owned());
        Box::pin(async move {
            let token = FencingToken::new(action.expected_token);
            let done = desk.seize(ClaimId::new(id), token, &operator, &action.reason).await;
            done.map_err(|error| refused_act(&error))
        })
    }
}

fn unavailable() -> Problem {
    Problem::new(ProblemCode::StoreUnavailable, "claims cannot be changed now").retry_after(5)
}

fn unreadable() -> Problem {
    Problem::new(ProblemCode::StoreUnavailable, "the history cannot be read now").retry_after(5)
}

fn ingest(name: &str) -> Result<ClaimKey, Problem> {
    let url = name.parse::<StreamUrl>().map_err(|why| Problem::field("name", why.to_string()))?;
    Ok(ClaimKey::Ingest(url))
}

fn refusal(url: &StreamUrl, refused: &Refused) -> Problem {
    if refused.is_unavailable() {
        return Problem::new(ProblemCode::StoreUnavailable, refused.description()).retry_after(5);
    }
    let (label, since) = holder_of(refused);
    let why = format!("{url} is held by {label} since {since}");
    let holder = Box::new(HolderView { label, since: since.to_string() });
    Problem { holder: Some(holder), ..Problem::new(ProblemCode::ClaimHeld, why) }
}

fn refused_act(error: &ActError) -> Problem {
    match error {
        ActError::Operator(OperatorError::Unknown) => {
            Problem::new(ProblemCode::NotFound, "no claim has this id; it may have ended")
        }
        ActError::Operator(error @ OperatorError::Stale { .. }) => {
            Problem::new(ProblemCode::StaleToken, error.to_string())
        }
        ActError::Unavailable => unavailable(),
    }
}

/// What a change at the desk means for the stream that holds the claim, or held it.
#[must_use]
pub fn claim_news(change: &ClaimEvent) -> Option<ClaimNews> {
    let gone = |loss| change.ends_claim().then_some(ClaimNews::Gone(loss));
    match change.what {
        What::Live => Some(ClaimNews::Live),
        What::Lingering => Some(ClaimNews::Lost),
        What::Seized => gone(ClaimLoss::Seized),
        What::Released => gone(ClaimLoss::Released),
        What::Displaced | What::Expired => gone(ClaimLoss::Expired),
        What::Granted | What::Resumed | What::Refused | What::Blocked | What::Unblocked => None,
    }
}
