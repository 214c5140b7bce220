//! Whatever a publisher sends, the packager goes on and stays within its bounds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "source/synthetic.rs"]
mod synthetic;

use bytes::Bytes;
use hls::{Config, Limits, Origin, Packager, PushError, StartPoint};
use media::{Frame, Timestamp, TrackKind};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Picture { step_micros: i64, keyframe: bool, composition_micros: i64, garbage: Option<Vec<u8>> },
    Sound { step_micros: i64 },
    At { kind: TrackKind, micros: i64 },
    Takeover(u64),
    Video(bool),
    Audio,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let micros = prop_oneof![8 => 0..80_000i64, 1 => -3_000_000..9_000_000i64];
    let sound_micros = prop_oneof![8 => 15_000..30_000i64, 1 => -500_000..2_000_000i64];
    let kind = prop_oneof![Just(TrackKind::Video), Just(TrackKind::Audio)];
    let garbage = prop::option::weighted(0.05, prop::collection::vec(any::<u8>(), 0..12));
    let picture = (micros, prop::bool::weighted(0.05), any::<i32>(), garbage).prop_map(
        |(step_micros, keyframe, composition, garbage)| Step::Picture {
            step_micros,
            keyframe,
            composition_micros: i64::from(composition),
            garbage,
        },
    );
    let step = prop_oneof![
        60 => picture,
        60 => sound_micros.prop_map(|step_micros| Step::Sound { step_micros }),
        1 => (kind, any::<i64>()).prop_map(|(kind, micros)| Step::At { kind, micros }),
        1 => any::<u64>().prop_map(Step::Takeover),
        1 => any::<bool>().prop_map(Step::Video),
        1 => Just(Step::Audio),
    ];
    prop::collection::vec(step, 0..800)
}

fn frame(kind: TrackKind, dts: i64, pts: i64, keyframe: bool, data: Bytes) -> Frame {
    Frame { kind, dts: Timestamp::from_micros(dts), pts: Timestamp::from_micros(pts), keyframe, data }
}

fn packager(config: Config) -> Packager {
    let origin = Origin::new(Limits::default());
    origin.open("live/room".parse().unwrap(), config, StartPoint::default()).unwrap()
}

proptest! {
    #[test]
    fn nothing_a_publisher_sends_makes_numbers_go_back(steps in steps()) {
        let mut packager = packager(Config::default());
        packager.set_video(synthetic::video_track());
        packager.set_audio(synthetic::audio_track());
        let (mut picture_at, mut sound_at) = (0i64, 0i64);
        let mut before = packager.position();
        for step in steps {
            let unit = Bytes::from_static(&[0, 0, 0, 2, 0x41, 1]);
            match step {
                Step::Picture { step_micros, keyframe, composition_micros, garbage } => {
                    picture_at += step_micros;
                    let data = garbage.map_or(unit, Bytes::from);
                    let pts = picture_at.saturating_add(composition_micros);
                    let _ = packager.push(picture_at, frame(TrackKind::Video, picture_at, pts, keyframe, data));
                }
                Step::Sound { step_micros } => {
                    sound_at += step_micros;
                    let _ = packager.push(sound_at, frame(TrackKind::Audio, sound_at, sound_at, true, unit));
                }
                Step::At { kind, micros } => {
                    let _ = packager.push(i64::MAX, frame(kind, micros, i64::MIN, true, unit));
                }
                Step::Takeover(token) => packager.discontinuity(token),
                Step::Video(true) => packager.set_video(synthetic::video_track()),
                Step::Video(false) => packager.set_video(synthetic::other_video_track()),
                Step::Audio => packager.set_audio(synthetic::audio_track()),
            }
            let now = packager.position();
            prop_assert!(now.next_msn >= before.next_msn && now.next_part >= before.next_part);
            prop_assert!(now.discontinuity_sequence >= before.discontinuity_sequence);
            if before.target_duration_seconds.is_some() {
                prop_assert_eq!(now.target_duration_seconds, before.target_duration_seconds);
            }
            before = now;
        }
        packager.finish();
        let ended = packager.push(0, frame(TrackKind::Video, 0, 0, true, Bytes::new()));
        prop_assert_eq!(ended, Err(PushError::Ended));
    }
}

#[test]
fn a_flood_is_dropped_to_the_next_keyframe_and_memory_stays_bounded() {
    let mut packager = packager(Config { bytes_max: 4 << 20, ..Config::default() });
    packager.set_video(synthetic::video_track());
    let mut nal = vec![0x41u8; 64 << 10];
    nal.splice(0..0, u32::try_from(nal.len()).unwrap().to_be_bytes());
    let flood = Bytes::from(nal);
    let mut refused = 0;
    for number in 0..60 * 20 {
        let picture = synthetic::picture(number);
        let result = packager.push(0, Frame { data: flood.clone(), ..picture });
        assert!(packager.counters().held_bytes <= 4 << 20);
        refused += usize::from(matches!(result, Err(PushError::SegmentTooLarge { .. })));
    }
    // 60 frames of 64 KiB are more than the megabyte that a segment may have: each GOP is cut short.
    assert!((18..=20).contains(&refused), "{refused}");
    let counters = packager.counters();
    assert!(counters.frames_dropped_total > 600, "{counters:?}");
    assert!(counters.held_bytes > 2 << 20, "{counters:?}");
    assert!(counters.discontinuities_total >= 18, "{counters:?}");
}

#[test]
fn frames_that_cannot_be_are_refused_by_name() {
    let mut packager = packager(Config::default());
    let picture = synthetic::picture(0);
    assert_eq!(packager.push(0, picture.clone()), Err(PushError::NoTrack));
    packager.set_video(synthetic::video_track());
    let broken = Frame { data: Bytes::from_static(&[0, 0, 0, 9, 1]), ..picture.clone() };
    assert!(matches!(packager.push(0, broken), Err(PushError::Malformed(_))));
    let huge = Frame { data: Bytes::from(vec![0; (16 << 20) + 1]), ..picture.clone() };
    assert!(matches!(packager.push(0, huge), Err(PushError::FrameTooLarge { .. })));
    for micros in [i64::MIN, -10_000_001, i64::MAX] {
        let never = Frame { dts: Timestamp::from_micros(micros), ..picture.clone() };
        assert_eq!(packager.push(0, never), Err(PushError::Time));
    }
    assert_eq!(packager.push(0, picture), Ok(()));
    assert_eq!(packager.counters().frames_dropped_total, 6);
}
