//! How requests are answered: what waits, what is refused, and with which headers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "source/synthetic.rs"]
mod synthetic;
#[path = "source/viewer.rs"]
mod viewer;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hls::{Config, Limits, OpenError, Origin, Packager, StartPoint};
use media::StreamUrl;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use synthetic::{picture, sound};
use viewer::{Answer, get, send};

const WALL: i64 = 1_795_206_600_000_000;

#[expect(clippy::disallowed_methods, reason = "the router of a test reads the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn room() -> StreamUrl {
    "live/room".parse().unwrap()
}

struct Stage {
    origin: Origin,
    router: Router,
    packager: Packager,
    pushed: i64,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let origin = Origin::new(limits);
        let start = StartPoint { token: 7, first_msn: 10, first_part: 100, ..StartPoint::default() };
        let mut packager = origin.open(room(), Config::default(), start).unwrap();
        packager.set_video(synthetic::video_track());
        let router = hls::http::router(origin.clone(), now);
        Self { origin, router, packager, pushed: 0 }
    }

    /// After `frames` pictures: a first GOP of 60 is learned from, then a part is out with every tenth.
    fn with_pictures(frames: i64) -> Self {
        let mut stage = Self::new(Limits::default());
        stage.push_until(frames);
        stage
    }

    fn push_until(&mut self, frames: i64) {
        for number in self.pushed..frames {
            let frame = picture(number);
            self.packager.push(WALL + frame.dts.as_micros(), frame).unwrap();
        }
        self.pushed = frames.max(self.pushed);
    }

    async fn playlist(&self, query: &str) -> Answer {
        get(&self.router, &format!("/live/room/media.m3u8{query}")).await
    }

    /// Starts a request that should wait.
    async fn begin(&self, path: &str) -> tokio::task::JoinHandle<Answer> {
        let (router, path) = (self.router.clone(), format!("/live/room/{path}"));
        let request = tokio::spawn(async move { get(&router, &path).await });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!request.is_finished(), "it waits");
        request
    }
}

fn last_part(playlist: &str) -> &str {
    playlist.lines().rfind(|line| line.starts_with("#EXT-X-PART:")).unwrap_or_default()
}

#[tokio::test]
async fn the_plain_playlist_is_held_until_there_is_one() {
    let mut stage = Stage::new(Limits::default());
    let (media, index) = (stage.begin("media.m3u8").await, stage.begin("index.m3u8").await);
    let directed = stage.begin("media.m3u8?_HLS_msn=10&_HLS_part=0").await;
    stage.push_until(61);
    for request in [media, index, directed] {
        assert_eq!(request.await.unwrap().status, 200);
    }
    assert_eq!(stage.origin.counters(&room()).unwrap().waiters, 0);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "it is virtual time")]
