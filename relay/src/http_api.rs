//! The HTTP API: `/api/v1/…` as in the public contract, `/api/docs` for people.
//!
//! Handlers parse, ask the one who knows, and word the answer; nothing is decided here. Every refusal is a problem
//! (RFC 9457), whatever it is: a bad path, a bad method, a bad body. Every body is bounded, every wait has an end.

mod answer;
mod claims;
mod docs;
mod live;
mod recorders;
mod request;
mod status;
mod streams;
mod tokens;
mod webhooks;

#[cfg(test)]
mod tests;

use crate::auth::{Guard, TokenRecord, Tokens};
use crate::events::Events;
use crate::streams::Streams;
use crate::streams::ports::{NotStored, Pending};
use crate::webhooks::Webhooks;
use answer::Refused;
use api::claim_events::{ClaimEvents, ClaimEventsQuery};
use api::claims::{BlockRequest, ClaimAction, ClaimGranted, ClaimRequest, ClaimView, UnblockRequest};
use api::streams::BroadcastView;
use api::targets::TargetView;
use api::{Problem, ProblemCode};
use axum::Router;
use axum::routing::{delete, get, post};
use media::StreamUrl;
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How many readers of live events there may be; one more is answered `busy`.
const EVENT_READERS_MAX: usize = 256;
/// How many widgets may keep a feed of a status open; one more is answered `busy` and asks now and then instead.
const STATUS_READERS_MAX: usize = 8192;

/// What the data plane tells of itself. Answers at once, from what is already known.
pub trait DataPlane: Send + Sync + 'static {
    /// Everything that is live or lingers.
    fn broadcasts(&self) -> Vec<BroadcastView>;
    /// One broadcast.
    fn broadcast(&self, name: &StreamUrl) -> Option<BroadcastView>;
    /// All pushes to targets.
    fn targets(&self) -> Vec<TargetView>;
}

/// The claims, as operators and encoders' owners use them. Each answer comes within a bounded time.
pub trait ClaimRegister: Send + Sync + 'static {
    /// All of them.
    fn list(&self) -> Pending<Vec<ClaimView>>;
    /// Keeps a name for an encoder. `reached_at` is the host under which its owner reached this relay.
    fn request(
        &self,
        principal: &str,
        request: ClaimRequest,
        reached_at: Option<String>,
    ) -> Pending<Result<ClaimGranted, Problem>>;
    /// Keeps a name a while longer.
    fn renew(&self, id: Uuid) -> Pending<Result<ClaimView, Problem>>;
    /// Ends a claim.
    fn release(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>>;
    /// Takes a claim from its holder.
    fn seize(&self, id: Uuid, operator: &str, action: ClaimAction) -> Pending<Result<(), Problem>>;
    /// Lets nobody take a name for a time.
    fn block(&self, operator: &str, request: BlockRequest) -> Pending<Result<(), Problem>>;
    /// Lifts all blocks of a name.
    fn unblock(&self, operator: &str, request: UnblockRequest) -> Pending<Result<(), Problem>>;
    /// A page of what happened to one key, or to all.
    fn history(&self, query: ClaimEventsQuery) -> Pending<Result<ClaimEvents, Problem>>;
    /// A page of what happened to one claim, ended or not, and to its key meanwhile.
    fn history_of(&self, id: Uuid, query: ClaimEventsQuery) -> Pending<Result<ClaimEvents, Problem>>;
}

/// Where tokens are kept.
pub trait TokenStore: Send + Sync + 'static {
    /// Makes a record durable.
    fn add(&self, record: TokenRecord) -> Pending<Result<(), NotStored>>;
}

/// What the API is made of. Cloning shares it.
#[derive(Clone)]
pub struct Api {
    /// All streams and recorders.
    pub streams: Streams,
    /// Live events.
    pub events: Events,
    /// All claims.
    pub claims: Arc<dyn ClaimRegister>,
    /// What is live.
    pub data_plane: Arc<dyn DataPlane>,
    /// Who is told what happens.
    pub webhooks: Webhooks,
    /// Who may do what.
    pub tokens: Tokens,
    /// Where new tokens are kept.
    pub token_store: Arc<dyn TokenStore>,
    /// The names under which browsers may reach it without a token.
    pub guard: Guard,
}

