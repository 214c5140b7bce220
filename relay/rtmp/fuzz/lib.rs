//! Fuzz targets: whatever bytes come, the wire answers with a value, within its bounds.
//!
//! `cargo test` runs each on the kept corpus (`__fuzz__/NAME/corpus`) and then, for two seconds, on noise; a failure is
//! printed with its input and seed. (Damaged copies of valid sessions are `tests/session/mutation.rs`.) `make fuzz` runs each for ten minutes under libFuzzer, which
//! looks for new paths, and keeps what it finds.
//!
//! More than 64 MiB for one input is a failure like a panic: the allocator then gives no more.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test reads the clock once, then moves time by hand")]

use bytes::Bytes;
use cap::Cap;
use rtmp::{Limits, Message, MessageKind, PlayerConn, PublisherConn, ServerConn, ServerEvent, amf0, flv};
use std::alloc::System;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one input may cost, beside what the engine itself keeps.
const MEMORY_MAX: usize = 64 << 20;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// One target at a time: the allocator's limit is everybody's.
static TURN: Mutex<()> = Mutex::new(());

/// Runs the target on every input that the engine has. A macro, since the engine knows a target by where this stands.
macro_rules! on_all {
    ($target:expr) => {{
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let target = $target;
        let time = Duration::from_secs(2);
        bolero::check!().with_test_time(time).for_each(|bytes: &[u8]| {
            MEMORY.set_limit(MEMORY.allocated() + MEMORY_MAX).unwrap();
            target(bytes);
            MEMORY.set_limit(usize::MAX).unwrap();
        });
        drop(turn);
    }};
}

/// The bytes in pieces as they may come from a socket; the first byte chooses their lengths.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (first, mut rest) =
        bytes.split_first().map_or((1, bytes), |(first, rest)| (usize::from(*first), rest));
    let mut length = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        length = (length * 31 + 17) % 1_500 + 1;
        let (now, later) = rest.split_at(length.min(rest.len()));
        rest = later;
        Some(now)
    })
}

fn read_tags(message: &Message) {
    let _ = flv::parse_video(&message.body);
    let _ = flv::parse_audio(&message.body);
    let _ = flv::sequence_headers(message.kind, &message.body);
}

/// Answers what the server asks of its owner.
fn serve(server: &mut ServerConn) {
    while let Some(event) = server.poll_event() {
        match event {
            ServerEvent::PublishRequested { .. } => server.accept_publish(),
            ServerEvent::PlayRequested { .. } => server.accept_play(),
            ServerEvent::Media(message) => read_tags(&message),
            _ => {}
        }
    }
    while server.poll_output().is_some() {}
}

/// RTMP 1.0 §5.2: C0, C1 and C2, the last as the echo of what the server sent.
fn shake_hands(server: &mut ServerConn, now: Instant) {
    let mut hello = vec![3];
    hello.extend([0; 1_536]);
    server.handle_input(now, &hello).unwrap();
    let answer = server.poll_output().unwrap();
    server.handle_input(now, &answer[1..1_537]).unwrap();
}

#[test]
fn a_handshake() {
    let now = Instant::now();
    on_all!(|bytes: &[u8]| {
        let mut server = ServerConn::new(now, Limits::default());
        for piece in pieces(bytes) {
            if server.handle_input(now, piece).is_err() {
                return;
            }
            serve(&mut server);
        }
    });
}

#[test]
fn a_session() {
    let now = Instant::now();
    on_all!(|bytes: &[u8]| {
        let mut server = ServerConn::new(now, Limits::default());
        shake_hands(&mut server, now);
        for piece in pieces(bytes) {
            if server.handle_input(now, piece).is_err() {
                return;
            }
            serve(&mut server);
        }
        let _ = server.handle_timeout(now + Duration::from_secs(60));
        serve(&mut server);
    });
}

#[test]
fn an_answer_to_our_player() {
    let url: media::TargetUrl = "rtmp://relay.example/live/key".parse().unwrap();
    on_all!(|bytes: &[u8]| {
        let mut player = PlayerConn::new(url.clone()).unwrap();
        for piece in pieces(bytes) {
            if player.handle_input(piece).is_err() {
                return;
            }
            while player.poll_event().is_some() {}
            while player.poll_output().is_some() {}
        }
    });
}

#[test]
fn an_answer_to_our_publisher() {
    let url: media::TargetUrl = "rtmp://relay.example/live/key".parse().unwrap();
    on_all!(|bytes: &[u8]| {
        let mut publisher = PublisherConn::new(url.clone()).unwrap();
        for piece in pieces(bytes) {
            if publisher.handle_input(piece).is_err() {
                return;
            }
            while publisher.poll_event().is_some() {}
            while publisher.poll_output().is_some() {}
        }
    });
}

#[test]
fn amf0_values() {
    on_all!(|bytes: &[u8]| {
        let Ok(values) = amf0::read_all(bytes) else { return };
        // What was read can be written and read again; not always to the same bytes.
        let mut again = bytes::BytesMut::new();
        values.iter().for_each(|value| amf0::write(&mut again, value));
        assert!(amf0::read_all(&again).is_ok());
    });
}

#[test]
fn tags() {
    on_all!(|bytes: &[u8]| {
        let body = Bytes::copy_from_slice(bytes);
        for kind in [MessageKind::Audio, MessageKind::Video] {
            let _ = flv::sequence_headers(kind, &body);
        }
        if let Ok(flv::AudioTag::Config { codec, config }) = flv::parse_audio(&body) {
            let _ = codec.track(&config);
        }
        if let Ok(flv::VideoTag::Config { codec, record }) = flv::parse_video(&body) {
            let _ = codec.track(&record);
        }
    });
}
