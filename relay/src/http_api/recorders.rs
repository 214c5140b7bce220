//! `/recorders`.

use super::Shared;
use super::answer::{Refused, ok};
use super::request::{Allowed, Operating, Recording, Seeing, reached_at};
use crate::recorders::connection;
use api::{Problem, ProblemCode};
use axum::extract::rejection::PathRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

pub(super) async fn list(State(shared): State<Shared>, _: Allowed<Seeing>) -> Response {
    ok(&json!({ "recorders": shared.api.streams.board().recorders() }))
}

pub(super) async fn drain(
    State(shared): State<Shared>,
    _: Allowed<Operating>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refused> {
    let Path(name) = name.map_err(|_| Problem::new(ProblemCode::NotFound, "no recorder has this name"))?;
    shared.api.streams.drain_recorder(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn connect(
    State(shared): State<Shared>,
    _: Allowed<Recording>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade
        .map_err(|why| Problem::new(ProblemCode::Malformed, format!("this path takes a WebSocket: {why}")))?;
    Ok(connection::accept(upgrade, shared.api.streams.clone(), reached_at(&headers)))
}
