//! The claim desk as its neighbours know it: streams reserve and renew, the API shows and seizes.

use crate::claim_desk::{ActError, ClaimDesk, ClaimEvent, Refused};
use crate::clock;
use crate::events::Events;
use crate::grant::{Grant, GrantKey, TAKE_UP};
use crate::http_api::ClaimRegister;
use crate::hub::Hub;
use crate::streams::machine::{Claim, ClaimLoss};
use crate::streams::ports::{self, NoClaim, NotRenewed, Pending};
use crate::streams::spec::Spec;
use crate::streams::{ClaimNews, Streams};
use api::claims::{ClaimAction, ClaimGranted, ClaimRequest, ClaimView};
use api::problem::HolderView;
use api::{Problem, ProblemCode};
use claims::{ClaimId, ClaimKey, FencingToken, Holder, Label, OperatorError, RenewError, What};
use media::StreamUrl;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// Whom a started stream's workers publish as.
const STREAM: &str = "stream";
/// For how long a name is kept for an encoder that did not say, in seconds.
const RESERVE_SECONDS: u32 = 300;
/// The longest that a name is kept for an encoder that does not come, in seconds.
const RESERVE_SECONDS_MAX: u32 = 24 * 3_600;

/// The desk, and what is needed to write publish URLs.
pub(super) struct Claims {
    desk: ClaimDesk,
    grants: GrantKey,
    /// The RTMP `host:port` that everybody is told, if configured.
    advertise: String,
    rtmp: SocketAddr,
}

impl Claims {
    pub(super) fn new(desk: ClaimDesk, grants: GrantKey, advertise: String, rtmp: SocketAddr) -> Self {
        Self { desk, grants, advertise, rtmp }
    }

    fn rtmp_address(&self, reached_at: Option<&str>) -> String {
        if !self.advertise.is_empty() {
            return self.advertise.clone();
        }
        if !self.rtmp.ip().is_unspecified() {
            return self.rtmp.to_string();
        }
        format!("{}:{}", reached_at.unwrap_or("127.0.0.1"), self.rtmp.port())
    }
}

/// The holder that a stream is, whichever of its workers publishes.
fn stream_holder(id: Uuid, label: Label) -> Holder {
    let holder = Holder::new(STREAM, &id.to_string(), label.as_str());
    Holder { stream_id: Some(id), ..holder }
}

fn stream_label(name: &StreamUrl) -> Label {
    Label::new(&format!("stream {name}"))
}

fn publish_url(address: &str, name: &StreamUrl, grant: &Grant, key: &GrantKey) -> String {
    format!("rtmp://{address}/{}?grant={}", name.to_url_path(), grant.mint(key))
}

impl ports::Claims for Claims {
    fn reserve(&self, spec: &Spec, keep: Duration) -> Pending<Result<Claim, NoClaim>> {
        let desk = self.desk.clone();
        let key = ClaimKey::Ingest(spec.name.clone());
        let holder = stream_holder(spec.id, stream_label(&spec.name));
        Box::pin(async move {
            let reserved =
                desk.reserve(key, holder, keep).await.map_err(|refused| match refused.holder() {
                    Some((label, since)) if !refused.is_unavailable() => {
                        NoClaim::Held { holder: label.to_owned(), since }
                    }
                    _ => NoClaim::Unavailable(refused.description()),
                })?;
            Ok(Claim { id: reserved.claim_id.get(), token: reserved.token.get() })
        })
    }

    fn renew(&self, claim: Claim, keep: Duration) -> Pending<Result<(), NotRenewed>> {
        let desk = self.desk.clone();
        Box::pin(async move {
            match desk.renew(ClaimId(claim.id), keep).await {
                Ok(_) => Ok(()),
                Err(Some(RenewError::Seized)) => Err(NotRenewed::Gone(ClaimLoss::Seized)),
                Err(Some(_)) => Err(NotRenewed::Gone(ClaimLoss::Expired)),
                Err(None) => Err(NotRenewed::Unavailable),
            }
        })
    }

    fn release(&self, claim: Claim) -> Pending<()> {
        let desk = self.desk.clone();
        Box::pin(async move {
            desk.release(ClaimId(claim.id), "the stream ended").await;
        })
    }

    fn publish_url(&self, spec: &Spec, claim: Claim, address: &str) -> String {
        let grant = Grant {
            claim_id: ClaimId(claim.id),
            url: spec.name.clone(),
            principal: STREAM.into(),
            instance: spec.id.to_string(),
            label: stream_label(&spec.name),
            stream_id: Some(spec.id),
            expires: clock::wall() + TAKE_UP,
        };
        publish_url(address, &spec.name, &grant, &self.grants)
    }
}

