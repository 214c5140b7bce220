//! HTTP-FLV: `/flv/{app}/{stream}.flv` is a broadcast as one FLV file that does not end before it does (FLV 10.1 annex E).
//!
//! A player here is a player as by RTMP: the same admission with its access rules and hooks, the same ring with a start at
//! the newest keyframe, the same lag after which it is set forward. Messages go out as they came in, Enhanced RTMP's
//! among them. A tag is made once and shared by all; what waits for a slow reader is one batch of references and what
//! hyper and the kernel hold. Whoever takes nothing at all is closed by [`http_server`](crate::http_server).

use crate::admission::{Admission, PlayAdmitted, PlayAttempt, PlayRefused};
use crate::hooks::{ClientWords, Visit};
use crate::hub::{Batch, Hub, PlayerCount, PlayerKind, Subscriber};
use crate::metrics::Metrics;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use rtmp::MessageKind;
use rtmp::flv::{file_header, file_tag};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

/// How many messages a player is given at once.
const BATCH_ITEMS: usize = 64;
/// How much of a header field is told to hooks, in bytes.
const WORD_BYTES_MAX: usize = 256;

/// What all players share.
pub struct FlvServer {
    /// All broadcasts.
    pub hub: Hub,
    /// Who may play.
    pub admission: Admission,
    /// The relay's figures.
    pub metrics: Arc<Metrics>,
    /// How far a player may lag, in milliseconds.
    pub player_lag_ms_max: i64,
    /// Ends all players.
    pub stop: CancellationToken,
}

impl FlvServer {
    /// Its routes, to be nested at `/flv`; they need `ConnectInfo<SocketAddr>` in the requests' extensions.
    ///
    /// Answers 403 to whom the rules or a hook refuse, and 404 for what is not live.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/{*path}", get(play)).with_state(self)
    }
}

async fn play(State(server): State<Arc<FlvServer>>, request: Request) -> Response {
    let verdict = match attempt(&request) {
        Some(attempt) => server.admission.decide_play(attempt, &server.hub).await,
        None => Err(PlayRefused::NotLive),
    };
    match verdict {
        Ok(admitted) => {
            info!(url = %admitted.broadcast.url(), "a player began by HTTP");
            let viewing = Viewing::new(&server, admitted);
            // One step per poll: nothing is taken from the ring before the last was taken from here.
            let tags = stream::unfold(viewing, async |mut viewing| {
                let tag = viewing.next().await?;
                Some((Ok::<_, Infallible>(tag), viewing))
            });
            (headers("video/x-flv"), Body::from_stream(tags)).into_response()
        }
        Err(why) => {
            debug!(%why, "a player was refused");
            let status = match why {
                PlayRefused::NotLive => StatusCode::NOT_FOUND,
                PlayRefused::Denied(_) => StatusCode::FORBIDDEN,
            };
            (status, headers("text/plain; charset=utf-8"), format!("{why}\n")).into_response()
        }
    }
}

/// Live, and for any page.
const fn headers(kind: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ]
}

/// What a request asks for; `None` if it names no FLV file.
fn attempt(request: &Request) -> Option<PlayAttempt> {
    // Not axum's decoded path: a stream's name is decoded in one place only.
    let path = request.uri().path().trim_start_matches('/');
    let (app, name) = path.strip_suffix(".flv")?.rsplit_once('/')?;
    let name = match request.uri().query() {
        Some(query) => format!("{name}?{query}"),
        None => name.to_owned(),
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    let client = words(request.headers());
    Some(PlayAttempt { app: app.to_owned(), name, peer, connection: Uuid::new_v4(), client })
}

/// What an HTTP client says about itself, as hooks know it from RTMP.
fn words(headers: &HeaderMap) -> ClientWords {
    let word = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Only visible ASCII passes `to_str`, so that any byte is an edge.
        value[..value.len().min(WORD_BYTES_MAX)].to_owned()
    };
    ClientWords {
        flash_ver: word(header::USER_AGENT),
        page_url: word(header::REFERER),
        ..ClientWords::default()
    }
}

/// One player.
struct Viewing {
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    subscriber: Subscriber,
    /// What was taken from the ring and not yet from here.
    ready: VecDeque<Bytes>,
    phase: Phase,
    skips_counted: u64,
    visit: Visit,
    _count: PlayerCount,
}

/// How far a player is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent, not even the file's header.
    Waiting,
    /// It gets what comes; whether more is there already.
    Playing { has_more: bool },
    /// It has everything.
    Over,
}

impl Viewing {
    fn new(server: &FlvServer, admitted: PlayAdmitted) -> Self {
        Self::begin(admitted, server.metrics.clone(), server.player_lag_ms_max, server.stop.clone())
    }

    fn begin(
        PlayAdmitted { broadcast, visit }: PlayAdmitted,
        metrics: Arc<Metrics>,
        lag_ms_max: i64,
        stop: CancellationToken,
    ) -> Self {
        let count = broadcast.count_player(PlayerKind::Flv);
        let mut viewing = Self {
            subscriber: broadcast.subscribe(lag_ms_max),
            metrics,
            stop,
            ready: VecDeque::new(),
            phase: Phase::Waiting,
            skips_counted: 0,
            visit,
            _count: count,
        };
        viewing.take();
        viewing
    }

    /// The next piece of the file; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.metrics.flv_sent.inc_by(bytes.len() as u64);
                return Some(bytes);
            }
            match self.phase {
                Phase::Over => return None,
                Phase::Playing { has_more: true } => {}
                Phase::Waiting | Phase::Playing { has_more: false } => tokio::select! {
                    () = self.subscriber.changed() => {}
                    () = self.visit.ended_by_hook() => {
                        info!("the player is sent away by its application's hook");
                        return None;
                    }
                    () = self.stop.cancelled() => return None,
                },
            }
            self.take();
        }
    }

    /// Takes what there is, without waiting.
    fn take(&mut self) {
        let batch = self.subscriber.take(BATCH_ITEMS);
        let skips = self.subscriber.skips();
        self.metrics.player_skips.inc_by(skips - self.skips_counted);
        self.skips_counted = skips;
        let opening: Vec<_> = batch.opening().collect();
        if self.phase == Phase::Waiting && !(opening.is_empty() && batch.items.is_empty()) {
            let has = |kind| opening.iter().any(|it| it.kind == kind) || carries(&batch, kind);
            self.ready.push_back(file_header(has(MessageKind::Video), has(MessageKind::Audio)));
            self.phase = Phase::Playing { has_more: false };
        }
        self.ready.extend(opening.iter().map(file_tag));
        self.ready.extend(batch.items.iter().map(|item| item.flv_tag()));
        if batch.ended {
            self.phase = Phase::Over;
        } else if self.phase != Phase::Waiting {
            self.phase = Phase::Playing { has_more: batch.items.len() == BATCH_ITEMS };
        }
    }
}

fn carries(batch: &Batch, kind: MessageKind) -> bool {
    batch.items.iter().any(|item| item.message.kind == kind)
}

#[cfg(test)]
mod tests;
