//! `/claims`.

use super::Shared;
use super::answer::{Refused, ok, with_status};
use super::request::{Allowed, Id, Json, Operating, Seeing, Starting, reached_at};
use api::claim_events::{ClaimEventsQuery, PAGE_MAX};
use api::claims::{BLOCK_SECONDS_MAX, BlockRequest, ClaimAction, ClaimRequest, UnblockRequest};
use api::{Problem, ProblemCode};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 500;
/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 48;
/// The longest that a name is kept for an encoder that has not come, in seconds: a day.
const RESERVE_SECONDS_MAX: u32 = 24 * 3600;

pub(super) async fn list(State(shared): State<Shared>, _: Allowed<Seeing>) -> Response {
    ok(&json!({ "claims": shared.api.claims.list().await }))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    _: Allowed<Seeing>,
    Id(id): Id,
) -> Result<Response, Refused> {
    let claims = shared.api.claims.list().await;
    match claims.iter().find(|claim| claim.id == id) {
        Some(claim) => Ok(ok(claim)),
        None => Err(Problem::new(ProblemCode::NotFound, "no claim has this id; it may have ended").into()),
    }
}

pub(super) async fn request(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Starting>,
    headers: HeaderMap,
    Json(request): Json<ClaimRequest>,
) -> Result<Response, Refused> {
    request.name.parse::<media::StreamUrl>().map_err(|why| Problem::field("name", why.to_string()))?;
    let label = request.label.trim();
    if label.is_empty() || label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
        let why = format!("a label has 1 to {LABEL_BYTES_MAX} printable characters");
        return Err(Problem::field("label", why).into());
    }
    if request.reserve_seconds.is_some_and(|seconds| seconds == 0 || seconds > RESERVE_SECONDS_MAX) {
        let why = format!("a name is kept for 1 to {RESERVE_SECONDS_MAX} seconds");
        return Err(Problem::field("reserve_seconds", why).into());
    }
    let granted = shared.api.claims.request(&access.principal, request, reached_at(&headers)).await?;
    Ok(with_status(StatusCode::CREATED, &granted))
}

pub(super) async fn renew(
    State(shared): State<Shared>,
    _: Allowed<Starting>,
    Id(id): Id,
) -> Result<Response, Refused> {
    Ok(ok(&shared.api.claims.renew(id).await?))
}

pub(super) async fn hand_over(
    State(shared): State<Shared>,
    _: Allowed<Operating>,
    headers: HeaderMap,
    Id(id): Id,
) -> Result<Response, Refused> {
    Ok(with_status(StatusCode::CREATED, &shared.api.claims.hand_over(id, reached_at(&headers)).await?))
}

pub(super) async fn release(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Operating>,
    Id(id): Id,
    Json(action): Json<ClaimAction>,
) -> Result<StatusCode, Refused> {
    check_reason(&action.reason)?;
    shared.api.claims.release(id, &access.label, action).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn seize(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Operating>,
    Id(id): Id,
    Json(action): Json<ClaimAction>,
) -> Result<StatusCode, Refused> {
    check_reason(&action.reason)?;
    shared.api.claims.seize(id, &access.label, action).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn block(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Operating>,
    Json(request): Json<BlockRequest>,
) -> Result<StatusCode, Refused> {
    check_reason(&request.reason)?;
    if request.seconds.is_some_and(|seconds| seconds == 0 || seconds > BLOCK_SECONDS_MAX) {
        let why = format!("a name is blocked for 1 to {BLOCK_SECONDS_MAX} seconds");
        return Err(Problem::field("seconds", why).into());
    }
    shared.api.claims.block(&access.label, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unblock(
    State(shared): State<Shared>,
    Allowed { access, .. }: Allowed<Operating>,
    Json(request): Json<UnblockRequest>,
) -> Result<StatusCode, Refused> {
    check_reason(&request.reason)?;
    shared.api.claims.unblock(&access.label, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn history(
    State(shared): State<Shared>,
    _: Allowed<Seeing>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = page_of(query.as_deref().unwrap_or_default())?;
    Ok(ok(&shared.api.claims.history(query).await?))
}

pub(super) async fn history_of(
    State(shared): State<Shared>,
    _: Allowed<Seeing>,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = page_of(query.as_deref().unwrap_or_default())?;
    if query.key.is_some() {
        return Err(Problem::field("key", "a claim has one key; ask /claims/events for another's").into());
    }
    Ok(ok(&shared.api.claims.history_of(id, query).await?))
}

/// The query of a history; the field at fault is named.
fn page_of(query: &str) -> Result<ClaimEventsQuery, Problem> {
    let mut wanted = ClaimEventsQuery::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "key" => wanted.key = Some(value.into_owned()),
            "since" => {
                let time = value.parse();
                wanted.since =
                    Some(time.map_err(|_| Problem::field("since", "a time as 2026-02-01T12:00:03Z"))?);
            }
            "before" => {
                let number = value.parse();
                wanted.before =
                    Some(number.map_err(|_| Problem::field("before", "the `next` of the page before"))?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                let why = || Problem::field("limit", format!("a page has 1 to {PAGE_MAX} entries"));
                wanted.limit = Some(limit.ok_or_else(why)?);
            }
            other => {
                let why = "there is no such parameter; key, since, before and limit are";
                return Err(Problem::field(other, why));
            }
        }
    }
    Ok(wanted)
}

fn check_reason(reason: &str) -> Result<(), Problem> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Problem::field("reason", "say why, in 1 to 500 characters; it is kept in the audit log"));
    }
    Ok(())
}
