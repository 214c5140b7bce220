//! `/status/{app}/{stream}` and its feed: what widgets ask for. Public, from any page.

use super::Shared;
use super::answer::{Refused, ok};
use super::live::feed;
use crate::status::status as status_of;
use api::status::{STATUS_EVENT, StreamStatus};
use api::{Problem, ProblemCode};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use media::StreamUrl;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How often a feed looks for a change: what is live is known to the data plane alone, which tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What the path ends with when the feed is asked for.
const FEED_SUFFIX: &str = "/events";

struct Watcher {
    shared: Shared,
    name: StreamUrl,
    told: Option<StreamStatus>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn status(State(shared): State<Shared>, OriginalUri(uri): OriginalUri) -> Response {
    let mut response = match answer(shared, uri.path()) {
        Ok(response) => response,
        Err(refused) => refused.into_response(),
    };
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

pub(super) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn answer(shared: Shared, path: &str) -> Result<Response, Refused> {
    // The path as sent: a stream's name is percent-decoded once, by its own parser.
    let name = path.split_once("/status/").map_or("", |(_, name)| name);
    let feed_of = name.strip_suffix(FEED_SUFFIX).and_then(|name| name.parse::<StreamUrl>().ok());
    if let Some(name) = feed_of {
        return watch(shared, name);
    }
    let name: StreamUrl =
        name.parse().map_err(|why| Problem::new(ProblemCode::NotFound, format!("{why}")))?;
    let mut response = ok(&look(&shared, &name));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    Ok(response)
}

fn look(shared: &Shared, name: &StreamUrl) -> StreamStatus {
    let broadcast = shared.api.data_plane.broadcast(name);
    let stream = shared.api.streams.board().named(name.as_str());
    status_of(name, broadcast.as_ref(), stream.as_deref())
}

fn watch(shared: Shared, name: StreamUrl) -> Result<Response, Refused> {
    let Ok(place) = shared.status_readers.clone().try_acquire_owned() else {
        return Err(Problem::new(ProblemCode::Busy, "too many watch; ask now and then instead")
            .retry_after(10)
            .into());
    };
    let watcher = Watcher { shared, name, told: None, _place: place };
    Ok(feed(stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await;
        Some((Ok::<_, Infallible>(event), watcher))
    })))
}

impl Watcher {
    async fn next(&mut self) -> sse::Event {
        loop {
            let now = look(&self.shared, &self.name);
            if self.told.as_ref() != Some(&now) {
                let data = serde_json::to_string(&now).unwrap_or_default();
                self.told = Some(now);
                return sse::Event::default().event(STATUS_EVENT).data(data);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
