//! One recorder's control connection: `GET /recorders/connect`, one WebSocket, JSON messages.
//!
//! The task only carries messages: what the recorder says goes to the reconciler, what the reconciler orders goes out.
//! Silence of [`SILENCE_SECONDS_MAX`], a message that cannot be read, or a queue that is not drained closes the
//! connection; whatever runs on the recorder goes on, and its next hello puts both sides right.

use super::{ConnectionId, Hello};
use crate::streams::{RecorderNews, Streams};
use api::control::{FromRecorder, FromRelay, MESSAGE_BYTES_MAX, PING_SECONDS, SILENCE_SECONDS_MAX};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tracing::{debug, warn};

/// How many orders may wait for a recorder; one more closes its connection.
const ORDERS_MAX: usize = 512;
/// How long a recorder may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long one message may take to be written.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How long the recorder may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(SILENCE_SECONDS_MAX);

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the recorder closed it")]
    ByPeer,
    #[error("the recorder was silent for {SILENCE_SECONDS_MAX} s")]
    Silent,
    #[error("the recorder did not say hello in time")]
    NoHello,
    #[error("a message could not be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Refused(super::Refusal),
    #[error("the recorder does not take what is sent")]
    Stuck,
    #[error("another connection of this recorder replaces it, or its queue was full")]
    Replaced,
    #[error("the relay is stopping")]
    Stopping,
    #[error("{0}")]
    Transport(axum::Error),
}

/// Takes the connection. `reached_at` is the host under which the recorder reached us.
pub fn accept(upgrade: WebSocketUpgrade, streams: Streams, reached_at: Option<String>) -> Response {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| serve(socket, streams, reached_at))
}

async fn serve(mut socket: WebSocket, streams: Streams, reached_at: Option<String>) {
    let connection = ConnectionId(CONNECTIONS.fetch_add(1, Ordering::Relaxed));
    let closed = match arrive(&mut socket, &streams, connection, reached_at).await {
        Ok(orders) => {
            let closed = carry(&mut socket, &streams, connection, orders).await;
            let _ = streams.recorder_news(RecorderNews::Left { connection }).await;
            closed
        }
        Err(closed) => closed,
    };
    match &closed {
        Closed::Refused(_) | Closed::Unreadable(_) | Closed::Stuck | Closed::NoHello => {
            warn!(why = %closed, "recorder connection closed");
        }
        Closed::ByPeer | Closed::Silent | Closed::Replaced | Closed::Stopping | Closed::Transport(_) => {
            debug!(why = %closed, "recorder connection closed");
        }
    }
    let _ = timeout(WRITE_WITHIN, socket.send(Message::Close(Some(close_frame(&closed))))).await;
}

async fn arrive(
    socket: &mut WebSocket,
    streams: &Streams,
    connection: ConnectionId,
    reached_at: Option<String>,
) -> Result<mpsc::Receiver<FromRelay>, Closed> {
    let deadline = Instant::from_std(crate::clock::now()) + HELLO_WITHIN;
    let hello = loop {
        match timeout_at(deadline, socket.recv()).await {
            Err(_) => return Err(Closed::NoHello),
            Ok(message) => match heard(message)? {
                None => {}
                Some(FromRecorder::Hello {
                    recorder,
                    instance,
                    version,
                    slots,
                    kinds,
                    labels: _,
                    running,
                }) => {
                    break Hello { recorder, instance, version, slots, kinds, running };
                }
                Some(_) => return Err(Closed::Unreadable("the first message is hello".into())),
            },
        }
    };
    let (outgoing, orders) = mpsc::channel(ORDERS_MAX);
    let (reply, answer) = oneshot::channel();
    let news = RecorderNews::Arrived { connection, hello: Box::new(hello), reached_at, outgoing, reply };
    streams.recorder_news(news).await.map_err(|_| Closed::Stopping)?;
    match answer.await {
        Ok(Ok(())) => Ok(orders),
        Ok(Err(refusal)) => Err(Closed::Refused(refusal)),
        Err(_) => Err(Closed::Stopping),
    }
}

async fn carry(
    socket: &mut WebSocket,
    streams: &Streams,
    connection: ConnectionId,
    mut orders: mpsc::Receiver<FromRelay>,
) -> Closed {
    let mut ping = interval(Duration::from_secs(PING_SECONDS));
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let silence = tokio::time::sleep(SILENCE_MAX);
    tokio::pin!(silence);
    loop {
        let outgoing = tokio::select! {
            message = socket.recv() => {
                silence.as_mut().reset(Instant::from_std(crate::clock::now()) + SILENCE_MAX);
                match heard(message) {
                    Err(closed) => return closed,
                    Ok(None) => {}
                    Ok(Some(message)) => {
                        if streams.recorder_news(RecorderNews::Said { connection, message }).await.is_err() {
                            return Closed::Stopping;
                        }
                    }
                }
                continue;
            }
            order = orders.recv() => match order {
                None => return Closed::Replaced,
                Some(order) => match serde_json::to_string(&order) {
                    Ok(text) => Message::Text(text.into()),
                    Err(error) => return Closed::Unreadable(error.to_string()),
                },
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
            () = &mut silence => return Closed::Silent,
        };
        match timeout(WRITE_WITHIN, socket.send(outgoing)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Closed::Transport(error),
            Err(_) => return Closed::Stuck,
        }
    }
}

/// A message, or nothing if it only shows that the peer lives.
fn heard(message: Option<Result<Message, axum::Error>>) -> Result<Option<FromRecorder>, Closed> {
    match message {
        None | Some(Ok(Message::Close(_))) => Err(Closed::ByPeer),
        Some(Err(error)) => Err(Closed::Transport(error)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(Closed::Unreadable("messages are text".into())),
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Closed::Unreadable(format!("line {} column {}", error.line(), error.column()))),
    }
}

fn close_frame(closed: &Closed) -> CloseFrame {
    let code = match closed {
        Closed::Unreadable(_) | Closed::NoHello => close_code::PROTOCOL,
        Closed::Refused(_) | Closed::Replaced => close_code::POLICY,
        Closed::Stopping => close_code::AWAY,
        Closed::Stuck | Closed::Silent | Closed::Transport(_) => close_code::ERROR,
        Closed::ByPeer => close_code::NORMAL,
    };
    // A close reason has at most 123 bytes (RFC 6455 §5.5).
    let reason: String = closed.to_string().chars().filter(char::is_ascii).take(120).collect();
    CloseFrame { code, reason: Utf8Bytes::from(reason) }
}
