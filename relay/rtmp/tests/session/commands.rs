//! The commands of real clients and the answers that they wait for.

use crate::peer::*;
use rml_rtmp::messages::RtmpMessage;
use rtmp::amf0::Value;
use rtmp::{ConnError, Message, MessageKind, ServerEvent};
use std::time::Duration;

fn commands(messages: &[(rml_rtmp::messages::MessagePayload, RtmpMessage)]) -> Vec<(String, f64)> {
    messages
        .iter()
        .filter_map(|(_, message)| match message {
            RtmpMessage::Amf0Command { command_name, transaction_id, .. } => {
                Some((command_name.clone(), *transaction_id))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn connect_reports_the_client_and_offers_to_forward_every_codec() {
    let mut peer = Peer::after_handshake();
    let object = Value::Object(vec![
        ("app".into(), "live?x=1".into()),
        ("flashVer".into(), "LNX 9,0,124,2".into()),
        ("pageUrl".into(), "http://page.example/".into()),
        ("tcUrl".into(), "rtmp://h:1935/live?x=1".into()),
        ("fourCcList".into(), Value::StrictArray(vec!["av01".into(), "hvc1".into(), "av01".into()])),
        ("videoFourCcInfoMap".into(), Value::Object(vec![("vp09".into(), 2.0.into())])),
        ("capsEx".into(), 3.0.into()),
        ("objectEncoding".into(), 3.0.into()),
    ]);
    peer.send(&command(0, &["connect".into(), 1.0.into(), object])).unwrap();
    let expected = ServerEvent::Connected {
        app: "live?x=1".into(),
        tc_url: "rtmp://h:1935/live?x=1".into(),
        flash_ver: "LNX 9,0,124,2".into(),
        swf_url: String::new(),
        page_url: "http://page.example/".into(),
        four_ccs: vec!["av01".into(), "hvc1".into(), "vp09".into()],
        caps_ex: 3,
    };
    assert_eq!(peer.server.poll_event(), Some(expected));
    let messages = peer.messages();
    assert!(matches!(messages[0].1, RtmpMessage::WindowAcknowledgement { size: 2_500_000 }));
    assert!(matches!(messages[1].1, RtmpMessage::SetPeerBandwidth { size: 2_500_000, .. }));
    assert!(matches!(messages[2].1, RtmpMessage::SetChunkSize { size: 60_000 }));
    let RtmpMessage::Amf0Command { command_name, transaction_id, command_object, additional_arguments } =
        messages[3].1.clone()
    else {
        panic!("connect is answered by a command");
    };
    assert_eq!((command_name.as_str(), transaction_id), ("_result", 1.0));
    let properties = command_object.get_object_properties().unwrap();
    let forward = properties["videoFourCcInfoMap"].clone().get_object_properties().unwrap();
    assert_eq!(forward["*"].clone().get_number(), Some(4.0));
    let info = additional_arguments[0].clone().get_object_properties().unwrap();
    assert_eq!(info["code"].clone().get_string().unwrap(), "NetConnection.Connect.Success");
    assert_eq!(info["objectEncoding"].clone().get_number(), Some(0.0), "we speak AMF0 only");
}

#[test]
fn a_burst_as_encoders_send_it_is_answered_call_by_call() {
    let mut peer = Peer::after_handshake();
    let mut burst = connect("live");
    for (name, transaction) in [("releaseStream", 2.0), ("FCPublish", 3.0), ("createStream", 4.0)] {
        burst.extend(command(0, &[name.into(), transaction.into(), Value::Null, "key".into()]));
    }
    burst.extend(command(0, &["_checkbw".into(), 5.0.into(), Value::Null]));
    burst.extend(command(0, &["getStreamLength".into(), 6.0.into(), Value::Null, "key".into()]));
    burst.extend(command(0, &["swordfish".into(), 7.0.into(), Value::Null]));
    burst.extend(command(0, &["swordfish".into(), 0.0.into(), Value::Null]));
    burst.extend(publish("key?grant=1"));
    peer.send(&burst).unwrap();
    let messages = peer.messages();
    let expected: Vec<_> = (1..=6).map(|id| ("_result".to_owned(), f64::from(id))).collect();
    let answered = commands(&messages);
    assert_eq!(answered[..6], expected);
    assert_eq!(answered[6..], [("_error".to_owned(), 7.0)]);
    assert!(matches!(peer.server.poll_event(), Some(ServerEvent::Connected { .. })));
    assert_eq!(
        peer.server.poll_event(),
        Some(ServerEvent::PublishRequested { app: "live".into(), name: "key?grant=1".into() })
    );
}

#[test]
fn a_refusal_is_bad_name_then_denied_in_one_write() {
    let mut peer = Peer::with_stream();
    peer.send(&publish("key")).unwrap();
    let held = "URL held by rec-2 since 12:00:03Z; publish refused, running stream unaffected (ref 7f3a)";
    peer.server.refuse_publish(held);
    assert!(peer.server.is_closing());
    let messages = peer.messages();
    assert_eq!(status_codes(&messages), ["NetStream.Publish.BadName", "NetStream.Publish.Denied"]);
    for (payload, message) in &messages {
        assert_eq!(payload.message_stream_id, 1);
        assert_eq!(status_field(message, "level").unwrap(), "error");
        assert_eq!(status_field(message, "description").unwrap(), held);
    }
    peer.send(&message(4, AUDIO, 0, 1, &[0; 5000])).unwrap();
    peer.send(&[0xff; 3000]).unwrap();
    assert_eq!(peer.output(), "", "a closing connection reads nothing");
    assert_eq!(peer.server.poll_timeout(), None);
}

#[test]
fn both_statuses_of_a_refusal_have_full_headers_on_chunk_stream_3() {
    let mut peer = Peer::with_stream();
    peer.send(&publish("key")).unwrap();
    peer.server.refuse_publish("busy");
    let output = peer.output();
    let length = usize::from(u16::from_be_bytes([output[5], output[6]]));
    assert_eq!(output[0], 3);
    assert_eq!(output[8..12], 1u32.to_le_bytes());
    assert_eq!(output[12 + length], 3, "the second header is whole too");
}

#[test]
fn a_description_is_cut_to_200_printable_characters() {
    let mut peer = Peer::with_stream();
    peer.send(&publish("key")).unwrap();
    peer.server.refuse_publish(&"é\n".repeat(300));
    let messages = peer.messages();
    assert_eq!(status_field(&messages[0].1, "description").unwrap(), "?".repeat(200));
}

#[test]
fn a_publisher_that_stops_may_publish_again() {
    let mut peer = Peer::publishing();
    peer.send(&command(0, &["FCUnpublish".into(), 6.0.into(), Value::Null, "key".into()])).unwrap();
    assert_eq!(peer.server.poll_event(), None);
    peer.now += Duration::from_secs(100);
    peer.send(&command(0, &["deleteStream".into(), 0.0.into(), Value::Null, 1.0.into()])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Unpublished));
    assert_eq!(peer.server.poll_timeout(), Some(peer.now + Duration::from_secs(10)));
    peer.send(&message(4, AUDIO, 0, 1, &[0xaf, 1])).unwrap();
    assert_eq!(peer.server.poll_event(), None, "late media goes nowhere");
    peer.send(&command(0, &["createStream".into(), 2.0.into(), Value::Null])).unwrap();
    peer.send(&publish("key")).unwrap();
    assert!(matches!(peer.server.poll_event(), Some(ServerEvent::PublishRequested { .. })));
    peer.send(&command(1, &["closeStream".into(), 0.0.into(), Value::Null])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Unpublished));
    peer.server.accept_publish();
    assert_eq!(status_codes(&peer.messages()).last().unwrap(), "NetStream.Unpublish.Success");
}

#[test]
fn a_second_request_on_a_busy_connection_is_refused_and_the_first_goes_on() {
    let mut peer = Peer::publishing();
    peer.send(&command(0, &["createStream".into(), 2.0.into(), Value::Null])).unwrap();
    peer.send(&command(2, &["publish".into(), 0.0.into(), Value::Null, "other".into()])).unwrap();
    assert_eq!(status_codes(&peer.messages()), ["NetStream.Publish.Denied"]);
    assert_eq!(peer.server.poll_event(), None);
    peer.send(&message(4, AUDIO, 3, 2, &[1])).unwrap();
    peer.send(&message(4, AUDIO, 4, 1, &[1])).unwrap();
    assert_eq!(peer.media().len(), 1);
}

#[test]
fn a_displaced_holder_is_told_and_then_closed() {
    let mut peer = Peer::publishing();
    peer.server.end_publish("Taken over by operator alice");
    let messages = peer.messages();
    assert_eq!(status_codes(&messages), ["NetStream.Publish.Denied"]);
    assert!(peer.server.is_closing());
}

#[test]
fn a_player_is_started_sent_to_and_stopped() {
    let mut peer = Peer::with_stream();
    let play =
        ["play".into(), 0.0.into(), Value::Null, "key?t=1".into(), (-2.0).into(), (-1.0).into(), true.into()];
    peer.send(&command(1, &play)).unwrap();
    assert_eq!(
        peer.server.poll_event(),
        Some(ServerEvent::PlayRequested { app: "live".into(), name: "key?t=1".into() })
    );
    assert!(!peer.server.takes_shared_chunks());
    peer.server.accept_play();
    assert!(peer.server.takes_shared_chunks());
    assert_eq!(status_codes(&peer.messages()), ["NetStream.Play.Reset", "NetStream.Play.Start"]);
    peer.send(&message(2, 4, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 3, 232])).unwrap(); // set buffer length
    peer.send(&message(2, 4, 0, 0, &[0, 26, 1])).unwrap(); // SWF verification, never answered
    peer.send(&command(1, &["pause".into(), 0.0.into(), Value::Null, true.into(), 5.0.into()])).unwrap();
    peer.send(&command(1, &["seek".into(), 0.0.into(), Value::Null, 5.0.into()])).unwrap();
    assert_eq!(status_codes(&peer.messages()), ["NetStream.Pause.Notify", "NetStream.Seek.Failed"]);
    let body = bytes::Bytes::from_static(&[0x17, 1, 0, 0, 0]);
    peer.server.send(&Message { kind: MessageKind::Video, timestamp: 77, body: body.clone() });
    let sent = peer.messages();
    assert_eq!((sent[0].0.timestamp.value, sent[0].0.message_stream_id), (77, 1));
    assert_eq!(sent[0].0.data, body);
    peer.send(&command(1, &["closeStream".into(), 0.0.into(), Value::Null])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Stopped));
}

