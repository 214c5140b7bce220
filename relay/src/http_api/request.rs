//! What is read of a request before anything is done: who asks, and the body.

use super::Shared;
use super::answer::Refused;
use crate::auth::Access;
use api::tokens::Scope;
use api::{Problem, ProblemCode};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

/// The largest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// How much of a larger one is read and forgotten, so that its sender sees the answer.
const DISCARD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What proxies add.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// What a handler asks for.
pub(super) trait Needs {
    /// One of these scopes.
    const ANY_OF: &'static [Scope];
}

/// Starting and stopping.
pub(super) struct Starting;
impl Needs for Starting {
    const ANY_OF: &'static [Scope] = &[Scope::Start];
}

/// Seeing what one started, or everything.
pub(super) struct SeeingStreams;
impl Needs for SeeingStreams {
    const ANY_OF: &'static [Scope] = &[Scope::Start, Scope::View];
}

/// Seeing everything.
pub(super) struct Seeing;
impl Needs for Seeing {
    const ANY_OF: &'static [Scope] = &[Scope::View];
}

/// What operators do.
pub(super) struct Operating;
impl Needs for Operating {
    const ANY_OF: &'static [Scope] = &[Scope::Operate];
}

/// Carrying streams.
pub(super) struct Recording;
impl Needs for Recording {
    const ANY_OF: &'static [Scope] = &[Scope::Record];
}

/// Somebody who may do what the handler does.
pub(super) struct Allowed<N> {
    /// Who.
    pub(super) access: Access,
    _needs: PhantomData<N>,
}

impl<N: Needs> FromRequestParts<Shared> for Allowed<N> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        // Behind a proxy everybody seems to come from this machine.
        let is_forwarded = FORWARDED.iter().any(|name| parts.headers.contains_key(*name));
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().filter(|_| !is_forwarded);
        let peer = peer.map(|peer| peer.0.ip());
        let authorization = text(&parts.headers, &header::AUTHORIZATION);
        let has_token = parts.headers.contains_key(header::AUTHORIZATION);
        if has_token && authorization.is_none() {
            let why = "the Authorization header is not text";
            return Err(Problem::new(ProblemCode::Unauthenticated, why).into());
        }
        let access = shared.api.tokens.identify(peer, authorization)?;
        if !has_token {
            let upgrades = parts.headers.contains_key(header::UPGRADE);
            let changes = upgrades || !matches!(parts.method, Method::GET | Method::HEAD);
            let host = text(&parts.headers, &header::HOST);
            // An Origin that is not text is not ours.
            let origin = parts.headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
            shared.api.guard.check(host, origin, changes)?;
        }
        if access.may(N::ANY_OF) {
            return Ok(Self { access, _needs: PhantomData });
        }
        let wanted: Vec<_> = N::ANY_OF.iter().map(|scope| scope.as_str()).collect();
        let why = format!("this takes a token with the scope {}", wanted.join(" or "));
        Err(Problem::new(ProblemCode::Forbidden, why).into())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The host under which the sender reached us.
pub(super) fn reached_at(headers: &HeaderMap) -> Option<String> {
    let host = crate::auth::host_name(text(headers, &header::HOST)?);
    let is_plain = !host.is_empty() && host.len() <= 253 && !host.contains(['/', '@', '\\', ' ', '?', '#']);
    is_plain.then(|| host.to_owned())
}

/// An id in the path.
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<Shared> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, shared).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        // What is no id names nothing.
        id.map(Self).ok_or_else(|| Problem::new(ProblemCode::NotFound, "this is not an id").into())
    }
}

/// Reads some of a body that is too large and forgets it: were the connection closed with unread input, the sender would
/// see a reset instead of the answer.
async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let mut seen = 0;
    let reading = async {
        while let Some(Ok(piece)) = pieces.next().await {
            seen += piece.len();
            if seen > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WITHIN, reading).await; // past it the sender is not worth waiting for
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request<Body>, _: &Shared) -> Result<Self, Refused> {
        let too_large = || {
            let why = format!("a body has at most {BODY_BYTES_MAX} bytes");
            Problem::new(ProblemCode::TooLarge, why)
        };
        let told = text(request.headers(), &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        if told.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
            discard(request.into_body()).await;
            return Err(too_large().into());
        }
        let read = tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), BODY_BYTES_MAX + 1)).await;
        let malformed = |why: String| Refused(Problem::new(ProblemCode::Malformed, why));
        let body = match read {
            Err(_) => return Err(malformed("the body did not arrive in time".into())),
            // The connection broke, or the body went over the bound.
            Ok(Err(_)) => return Err(too_large().into()),
            Ok(Ok(body)) if body.len() > BODY_BYTES_MAX => return Err(too_large().into()),
            Ok(Ok(body)) => body,
        };
        if body.is_empty() {
            return Err(malformed("the body is empty; send a JSON object".into()));
        }
        let mut reader = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let field = error.path().to_string();
            let error = error.into_inner();
            // JSON that cannot be read has a place; JSON that says something unknown has a field. Both name line and
            // column.
            if error.is_data() && field != "." {
                Refused(Problem::field(&field, error.to_string()))
            } else {
                malformed(format!("the body: {error}"))
            }
        })?;
        reader.end().map_err(|error| malformed(format!("the body: {error}")))?;
        Ok(Self(value))
    }
}
