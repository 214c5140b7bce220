//! Puts the relay's parts together and starts them; nothing is decided here.

pub(crate) mod follow;
mod sampler;

use crate::access::{AccessRules, Crowd};
use crate::admission::Admission;
use crate::auth::{Guard, Tokens};
use crate::claim_desk::{ClaimDesk, DeskTask};
use crate::claim_store::{EtcdStore, Place};
use crate::config::RelayConfig;
use crate::events::Events;
use crate::flv_server::FlvServer;
use crate::grant::GrantKey;
use crate::health::Health;
use crate::hooks::{self, Hooks};
use crate::http_api::{self, Api};
use crate::http_server::Door;
use crate::hub::{BROADCASTS_MAX, Hub};
use crate::metrics::Metrics;
use crate::output::Outputs;
use crate::push::{self, PublicationPushes, Pushes};
use crate::rtmp_server::{RtmpServer, Security};
use crate::store::Store;
use crate::streams::{self, DeskClaims, Reconciler, RtmpAddress};
use crate::tls::{Certificates, Reload};
use crate::views::Views;
use crate::{clock, health, http_server, pages, webhooks};
use ::claims::{Rules, Timing};
use anyhow::{Context, Result};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use follow::follow;
use hls::{Limits, Origin};
use rtmp::io::{Deadlines, Dialer, Trust};
use sampler::Sampler;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// The open doors.
pub(crate) struct Doors {
    pub(crate) rtmp: TcpListener,
    pub(crate) http: TcpListener,
    pub(crate) admin: Option<TcpListener>,
    pub(crate) secure: Option<SecureDoors>,
}

/// The doors under TLS.
pub(crate) struct SecureDoors {
    pub(crate) rtmps: TcpListener,
    pub(crate) https: TcpListener,
    pub(crate) certificates: Arc<Certificates>,
}

/// What runs, to be waited for.
pub(crate) struct Parts {
    /// Whatever uses the desk and the store.
    users: TaskTracker,
    desk: tokio::task::JoinHandle<()>,
    stop_desk: CancellationToken,
    store: Store,
    /// Who may do what.
    pub(crate) tokens: Tokens,
}

/// How long the parts may take to end after they were told to.
const END: Duration = Duration::from_secs(8);

impl Parts {
    /// Waits until all have ended, in order: those who ask before those who answer, the store last.
    pub(crate) async fn ended(self) {
        self.users.close();
        if tokio::time::timeout(END, self.users.wait()).await.is_err() {
            warn!("some parts did not end in time");
        }
        self.stop_desk.cancel();
        if tokio::time::timeout(END, self.desk).await.is_err() {
            warn!("the claim desk did not end in time");
        }
        self.store.close().await;
    }
}

/// Opens the store, away from the threads that must not block.
pub(crate) async fn open_store(config: &RelayConfig) -> Result<Store> {
    let path = config.store_path();
    let shown = path.display().to_string();
    let opened = tokio::task::spawn_blocking(move || Store::open(&path)).await.context("open the store")?;
    opened.with_context(|| format!("the store {shown} cannot be opened"))
}

