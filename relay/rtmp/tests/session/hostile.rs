//! Inputs that brought other servers down; each arrives right after the handshake, from nobody we know.

use crate::peer::*;
use rtmp::amf0::Value;
use rtmp::{ChunkError, ConnError, Limits, MessageKind, ServerConn};
use std::time::{Duration, Instant};

#[test]
fn a_command_with_fewer_than_three_values_does_no_harm() {
    for values in [vec![], vec![Value::from("connect")], vec!["connect".into(), 1.0.into()]] {
        let mut peer = Peer::after_handshake();
        let _ = peer.send(&command(0, &values));
        let mut peer = Peer::publishing();
        let _ = peer.send(&command(1, &values));
    }
    let mut peer = Peer::with_stream();
    peer.send(&command(0, &["createStream".into()])).unwrap();
    assert!(peer.messages().is_empty(), "without a transaction nobody wants an answer");
    peer.send(&command(1, &["publish".into()])).unwrap();
    peer.server.refuse_publish("no name");
    assert!(peer.server.is_closing());
}

#[test]
fn set_data_frame_without_anything_behind_it_is_dropped() {
    let mut peer = Peer::publishing();
    peer.send(&message(4, DATA, 0, 1, &amf(&["@setDataFrame".into()]))).unwrap();
    assert_eq!(peer.media(), []);
    peer.send(&message(4, DATA, 0, 1, &amf(&["@setDataFrame".into(), "onMetaData".into()]))).unwrap();
    assert_eq!(peer.media(), [(MessageKind::Data, 0, amf(&["onMetaData".into()]))]);
    peer.send(&message(4, DATA, 0, 1, &[])).unwrap();
    assert_eq!(peer.media(), []);
}

#[test]
fn an_audio_chunk_inside_a_split_video_message_is_legal() {
    let video: Vec<u8> = (0..300u32).map(|n| n as u8).collect();
    let mut peer = Peer::publishing();
    let mut bytes = first_chunk(6, VIDEO, 40, 1, 300, &video[..128]);
    bytes.extend(first_chunk(4, AUDIO, 41, 1, 200, &[0xaf; 128]));
    bytes.extend(next_chunk(6, &video[128..256]));
    bytes.extend(next_chunk(4, &[0xaf; 72]));
    bytes.extend(next_chunk(6, &video[256..]));
    // In every possible pair of reads, and byte by byte.
    for cut in 0..bytes.len() {
        peer.send(&bytes[..cut]).unwrap();
        peer.send(&bytes[cut..]).unwrap();
        assert_eq!(
            peer.media(),
            [
                (MessageKind::Audio, 41, vec![0xaf; 200].into()),
                (MessageKind::Video, 40, video.clone().into())
            ],
            "cut at {cut}"
        );
    }
    bytes.iter().for_each(|byte| peer.send(&[*byte]).unwrap());
    assert_eq!(peer.media().len(), 2);
}

#[test]
fn an_abort_in_the_middle_of_a_message_makes_room_for_a_new_one() {
    let mut peer = Peer::publishing();
    peer.send(&first_chunk(6, VIDEO, 40, 1, 300, &[1; 128])).unwrap();
    peer.send(&message(2, ABORT, 0, 0, &6u32.to_be_bytes())).unwrap();
    peer.send(&message(6, VIDEO, 80, 1, &[2; 150])).unwrap();
    assert_eq!(peer.media(), [(MessageKind::Video, 80, vec![2; 150].into())]);
}

#[test]
fn a_new_header_inside_an_unfinished_message_is_an_error() {
    let mut peer = Peer::publishing();
    peer.send(&first_chunk(6, VIDEO, 40, 1, 300, &[1; 128])).unwrap();
    let error = peer.send(&message(6, VIDEO, 80, 1, &[2; 150])).unwrap_err();
    assert_eq!(error, ConnError::Chunk(ChunkError::Interrupted));
}

#[test]
fn ten_thousand_nested_arrays_end_one_connection_and_not_the_process() {
    let mut body = amf(&["connect".into(), 1.0.into()]).to_vec();
    body.extend([10, 0, 0, 0, 1].repeat(10_000));
    let mut peer = Peer::after_handshake();
    assert!(matches!(peer.send(&message(3, COMMAND, 0, 0, &body)), Err(ConnError::Amf0(_))));
}