impl ClaimRegister for Claims {
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
        let desk = self.desk.clone();
        let key = self.grants.clone();
        let address = self.rtmp_address(reached_at.as_deref());
        let principal = principal.to_owned();
        Box::pin(async move {
            let name: StreamUrl =
                request.name.parse().map_err(|why| Problem::field("name", format!("{why}")))?;
            let seconds = request.reserve_seconds.unwrap_or(RESERVE_SECONDS);
            if seconds == 0 || seconds > RESERVE_SECONDS_MAX {
                let why = format!("it takes 1 to {RESERVE_SECONDS_MAX} seconds");
                return Err(Problem::field("reserve_seconds", why));
            }
            let label = Label::new(&request.label);
            // Each request is an encoder of its own: who has the URL with its grant is that encoder.
            let instance = Uuid::new_v4().to_string();
            let holder = Holder::new(&principal, &instance, label.as_str());
            let keep = Duration::from_secs(seconds.into());
            let reserved = desk.reserve(ClaimKey::Ingest(name.clone()), holder, keep).await;
            let reserved = reserved.map_err(|refused| held(&name, &refused))?;
            let expires = clock::wall() + keep.max(TAKE_UP);
            let grant = Grant {
                claim_id: reserved.claim_id,
                url: name,
                principal,
                instance,
                label,
                stream_id: None,
                expires,
            };
            let publish_url = publish_url(&address, &grant.url, &grant, &key);
            Ok(ClaimGranted { claim: reserved.view, publish_url })
        })
    }

    fn renew(&self, id: Uuid) -> Pending<Result<ClaimView, Problem>> {
        let desk = self.desk.clone();
        Box::pin(async move {
            let keep = Duration::from_secs(RESERVE_SECONDS.into());
            match desk.renew(ClaimId(id), keep).await {
                Ok(_) => desk.find(ClaimId(id)).await.ok_or_else(gone),
                Err(Some(_)) => Err(gone()),
                Err(None) => Err(unavailable()),
            }
        })
    }

    fn release(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>> {
        let desk = self.desk.clone();
        let operator = operator.to_owned();
        Box::pin(async move {
            let expected = FencingToken::new(action.expected_token);
            desk.release_by(ClaimId(id), expected, &operator, &action.reason).await.map_err(not_done)
        })
    }

    fn seize(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>> {
        let desk = self.desk.clone();
        let operator = operator.to_owned();
        Box::pin(async move {
            let expected = FencingToken::new(action.expected_token);
            desk.seize(ClaimId(id), expected, &operator, &action.reason).await.map_err(not_done)
        })
    }
}

fn held(name: &StreamUrl, refused: &Refused) -> Problem {
    let Some((label, since)) = refused.holder().filter(|_| !refused.is_unavailable()) else {
        return unavailable();
    };
    let detail =
        format!("{name} is held by {label} since {since:.0}; end that first, or choose another name");
    let holder = HolderView { label: label.to_owned(), since: format!("{since:.0}") };
    let holder = Some(Box::new(holder));
    Problem { holder, ..Problem::new(ProblemCode::ClaimHeld, detail) }
}

fn gone() -> Problem {
    Problem::new(ProblemCode::NotFound, "this claim has ended; GET /api/v1/claims lists those that are held")
}

fn unavailable() -> Problem {
    Problem::new(ProblemCode::StoreUnavailable, "claims cannot be decided now; try again").retry_after(2)
}

fn not_done(error: ActError) -> Problem {
    match error {
        ActError::Operator(OperatorError::Unknown) => gone(),
        ActError::Operator(stale) => {
            Problem::new(ProblemCode::StaleToken, format!("{stale}; look again before you act"))
        }
        ActError::Unavailable => unavailable(),
    }
}

/// Carries the desk's events to whom they concern: streams, live events, and broadcasts whose claim is over.
pub(super) async fn follow(
    desk: ClaimDesk,
    hub: Hub,
    streams: Streams,
    events: Events,
    stop: CancellationToken,
) {
    let mut changes = desk.events();
    loop {
        let event = tokio::select! {
            event = changes.recv() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Ok(event) => pass_on(&event, &hub, &streams, &events).await,
            Err(RecvError::Lagged(missed)) => {
                warn!(
                    missed,
                    "claim events came faster than they could be passed on; broadcasts are compared anew"
                );
                for broadcast in hub.all() {
                    let key = ClaimKey::Ingest(broadcast.url().clone());
                    if !desk.list().await.iter().any(|row| row.key == key.to_string()) {
                        hub.end(broadcast.url(), broadcast.token());
                    }
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn pass_on(event: &ClaimEvent, hub: &Hub, streams: &Streams, events: &Events) {
    events.publish(event.to_api());
    if let Some(stream) = event.stream_id
        && let Some(news) = news(event)
    {
        streams.claim_news(stream, news).await;
    }
    let is_over = matches!(event.what, What::Released | What::Expired | What::Seized) && event.row.is_none();
    if let (true, ClaimKey::Ingest(url), Some(token)) = (is_over, &event.key, event.token) {
        hub.end(url, token.get());
    }
}

/// What a change means for the stream that holds the claim.
fn news(event: &ClaimEvent) -> Option<ClaimNews> {
    match event.what {
        What::Live => Some(ClaimNews::Live),
        What::Lingering => Some(ClaimNews::Lost),
        What::Seized => Some(ClaimNews::Gone(ClaimLoss::Seized)),
        What::Released => Some(ClaimNews::Gone(ClaimLoss::Released)),
        What::Expired => Some(ClaimNews::Gone(ClaimLoss::Expired)),
        What::Granted | What::Resumed | What::Displaced | What::Refused | What::Blocked | What::Unblocked => {
            None
        }
    }
}
