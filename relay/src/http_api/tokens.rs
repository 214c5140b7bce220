//! `/tokens`.

use super::Shared;
use super::answer::{Refused, with_status};
use super::request::{Allowed, Json, Operating};
use crate::clock;
use api::tokens::TokenRequest;
use api::{Problem, ProblemCode};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::info;

pub(super) async fn mint(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Operating>,
    Json(request): Json<TokenRequest>,
) -> Result<Response, Refused> {
    let (minted, record) = shared.api.tokens.draw(clock::wall(), request)?;
    let unavailable = |why: String| Problem::new(ProblemCode::StoreUnavailable, why).retry_after(5);
    shared.api.token_store.add(record.clone()).await.map_err(|error| unavailable(error.to_string()))?;
    info!(token = %record.id, label = %record.label, scopes = ?record.scopes, by = %access.label, "token minted");
    shared.api.tokens.add(record);
    Ok(with_status(StatusCode::CREATED, &minted))
}