#[test]
fn an_unfinished_message_of_16_mib_is_refused_at_its_header() {
    let mut peer = Peer::after_handshake();
    let error = peer.send(&set_chunk_size(0x7fff_ffff)).unwrap_err();
    assert_eq!(error, ConnError::Chunk(ChunkError::ChunkSize(0x7fff_ffff)));

    let mut peer = Peer::after_handshake();
    peer.send(&set_chunk_size(1 << 24)).unwrap();
    let error = peer.send(&first_chunk(6, VIDEO, 0, 1, 0xff_ffff, &[])).unwrap_err();
    assert!(matches!(error, ConnError::Chunk(ChunkError::TooLong { max, .. }) if max == 8 << 20));
    for (kind, max) in [(COMMAND, 64 << 10), (DATA, 256 << 10), (77, 256 << 10), (3, 1 << 10)] {
        let mut peer = Peer::after_handshake();
        peer.send(&first_chunk(5, kind, 0, 0, max, &[])).unwrap();
        let mut peer = Peer::after_handshake();
        let error = peer.send(&first_chunk(5, kind, 0, 0, max + 1, &[])).unwrap_err();
        assert_eq!(error, ConnError::Chunk(ChunkError::TooLong { kind, bytes: max + 1, max }));
    }
}

#[test]
fn unfinished_messages_of_many_chunk_streams_share_one_bound() {
    let mut peer = Peer::publishing();
    peer.send(&set_chunk_size(4 << 20)).unwrap();
    let part = vec![0; 4 << 20];
    for csid in 6..10 {
        peer.send(&first_chunk(csid, VIDEO, 0, 1, 8 << 20, &part)).unwrap();
    }
    let error = peer.send(&first_chunk(10, VIDEO, 0, 1, 8 << 20, &part)).unwrap_err();
    assert_eq!(error, ConnError::Chunk(ChunkError::Partial(16 << 20)));
}

#[test]
fn a_hundred_thousand_connects_end_at_the_second() {
    let mut peer = Peer::after_handshake();
    peer.send(&connect("live")).unwrap();
    assert!(matches!(peer.send(&connect("live")), Err(ConnError::Unexpected(_))));
}

#[test]
fn a_thirty_third_command_before_publishing_is_one_too_many() {
    let mut peer = Peer::with_stream(); // connect and createStream
    let idle = command(0, &["_checkbw".into(), 0.0.into()]);
    for _ in 2..32 {
        peer.send(&idle).unwrap();
    }
    assert!(matches!(peer.send(&idle), Err(ConnError::TooMuch { max: 32, .. })));
    let mut peer = Peer::publishing();
    for _ in 0..1000 {
        peer.send(&idle).unwrap();
    }
}

#[test]
fn a_fifth_stream_is_one_too_many() {
    let mut peer = Peer::with_stream();
    let create = command(0, &["createStream".into(), 2.0.into(), Value::Null]);
    for _ in 1..4 {
        peer.send(&create).unwrap();
    }
    assert!(matches!(peer.send(&create), Err(ConnError::TooMuch { max: 4, .. })));
}

#[test]
fn a_seventeenth_chunk_stream_is_one_too_many() {
    let mut peer = Peer::after_handshake();
    for csid in 3..=18 {
        peer.send(&message(csid, AUDIO, 0, 1, &[0])).unwrap();
    }
    let error = peer.send(&message(19, AUDIO, 0, 1, &[0])).unwrap_err();
    assert_eq!(error, ConnError::Chunk(ChunkError::Streams(16)));
    // Two-byte and three-byte chunk stream ids count like any other.
    let mut peer = Peer::after_handshake();
    let error = (0..=255u8)
        .map(|low| {
            let mut bytes = vec![1, low, 7];
            bytes.extend(&message(0, AUDIO, 0, 1, &[0])[1..]);
            peer.send(&bytes)
        })
        .find_map(Result::err)
        .unwrap();
    assert_eq!(error, ConnError::Chunk(ChunkError::Streams(16)));
}

