//! `/events`: a snapshot, then every change; a reader that falls behind gets a snapshot again.

use super::Shared;
use super::answer::Refused;
use super::request::{Allowed, Seeing};
use super::streams::all;
use api::events::Event;
use api::{Problem, ProblemCode};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often a silent feed says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

struct Reader {
    shared: Shared,
    changes: Receiver<Arc<Event>>,
    wants_snapshot: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(State(shared): State<Shared>, _: Allowed<Seeing>) -> Result<Response, Refused> {
    let Ok(place) = shared.event_readers.clone().try_acquire_owned() else {
        return Err(Problem::new(ProblemCode::Busy, "too many read the events already")
            .retry_after(10)
            .into());
    };
    // Subscribed before the snapshot is taken: what changes in between comes twice rather than never.
    let changes = shared.api.events.subscribe();
    let reader = Reader { shared, changes, wants_snapshot: true, _place: place };
    Ok(feed(stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })))
}

impl Reader {
    async fn next(&mut self) -> Option<Result<sse::Event, Infallible>> {
        if !self.wants_snapshot {
            match self.changes.recv().await {
                Ok(event) => return Some(Ok(worded(&event))),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        self.wants_snapshot = false;
        let api = &self.shared.api;
        let snapshot = Event::Snapshot {
            streams: all(&self.shared),
            broadcasts: api.data_plane.broadcasts(),
            claims: api.claims.list().await,
            recorders: api.streams.board().recorders(),
            targets: api.data_plane.targets(),
        };
        Some(Ok(worded(&snapshot)))
    }
}

fn worded(event: &Event) -> sse::Event {
    // JSON has no raw line breaks, so it is one `data` line.
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().event(event.name()).data(data)
}

/// A feed with its heartbeat, that no proxy holds back.
pub(super) fn feed<S>(events: S) -> Response
where
    S: stream::Stream<Item = Result<sse::Event, Infallible>> + Send + 'static,
{
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