#[test]
fn a_player_hears_that_the_stream_has_ended() {
    let mut peer = Peer::with_stream();
    peer.send(&command(1, &["play".into(), 0.0.into(), Value::Null, "key".into()])).unwrap();
    peer.server.accept_play();
    peer.messages();
    peer.server.end_play();
    assert_eq!(status_codes(&peer.messages()), ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
    assert!(peer.server.is_closing());
}

#[test]
fn a_ping_is_answered_in_both_directions() {
    let mut peer = Peer::publishing();
    peer.messages();
    peer.send(&message(2, 4, 0, 0, &[0, 6, 1, 2, 3, 4])).unwrap();
    assert_eq!(peer.output()[12..], [0, 7, 1, 2, 3, 4]);
    peer.send(&message(2, 4, 0, 0, &[0, 7, 0, 0, 0, 0])).unwrap();
    assert_eq!(peer.server.poll_event(), None, "an answer to nothing is nothing");
    peer.now += Duration::from_millis(1234);
    peer.server.ping(peer.now);
    assert_eq!(peer.output()[12..], [0, 6, 0, 0, 4, 210]);
    peer.send(&message(2, 4, 0, 0, &[0, 7, 0, 0, 4, 210])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Pong));
    assert_eq!(peer.server.last_input(), peer.now);
}

