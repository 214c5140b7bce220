//! Chunk headers as real encoders write them.

use crate::peer::*;
use bytes::Bytes;
use rml_rtmp::chunk_io::ChunkDeserializer;
use rtmp::{Message, MessageKind, SHARED_CHUNK_SIZE, shared_chunks};

#[test]
fn deltas_add_up_and_a_repeated_header_means_the_same_step() {
    let mut peer = Peer::publishing();
    let mut bytes = first_chunk(4, AUDIO, 1000, 1, 1, &[1]);
    bytes.extend([0x44, 0, 0, 23, 0, 0, 1, AUDIO, 2]); // type 1: step 23, same length
    bytes.extend([0x84, 0, 0, 20, 3]); // type 2: step 20
    bytes.extend([0xc4, 4]); // type 3: step 20 again
    peer.send(&bytes).unwrap();
    let times: Vec<_> = peer.media().into_iter().map(|(_, time, body)| (time, body[0])).collect();
    assert_eq!(times, [(1000, 1), (1023, 2), (1043, 3), (1063, 4)]);
}

#[test]
fn a_type_3_header_after_a_type_0_header_keeps_the_time() {
    let mut peer = Peer::publishing();
    let mut bytes = first_chunk(4, AUDIO, 1000, 1, 1, &[1]);
    bytes.extend([0xc4, 2]);
    peer.send(&bytes).unwrap();
    let times: Vec<_> = peer.media().into_iter().map(|(_, time, _)| time).collect();
    assert_eq!(times, [1000, 1000]);
}

/// A 300-byte message with timestamp 0x01020304; continuations begin with `repeated`.
fn extended(repeated: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![6, 0xff, 0xff, 0xff, 0, 1, 44, VIDEO, 1, 0, 0, 0, 1, 2, 3, 4];
    for (index, part) in body.chunks(128).enumerate() {
        if index > 0 {
            bytes.push(0xc6);
            bytes.extend(repeated);
        }
        bytes.extend(part);
    }
    bytes
}

#[test]
fn an_extended_timestamp_may_be_repeated_or_left_out() {
    // 1 and 1, 2 at the chunk borders tempt a reader to take payload for the timestamp.
    let mut body = vec![9; 300];
    body[128] = 1;
    body[256..258].copy_from_slice(&[1, 2]);
    let mut peer = Peer::publishing();
    for repeated in [&[1, 2, 3, 4][..], &[]] {
        let bytes = extended(repeated, &body);
        for cut in 0..bytes.len() {
            peer.send(&bytes[..cut]).unwrap();
            peer.send(&bytes[cut..]).unwrap();
            let expected = (MessageKind::Video, 0x0102_0304, Bytes::from(body.clone()));
            assert_eq!(peer.media(), [expected], "{repeated:?} cut at {cut}");
        }
    }
}

#[test]
fn an_extended_step_may_repeat_the_step_or_the_time() {
    let mut peer = Peer::publishing();
    for repeated in [0x0100_0000u32, 0x0100_03e8] {
        let mut bytes = first_chunk(6, VIDEO, 1000, 1, 1, &[0]);
        bytes.extend([0x46, 0xff, 0xff, 0xff, 0, 0, 200, VIDEO, 1, 0, 0, 0]);
        bytes.extend([7; 128]);
        bytes.push(0xc6);
        bytes.extend(repeated.to_be_bytes());
        bytes.extend([7; 72]);
        peer.send(&bytes).unwrap();
        let media = peer.media();
        assert_eq!(media[1], (MessageKind::Video, 0x0100_03e8, vec![7; 200].into()));
    }
}

#[test]
fn chunk_stream_ids_of_two_and_three_bytes_are_read() {
    let mut peer = Peer::publishing();
    let plain = message(0, AUDIO, 7, 1, &[1, 2]);
    for basic in [&[0u8, 0][..], &[0, 255], &[1, 0, 0], &[1, 255, 255]] {
        let mut bytes = basic.to_vec();
        bytes.extend(&plain[1..]);
        bytes.iter().for_each(|byte| peer.send(&[*byte]).unwrap());
    }
    assert_eq!(peer.media().len(), 4);
}

#[test]
fn an_aggregate_is_split_and_moved_to_its_own_time() {
    let mut body = Vec::new();
    for (kind, time, byte) in [(AUDIO, 100u8, 1u8), (VIDEO, 140, 2)] {
        body.extend([kind, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, byte, 0, 0, 0, 12]);
    }
    let mut peer = Peer::publishing();
    peer.send(&message(6, AGGREGATE, 5000, 1, &body)).unwrap();
    assert_eq!(
        peer.media(),
        [
            (MessageKind::Audio, 5000, Bytes::from_static(&[1])),
            (MessageKind::Video, 5040, Bytes::from_static(&[2]))
        ]
    );
}

#[test]
fn amf3_data_is_read_as_the_amf0_behind_its_first_byte() {
    let mut peer = Peer::publishing();
    let body = amf(&["onTextData".into()]);
    let wrapped = [&[0], &body[..]].concat();
    peer.send(&message(5, 15, 9, 1, &wrapped)).unwrap();
    assert_eq!(peer.media(), [(MessageKind::Data, 9, body)]);
}

#[test]
fn an_independent_reader_understands_shared_chunks() {
    let bodies = [0, 1, SHARED_CHUNK_SIZE, SHARED_CHUNK_SIZE + 1, 3 * SHARED_CHUNK_SIZE + 17];
    let times = [0, 0xff_fffe, 0xff_ffff, 0x0100_0000, u32::MAX];
    let mut reader = ChunkDeserializer::new();
    reader.set_max_chunk_size(SHARED_CHUNK_SIZE).unwrap();
    for kind in [MessageKind::Video, MessageKind::Audio, MessageKind::Data] {
        for length in bodies {
            for timestamp in times {
                let body = Bytes::from(vec![0xab; length]);
                let chunks = shared_chunks(&Message { kind, timestamp, body: body.clone() });
                let read = reader.get_next_message(&chunks).unwrap().expect("a whole message");
                assert_eq!((read.timestamp.value, read.message_stream_id), (timestamp, 1));
                assert_eq!(read.data, body);
                let type_id = match kind {
                    MessageKind::Video => VIDEO,
                    MessageKind::Audio => AUDIO,
                    MessageKind::Data => DATA,
                };
                assert_eq!(read.type_id, type_id);
            }
        }
    }
}

#[test]
fn acknowledgements_state_the_running_total() {
    let mut peer = Peer::publishing();
    peer.messages();
    let handshake = 1 + 1536 + 1536;
    peer.send(&message(2, 5, 0, 0, &100_000u32.to_be_bytes())).unwrap();
    let chunk = message(6, VIDEO, 0, 1, &[0; 10_000]);
    let mut totals = Vec::new();
    for _ in 0..40 {
        peer.send(&chunk).unwrap();
        for (_, message) in peer.messages() {
            if let rml_rtmp::messages::RtmpMessage::Acknowledgement { sequence_number } = message {
                totals.push(sequence_number);
            }
        }
    }
    assert_eq!(totals.len(), 4, "{totals:?}");
    assert!(totals[0] >= 100_000 && totals.windows(2).all(|pair| pair[1] >= pair[0] + 100_000), "{totals:?}");
    let sent = 40 * chunk.len() as u32 + handshake;
    assert!(*totals.last().unwrap() <= sent + 1000);
}
