//! A typed client of the API over HTTP.
//!
//! Every request has a deadline and every answer a largest size; nothing is retried here, since only the caller knows
//! whether another try is wanted ([`ClientError::is_retryable`] helps). The token is in no error and no `Debug`.

mod error;
mod events;
mod sse;

pub use error::ClientError;
pub use events::Events;

use crate::claim_events::{ClaimEvents, ClaimEventsQuery};
use crate::claims::{
    BlockRequest, ClaimAction, ClaimGranted, ClaimRequest, ClaimView, HandoverGranted, UnblockRequest,
};
use crate::recorders::RecorderView;
use crate::streams::{BroadcastView, StartStream, StreamView};
use crate::targets::{AddTarget, TargetView};
use crate::tokens::{TokenMinted, TokenRequest};
use crate::{IDEMPOTENCY_KEY, PREFIX, Problem};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take, apart from the time that it asks the relay to wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the event stream may be silent, comments included, before it counts as lost. The relay sends a comment
/// at least every 15 seconds.
const EVENTS_SILENCE_MAX: Duration = Duration::from_secs(40);
/// The largest answer, in bytes; a larger one is an error.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A relay's API. Cloning shares its connections.
#[derive(Clone)]
pub struct Client {
    base: Url,
    token: Option<String>,
    requests: reqwest::Client,
    events: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client {{ {}, token: {} }}", self.base, if self.token.is_some() { "…" } else { "none" })
    }
}

#[derive(Deserialize)]
struct Streams {
    streams: Vec<StreamView>,
}

#[derive(Deserialize)]
struct Claims {
    claims: Vec<ClaimView>,
}

#[derive(Deserialize)]
struct Recorders {
    recorders: Vec<RecorderView>,
}

#[derive(Deserialize)]
struct Broadcasts {
    broadcasts: Vec<BroadcastView>,
}

#[derive(Deserialize)]
struct Targets {
    targets: Vec<TargetView>,
}

