//! The smallest relay: one stream, its headers, its players, and the drain after a refusal.

use rtmp::{ConnError, Limits, Message, MessageKind, ServerConn, ServerEvent, flv, shared_chunks};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How the server answers publishers.
#[derive(Clone, Copy)]
pub(crate) enum Publishers {
    Accept,
    Refuse(&'static str),
    /// Accept, and take the stream away at the first video message.
    Displace(&'static str),
}

/// What one server saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) app_and_name: Option<(String, String)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) unpublished: bool,
    pub(crate) failure: Option<ConnError>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// Why serving a peer ended.
enum Failure {
    Socket,
    Protocol(ConnError),
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Socket
    }
}

impl From<ConnError> for Failure {
    fn from(error: ConnError) -> Self {
        Self::Protocol(error)
    }
}

struct Shared {
    publishers: Publishers,
    seen: Mutex<Seen>,
    live: broadcast::Sender<Message>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(crate) async fn start(publishers: Publishers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (live, _) = broadcast::channel(4096);
        let shared = Arc::new(Shared { publishers, seen: Mutex::default(), live });
        let serving = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move {
                    // A socket error is how many peers leave; only what they say can be wrong.
                    if let Err(Failure::Protocol(failure)) = shared.serve(socket).await {
                        shared.seen.lock().unwrap().failure = Some(failure);
                    }
                });
            }
        });
        Self { port, shared, accepting }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{name}", self.port)
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.shared.seen.lock().unwrap())
    }

    /// Waits until `at` is true; fails after 15 s.
    pub(crate) async fn until(&self, what: &str, at: impl Fn(&Seen) -> bool) {
        let waiting = async {
            while !self.look(&at) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(Duration::from_secs(15), waiting).await.is_ok(), "never seen: {what}");
    }
}

impl Shared {
    fn take(&self, message: Message) {
        self.seen.lock().unwrap().messages.push(message.clone());
        let _ = self.live.send(message); // nobody plays: nobody misses it
    }

    async fn serve(&self, mut socket: TcpStream) -> Result<(), Failure> {
        socket.set_nodelay(true)?;
        let mut conn = ServerConn::new(Instant::now(), Limits::default());
        let mut buffer = vec![0; 64 << 10];
        let mut playing: Option<broadcast::Receiver<Message>> = None;
        loop {
            while let Some(event) = conn.poll_event() {
                match event {
                    ServerEvent::PublishRequested { app, name } => {
                        self.seen.lock().unwrap().app_and_name = Some((app, name));
                        match self.publishers {
                            Publishers::Refuse(why) => conn.refuse_publish(why),
                            Publishers::Accept | Publishers::Displace(_) => conn.accept_publish(),
                        }
                    }
                    ServerEvent::PlayRequested { app, name } => {
                        self.seen.lock().unwrap().app_and_name = Some((app, name));
                        conn.accept_play();
                        playing = Some(self.start_play(&mut conn));
                    }
                    ServerEvent::Media(message) => {
                        if let (Publishers::Displace(why), MessageKind::Video) =
                            (self.publishers, message.kind)
                        {
                            conn.end_publish(why);
                        }
                        self.take(message);
                    }
                    ServerEvent::Unpublished => self.seen.lock().unwrap().unpublished = true,
                    _ => {}
                }
            }
            while let Some(output) = conn.poll_output() {
                socket.write_all(&output).await?;
            }
            if conn.is_closing() {
                socket.shutdown().await?;
                let drain = async { while matches!(socket.read(&mut buffer).await, Ok(1..)) {} };
                let _ = timeout(Duration::from_secs(1), drain).await;
                return Ok(());
            }
            let next = async {
                match &mut playing {
                    Some(live) => live.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = socket.read(&mut buffer) => {
                    let count = read?;
                    if count == 0 {
                        return Ok(());
                    }
                    conn.handle_input(Instant::now(), &buffer[..count])?;
                }
                message = next => match message {
                    Ok(message) => {
                        assert!(conn.takes_shared_chunks(), "every known player plays on stream 1");
                        socket.write_all(&shared_chunks(&message)).await?;
                    }
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    /// What a player must know, then everything since the last key frame.
    fn start_play(&self, conn: &mut ServerConn) -> broadcast::Receiver<Message> {
        let seen = self.seen.lock().unwrap();
        let live = self.live.subscribe();
        let is_header = |message: &&Message| match message.kind {
            MessageKind::Data => true,
            MessageKind::Video => matches!(flv::parse_video(&message.body), Ok(flv::VideoTag::Config { .. })),
            MessageKind::Audio => matches!(flv::parse_audio(&message.body), Ok(flv::AudioTag::Config { .. })),
        };
        let is_key = |message: &Message| {
            message.kind == MessageKind::Video
                && matches!(flv::parse_video(&message.body), Ok(flv::VideoTag::Frame { keyframe: true, .. }))
        };
        seen.messages.iter().filter(is_header).for_each(|message| conn.send(message));
        let start = seen.messages.iter().rposition(is_key).unwrap_or(seen.messages.len());
        seen.messages[start..].iter().for_each(|message| conn.send(message));
        live
    }
}