/// Starts every part; each ends when `stop` is cancelled.
pub(crate) async fn start(
    config: Arc<RelayConfig>,
    push_rules: push::Rules,
    store: Store,
    doors: Doors,
    trust: Trust,
    stop: CancellationToken,
) -> Result<Parts> {
    let rtmp_address = doors.rtmp.local_addr().context("the RTMP socket has no address")?;
    let push_seed = store.push_seed().await.context("read the pushes' seed")?;
    let tokens = Tokens::new(store.tokens().await.context("read the tokens")?);
    let (desk, desk_task, grants) = open_desk(&config, &store).await?;
    let users = TaskTracker::new();
    let stop_desk = CancellationToken::new();
    let desk_handle = tokio::spawn(desk_task.keep_history(config.claims.history_days).run(stop_desk.clone()));

    let hub = Hub::default();
    // Twice as many as there are broadcasts: an ended one can be fetched for a while yet.
    let origin = Origin::new(Limits { streams_max: 2 * BROADCASTS_MAX, ..Limits::default() });
    let metrics = Arc::new(Metrics::new());
    let events = Events::default();
    let webhooks = webhooks::start(webhooks::Parts {
        webhooks: &config.webhook,
        events: events.clone(),
        store: store.clone(),
        figures: metrics.webhooks.clone(),
        tasks: users.clone(),
        stop: stop.clone(),
    })
    .context("make the webhooks' HTTP client")?;
    let outputs = Outputs {
        origin: origin.clone(),
        store: store.clone(),
        hls: config.hls.clone(),
        tasks: users.clone(),
        stop: stop.clone(),
    };
    let told_address = RtmpAddress::new(config.rtmp.advertise.clone(), rtmp_address);
    let claims = Arc::new(DeskClaims::new(desk.clone(), grants.clone(), told_address.clone()));
    let pushes = Pushes::new(push::Parts {
        desk: desk.clone(),
        hub: hub.clone(),
        rules: push_rules,
        events: events.clone(),
        dialer: Dialer::new(Deadlines::default(), trust),
        metrics: metrics.clone(),
        tasks: users.clone(),
        stop: stop.clone(),
    });
    let hooks = Hooks::start(hooks::Parts {
        apps: &config.app,
        hub: hub.clone(),
        figures: metrics.hooks.clone(),
        tasks: users.clone(),
        stop: stop.clone(),
    })
    .context("make the hooks' HTTP client")?;
    let publication_pushes = PublicationPushes::new(&config.app, push_seed, Arc::new(pushes.clone()));
    users.spawn(publication_pushes.clone().follow(desk.clone(), stop.clone()));
    let admission = Admission {
        access: AccessRules::new(&config.app),
        grants: grants.clone(),
        desk: desk.clone(),
        hooks,
        pushes: publication_pushes,
    };
    let (streams, reconciler) = Reconciler::load(streams::Parts {
        claims: claims.clone(),
        documents: Arc::new(store.clone()),
        pushes: Arc::new(pushes.clone()),
        events: events.clone(),
        rtmp: told_address,
        shutdown: stop.clone(),
    })
    .await
    .context("read the streams")?;
    users.spawn(reconciler.run());
    users.spawn(follow(desk.clone(), hub.clone(), streams.clone(), events.clone(), stop.clone()));

    let views = Views { hub: hub.clone(), origin: origin.clone(), pushes };
    let sampler = Sampler {
        views: views.clone(),
        desk: desk.clone(),
        streams: streams.clone(),
        events: events.clone(),
        metrics: metrics.clone(),
    };
    users.spawn(sampler.run(stop.clone()));

    let api = Api {
        streams,
        events,
        claims,
        data_plane: Arc::new(views),
        webhooks,
        tokens: tokens.clone(),
        token_store: Arc::new(store.clone()),
        guard: Guard::new(&config.http.hosts),
    };
    let health = Arc::new(Health {
        rtmp: rtmp_address,
        store: store.clone(),
        data: config.data.path.clone(),
        certificates: doors.secure.as_ref().map(|secure| secure.certificates.clone()),
    });
    let frame_ancestors = &config.http.frame_ancestors;
    let flv = Arc::new(FlvServer {
        hub: hub.clone(),
        admission: admission.clone(),
        metrics: metrics.clone(),
        player_lag_ms_max: config.rtmp.player_lag_ms_max.into(),
        stop: stop.clone(),
    });
    let playback = Router::new()
        .nest("/flv", flv.router())
        .nest("/hls", hls::http::router(origin, clock::now))
        .merge(pages::public(frame_ancestors))
        .merge(health::router(health.clone()));
    let desk_pages = pages::operator(frame_ancestors).merge(metrics_router(metrics.clone()));
    let connections = config.http.connections_max;
    let public = match doors.admin {
        Some(admin) => {
            let public = playback.clone().merge(http_api::public_router(api.clone()));
            // Everything of the public side, too: the operator page links to widgets and playlists.
            let private = playback.merge(http_api::router(api)).merge(desk_pages);
            users.spawn(http_server::serve(Door::plain(admin), private, connections, stop.clone()));
            public
        }
        None => playback.merge(http_api::router(api)).merge(desk_pages),
    };
    users.spawn(http_server::serve(Door::plain(doors.http), public.clone(), connections, stop.clone()));

    let rtmp = Arc::new(RtmpServer {
        hub,
        admission,
        outputs,
        metrics: metrics.clone(),
        player_lag_ms_max: config.rtmp.player_lag_ms_max.into(),
        places: Arc::new(Semaphore::new(config.rtmp.connections_max)),
        limits: config.rtmp.wire_limits(),
        crowd: Crowd::new(config.rtmp.crowd_limits()),
    });
    users.spawn(rtmp.clone().serve(doors.rtmp, Security::Plain, stop.clone()));
    if let Some(SecureDoors { rtmps, https, certificates }) = doors.secure {
        let security = Security::Tls(certificates.rtmps().context("set up RTMPS")?);
        users.spawn(rtmp.serve(rtmps, security, stop.clone()));
        let config = certificates.https().context("set up HTTPS")?;
        let https = Door::secure(https, config, metrics.tls_handshakes_failed.clone());
        users.spawn(http_server::serve(https, public, connections, stop.clone()));
        users.spawn(Reload { certificates, metrics }.run(stop));
    }
    Ok(Parts { users, desk: desk_handle, stop_desk, store, tokens })
}

/// The desk over this relay's own store, or over the fleet's, and what grants are signed with there.
async fn open_desk(config: &RelayConfig, store: &Store) -> Result<(ClaimDesk, DeskTask, GrantKey)> {
    let rules = rules(config);
    let Some(place) = Place::of(&config.store)? else {
        let grants = store.grant_key().await.context("read the grants' key")?;
        let (desk, task) = ClaimDesk::load(store.clone(), rules).await.context("read the claims")?;
        return Ok((desk, task, grants));
    };
    let joined = EtcdStore::open(place, store.clone()).await?;
    let grants = joined.grants.clone();
    let (desk, task) = ClaimDesk::join(store.clone(), joined, rules);
    Ok((desk, task, grants))
}

fn rules(config: &RelayConfig) -> Rules {
    let seconds = |seconds: u32| Duration::from_secs(seconds.max(1).into());
    let timing = Timing {
        first_media: seconds(config.claims.first_media_seconds),
        idle: seconds(config.claims.idle_seconds),
        grace: seconds(config.claims.grace_seconds),
    };
    Rules { timing, ..Rules::default() }
}

/// OpenMetrics 1.0, §Protocol Negotiation.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let answer = move || {
        let text = metrics.render();
        async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    Router::new().route("/metrics", get(answer))
}
