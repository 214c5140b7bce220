//! Every playlist that a stream ever shows is read in strict mode by a parser that is not ours (npm hls-parser).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "source/synthetic.rs"]
mod synthetic;
#[path = "source/viewer.rs"]
mod viewer;

use hls::{Config, Limits, Origin, Packager, StartPoint};
use media::{Frame, Timestamp};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use synthetic::{picture, sound};

const WALL: i64 = 1_795_206_600_000_000;

#[expect(clippy::disallowed_methods, reason = "the router of a test reads the real clock")]
fn now() -> Instant {
    Instant::now()
}

/// A stream whose playlist is kept whenever it changes.
struct Gallery {
    router: axum::Router,
    packager: Packager,
    folder: tempfile::TempDir,
    texts: Vec<String>,
}

impl Gallery {
    fn new(config: Config, start: StartPoint) -> Self {
        let origin = Origin::new(Limits::default());
        let packager = origin.open("live/room".parse().unwrap(), config, start).unwrap();
        let router = hls::http::router(origin, now);
        Self { router, packager, folder: tempfile::tempdir().unwrap(), texts: Vec::new() }
    }

    async fn push(&mut self, frame: Frame, later_millis: i64) {
        let later = Timestamp::from_millis(later_millis);
        let frame = Frame { dts: frame.dts + later, pts: frame.pts + later, ..frame };
        self.packager.push(WALL + frame.dts.as_micros(), frame).unwrap();
        if self.packager.counters().parts_total > 0 {
            self.keep().await;
        }
    }

    async fn keep(&mut self) {
        let text = viewer::get(&self.router, "/live/room/media.m3u8").await.text().to_owned();
        if self.texts.last() != Some(&text) {
            std::fs::write(self.folder.path().join(format!("{:05}.m3u8", self.texts.len())), &text).unwrap();
            self.texts.push(text);
        }
    }

