//! A fake recorder: it speaks the control protocol over a real WebSocket and runs nothing.

use api::control::{FromRecorder, FromRelay, Job, WorkerReport};
use api::streams::CallKind;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(8);

pub(super) struct FakeRecorder {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(super) instance: Uuid,
}

impl FakeRecorder {
    pub(super) async fn connect(relay: SocketAddr) -> Self {
        let (socket, _) = connect_async(format!("ws://{relay}/api/v1/recorders/connect")).await.unwrap();
        Self { socket, instance: Uuid::new_v4() }
    }

    /// The same process, connecting again.
    pub(super) async fn again(relay: SocketAddr, instance: Uuid) -> Self {
        Self { instance, ..Self::connect(relay).await }
    }

    pub(super) async fn say(&mut self, message: &FromRecorder) {
        self.say_text(&serde_json::to_string(message).unwrap()).await;
    }

    pub(super) async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn hello(&mut self, name: &str, slots: u32, running: &[Uuid]) {
        let running = running.iter().map(|stream| report(*stream, 1, "publishing")).collect();
        let kinds = vec![CallKind::Test, CallKind::Web];
        let instance = self.instance;
        self.say(&FromRecorder::Hello {
            recorder: name.into(),
            instance,
            version: "0".into(),
            slots,
            kinds,
            labels: Default::default(),
            running,
        })
        .await;
    }

    /// The next message, pings answered and passed over; `None` when the relay closed.
    pub(super) async fn hear(&mut self) -> Option<FromRelay> {
        let heard = tokio::time::timeout(PATIENCE, self.hear_at_last()).await;
        heard.expect("the relay says nothing")
    }

    async fn hear_at_last(&mut self) -> Option<FromRelay> {
        loop {
            let message = self.socket.next().await?;
            match message {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(other) => panic!("{other:?}"),
            }
        }
    }

    /// Whether nothing is said for a while.
    pub(super) async fn hears_nothing(&mut self) -> bool {
        loop {
            match tokio::time::timeout(Duration::from_millis(200), self.socket.next()).await {
                Err(_) => return true,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(_) => return false,
            }
        }
    }

    pub(super) async fn welcome(&mut self) -> Vec<Uuid> {
        match self.hear().await {
            Some(FromRelay::Welcome { keep }) => keep,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn job(&mut self) -> Job {
        match self.hear().await {
            Some(FromRelay::Start { job }) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn job_within(&mut self, patience: Duration) -> Job {
        match tokio::time::timeout(patience, self.hear_at_last()).await {
            Ok(Some(FromRelay::Start { job })) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn stop(&mut self) -> Uuid {
        match self.hear().await {
            Some(FromRelay::Stop { stream_id, .. }) => stream_id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn reports(&mut self, stream: Uuid, incarnation: u32, state: &str) {
        self.say(&FromRecorder::Worker { worker: report(stream, incarnation, state) }).await;
    }

    pub(super) async fn ended(&mut self, stream: Uuid, reason: &str) {
        let detail = String::new();
        self.say(&FromRecorder::Ended { stream_id: stream, reason: reason.into(), detail }).await;
    }

    /// Goes without a goodbye.
    pub(super) fn vanish(self) {}
}

fn report(stream_id: Uuid, incarnation: u32, state: &str) -> WorkerReport {
    WorkerReport {
        stream_id,
        incarnation,
        state: state.into(),
        detail: None,
        pid: Some(1),
        frames_sent: 0,
        frames_dropped: 0,
        reconnects: 0,
    }
}
