//! `/webhooks`.

use super::Shared;
use super::answer::ok;
use super::request::{Allowed, Seeing};
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

pub(super) async fn list(State(shared): State<Shared>, _: Allowed<Seeing>) -> Response {
    ok(&json!({ "webhooks": shared.api.webhooks.views() }))
}
