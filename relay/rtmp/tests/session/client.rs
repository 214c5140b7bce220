//! Our clients against our server and against rml_rtmp's sessions.

use bytes::Bytes;
use media::TargetUrl;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
    ServerSession, ServerSessionConfig, ServerSessionEvent, ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;
use rtmp::{ClientEvent, Limits, Message, MessageKind, PlayerConn, PublisherConn, ServerConn, ServerEvent};
use std::time::Instant;

fn url() -> TargetUrl {
    "rtmp://relay.example/live/key?grant=1".parse().unwrap()
}

fn video(timestamp: u32, length: usize) -> Message {
    Message { kind: MessageKind::Video, timestamp, body: Bytes::from(vec![0x27; length]) }
}

/// Carries bytes both ways until both sides are silent.
macro_rules! talk {
    ($client:expr, $server:expr, $now:expr) => {
        loop {
            let (up, down) = ($client.poll_output(), $server.poll_output());
            if up.is_none() && down.is_none() {
                break;
            }
            $server.handle_input($now, &up.unwrap_or_default()).unwrap();
            $client.handle_input(&down.unwrap_or_default()).unwrap();
        }
    };
}

#[test]
fn our_publisher_publishes_to_our_server() {
    let now = Instant::now();
    let mut server = ServerConn::new(now, Limits::default());
    let mut client = PublisherConn::new(url()).unwrap();
    talk!(client, server, now);
    assert!(matches!(server.poll_event(), Some(ServerEvent::Connected { app, tc_url, .. })
        if app == "live" && tc_url == "rtmp://relay.example:1935/live"));
    assert!(
        matches!(server.poll_event(), Some(ServerEvent::PublishRequested { name, .. }) if name == "key?grant=1")
    );
    client.send(&video(0, 10));
    assert_eq!(client.poll_output(), None, "nothing is sent before the server agrees");
    server.accept_publish();
    talk!(client, server, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Started));
    let metadata =
        Message { kind: MessageKind::Data, timestamp: 0, body: rtmp::flv::metadata(None, None, 0) };
    let frames = [metadata, video(0xffff_fff0, 200_000), video(5, 0)];
    frames.iter().for_each(|frame| client.send(frame));
    talk!(client, server, now);
    for frame in frames {
        assert_eq!(server.poll_event(), Some(ServerEvent::Media(frame)));
    }
    client.finish();
    talk!(client, server, now);
    assert_eq!(server.poll_event(), Some(ServerEvent::Unpublished));
}

#[test]
fn our_publisher_hears_why_it_is_refused_and_when_it_is_displaced() {
    let now = Instant::now();
    for displaced in [false, true] {
        let mut server = ServerConn::new(now, Limits::default());
        let mut client = PublisherConn::new(url()).unwrap();
        talk!(client, server, now);
        let code = if displaced {
            server.accept_publish();
            talk!(client, server, now);
            assert_eq!(client.poll_event(), Some(ClientEvent::Started));
            server.end_publish("held by rec-2");
            "NetStream.Publish.Denied"
        } else {
            server.refuse_publish("held by rec-2");
            "NetStream.Publish.BadName"
        };
        talk!(client, server, now);
        let expected = ClientEvent::Refused { code: code.into(), description: "held by rec-2".into() };
        assert_eq!(client.poll_event(), Some(expected));
    }
}

#[test]
fn our_player_plays_from_our_server() {
    let now = Instant::now();
    let mut server = ServerConn::new(now, Limits::default());
    let mut client = PlayerConn::new(url()).unwrap();
    talk!(client, server, now);
    assert!(matches!(server.poll_event(), Some(ServerEvent::Connected { .. })));
    assert!(
        matches!(server.poll_event(), Some(ServerEvent::PlayRequested { name, .. }) if name == "key?grant=1")
    );
    server.accept_play();
    talk!(client, server, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Started));
    client.poll_event(); // |RtmpSampleAccess
    let frame = video(40, 150_000);
    client.handle_input(&rtmp::shared_chunks(&frame)).unwrap();
    server.send(&video(80, 3));
    talk!(client, server, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Media(frame)));
    assert_eq!(client.poll_event(), Some(ClientEvent::Media(video(80, 3))));
    server.end_play();
    talk!(client, server, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Ended));
}