async fn what_does_not_come_in_time_is_answered_503_and_an_unknown_name_404_at_once() {
    let started = tokio::time::Instant::now;
    let stage = Stage::new(Limits::default());
    let before = started();
    let answer = stage.playlist("").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(before.elapsed().as_secs(), 8);

    let stage = Stage::with_pictures(62);
    let before = started();
    assert_eq!(stage.playlist("?_HLS_msn=11&_HLS_part=0").await.status, 503);
    assert_eq!(before.elapsed().as_secs(), 6, "three target durations");

    let before = started();
    let answer = get(&stage.router, "/live/nobody/media.m3u8").await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (404, "max-age=1"));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn each_part_wakes_who_waits_for_it_within_the_push() {
    let mut stage = Stage::with_pictures(61);
    for part in 0..6 {
        let playlist = stage.begin(&format!("media.m3u8?_HLS_msn=11&_HLS_part={part}")).await;
        let hinted = stage.begin(&format!("7/p{}.m4s", 106 + part)).await;
        stage.push_until(61 + 10 * (part + 1));
        let answer = playlist.await.unwrap();
        assert!(last_part(answer.text()).contains(&format!("p{}.m4s", 106 + part)), "{}", answer.text());
        assert_eq!(hinted.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_last_part_of_a_segment_is_not_waited_for_longer_than_its_keyframe() {
    let mut stage = Stage::with_pictures(112);
    // An early keyframe ends nothing; the segment's last part comes with the keyframe at frame 120.
    let last = stage.begin("media.m3u8?_HLS_msn=11&_HLS_part=5").await;
    let whole = stage.begin("media.m3u8?_HLS_msn=11").await;
    let next = stage.begin("media.m3u8?_HLS_msn=11&_HLS_part=6").await;
    stage.push_until(121);
    for request in [last, whole] {
        assert!(request.await.unwrap().text().contains("\n7/s11.m4s\n"));
    }
    assert!(!next.is_finished());
    stage.push_until(131);
    assert!(last_part(next.await.unwrap().text()).contains("p112.m4s"));
}

#[tokio::test]
async fn directives_that_make_no_sense_are_refused_and_old_ones_answered_at_once() {
    let stage = Stage::with_pictures(75);
    for bad in [
        "?_HLS_part=1",
        "?_HLS_msn=x",
        "?_HLS_msn=11&_HLS_part=-1",
        "?_HLS_msn=13",
        "?_HLS_msn=11&_HLS_part=40",
    ] {
        let answer = stage.playlist(bad).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (400, "no-store"), "{bad}");
    }
    for old in [
        "?_HLS_msn=3",
        "?_HLS_msn=10",
        "?_HLS_msn=10&_HLS_part=5",
        "?_HLS_msn=11&_HLS_part=0",
        "?_HLS_other=x",
    ] {
        assert_eq!(stage.playlist(old).await.status, 200, "{old}");
    }
}

#[tokio::test]
async fn caches_are_told_what_may_be_kept() {
    let stage = Stage::with_pictures(75);
    for (path, kept, kind) in [
        ("index.m3u8", "public, max-age=1", "application/vnd.apple.mpegurl"),
        ("media.m3u8", "public, max-age=1", "application/vnd.apple.mpegurl"),
        ("media.m3u8?_HLS_msn=11&_HLS_part=0", "public, max-age=12", "application/vnd.apple.mpegurl"),
        ("7/init-10.mp4", "public, max-age=31536000, immutable", "video/mp4"),
        ("7/p100.m4s", "public, max-age=31536000, immutable", "video/mp4"),
        ("7/s10.m4s", "public, max-age=31536000, immutable", "video/mp4"),
    ] {
        let answer = get(&stage.router, &format!("/live/room/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!((answer.header("cache-control"), answer.header("content-type")), (kept, kind), "{path}");
        let is_playlist = path.contains("m3u8");
        assert_eq!(answer.header("vary"), if is_playlist { "Accept-Encoding" } else { "" }, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    for gone in
        ["7/p99.m4s", "7/p200.m4s", "8/p100.m4s", "7/s11.m4s", "7/s9.m4s", "7/init-11.mp4", "other.m3u8"]
    {
        let answer = get(&stage.router, &format!("/live/room/{gone}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (404, "*"),
            "{gone}"
        );
    }
}

#[tokio::test]
async fn playlists_are_compressed_and_pages_may_ask_first() {
    let stage = Stage::with_pictures(75);
    let request = Request::get("/live/room/media.m3u8").header("accept-encoding", "br, gzip");
    let answer = send(&stage.router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut text).unwrap();
    assert_eq!(text, stage.playlist("").await.text());

    let request = Request::options("/live/room/media.m3u8").body(Body::empty()).unwrap();
    let answer = send(&stage.router, request).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-max-age"), "86400");
    assert_eq!(answer.header("access-control-allow-headers"), "Range");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let request = Request::post("/live/room/media.m3u8").body(Body::empty()).unwrap();
    assert_eq!(send(&stage.router, request).await.status, 405);
    let request = Request::head("/live/room/7/s10.m4s").body(Body::empty()).unwrap();
    let head = send(&stage.router, request).await;
    let whole = get(&stage.router, "/live/room/7/s10.m4s").await;
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_stream_that_ended_says_so_to_everyone_and_ignores_directives() {
    let mut stage = Stage::with_pictures(75);
    let waiting = stage.begin("media.m3u8?_HLS_msn=12").await;
    let hinted = stage.begin("7/p107.m4s").await;
    let abandoned = stage.begin("7/p107.m4s").await;
    stage.packager.finish();
    let text = waiting.await.unwrap().text().to_owned();
    assert!(text.ends_with("7/s11.m4s\n#EXT-X-ENDLIST\n"), "{text}");
    for tag in ["PRELOAD-HINT", "SERVER-CONTROL", "EXT-X-PART"] {
        assert!(!text.contains(tag), "{tag}");
    }
    // The frames after the last whole part are a part too: the hint came true.
    assert_eq!(
        (hinted.await.unwrap().status, abandoned.await.unwrap().status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    for query in ["?_HLS_msn=99", "?_HLS_part=1", "?_HLS_msn=x", ""] {
        assert_eq!(stage.playlist(query).await.text(), text, "{query}");
    }
    stage.origin.remove(&room());
    assert_eq!(stage.playlist("").await.status, 404);
}

#[tokio::test]
async fn a_hint_that_another_publisher_takes_over_is_abandoned() {
    let mut stage = Stage::with_pictures(71);
    stage.packager.discontinuity(9);
    assert!(stage.playlist("").await.text().ends_with("URI=\"9/p108.m4s\"\n"));
    let hinted = stage.begin("9/p108.m4s").await;
    stage.packager.discontinuity(11);
    assert_eq!(hinted.await.unwrap().status, 404);
    assert!(stage.playlist("").await.text().ends_with("URI=\"11/p108.m4s\"\n"));
}

#[tokio::test]
async fn more_waiters_and_streams_than_allowed_are_refused() {
    let limits = Limits { waiters_per_stream_max: 2, streams_max: 1, viewers_max: 2, ..Limits::default() };
    let mut stage = Stage::new(limits);
    let first = stage.begin("media.m3u8").await;
    let second = stage.begin("media.m3u8").await;
    let third = stage.playlist("").await;
    assert_eq!((third.status.as_u16(), third.header("retry-after")), (503, "1"));
    second.abort();
    let _ = second.await;
    assert_eq!(stage.origin.counters(&room()).unwrap().waiters, 1, "who went away waits no more");
    let again = stage.begin("media.m3u8").await;
    stage.push_until(61);
    assert_eq!(
        (first.await.unwrap().status, again.await.unwrap().status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );

    let other: StreamUrl = "live/other".parse().unwrap();
    let refused = stage.origin.open(other, Config::default(), StartPoint::default());
    assert_eq!(refused.unwrap_err(), OpenError::Full { streams_max: 1 });
}

#[tokio::test]
async fn viewers_are_the_peers_that_asked_lately() {
    let stage = Stage::with_pictures(75);
    for port in [1, 2, 2, 3] {
        let mut request = Request::get("/live/room/media.m3u8").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], port))));
        assert_eq!(send(&stage.router, request).await.status, 200);
    }
    assert_eq!(stage.origin.viewers(&room(), now()), 3);
    assert_eq!(stage.origin.viewers(&room(), now() + Duration::from_secs(11)), 0);
}

#[tokio::test]
async fn a_delta_update_leaves_out_what_is_old() {
    let mut stage = Stage::new(Limits::default());
    stage.push_until(60 * 20 + 15);
    let full = stage.playlist("").await.text().to_owned();
    assert_eq!(full.matches("#EXTINF").count(), 12);
    assert!(full.contains("#EXT-X-MEDIA-SEQUENCE:18\n"), "{full}");
    let delta = stage.playlist("?_HLS_skip=YES").await.text().to_owned();
    // 24 s are listed; what ends more than 12 s before the end of the last whole segment is left out.
    assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n"), "{delta}");
    assert_eq!(delta.matches("#EXTINF").count(), 7);
    assert!(delta.contains("#EXT-X-MEDIA-SEQUENCE:18\n") && !delta.contains("EXT-X-MAP"), "{delta}");
    let kept = delta.split("SKIPPED-SEGMENTS=5\n").nth(1).unwrap();
    assert!(full.ends_with(kept));
}

#[tokio::test]
async fn sound_joins_and_leaves_the_rendition_at_a_keyframe() {
    let mut stage = Stage::with_pictures(75);
    stage.packager.set_audio(synthetic::audio_track());
    let mut sounds = (stage.pushed * 1_000 / 30 * 48 / 1_024)..;
    for number in 75..60 * 12 {
        let frame = picture(number);
        // Silent for good after 5 s.
        while number < 150 && sound(sounds.start).dts <= frame.dts {
            let next = sound(sounds.start);
            sounds.next();
            stage.packager.push(WALL + next.dts.as_micros(), next).unwrap();
        }
        stage.packager.push(WALL + frame.dts.as_micros(), frame).unwrap();
        let index = get(&stage.router, "/live/room/index.m3u8").await.text().to_owned();
        let has_sound = (131..300).contains(&number);
        let is_settled = !(120..330).contains(&number);
        if has_sound || is_settled {
            assert_eq!(index.contains("mp4a"), has_sound, "{number}: {index}");
        }
    }
    let playlist = stage.playlist("").await.text().to_owned();
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n#EXT-X-MAP").count(), 2, "{playlist}");
}
