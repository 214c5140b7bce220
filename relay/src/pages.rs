//! The pages and the player, from inside the binary.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

/// What the bundler made of `relay/web`; empty if it was not run before this binary was built.
#[derive(rust_embed::RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Files;

/// The headers of a page.
#[derive(Clone)]
struct Policy {
    /// For widgets, which others embed.
    widget: HeaderValue,
    /// For operator pages, which nobody may embed.
    operator: HeaderValue,
}

/// Nothing from elsewhere, nothing inline. hls.js feeds the player through `blob:` URLs.
const SOURCES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                       media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; \
                       form-action 'none'";

fn policy(frame_ancestors: &str) -> Policy {
    let widget = HeaderValue::from_str(&format!("{SOURCES}; frame-ancestors {frame_ancestors}"));
    let operator = HeaderValue::from_str(&format!("{SOURCES}; frame-ancestors 'none'"));
    let strict = HeaderValue::from_static("default-src 'none'");
    Policy { widget: widget.unwrap_or_else(|_| strict.clone()), operator: operator.unwrap_or(strict) }
}

/// The pages that anybody may see: widgets, the demonstration call, and their assets.
pub fn public(frame_ancestors: &str) -> Router {
    let policy = Arc::new(policy(frame_ancestors));
    Router::new()
        .route("/widget/{page}", get(widget))
        .route("/call", get(call))
        .route("/assets/{*path}", get(asset))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .with_state(policy)
}

/// The operators' page.
pub fn operator(frame_ancestors: &str) -> Router {
    Router::new().route("/", get(desk)).with_state(Arc::new(policy(frame_ancestors)))
}

async fn desk(State(policy): State<Arc<Policy>>) -> Response<Body> {
    page("operator.html", &policy.operator)
}

async fn call(State(policy): State<Arc<Policy>>) -> Response<Body> {
    page("call.html", &policy.widget)
}

async fn widget(State(policy): State<Arc<Policy>>, Path(name): Path<String>) -> Response<Body> {
    match name.as_str() {
        "preview" | "official" | "countdown" => page(&format!("{name}.html"), &policy.widget),
        _ => (StatusCode::NOT_FOUND, "There is no such widget; there is /widget/preview.\n").into_response(),
    }
}

fn page(name: &str, policy: &HeaderValue) -> Response<Body> {
    let Some(file) = Files::get(name) else {
        let why = "This relay was built without its pages. Run `make web`, then build it again.\n";
        return (StatusCode::NOT_FOUND, why).into_response();
    };
    let mut response = Response::new(Body::from(file.data));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Assets carry a hash of their content in their names, so they never change.
async fn asset(Path(path): Path<String>) -> Response<Body> {
    let Some(file) = Files::get(&format!("assets/{path}")) else {
        return (StatusCode::NOT_FOUND, "There is no such asset.\n").into_response();
    };
    let mut response = Response::new(Body::from(file.data));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(file.metadata.mimetype()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