#[test]
fn rml_rtmp_publishes_to_our_server() {
    let now = Instant::now();
    let mut server = ServerConn::new(now, Limits::default());
    let mut handshake = Handshake::new(PeerType::Client);
    server.handle_input(now, &handshake.generate_outbound_p0_and_p1().unwrap()).unwrap();
    let answer = server.poll_output().unwrap();
    let HandshakeProcessResult::Completed { response_bytes, .. } = handshake.process_bytes(&answer).unwrap()
    else {
        panic!("the handshake is over");
    };
    server.handle_input(now, &response_bytes).unwrap();

    let (mut client, first) = ClientSession::new(ClientSessionConfig::new()).unwrap();
    let mut results = first;
    let ClientSessionResult::OutboundResponse(connect) = client.request_connection("live".into()).unwrap()
    else {
        panic!("a connect is sent");
    };
    results.push(ClientSessionResult::OutboundResponse(connect));
    let mut received = Vec::new();
    let mut sent = 0;
    let mut rounds = 0;
    while sent < 3 {
        rounds += 1;
        assert!(rounds < 100, "the session stalls");
        let mut more = Vec::new();
        for result in results.drain(..) {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    server.handle_input(now, &packet.bytes).unwrap();
                }
                ClientSessionResult::RaisedEvent(ClientSessionEvent::ConnectionRequestAccepted) => {
                    more.push(client.request_publishing("key".into(), PublishRequestType::Live).unwrap());
                }
                ClientSessionResult::RaisedEvent(ClientSessionEvent::PublishRequestAccepted) => {
                    for n in 0..3u32 {
                        let body = Bytes::from(vec![n as u8; 9000]);
                        let time = RtmpTimestamp::new(n * 33);
                        more.push(client.publish_video_data(body, time, false).unwrap());
                        sent += 1;
                    }
                }
                _ => {}
            }
        }
        for result in more {
            if let ClientSessionResult::OutboundResponse(packet) = result {
                server.handle_input(now, &packet.bytes).unwrap();
            }
        }
        while let Some(event) = server.poll_event() {
            if matches!(event, ServerEvent::PublishRequested { .. }) {
                server.accept_publish();
            }
            received.push(event);
        }
        if let Some(output) = server.poll_output() {
            results.extend(client.handle_input(&output).unwrap());
        }
    }
    let media: Vec<_> = received
        .into_iter()
        .filter_map(|event| match event {
            ServerEvent::Media(message) => Some((message.timestamp, message.body)),
            _ => None,
        })
        .collect();
    let expected: Vec<_> = (0..3u32).map(|n| (n * 33, Bytes::from(vec![n as u8; 9000]))).collect();
    assert_eq!(media, expected);
}

#[test]
fn our_publisher_publishes_to_rml_rtmp() {
    let mut client = PublisherConn::new(url()).unwrap();
    let mut handshake = Handshake::new(PeerType::Server);
    let answer = match handshake.process_bytes(&client.poll_output().unwrap()).unwrap() {
        HandshakeProcessResult::InProgress { response_bytes } => response_bytes,
        HandshakeProcessResult::Completed { .. } => panic!("C2 is still to come"),
    };
    client.handle_input(&answer).unwrap();
    let HandshakeProcessResult::Completed { remaining_bytes, .. } =
        handshake.process_bytes(&client.poll_output().unwrap()).unwrap()
    else {
        panic!("the handshake is over");
    };
    let (mut server, mut results) = ServerSession::new(ServerSessionConfig::new()).unwrap();
    results.extend(server.handle_input(&remaining_bytes).unwrap());
    let mut frames = Vec::new();
    for _ in 0..20 {
        for result in std::mem::take(&mut results) {
            match result {
                ServerSessionResult::OutboundResponse(packet) => client.handle_input(&packet.bytes).unwrap(),
                ServerSessionResult::RaisedEvent(
                    ServerSessionEvent::ConnectionRequested { request_id, .. }
                    | ServerSessionEvent::PublishStreamRequested { request_id, .. },
                ) => results.extend(server.accept_request(request_id).unwrap()),
                ServerSessionResult::RaisedEvent(ServerSessionEvent::VideoDataReceived {
                    data,
                    timestamp,
                    ..
                }) => {
                    frames.push((timestamp.value, data));
                }
                _ => {}
            }
        }
        if client.poll_event() == Some(ClientEvent::Started) {
            client.send(&video(33, 100_000));
            client.send(&video(66, 1));
        }
        if let Some(output) = client.poll_output() {
            results.extend(server.handle_input(&output).unwrap());
        }
    }
    assert_eq!(frames, [(33, video(33, 100_000).body), (66, video(66, 1).body)]);
}

#[test]
fn media_that_waits_to_be_sent_is_not_held_against_the_peer() {
    let now = Instant::now();
    let mut server = ServerConn::new(now, Limits::default());
    let mut client = PlayerConn::new(url()).unwrap();
    talk!(client, server, now);
    server.accept_play();
    talk!(client, server, now);
    server.send(&video(0, 3 << 20));
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 9];
    server.handle_input(now, &ping).unwrap();
    talk!(client, server, now);
}