#[test]
fn a_chunk_size_of_zero_is_refused_and_of_one_is_slow_but_right() {
    let mut peer = Peer::after_handshake();
    let error = peer.send(&set_chunk_size(0)).unwrap_err();
    assert_eq!(error, ConnError::Chunk(ChunkError::ChunkSize(0)));

    let mut peer = Peer::publishing();
    peer.send(&set_chunk_size(1)).unwrap();
    let body: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
    let mut bytes = first_chunk(6, VIDEO, 5, 1, body.len(), &body[..1]);
    body[1..].iter().for_each(|byte| bytes.extend([0xc6, *byte]));
    peer.send(&bytes).unwrap();
    assert_eq!(peer.media(), [(MessageKind::Video, 5, body.into())]);
}

#[test]
fn nobody_sends_more_than_a_mebibyte_before_publishing() {
    let mut peer = Peer::with_stream();
    let audio = message(4, AUDIO, 0, 1, &[0; 1000]);
    let error = (0..2000).map(|_| peer.send(&audio)).find_map(Result::err).unwrap();
    assert!(matches!(error, ConnError::TooMuch { max, .. } if max == 1 << 20));
    assert_eq!(peer.server.poll_event(), None);
}

#[test]
fn a_flood_of_empty_messages_in_one_read_is_bounded() {
    let mut peer = Peer::publishing();
    peer.send(&first_chunk(4, AUDIO, 0, 1, 0, &[])).unwrap();
    assert_eq!(peer.media().len(), 1, "an empty audio message is legal");
    let max = Limits::default().events_max;
    let flood = vec![0xc4; max + 1];
    assert!(matches!(peer.send(&flood), Err(ConnError::TooMuch { .. })));
    assert_eq!(peer.media().len(), max);
}

#[test]
fn a_peer_that_asks_without_reading_is_closed() {
    let mut peer = Peer::publishing();
    let ping = message(2, 4, 0, 0, &[0, 6, 1, 2, 3, 4]);
    let error = (0..100_000).map(|_| peer.send(&ping)).find_map(Result::err).unwrap();
    assert!(matches!(error, ConnError::TooMuch { what: "unread answers in bytes", .. }));
}

#[test]
fn a_silent_peer_is_closed_at_each_deadline() {
    let start = Instant::now();
    let mut server = ServerConn::new(start, Limits::default());
    assert_eq!(server.poll_timeout(), Some(start + Duration::from_secs(5)));
    server.handle_timeout(start + Duration::from_millis(4_999)).unwrap();
    let error = server.handle_timeout(start + Duration::from_secs(5)).unwrap_err();
    assert_eq!(error, ConnError::Timeout { stage: "handshake" });

    let mut peer = Peer::after_handshake();
    let end = peer.now + Duration::from_secs(10);
    assert_eq!(peer.server.poll_timeout(), Some(end));
    peer.now += Duration::from_secs(3);
    peer.send(&connect("live")).unwrap();
    assert_eq!(peer.server.poll_timeout(), Some(end), "talking does not extend it");
    assert_eq!(peer.server.handle_timeout(end), Err(ConnError::Timeout { stage: "publish or play" }));

    let mut peer = Peer::with_stream();
    peer.send(&publish("key")).unwrap();
    assert_eq!(peer.server.poll_timeout(), None, "the caller's own thinking does not count");
}

#[test]
fn bytes_that_are_no_handshake_are_refused_at_once() {
    let now = Instant::now();
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", &[6; 1537]] {
        let mut server = ServerConn::new(now, Limits::default());
        assert!(matches!(server.handle_input(now, bytes), Err(ConnError::Handshake(_))));
    }
}

#[test]
fn a_command_out_of_order_is_an_error() {
    let mut peer = Peer::after_handshake();
    assert!(peer.send(&publish("key")).is_err());
    let mut peer = Peer::after_handshake();
    peer.send(&connect("live")).unwrap();
    assert!(peer.send(&publish("key")).is_err(), "without createStream there is no stream 1");
}

#[test]
fn a_broken_aggregate_is_an_error() {
    let mut tag = vec![AUDIO, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 13];
    for cut in 1..tag.len() {
        let mut peer = Peer::publishing();
        let outcome = peer.send(&message(6, AGGREGATE, 0, 1, &tag[..cut]));
        assert_eq!(outcome.is_ok(), cut >= 13, "only the last back pointer may be missing: {cut}");
    }
    tag[1] = 0xff;
    assert!(Peer::publishing().send(&message(6, AGGREGATE, 0, 1, &tag)).is_err());
}