impl Client {
    /// A client of the relay at an `http` URL such as `http://127.0.0.1:8080`; a path in it is kept as a prefix.
    /// Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`] when it is no such URL, [`ClientError::Token`] when the token cannot be a header.
    pub fn new(base_url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let mut base = Url::parse(base_url).map_err(|_| ClientError::Url)?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !base.username().is_empty() {
            return Err(ClientError::Url);
        }
        base.set_query(None);
        base.set_fragment(None);
        if token.as_deref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ClientError::Token);
        }
        // No redirects: the token is for this relay alone.
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            base,
            token,
            requests: builder().timeout(REQUEST_TIMEOUT).build().map_err(ClientError::from_transport)?,
            events: builder()
                .read_timeout(EVENTS_SILENCE_MAX)
                .build()
                .map_err(ClientError::from_transport)?,
        })
    }

    /// Starts a stream. The same idempotency key with the same request gets the same stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::Problem`] with `claim_held`, `no_spare_recorder`, `invalid_field`, …; see [`ClientError`] for the
    /// others, here and below.
    pub async fn start_stream(
        &self,
        start: &StartStream,
        idempotency_key: &str,
    ) -> Result<StreamView, ClientError> {
        let wait = Duration::from_secs(start.wait_seconds.unwrap_or(0).into());
        let request = self.request(Method::POST, &["streams"]).header(IDEMPOTENCY_KEY, idempotency_key);
        read(request.timeout(REQUEST_TIMEOUT + wait).json(start)).await
    }

    /// One stream.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub async fn stream(&self, id: Uuid) -> Result<StreamView, ClientError> {
        read(self.request(Method::GET, &["streams", &id.to_string()])).await
    }

    /// All streams that the relay remembers.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn streams(&self) -> Result<Vec<StreamView>, ClientError> {
        let answer: Streams = read(self.request(Method::GET, &["streams"])).await?;
        Ok(answer.streams)
    }

    /// Asks for a stream's end; it is over when its state says `ended`.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub async fn stop_stream(&self, id: Uuid) -> Result<(), ClientError> {
        done(self.request(Method::DELETE, &["streams", &id.to_string()])).await
    }

    /// Has a stream pushed to one target more; one that it has already stays as it is.
    ///
    /// # Errors
    ///
    /// `not_found`, `invalid_field` or `stream_ended`.
    pub async fn add_target(&self, stream: Uuid, target: &AddTarget) -> Result<TargetView, ClientError> {
        let path = ["streams", &stream.to_string(), "targets"];
        read(self.request(Method::POST, &path).json(target)).await
    }

    /// Ends the push to one target of a stream; `index` is that of its row.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub async fn remove_target(&self, stream: Uuid, index: u32) -> Result<(), ClientError> {
        let path = ["streams", &stream.to_string(), "targets", &index.to_string()];
        done(self.request(Method::DELETE, &path)).await
    }

    /// All claims.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn claims(&self) -> Result<Vec<ClaimView>, ClientError> {
        let answer: Claims = read(self.request(Method::GET, &["claims"])).await?;
        Ok(answer.claims)
    }

    /// One claim.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub async fn claim(&self, id: Uuid) -> Result<ClaimView, ClientError> {
        read(self.request(Method::GET, &["claims", &id.to_string()])).await
    }

    /// Asks for a stream URL; the answer has the publish URL with its grant.
    ///
    /// # Errors
    ///
    /// `claim_held` names the holder.
    pub async fn request_claim(&self, request: &ClaimRequest) -> Result<ClaimGranted, ClientError> {
        read(self.request(Method::POST, &["claims"]).json(request)).await
    }

    /// A ticket with which another publisher may take over from a running one, within its time.
    ///
    /// # Errors
    ///
    /// `not_found` when the claim has no publisher here.
    pub async fn hand_over_claim(&self, id: Uuid) -> Result<HandoverGranted, ClientError> {
        read(self.request(Method::POST, &["claims", &id.to_string(), "handover"])).await
    }

    /// Ends a claim.
    ///
    /// # Errors
    ///
    /// `stale_token` when the claim has changed hands meanwhile.
    pub async fn release_claim(&self, id: Uuid, action: &ClaimAction) -> Result<(), ClientError> {
        done(self.request(Method::POST, &["claims", &id.to_string(), "release"]).json(action)).await
    }

    /// Takes a claim from its holder, whose publisher is cut off.
    ///
    /// # Errors
    ///
    /// `stale_token` when the claim has changed hands meanwhile.
    pub async fn seize_claim(&self, id: Uuid, action: &ClaimAction) -> Result<(), ClientError> {
        done(self.request(Method::POST, &["claims", &id.to_string(), "seize"]).json(action)).await
    }

    /// Lets nobody take a name for a time.
    ///
    /// # Errors
    ///
    /// `invalid_field`.
    pub async fn block_name(&self, request: &BlockRequest) -> Result<(), ClientError> {
        done(self.request(Method::POST, &["claims", "block"]).json(request)).await
    }

    /// Lifts all blocks of a name.
    ///
    /// # Errors
    ///
    /// `not_found` if there was none.
    pub async fn unblock_name(&self, request: &UnblockRequest) -> Result<(), ClientError> {
        done(self.request(Method::POST, &["claims", "unblock"]).json(request)).await
    }

    /// What happened, newest first.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn claim_events(&self, query: &ClaimEventsQuery) -> Result<ClaimEvents, ClientError> {
        read(self.request(Method::GET, &["claims", "events"]).query(query)).await
    }

    /// What happened to one claim, which may have ended, and to its key meanwhile; newest first.
    ///
    /// # Errors
    ///
    /// `not_found` if nobody remembers it.
    pub async fn events_of_claim(
        &self,
        id: Uuid,
        query: &ClaimEventsQuery,
    ) -> Result<ClaimEvents, ClientError> {
        read(self.request(Method::GET, &["claims", &id.to_string(), "events"]).query(query)).await
    }

    /// All recorders.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn recorders(&self) -> Result<Vec<RecorderView>, ClientError> {
        let answer: Recorders = read(self.request(Method::GET, &["recorders"])).await?;
        Ok(answer.recorders)
    }

    /// Gives a recorder no new streams; those that it carries go on.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub async fn drain_recorder(&self, name: &str) -> Result<(), ClientError> {
        done(self.request(Method::POST, &["recorders", name, "drain"])).await
    }

    /// What is live.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn broadcasts(&self) -> Result<Vec<BroadcastView>, ClientError> {
        let answer: Broadcasts = read(self.request(Method::GET, &["broadcasts"])).await?;
        Ok(answer.broadcasts)
    }

    /// All pushes to targets.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn targets(&self) -> Result<Vec<TargetView>, ClientError> {
        let answer: Targets = read(self.request(Method::GET, &["targets"])).await?;
        Ok(answer.targets)
    }

    /// Mints a token.
    ///
    /// # Errors
    ///
    /// `forbidden` without scope `operate`.
    pub async fn mint_token(&self, request: &TokenRequest) -> Result<TokenMinted, ClientError> {
        read(self.request(Method::POST, &["tokens"]).json(request)).await
    }

    /// The live events, beginning with a snapshot.
    ///
    /// # Errors
    ///
    /// When the stream of events cannot be opened; later losses come from [`Events::next`].
    pub async fn events(&self) -> Result<Events, ClientError> {
        let request = self.authorised(self.events.get(self.url(&["events"])));
        let response = request.header("Accept", "text/event-stream").send();
        let response = response.await.map_err(ClientError::from_transport)?;
        Ok(Events::new(successful(response).await?))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(PREFIX.split('/').filter(|part| !part.is_empty())).extend(path);
        }
        url
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.authorised(self.requests.request(method, self.url(path)))
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let response = request.send().await.map_err(ClientError::from_transport)?;
    let body = body(successful(response).await?).await?;
    serde_json::from_slice(&body).map_err(ClientError::Answer)
}

async fn done(request: RequestBuilder) -> Result<(), ClientError> {
    let response = request.send().await.map_err(ClientError::from_transport)?;
    successful(response).await.map(drop)
}

async fn successful(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = body(response).await?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(ClientError::Problem(Box::new(problem))),
        Err(_) => Err(ClientError::Status(status.as_u16())),
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ClientError::from_transport)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
