use super::*;
use crate::clock;
use crate::hub::Broadcast;
use futures_util::FutureExt;
use rtmp::Message;
use std::time::{Duration, Instant};

const LAG_MS_MAX: i64 = 3000;

/// Ten pictures per second, a keyframe each second.
struct Stream {
    broadcast: Arc<Broadcast>,
    began: Instant,
    written: u32,
}

impl Stream {
    fn new() -> Self {
        let began = clock::now();
        let broadcast = Broadcast::new("live/room".parse().unwrap(), began, clock::wall(), 0);
        broadcast.admit(1).unwrap();
        let mut stream = Self { broadcast, began, written: 0 };
        stream.write(0, b"\x90vp09\x01\x00\x00\x00\x00\x1f\x80\x02\x02\x02\x00\x00");
        stream
    }

    fn write(&mut self, ms: u32, body: &'static [u8]) {
        let now = self.began + Duration::from_millis(ms.into());
        let message = Message { kind: MessageKind::Video, timestamp: ms, body: Bytes::from_static(body) };
        self.broadcast.write(now, 1, message).unwrap();
    }

    fn pictures(&mut self, count: u32) {
        for _ in 0..count {
            let body: &[u8] = if self.written.is_multiple_of(10) { b"\x93vp09 key" } else { b"\xa3vp09 not" };
            self.write(self.written * 100, body);
            self.written += 1;
        }
    }

    fn viewing(&self, metrics: &Arc<Metrics>) -> Viewing {
        let admitted = PlayAdmitted { broadcast: self.broadcast.clone(), visit: Visit::untold() };
        Viewing::begin(admitted, metrics.clone(), LAG_MS_MAX, CancellationToken::new())
    }
}

/// All that it gives without waiting.
fn drain(viewing: &mut Viewing) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while let Some(Some(piece)) = viewing.next().now_or_never() {
        pieces.push(piece);
    }
    pieces
}

fn bodies(pieces: &[Bytes]) -> Vec<&[u8]> {
    pieces.iter().map(|piece| &piece[11..piece.len() - 4]).collect()
}

#[test]
fn a_reader_that_comes_back_late_goes_on_at_the_newest_keyframe_with_its_configuration() {
    let metrics = Arc::new(Metrics::new());
    let mut stream = Stream::new();
    stream.pictures(5);
    let mut viewing = stream.viewing(&metrics);
    let first = drain(&mut viewing);
    assert!(first[0].starts_with(b"FLV\x01\x01"), "{:?}", first[0]);
    assert_eq!(first.len(), 1 + 1 + 5, "header, configuration, pictures");

    // It takes nothing for ten seconds.
    stream.pictures(100);
    assert!(viewing.ready.is_empty(), "nothing is kept for it besides the ring");
    let late = drain(&mut viewing);
    let late = bodies(&late);
    assert!(late[0].starts_with(b"\x90vp09") && late[1] == b"\x93vp09 key", "{late:?}");
    assert!(late.len() <= 12, "it got all of {}", late.len());
    assert_eq!(metrics.player_skips.get(), 1);
}

#[test]
fn a_file_begins_only_when_it_is_known_what_is_in_it_and_ends_with_its_broadcast() {
    let metrics = Arc::new(Metrics::new());
    let mut stream = Stream::new();
    let mut viewing = stream.viewing(&metrics);
    assert!(drain(&mut viewing).is_empty(), "there is no keyframe yet");
    assert_eq!(stream.broadcast.facts(stream.began).flv_players, 1);
    stream.pictures(1);
    stream.broadcast.end();
    assert_eq!(drain(&mut viewing).len(), 3, "header, configuration, picture");
    assert_eq!(viewing.next().now_or_never(), Some(None), "it is over");
    drop(viewing);
    assert_eq!(stream.broadcast.facts(stream.began).flv_players, 0);
}
