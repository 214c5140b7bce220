//! The control connection: finds the relay again and again, and passes messages both ways.
//!
//! A lost connection stops nothing that runs. It is made anew after a pause of 0.2 seconds that grows to 5, for ever,
//! whatever the reason was: a relay that refuses us today may have been given our token tomorrow. The token is read from
//! its file each time.

mod dial;

pub(crate) use dial::Dialler;

use crate::backoff::Backoff;
use crate::board::Board;
use crate::clock;
use crate::load::{self, CpuTime};
use api::control::{FromRecorder, FromRelay, PING_SECONDS, SILENCE_SECONDS_MAX};
use api::streams::CallKind;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Error as SocketError, Message};
use tracing::{debug, info, warn};
use uuid::Uuid;

/// The longest pause between two tries to connect.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// After this long, a connection counts as one that worked, and pauses begin anew.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// How often the relay hears how busy we are.
const LOAD_INTERVAL: Duration = Duration::from_secs(5);
/// How long the relay may be silent, and how long one message to it may take.
const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS_MAX);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<TcpStream>;

/// What this recorder says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its name.
    pub name: String,
    /// Chosen anew at each start.
    pub instance: Uuid,
    /// How many streams it can carry.
    pub slots: u32,
    /// What it can join.
    pub kinds: Vec<CallKind>,
    /// Words for placing.
    pub labels: BTreeMap<String, String>,
}

/// The connection, made anew as often as needed.
pub(crate) struct Control {
    /// Makes connections.
    pub dialler: Dialler,
    /// Who we are.
    pub identity: Identity,
    /// What the relay is to hear.
    pub board: Arc<Board>,
    /// Where its orders go. Bounded by whoever made it; when it is full the relay waits, which TCP tells it.
    pub orders: mpsc::Sender<FromRelay>,
    /// How many streams are carried now.
    pub carried: Arc<AtomicUsize>,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the relay was silent for {SILENCE_SECONDS_MAX} s")]
    Silent,
    #[error("a message could not be sent in {SILENCE_SECONDS_MAX} s")]
    Stuck,
    #[error("the relay closed the connection{0}")]
    Closed(String),
    #[error("{0}")]
    Socket(#[from] SocketError),
    #[error("this recorder is ending")]
    Ending,
}

impl Control {
    /// Connects for ever; ends only when nobody takes orders any more.
    pub(crate) async fn run(self) {
        let seed = self.identity.instance.as_u64_pair().0;
        let mut backoff = Backoff::new(PAUSE_MAX, seed);
        let mut last_error = String::new();
        while !self.orders.is_closed() {
            match self.dialler.dial().await {
                Ok(socket) => {
                    info!(relay = %self.dialler.relay(), "connected to the relay");
                    last_error.clear();
                    let begin = clock::now();
                    let (sink, stream) = socket.split();
                    let mut conversation = Conversation { sink, control: &self };
                    let lost = conversation.hold(stream).await;
                    if matches!(lost, Lost::Ending) {
                        return;
                    }
                    warn!(reason = %lost, "lost the relay; what runs goes on");
                    if clock::now() - begin >= SETTLED_AFTER {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    // The same words every five seconds would hide everything else.
                    let text = error.to_string();
                    if text == last_error {
                        debug!(reason = text, "cannot reach the relay");
                    } else {
                        warn!(reason = text, relay = %self.dialler.relay(), "cannot reach the relay; trying on");
                        last_error = text;
                    }
                }
            }
            tokio::select! {
                () = sleep(backoff.next_pause()) => {}
                () = self.orders.closed() => return,
            }
        }
    }
}

struct Conversation<'a> {
    sink: SplitSink<Socket, Message>,
    control: &'a Control,
}

impl Conversation<'_> {
    async fn hold(&mut self, mut stream: SplitStream<Socket>) -> Lost {
        match self.converse(&mut stream).await {
            Ok(never) => match never {},
            Err(Lost::Ending) => {
                let goodbye = async {
                    self.flush().await?;
                    self.sink.send(Message::Close(None)).await.map_err(Lost::from)
                };
                let _ = timeout(GOODBYE, goodbye).await;
                Lost::Ending
            }
            Err(lost) => lost,
        }
    }

    async fn converse(&mut self, stream: &mut SplitStream<Socket>) -> Result<std::convert::Infallible, Lost> {
        let control = self.control;
        self.hello().await?;
        let mut silence_ends = Instant::from_std(clock::now()) + SILENCE;
        let mut pings = interval(Duration::from_secs(PING_SECONDS));
        let mut loads = interval(LOAD_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loads.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut earlier = CpuTime::read();
        self.flush().await?;
        loop {
            tokio::select! {
                message = stream.next() => {
                    silence_ends = Instant::from_std(clock::now()) + SILENCE;
                    match message {
                        Some(Ok(Message::Text(text))) => self.take(text.as_str()).await?,
                        Some(Ok(Message::Close(frame))) => {
                            let why = frame.map(|frame| format!(": {} {}", frame.code, frame.reason));
                            return Err(Lost::Closed(why.unwrap_or_default()));
                        }
                        // Pings are answered by the socket itself.
                        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                        Some(Err(error)) => return Err(error.into()),
                        None => return Err(Lost::Closed(String::new())),
                    }
                }
                () = sleep_until(silence_ends) => return Err(Lost::Silent),
                () = control.board.changed() => self.flush().await?,
                () = control.orders.closed() => return Err(Lost::Ending),
                _ = pings.tick() => self.send(Message::Ping(Bytes::new())).await?,
                _ = loads.tick() => {
                    let now = CpuTime::read();
                    let busy = earlier.zip(now).map_or(0.0, |(earlier, now)| now.busy_since(earlier));
                    earlier = now;
                    let carried = control.carried.load(Ordering::Relaxed);
                    let stress = load::stress(carried, control.identity.slots, busy);
                    self.say(&FromRecorder::Load { stress }).await?;
                }
            }
        }
    }

    async fn hello(&mut self) -> Result<(), Lost> {
        let identity = &self.control.identity;
        self.say(&FromRecorder::Hello {
            recorder: identity.name.clone(),
            instance: identity.instance,
            version: env!("CARGO_PKG_VERSION").into(),
            slots: identity.slots,
            kinds: identity.kinds.clone(),
            labels: identity.labels.clone(),
            running: self.control.board.connected(clock::now()),
        })
        .await
    }

    async fn take(&self, text: &str) -> Result<(), Lost> {
        match serde_json::from_str(text) {
            Ok(order) => self.control.orders.send(order).await.map_err(|_| Lost::Ending),
            Err(error) => {
                // Where in the text, not what: an order may carry a secret.
                let (line, column) = (error.line(), error.column());
                warn!(line, column, "the relay said something that this version does not understand");
                Ok(())
            }
        }
    }

    /// Sends all that the board has now.
    async fn flush(&mut self) -> Result<(), Lost> {
        while let Some(message) = self.control.board.next(clock::now()) {
            self.say(&message).await?;
        }
        Ok(())
    }

    async fn say(&mut self, message: &FromRecorder) -> Result<(), Lost> {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Lost> {
        timeout(SILENCE, self.sink.send(message)).await.map_err(|_| Lost::Stuck)?.map_err(Lost::from)
    }
}