#[test]
fn data_reaches_players_as_the_encoder_wrote_it() {
    let mut peer = Peer::publishing();
    let metadata = ["onMetaData".into(), Value::EcmaArray(vec![("custom".into(), Value::Date(1e12))])];
    let mut wrapped = vec![Value::from("@setDataFrame")];
    wrapped.extend(metadata.clone());
    peer.send(&message(4, DATA, 0, 0, &amf(&wrapped))).unwrap();
    peer.send(&message(4, DATA, 40, 1, &amf(&["onCuePoint".into()]))).unwrap();
    peer.send(&message(4, DATA, 41, 1, &amf(&["@clearDataFrame".into(), "onMetaData".into()]))).unwrap();
    assert_eq!(
        peer.media(),
        [(MessageKind::Data, 0, amf(&metadata)), (MessageKind::Data, 40, amf(&["onCuePoint".into()]))]
    );
}

#[test]
fn no_event_prints_a_stream_key() {
    let mut peer = Peer::with_stream();
    peer.send(&publish("s3cret?grant=s3cret")).unwrap();
    let event = peer.server.poll_event().unwrap();
    assert_eq!(format!("{event:?}"), "PublishRequested(live/…)");
}

#[test]
fn a_command_that_cannot_be_read_ends_the_connection() {
    let mut peer = Peer::with_stream();
    assert!(matches!(peer.send(&message(3, COMMAND, 0, 0, &[0x11, 1, 2])), Err(ConnError::Amf0(_))));
}

#[test]
fn a_stream_deleted_by_its_name_is_the_one_in_use() {
    let mut peer = Peer::publishing();
    peer.send(&command(0, &["deleteStream".into(), 0.0.into(), Value::Null, "key".into()])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Unpublished));
}
