//! The control plane over real sockets: real HTTP requests, and a fake recorder on a real WebSocket.

#![allow(clippy::disallowed_methods, reason = "tests measure how long things take")]

mod fake_publisher;
mod fake_recorder;
mod histories;
mod recording;
mod requests;
mod starting;
mod targets;
mod watching;

use super::{Api, DataPlane, router};
use crate::assembly::follow::follow;
use crate::auth::{Guard, Tokens};
use crate::claim_desk::ClaimDesk;
use crate::events::Events;
use crate::grant::GrantKey;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::push::{self, Pushes};
use crate::store::Store;
use crate::streams::{DeskClaims, Parts, Reconciler, RtmpAddress, Streams};
use api::streams::BroadcastView;
use api::targets::TargetView;
use claims::Rules;
use fake_recorder::FakeRecorder;
use media::StreamUrl;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A control plane that listens on a port of its own, with the real store and the real claim desk.
struct Relay {
    addr: SocketAddr,
    streams: Streams,
    events: Events,
    desk: ClaimDesk,
    grants: GrantKey,
    store: Store,
    broadcasts: Arc<Broadcasts>,
    folder: TempDir,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    _stops: DropGuard,
}

/// What is live, as a test says.
#[derive(Default)]
struct Broadcasts(Mutex<Vec<BroadcastView>>, OnceLock<Pushes>);

impl DataPlane for Broadcasts {
    fn broadcasts(&self) -> Vec<BroadcastView> {
        self.0.lock().unwrap().clone()
    }

    fn broadcast(&self, name: &StreamUrl) -> Option<BroadcastView> {
        self.broadcasts().into_iter().find(|broadcast| broadcast.name == name.as_str())
    }

    fn targets(&self) -> Vec<TargetView> {
        self.1.get().map(Pushes::all).unwrap_or_default()
    }
}

impl Relay {
    async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await
    }

    /// A relay that finds what another left behind.
    async fn over(folder: TempDir) -> Self {
        let stop = CancellationToken::new();
        let events = Events::default();
        let store = Store::open(&folder.path().join("sluice.db")).unwrap();
        let grants = store.grant_key().await.unwrap();
        let (desk, desk_task) = ClaimDesk::load(store.clone(), Rules::default()).await.unwrap();
        let rtmp = RtmpAddress::new("", "0.0.0.0:1935".parse().unwrap());
        let claims = Arc::new(DeskClaims::new(desk.clone(), grants.clone(), rtmp.clone()));
        let pushes = Pushes::new(push::Parts {
            desk: desk.clone(),
            hub: Hub::default(),
            rules: push::Rules::open(&[], &crate::config::Claims::default()).unwrap(),
            events: events.clone(),
            dialer: rtmp::io::Dialer::default(),
            metrics: Arc::new(Metrics::new()),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        });
        let parts = Parts {
            claims: claims.clone(),
            documents: Arc::new(store.clone()),
            pushes: Arc::new(pushes.clone()),
            events: events.clone(),
            rtmp,
            shutdown: stop.clone(),
        };
        let (streams, reconciler) = Reconciler::load(parts).await.unwrap();
        let broadcasts = Arc::new(Broadcasts(Mutex::default(), OnceLock::from(pushes)));
        let api = Api {
            streams: streams.clone(),
            events: events.clone(),
            claims,
            data_plane: broadcasts.clone(),
            webhooks: crate::webhooks::Webhooks::default(),
            tokens: Tokens::new(store.tokens().await.unwrap()),
            token_store: Arc::new(store.clone()),
            guard: Guard::new(&[]),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let service = router(api).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop.clone();
        let serving = async move {
            tokio::select! {
                served = axum::serve(listener, service) => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        };
        let tasks = vec![
            tokio::spawn(reconciler.run()),
            tokio::spawn(desk_task.run(stop.clone())),
            tokio::spawn(serving),
            tokio::spawn(follow(desk.clone(), Hub::default(), streams.clone(), events.clone(), stop.clone())),
        ];
        let stops = stop.clone().drop_guard();
        Self { addr, streams, events, desk, grants, store, broadcasts, folder, tasks, stop, _stops: stops }
    }

    /// Ends it as SIGTERM would, and starts another over the same store.
    async fn restart(self) -> Self {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.store.close().await;
        Self::over(self.folder).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.addr)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(reqwest::get(self.url(path)).await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = reqwest::Client::new().post(self.url(path)).body(body.to_string());
        Answer::of(request.send().await.unwrap()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        Answer::of(reqwest::Client::new().delete(self.url(path)).send().await.unwrap()).await
    }

    async fn start(&self, key: &str, body: &Value) -> Answer {
        let request = reqwest::Client::new().post(self.url("/streams")).body(body.to_string());
        Answer::of(request.header(api::IDEMPOTENCY_KEY, key).send().await.unwrap()).await
    }

    /// Waits, within a deadline, until a stream is as wanted.
    async fn stream_until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/streams/{id}");
        let until = async {
            loop {
                let stream = self.get(&path).await.body;
                if wanted(&stream) {
                    return stream;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(15), until).await {
            Ok(stream) => stream,
            Err(_) => panic!("the stream is {}", self.get(&path).await.body),
        }
    }

    /// The state of the claim on a name; empty if nobody has it.
    async fn claim(&self, name: &str) -> String {
        let claims = self.get("/claims").await.body;
        let rows = claims["claims"].as_array().unwrap();
        rows.iter()
            .find(|row| row["key"] == name)
            .map(|row| row["state"].as_str().unwrap().into())
            .unwrap_or_default()
    }

    /// Waits, within a deadline, until nobody has a name.
    async fn claim_is_free(&self, name: &str) {
        let free = async {
            while !self.claim(name).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), free).await.expect("the claim is kept");
    }

    async fn recorder(&self, name: &str, slots: u32) -> FakeRecorder {
        let mut recorder = FakeRecorder::connect(self.addr).await;
        recorder.hello(name, slots, &[]).await;
        recorder.welcome().await;
        recorder
    }
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    retry_after: Option<String>,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Self {
            status: response.status().as_u16(),
            kind: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null),
            headers,
        }
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.text("code")), (status, code), "{self:?}");
        assert_eq!(self.kind, "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(!self.text("detail").is_empty() && self.text("type") == format!("/api/docs#{code}"));
    }
}

fn test_stream(name: &str) -> Value {
    json!({ "call": { "kind": "test" }, "name": name })
}
