//! `/streams`, `/broadcasts`, `/targets`.

use super::Shared;
use super::answer::{Refused, ok, with_status};
use super::request::{Allowed, Id, Json, Seeing, SeeingStreams, Starting};
use crate::auth::Access;
use crate::streams::{Addition, StartKey};
use api::streams::{BroadcastView, StartStream, StreamView};
use api::targets::{AddTarget, TargetView};
use api::{IDEMPOTENCY_KEY, Problem, ProblemCode};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

pub(super) async fn start(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Starting>,
    headers: HeaderMap,
    Json(request): Json<StartStream>,
) -> Result<Response, Refused> {
    let key = idempotency_key(&headers, &access)?;
    let stream = shared.api.streams.start(key, request).await?;
    let location = format!("{}/streams/{}", api::PREFIX, stream.id);
    let mut response = with_status(StatusCode::CREATED, &stream);
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(axum::http::header::LOCATION, location);
    }
    Ok(response)
}

/// Keys of different principals never meet.
fn idempotency_key(headers: &HeaderMap, access: &Access) -> Result<Option<StartKey>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    match key {
        Some(key) => Ok(Some(StartKey { principal: access.principal.clone(), key: key.to_owned() })),
        None => Err(Problem::field(IDEMPOTENCY_KEY, "a key has 1 to 255 printable ASCII characters")),
    }
}

pub(super) async fn list(State(shared): State<Shared>, _: Allowed<SeeingStreams>) -> Response {
    ok(&json!({ "streams": all(&shared) }))
}

/// All streams, with what arrives on those that are live.
pub(super) fn all(shared: &Shared) -> Vec<StreamView> {
    let live: HashMap<_, _> =
        shared.api.data_plane.broadcasts().into_iter().map(|live| (live.name.clone(), live)).collect();
    let mut pushes: HashMap<_, Vec<TargetView>> = HashMap::new();
    for target in shared.api.data_plane.targets() {
        pushes.entry(target.stream_id).or_default().push(target);
    }
    let rows = shared.api.streams.board().streams();
    let row = |stream: &StreamView| {
        with_media(stream, live.get(&stream.name), pushes.remove(&stream.id).unwrap_or_default())
    };
    rows.iter().map(Arc::as_ref).map(row).collect()
}

/// The row with what arrives now and how its pushes are now, if it has any yet.
fn with_media(stream: &StreamView, broadcast: Option<&BroadcastView>, pushes: Vec<TargetView>) -> StreamView {
    let is_its_own = stream.live_since.is_some() && stream.end_reason.is_none();
    let media = broadcast.filter(|_| is_its_own).map(|broadcast| broadcast.media.clone());
    let targets = if pushes.is_empty() { stream.targets.clone() } else { pushes };
    StreamView { media, targets, ..stream.clone() }
}

pub(super) async fn show(
    State(shared): State<Shared>,
    _: Allowed<SeeingStreams>,
    Id(id): Id,
) -> Result<Response, Refused> {
    let Some(stream) = shared.api.streams.board().stream(id) else {
        return Err(
            Problem::new(ProblemCode::NotFound, "no stream has this id; it may have been forgotten").into()
        );
    };
    let broadcast = stream.name.parse().ok().and_then(|name| shared.api.data_plane.broadcast(&name));
    let mut pushes = shared.api.data_plane.targets();
    pushes.retain(|target| target.stream_id == id);
    Ok(ok(&with_media(&stream, broadcast.as_ref(), pushes)))
}

pub(super) async fn stop(
    State(shared): State<Shared>,
    _: Allowed<Starting>,
    Id(id): Id,
) -> Result<Response, Refused> {
    let stream = shared.api.streams.stop(id).await?;
    Ok(with_status(StatusCode::ACCEPTED, &stream))
}

pub(super) async fn add_target(
    State(shared): State<Shared>,
    _: Allowed<Starting>,
    Id(id): Id,
    Json(request): Json<AddTarget>,
) -> Result<Response, Refused> {
    let Addition { target, was_known } = shared.api.streams.add_target(id, &request.url).await?;
    let status = if was_known { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("{}/streams/{id}/targets/{}", api::PREFIX, target.index);
    let mut response = with_status(status, &target);
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(axum::http::header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn remove_target(
    State(shared): State<Shared>,
    _: Allowed<Starting>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refused> {
    let nothing =
        || Problem::new(ProblemCode::NotFound, "a stream's targets are named /streams/{id}/targets/{index}");
    let Path((id, number)) = path.map_err(|_| nothing())?;
    let (id, number) = id.parse().ok().zip(number.parse().ok()).ok_or_else(nothing)?;
    shared.api.streams.remove_target(id, number).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn broadcasts(State(shared): State<Shared>, _: Allowed<Seeing>) -> Response {
    ok(&json!({ "broadcasts": shared.api.data_plane.broadcasts() }))
}

pub(super) async fn targets(State(shared): State<Shared>, _: Allowed<Seeing>) -> Response {
    ok(&json!({ "targets": shared.api.data_plane.targets() }))
}