#[derive(Clone)]
struct Shared {
    api: Api,
    event_readers: Arc<Semaphore>,
    status_readers: Arc<Semaphore>,
}

impl Shared {
    fn new(api: Api) -> Self {
        Self {
            api,
            event_readers: Arc::new(Semaphore::new(EVENT_READERS_MAX)),
            status_readers: Arc::new(Semaphore::new(STATUS_READERS_MAX)),
        }
    }
}

/// Every route of the API: method and path. The description must have them all, and the router no others.
#[cfg(test)]
const ROUTES: [(&str, &str); 27] = [
    ("get", "/streams"),
    ("post", "/streams"),
    ("get", "/streams/{id}"),
    ("delete", "/streams/{id}"),
    ("post", "/streams/{id}/targets"),
    ("delete", "/streams/{id}/targets/{index}"),
    ("get", "/claims"),
    ("post", "/claims"),
    ("get", "/claims/events"),
    ("post", "/claims/block"),
    ("post", "/claims/unblock"),
    ("get", "/claims/{id}"),
    ("get", "/claims/{id}/events"),
    ("post", "/claims/{id}/renew"),
    ("post", "/claims/{id}/release"),
    ("post", "/claims/{id}/seize"),
    ("get", "/recorders"),
    ("post", "/recorders/{id}/drain"),
    ("get", "/recorders/connect"),
    ("get", "/targets"),
    ("get", "/webhooks"),
    ("get", "/broadcasts"),
    ("post", "/tokens"),
    ("get", "/events"),
    ("get", "/status/{app}/{stream}"),
    ("get", "/status/{app}/{stream}/events"),
    ("get", "/openapi.json"),
];

/// Everything below `/api`, status for widgets included. Needs the peer's address as `ConnectInfo<SocketAddr>`.
pub fn router(api: Api) -> Router {
    let shared = Shared::new(api);
    let v1 = Router::new()
        .route("/streams", get(streams::list).post(streams::start))
        .route("/streams/{id}", get(streams::show).delete(streams::stop))
        .route("/streams/{id}/targets", post(streams::add_target))
        .route("/streams/{id}/targets/{index}", delete(streams::remove_target))
        .route("/claims", get(claims::list).post(claims::request))
        .route("/claims/events", get(claims::history))
        .route("/claims/block", post(claims::block))
        .route("/claims/unblock", post(claims::unblock))
        .route("/claims/{id}", get(claims::show))
        .route("/claims/{id}/events", get(claims::history_of))
        .route("/claims/{id}/renew", post(claims::renew))
        .route("/claims/{id}/release", post(claims::release))
        .route("/claims/{id}/seize", post(claims::seize))
        .route("/recorders", get(recorders::list))
        .route("/recorders/connect", get(recorders::connect))
        .route("/recorders/{id}/drain", post(recorders::drain))
        .route("/targets", get(streams::targets))
        .route("/webhooks", get(webhooks::list))
        .route("/broadcasts", get(streams::broadcasts))
        .route("/tokens", post(tokens::mint))
        .route("/events", get(live::events))
        .route("/status/{*path}", get(status::status).options(status::preflight))
        .route("/openapi.json", get(docs::openapi));
    with_problems(Router::new().nest("/api/v1", v1).merge(docs::router())).with_state(shared)
}

/// Only what viewers need: the status of streams. For the public address when the API has an address of its own.
pub fn public_router(api: Api) -> Router {
    let v1 = Router::new().route("/status/{*path}", get(status::status).options(status::preflight));
    with_problems(Router::new().nest("/api/v1", v1)).with_state(Shared::new(api))
}

/// Unknown paths below `/api` and wrong methods are problems too; other paths are left to whoever is merged with us.
fn with_problems(router: Router<Shared>) -> Router<Shared> {
    router
        .route("/api", axum::routing::any(nothing_here))
        .route("/api/{*rest}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
}

async fn nothing_here() -> Refused {
    Refused(Problem::new(ProblemCode::NotFound, "no such path; /api/docs lists all of them"))
}

async fn wrong_method() -> Refused {
    Refused(Problem::new(ProblemCode::MethodNotAllowed, "see /api/docs for the methods of this path"))
}
