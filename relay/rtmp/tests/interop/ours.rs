//! Our own clients over sockets.

use crate::server::{Publishers, Server};
use bytes::Bytes;
use media::TargetUrl;
use rtmp::io::{Deadlines, Player, PublishError, Publisher};
use rtmp::{Message, MessageKind};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

fn video(timestamp: u32, length: usize) -> Message {
    let mut body = vec![0x27, 1, 0, 0, 0];
    body.extend(((length - 9) as u32).to_be_bytes());
    body.resize(length, 0x41);
    Message { kind: MessageKind::Video, timestamp, body: body.into() }
}

fn short() -> Deadlines {
    let limit = Duration::from_millis(300);
    Deadlines { connect: limit, handshake: limit, request: limit, write: limit }
}

#[tokio::test]
async fn our_publisher_and_player_carry_every_message() {
    let server = Server::start(Publishers::Accept).await;
    let url: TargetUrl = server.url("key?grant=1").parse().unwrap();
    let mut publisher = Publisher::connect(&url, Deadlines::default()).await.unwrap();
    let mut player = Player::connect(&url, Deadlines::default()).await.unwrap();
    let sent: Vec<_> = (0..200).map(|n| video(n * 40, 9 + n as usize * 1000)).collect();
    let sending = async {
        for batch in sent.chunks(7) {
            publisher.send(batch).await.unwrap();
        }
        publisher.close().await;
    };
    let playing = async {
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let message = player.next().await.unwrap();
            if message.kind == MessageKind::Video {
                got.push(message);
            }
        }
        got
    };
    let both = async { tokio::join!(sending, playing) };
    let ((), got) = timeout(Duration::from_secs(20), both).await.unwrap();
    assert!(got == sent, "messages differ");
    server.until("the goodbye", |seen| seen.unpublished).await;
}

#[tokio::test]
async fn our_publisher_learns_why_it_is_refused() {
    let server = Server::start(Publishers::Refuse("held by rec-2")).await;
    let url: TargetUrl = server.url("key").parse().unwrap();
    match Publisher::connect(&url, Deadlines::default()).await {
        Err(PublishError::Refused { code, description }) => {
            assert_eq!((code.as_str(), description.as_str()), ("NetStream.Publish.BadName", "held by rec-2"));
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn our_publisher_learns_of_its_end_while_sending_and_while_idle() {
    for idle in [false, true] {
        let server = Server::start(Publishers::Displace("taken over")).await;
        let url: TargetUrl = server.url("key").parse().unwrap();
        let mut publisher = Publisher::connect(&url, Deadlines::default()).await.unwrap();
        publisher.send(&[video(0, 100)]).await.unwrap();
        let ending = async {
            if idle {
                return publisher.failed().await;
            }
            loop {
                if let Err(error) = publisher.send(&[video(40, 1000)]).await {
                    return error;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(Duration::from_secs(5), ending).await.unwrap() {
            PublishError::Refused { code, description } => {
                assert_eq!((code.as_str(), description.as_str()), ("NetStream.Publish.Denied", "taken over"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_noticed() {
    let server = Server::start(Publishers::Accept).await;
    let url: TargetUrl = server.url("key").parse().unwrap();
    let refused = server.port;
    drop(server);
    tokio::task::yield_now().await;
    let error = Publisher::connect(&url, short()).await.err().unwrap();
    assert!(matches!(error, PublishError::Io(_) | PublishError::Closed), "port {refused}: {error:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: TargetUrl = format!("rtmp://{}/live/key", listener.local_addr().unwrap()).parse().unwrap();
    let start = Instant::now();
    let (accepted, connected) = tokio::join!(listener.accept(), Publisher::connect(&url, short()));
    let error = connected.err().unwrap();
    assert!(matches!(error, PublishError::Timeout { stage: "handshake" }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(2));
    let mut hello = Vec::new();
    accepted.unwrap().0.read_to_end(&mut hello).await.unwrap();
    assert_eq!(hello.len(), 1537, "C0 and C1, and then an end");
}

#[tokio::test]
async fn a_server_that_stops_reading_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: TargetUrl = format!("rtmp://{}/live/key", listener.local_addr().unwrap()).parse().unwrap();
    let stalled = tokio::spawn(async move {
        use rtmp::{Limits, ServerConn, ServerEvent};
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut conn = ServerConn::new(Instant::now(), Limits::default());
        let mut buffer = [0; 4096];
        let mut accepted = false;
        while !accepted {
            let count = socket.read(&mut buffer).await.unwrap();
            conn.handle_input(Instant::now(), &buffer[..count]).unwrap();
            while let Some(event) = conn.poll_event() {
                if matches!(event, ServerEvent::PublishRequested { .. }) {
                    conn.accept_publish();
                    accepted = true;
                }
            }
            while let Some(output) = conn.poll_output() {
                socket.write_all(&output).await.unwrap();
            }
        }
        // Talks on, but reads nothing.
        loop {
            conn.ping(Instant::now());
            let ping = conn.poll_output().unwrap();
            if socket.write_all(&ping).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let deadlines = Deadlines { write: Duration::from_millis(500), ..Deadlines::default() };
    let mut publisher = Publisher::connect(&url, deadlines).await.unwrap();
    let big = Message { kind: MessageKind::Video, timestamp: 0, body: Bytes::from(vec![0; 1 << 20]) };
    let sending = async {
        loop {
            if let Err(error) = publisher.send(std::slice::from_ref(&big)).await {
                return error;
            }
        }
    };
    let error = timeout(Duration::from_secs(10), sending).await.unwrap();
    assert!(matches!(error, PublishError::Timeout { stage: "write" }), "{error:?}");
    drop(publisher);
    stalled.await.unwrap();
}
