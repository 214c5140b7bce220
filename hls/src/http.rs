//! An origin as HTTP: `{app}/{stream}/index.m3u8` and what it leads to.
//!
//! | path below the stream | what | cached |
//! |---|---|---|
//! | `index.m3u8` | multivariant playlist | half a target duration |
//! | `media.m3u8` | media playlist; `_HLS_msn`, `_HLS_part` and `_HLS_skip` as in RFC 8216bis §6.2.5 | plain: half a target; with `_HLS_msn`: six targets |
//! | `{token}/init-{n}.mp4`, `{token}/p{n}.m4s`, `{token}/s{n}.m4s` | media | for ever |
//!
//! Playlists are compressed where accepted. Every answer may be read by any page (CORS). Nothing is redirected.

mod answer;
mod path;
mod reload;

use crate::Origin;
use crate::live::{Live, Stage};
use answer::{Playlist, Refusal};
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use path::{Media, Resource};
use reload::Directives;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Shop {
    origin: Origin,
    now: fn() -> Instant,
}

/// Routes for everything in `origin`, to be nested where playback lives (such as `/hls`). `now` reads the clock for
/// the viewer estimate, which also needs `ConnectInfo<SocketAddr>` in the requests' extensions.
///
/// Answers 400 for directives that are malformed or too far ahead, 404 for what is unknown or has gone, and 503 with
/// `Retry-After` for what did not come in time or when too many wait.
pub fn router(origin: Origin, now: fn() -> Instant) -> Router {
    Router::new()
        .route("/{*path}", get(answer_get).options(answer::preflight))
        .with_state(Shop { origin, now })
        .layer(map_response(answer::open_to_all_pages))
}

async fn answer_get(State(shop): State<Shop>, request: Request) -> Result<Response, Refusal> {
    // Not axum's decoded path: a stream's name is decoded in one place only.
    let (stream, resource) = path::parse(request.uri().path()).ok_or(Refusal::NotFound)?;
    let live = shop.origin.find(&stream).ok_or(Refusal::NotFound)?;
    if matches!(resource, Resource::Media { .. }) {
        return shop.media(&live, &resource).await;
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        live.viewers().note((shop.now)(), *peer);
    }
    match resource {
        Resource::Multivariant => shop.multivariant(&live, request.headers()).await,
        _ => shop.playlist(&live, request.uri().query(), request.headers()).await,
    }
}

impl Shop {
    async fn multivariant(&self, live: &Live, headers: &HeaderMap) -> Result<Response, Refusal> {
        let snapshot = self.first_snapshot(live).await?;
        let target = snapshot.rules.target_duration;
        Ok(Playlist { body: &snapshot.multivariant, max_age_seconds: (target / 2).max(1) }.answer(headers))
    }

    async fn playlist(
        &self,
        live: &Live,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let mut snapshot = self.first_snapshot(live).await?;
        let directives = if snapshot.ended {
            Directives::default()
        } else {
            Directives::parse(query.unwrap_or_default()).ok_or(Refusal::BadDirectives)?
        };
        let target = snapshot.rules.target_duration;
        if let Some(msn) = directives.msn {
            use crate::snapshot::Readiness;
            match snapshot.readiness(msn, directives.part) {
                Readiness::Ready => {}
                Readiness::TooFarAhead => return Err(Refusal::TooFarAhead),
                Readiness::Wait => {
                    let is_ready = |stage: &Stage| match stage {
                        Stage::Published(now) => now.readiness(msn, directives.part) == Readiness::Ready,
                        Stage::Starting => false,
                        Stage::Gone => true,
                    };
                    let stage = self.wait(live, three_targets(target), is_ready).await?;
                    snapshot = published(stage)?;
                }
            }
        }
        let body = snapshot.delta.as_ref().filter(|_| directives.skip).unwrap_or(&snapshot.full);
        let max_age_seconds = if directives.msn.is_some() { 6 * target } else { (target / 2).max(1) };
        Ok(Playlist { body, max_age_seconds }.answer(headers))
    }

    async fn media(&self, live: &Live, resource: &Resource) -> Result<Response, Refusal> {
        let Resource::Media { token, media } = *resource else { return Err(Refusal::NotFound) };
        match media {
            Media::Init(number) => {
                live.window().init(token, number).map(answer::media).ok_or(Refusal::NotFound)
            }
            Media::Segment(msn) => {
                let parts = live.window().segment(token, msn);
                parts.map(answer::media_of_parts).ok_or(Refusal::NotFound)
            }
            Media::Part(number) => {
                let found = live.window().part(token, number);
                if let Some(bytes) = found {
                    return Ok(answer::media(bytes));
                }
                let Stage::Published(snapshot) = live.stage() else { return Err(Refusal::NotFound) };
                let is_hinted = !snapshot.ended && snapshot.hint == (token, number);
                // It may have come since we looked.
                if is_hinted {
                    let has_come = |stage: &Stage| match stage {
                        Stage::Published(now) => now.ended || now.hint != (token, number),
                        Stage::Starting => false,
                        Stage::Gone => true,
                    };
                    self.wait(live, three_targets(snapshot.rules.target_duration), has_come).await?;
                }
                live.window().part(token, number).map(answer::media).ok_or(Refusal::NotFound)
            }
        }
    }

    /// The current publication; before the first one, waits for it.
    async fn first_snapshot(
        &self,
        live: &Live,
    ) -> Result<std::sync::Arc<crate::snapshot::Snapshot>, Refusal> {
        let stage = live.stage();
        if !matches!(stage, Stage::Starting) {
            return published(stage);
        }
        let limit = self.origin.limits().first_playlist_wait;
        let stage = self.wait(live, limit, |stage| !matches!(stage, Stage::Starting)).await?;
        published(stage)
    }

    /// Waits until `is_ready`, among a bounded number of others.
    async fn wait(
        &self,
        live: &Live,
        limit: Duration,
        is_ready: impl Fn(&Stage) -> bool,
    ) -> Result<Stage, Refusal> {
        let limits = self.origin.limits();
        let _here = Place::take(&live.counters.waiters, limits.waiters_per_stream_max)?;
        let _in_all = Place::take(self.origin.waiters(), limits.waiters_max)?;
        let mut watch = live.watch();
        match tokio::time::timeout(limit, watch.wait_for(|stage| is_ready(stage))).await {
            Ok(Ok(stage)) => Ok(stage.clone()),
            Ok(Err(_)) => Err(Refusal::NotFound),
            Err(_) => Err(Refusal::NotInTime),
        }
    }
}

fn published(stage: Stage) -> Result<std::sync::Arc<crate::snapshot::Snapshot>, Refusal> {
    match stage {
        Stage::Published(snapshot) => Ok(snapshot),
        Stage::Starting => Err(Refusal::NotInTime),
        Stage::Gone => Err(Refusal::NotFound),
    }
}

/// How long a blocking request is held (RFC 8216bis §6.2.5.2).
fn three_targets(target_duration: u32) -> Duration {
    Duration::from_secs(3 * u64::from(target_duration))
}

/// One waiting request's place; given back when it is dropped, also where the client went away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(count: &'a AtomicUsize, max: usize) -> Result<Self, Refusal> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= max { Err(Refusal::TooMany) } else { Ok(place) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
