//! Random damage to valid sessions: whatever comes of it, it is a value and not a panic.

use crate::peer::*;
use bytes::Bytes;
use rtmp::amf0::{self, Value};
use rtmp::{Limits, PlayerConn, PublisherConn, ServerConn, ServerEvent, flv};
use std::time::{Duration, Instant};

/// How long each test damages sessions. Longer runs find no more; the seeds are fixed, so a failure repeats.
const BUDGET: Duration = Duration::from_secs(2);

/// xorshift64: small, fast and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One to eight pieces of damage: flipped bits, odd bytes, cuts, repeats and insertions.
    fn damage(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..=self.below(8) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xc0, 0xff][self.below(7)],
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                4 => bytes.insert(at, self.next() as u8),
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

/// A publisher's bytes after its handshake, with everything that we understand in them.
fn session() -> Vec<u8> {
    let mut bytes = connect("live");
    bytes.extend(set_chunk_size(128));
    for name in ["releaseStream", "FCPublish", "createStream", "_checkbw"] {
        bytes.extend(command(0, &[name.into(), 2.0.into(), Value::Null, "key".into()]));
    }
    bytes.extend(publish("key"));
    let metadata = Value::EcmaArray(vec![("width".into(), 1280.0.into()), ("t".into(), Value::Date(1.0))]);
    bytes.extend(message(4, DATA, 0, 1, &amf(&["@setDataFrame".into(), "onMetaData".into(), metadata])));
    let video: Vec<u8> = [&[0x17, 1, 0, 0, 40, 0, 0, 1, 35][..], &[0x65; 291]].concat();
    bytes.extend(first_chunk(6, VIDEO, 40, 1, 300, &video[..128]));
    bytes.extend(first_chunk(4, AUDIO, 41, 1, 5, &[0xaf, 1, 1, 2, 3]));
    bytes.extend(next_chunk(6, &video[128..256]));
    bytes.extend(next_chunk(6, &video[256..]));
    bytes.extend([6, 0xff, 0xff, 0xff, 0, 0, 200, VIDEO, 1, 0, 0, 0, 1, 2, 3, 4]);
    bytes.extend([0x27; 128]);
    bytes.extend([0xc6, 1, 2, 3, 4]);
    bytes.extend([0x27; 72]);
    bytes.extend(message(7, AGGREGATE, 90, 1, &[AUDIO, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0, 7, 0, 0, 0, 12]));
    bytes.extend(message(2, ABORT, 0, 0, &6u32.to_be_bytes()));
    bytes.extend(message(2, 4, 0, 0, &[0, 6, 1, 2, 3, 4]));
    bytes.extend(command(1, &["pause".into(), 0.0.into(), Value::Null, true.into()]));
    bytes.extend(command(0, &["deleteStream".into(), 0.0.into(), Value::Null, 1.0.into()]));
    bytes
}

fn read_tags(body: &Bytes) {
    let _ = flv::parse_video(body);
    let _ = flv::parse_audio(body);
}

#[test]
fn a_damaged_session_never_panics_the_server() {
    let valid = session();
    let end = Instant::now() + BUDGET;
    let mut random = Random(0x5eed_0001);
    let (mut whole, mut media) = (0, 0);
    while Instant::now() < end {
        let bytes = random.damage(&valid);
        let mut peer = Peer::after_handshake();
        let mut rest = &bytes[..];
        let mut outcome = Ok(());
        while !rest.is_empty() && outcome.is_ok() {
            let (now, later) = rest.split_at(1 + random.below(rest.len()));
            rest = later;
            outcome = peer.send(now);
            while let Some(event) = peer.server.poll_event() {
                match event {
                    ServerEvent::PublishRequested { .. } => peer.server.accept_publish(),
                    ServerEvent::PlayRequested { .. } => peer.server.accept_play(),
                    ServerEvent::Media(message) => {
                        media += 1;
                        read_tags(&message.body);
                    }
                    _ => {}
                }
            }
            peer.output();
        }
        whole += u32::from(outcome.is_ok());
    }
    // The damage is neither harmless nor always fatal, so deep states were reached.
    assert!(whole > 0 && media > 0, "{whole} whole sessions, {media} messages");
}

#[test]
fn a_damaged_handshake_never_panics_the_server() {
    let now = Instant::now();
    let end = now + BUDGET / 4;
    let mut random = Random(0x5eed_0002);
    let mut hello = vec![3];
    hello.extend([7; 3072]);
    while Instant::now() < end {
        let mut server = ServerConn::new(now, Limits::default());
        let mut bytes = random.damage(&hello);
        bytes.extend(connect("live"));
        let cut = random.below(bytes.len());
        let _ =
            server.handle_input(now, &bytes[..cut]).and_then(|()| server.handle_input(now, &bytes[cut..]));
        while server.poll_event().is_some() {}
    }
}

#[test]
fn a_damaged_server_never_panics_our_clients() {
    let url: media::TargetUrl = "rtmp://relay.example/live/key".parse().unwrap();
    let now = Instant::now();
    let end = now + BUDGET;
    let mut random = Random(0x5eed_0003);
    let mut started = 0;
    while Instant::now() < end {
        let mut server = ServerConn::new(now, Limits::default());
        let mut publisher = PublisherConn::new(url.clone()).unwrap();
        let mut player = PlayerConn::new(url.clone()).unwrap();
        let playing = random.below(2) == 0;
        for _ in 0..12 {
            let up = if playing { player.poll_output() } else { publisher.poll_output() };
            // A client that was told nonsense, such as another stream id, may well ask for nonsense.
            if server.handle_input(now, &up.unwrap_or_default()).is_err() {
                break;
            }
            while let Some(event) = server.poll_event() {
                match event {
                    ServerEvent::PublishRequested { .. } => server.accept_publish(),
                    ServerEvent::PlayRequested { .. } => server.accept_play(),
                    _ => {}
                }
            }
            let Some(down) = server.poll_output() else { break };
            let damaged = if random.below(3) == 0 { random.damage(&down).into() } else { down };
            let outcome =
                if playing { player.handle_input(&damaged) } else { publisher.handle_input(&damaged) };
            started += u32::from(player.poll_event().is_some() || publisher.poll_event().is_some());
            if outcome.is_err() {
                break;
            }
        }
    }
    assert!(started > 0, "some sessions survive their damage");
}

#[test]
fn damaged_amf0_and_flv_never_panic() {
    let values = [
        "onMetaData".into(),
        Value::Object(vec![("list".into(), Value::StrictArray(vec![1.0.into(), Value::Reference(1)]))]),
        Value::EcmaArray(vec![("date".into(), Value::Date(1.0)), ("text".into(), "hello".into())]),
    ];
    let amf = amf(&values);
    let tags: [&[u8]; 5] = [
        &[0x17, 1, 0, 0, 40, 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 6],
        &[0x91, b'a', b'v', b'c', b'1', 0xff, 0xff, 0xd8, 0, 0, 0, 1, 0x65],
        &[0x97, 2, 1, 2, 3, 0x01, b'h', b'v', b'c', b'1', 0, 0, 0, 9],
        &[0xaf, 1, 1, 2, 3],
        &[0x97, 0, 0, 0x01, b'm', b'p', b'4', b'a', 1, 2],
    ];
    let end = Instant::now() + BUDGET / 2;
    let mut random = Random(0x5eed_0004);
    while Instant::now() < end {
        let _ = amf0::read_all(&random.damage(&amf));
        let tag = tags[random.below(tags.len())];
        read_tags(&random.damage(tag).into());
    }
}