    /// What the other parser makes of all of them.
    async fn review(mut self) -> (Vec<String>, serde_json::Value) {
        self.packager.finish();
        self.keep().await;
        let index = viewer::get(&self.router, "/live/room/index.m3u8").await;
        std::fs::write(self.folder.path().join("0-index.m3u8"), index.text()).unwrap();
        let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validator");
        assert!(
            validator.join("node_modules/hls-parser").is_dir(),
            "hls-parser is not installed in {}; `make test` installs it (npm ci)",
            validator.display()
        );
        let mut files: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let output = Command::new("node")
            .arg(validator.join("check.js"))
            .args(&files)
            .output()
            .expect("node is installed");
        let refused = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{refused}\nthe last playlist:\n{}", self.texts.last().unwrap());
        (self.texts, serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// The value of a tag that is there once.
fn value<'a>(text: &'a str, tag: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(tag)).unwrap_or_else(|| panic!("{tag} in {text}"))
}

fn assert_constant_and_rising(texts: &[String]) {
    let mut before = (0, 0);
    for text in texts {
        assert_eq!(value(text, "#EXT-X-TARGETDURATION:"), value(&texts[0], "#EXT-X-TARGETDURATION:"));
        if !text.contains("ENDLIST") {
            assert_eq!(value(text, "#EXT-X-PART-INF:"), value(&texts[0], "#EXT-X-PART-INF:"));
        }
        let number = |tag| value(text, tag).parse::<u64>().unwrap();
        let now = (number("#EXT-X-MEDIA-SEQUENCE:"), number("#EXT-X-DISCONTINUITY-SEQUENCE:"));
        assert!(now.0 >= before.0 && now.1 >= before.1, "{now:?} after {before:?}");
        before = now;
        let dates: Vec<_> =
            text.lines().filter(|line| line.starts_with("#EXT-X-PROGRAM-DATE-TIME:")).collect();
        assert!(dates.is_sorted(), "{text}");
    }
}

#[tokio::test]
async fn a_long_stream_with_takeovers_holes_and_changes_stays_strictly_valid() {
    let mut gallery = Gallery::new(Config::default(), StartPoint { token: 7, ..StartPoint::default() });
    gallery.packager.set_video(synthetic::video_track());
    gallery.packager.set_audio(synthetic::audio_track());
    let mut later = 0;
    let mut sounds = 0;
    for number in 0..60 * 40 {
        match number {
            // A publisher takes over after 0.7 s, between two keyframes.
            500 => (later, _) = (later + 700, gallery.packager.discontinuity(9)),
            // Nothing comes for 3 s.
            800 => later += 3_000,
            // The encoder is set up anew.
            960 => gallery.packager.set_video(synthetic::other_video_track()),
            // Its clock jumps.
            1_300 => later += 60_000,
            _ => {}
        }
        while sound(sounds).dts <= picture(number).dts {
            gallery.push(sound(sounds), later).await;
            sounds += 1;
        }
        gallery.push(picture(number), later).await;
    }
    let position = gallery.packager.position();
    let (texts, last) = gallery.review().await;
    assert!(texts.len() > 200);
    assert_constant_and_rising(&texts);
    assert_eq!((last["target"].as_u64(), last["segments"].as_u64()), (Some(2), Some(12)));
    assert_eq!(last["ended"], true);
    assert_eq!(position.discontinuity_sequence, 3);
    assert_eq!(value(texts.last().unwrap(), "#EXT-X-DISCONTINUITY-SEQUENCE:"), "3");
    assert!(texts.iter().any(|text| text.contains(",GAP=YES")), "the hole is listed");
}

#[tokio::test]
async fn long_gops_and_sound_alone_are_strictly_valid() {
    let mut gallery = Gallery::new(Config::default(), StartPoint::default());
    gallery.packager.set_video(synthetic::video_track());
    for number in 0..30 * 70 {
        let frame = picture(number);
        gallery.push(Frame { keyframe: number % 300 == 0, ..frame }, 0).await;
    }
    let (texts, last) = gallery.review().await;
    assert_constant_and_rising(&texts);
    assert_eq!(last["target"], 6);
    assert!(!texts.last().unwrap().contains("INDEPENDENT-SEGMENTS"), "a segment in it starts inside a GOP");

    let mut gallery = Gallery::new(Config::default(), StartPoint::default());
    gallery.packager.set_audio(synthetic::audio_track());
    for number in 0..48 * 40 {
        gallery.push(sound(number), 0).await;
    }
    let (texts, last) = gallery.review().await;
    assert_constant_and_rising(&texts);
    assert_eq!(last["target"], 2);
    assert!(texts.last().unwrap().contains("INDEPENDENT-SEGMENTS"));
}

#[tokio::test]
async fn after_a_restart_the_numbers_go_on() {
    let mut first = Gallery::new(Config::default(), StartPoint { token: 7, ..StartPoint::default() });
    first.packager.set_video(synthetic::video_track());
    for number in 0..60 * 20 + 25 {
        first.push(picture(number), 0).await;
    }
    let position = first.packager.position();
    let before = first.texts.last().unwrap().clone();
    assert_eq!(position.target_duration_seconds, Some(2));

    let start = StartPoint {
        token: 9,
        first_msn: position.next_msn,
        first_part: position.next_part,
        discontinuity_sequence: position.discontinuity_sequence,
        continues: true,
    };
    let known = Config { target_duration_seconds: position.target_duration_seconds, ..Config::default() };
    let mut second = Gallery::new(known, start);
    second.packager.set_video(synthetic::video_track());
    for number in 0..60 {
        second.push(picture(number), 90_000).await;
        // A known target duration needs half a second, not a GOP.
        assert_eq!(second.texts.is_empty(), number < 15, "{number}");
    }
    let after = second.texts[0].clone();
    assert_eq!(value(&after, "#EXT-X-TARGETDURATION:"), value(&before, "#EXT-X-TARGETDURATION:"));
    let sequence: u64 = value(&after, "#EXT-X-MEDIA-SEQUENCE:").parse().unwrap();
    assert!(
        !before.contains(&format!("s{sequence}.m4s")) && before.contains(&format!("s{}.m4s", sequence - 2))
    );
    assert!(after.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"9/init-"), "{after}");
    let hinted = before.split("TYPE=PART,URI=\"7/p").nth(1).unwrap().split('.').next().unwrap();
    assert!(
        after.contains(&format!("\"9/p{hinted}.m4s\"")),
        "a part number that was only hinted is still free"
    );
    second.review().await;
}

#[tokio::test]
async fn opened_again_in_one_process_it_goes_on_by_itself_and_an_old_token_is_refused() {
    let origin = Origin::new(Limits::default());
    let router = hls::http::router(origin.clone(), now);
    let url: media::StreamUrl = "live/room".parse().unwrap();
    let start = |token| StartPoint { token, ..StartPoint::default() };
    let mut old = origin.open(url.clone(), Config::default(), start(7)).unwrap();
    old.set_video(synthetic::video_track());
    for number in 0..200 {
        old.push(WALL, picture(number)).unwrap();
    }
    assert!(matches!(
        origin.open(url.clone(), Config::default(), start(6)),
        Err(hls::OpenError::Stale { newest: 7 })
    ));
    let mut new = origin.open(url, Config::default(), start(8)).unwrap();
    new.set_video(synthetic::video_track());
    for number in 0..100 {
        new.push(WALL, picture(number)).unwrap();
        // The old one wakes up late: nobody sees what it does.
        old.push(WALL, picture(200 + number)).unwrap();
    }
    old.finish();
    let text = viewer::get(&router, "/live/room/media.m3u8").await.text().to_owned();
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:4\n") && text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    assert!(!text.contains("7/") && !text.contains("ENDLIST"), "{text}");
}
