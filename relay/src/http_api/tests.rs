//! The control plane over real sockets: real HTTP requests, and a fake recorder on a real WebSocket.

#![allow(clippy::disallowed_methods, reason = "tests measure how long things take")]

mod fake_recorder;
mod neighbours;
mod recording;
mod requests;
mod starting;
mod watching;

use super::{Api, router};
use crate::auth::{Guard, Tokens};
use crate::events::Events;
use crate::streams::{Parts, Reconciler, Streams};
use fake_recorder::FakeRecorder;
use neighbours::{Broadcasts, Names, Papers};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A control plane that listens on a port of its own.
struct Relay {
    addr: SocketAddr,
    streams: Streams,
    events: Events,
    names: Arc<Names>,
    papers: Arc<Papers>,
    broadcasts: Arc<Broadcasts>,
    task: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    _stops: DropGuard,
}

impl Relay {
    async fn new() -> Self {
        Self::over(Arc::default(), Arc::default()).await
    }

    /// A relay that finds what another left behind.
    async fn over(names: Arc<Names>, papers: Arc<Papers>) -> Self {
        let stop = CancellationToken::new();
        let events = Events::default();
        let parts = Parts {
            claims: names.clone(),
            documents: papers.clone(),
            events: events.clone(),
            rtmp_advertise: String::new(),
            rtmp_listen: "0.0.0.0:1935".parse().unwrap(),
            shutdown: stop.clone(),
        };
        let (streams, reconciler) = Reconciler::load(parts).await.unwrap();
        let task = tokio::spawn(reconciler.run());
        let broadcasts = Arc::new(Broadcasts::default());
        let api = Api {
            streams: streams.clone(),
            events: events.clone(),
            claims: names.clone(),
            data_plane: broadcasts.clone(),
            tokens: Tokens::default(),
            token_store: papers.clone(),
            guard: Guard::new(&[]),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let service = router(api).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, service) => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        Self {
            addr,
            streams,
            events,
            names,
            papers,
            broadcasts,
            task,
            _stops: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Ends it as SIGTERM would, and starts another over the same store.
    async fn restart(self) -> Self {
        self.stop.cancel();
        self.task.await.unwrap();
        Self::over(self.names, self.papers).await
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
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(std::time::Duration::from_secs(15), until).await {
            Ok(stream) => stream,
            Err(_) => panic!("the stream is {}", self.get(&path).await.body),
        }
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
