//! Plays an H.264 file in a loop, as a live stream that any HLS player can open.
//!
//! ```text
//! ffmpeg -f lavfi -i testsrc2=size=1280x720:rate=30 -t 20 -c:v libx264 -g 60 -bf 0 -pix_fmt yuv420p test.h264
//! cargo run -p hls --example serve -- test.h264
//! ```
//! The file is an Annex B byte stream without B-frames, which has no times of its own: its pictures are shown at the
//! rate that its parameter set states, else 30 per second. Listens on 127.0.0.1, port 8090 or the second argument.

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use hls::{Config, Limits, Origin, StartPoint};
use media::codec::h264::{NAL_AUD, NAL_IDR, NAL_PPS, NAL_SPS, nal_type, split_annex_b, to_length_prefixed};
use media::{Frame, StreamUrl, Timestamp, TrackKind, VideoTrack};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// nal_unit_type of slices (H.264 table 7-1).
const SLICES: std::ops::RangeInclusive<u8> = 1..=5;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it says where to look")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: serve FILE.h264 [PORT]")?;
    let port: u16 = arguments.next().map_or(Ok(8090), |port| port.parse()).context("the port is a number")?;
    let file = std::fs::read(&path).with_context(|| path.clone())?;
    let nals: Vec<&[u8]> = split_annex_b(&file).collect();
    let track = track(&nals)?;
    let pictures = pictures(&nals);
    anyhow::ensure!(!pictures.is_empty(), "{path} has no pictures");

    let origin = Origin::new(Limits::default());
    let url: StreamUrl = "live/file".parse()?;
    let mut packager = origin.open(url, Config::default(), StartPoint::default())?;
    let rate = track.frame_rate.unwrap_or(30.0);
    packager.set_video(track);

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/hls/live/file/index.m3u8", listener.local_addr()?);
    let router = axum::Router::new().nest("/hls", hls::http::router(origin, now));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut ticks = tokio::time::interval(std::time::Duration::from_secs_f64(1.0 / rate));
    for (number, picture) in pictures.iter().cycle().enumerate() {
        ticks.tick().await;
        if server.is_finished() {
            break;
        }
        let dts = Timestamp::from_micros((number as f64 * 1e6 / rate) as i64);
        let (keyframe, data) = picture.clone();
        packager.push(wall_micros(), Frame { kind: TrackKind::Video, dts, pts: dts, keyframe, data })?;
    }
    Ok(server.await??)
}

#[expect(clippy::disallowed_methods, reason = "a program of its own reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a program of its own reads the clock")]
fn wall_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// The track that the file's parameter sets describe, as an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
fn track(nals: &[&[u8]]) -> anyhow::Result<VideoTrack> {
    let first = |kind| nals.iter().copied().find(|nal| nal_type(nal) == Some(kind));
    let sps = first(NAL_SPS).filter(|sps| sps.len() > 4).context("no sequence parameter set")?;
    let pps = first(NAL_PPS).context("no picture parameter set")?;
    let mut record = BytesMut::new();
    record.put_slice(&[1, sps[1], sps[2], sps[3], 0xff, 0xe1]);
    record.put_u16(sps.len() as u16);
    record.put_slice(sps);
    record.put_u8(1);
    record.put_u16(pps.len() as u16);
    record.put_slice(pps);
    if matches!(sps[1], 100 | 110 | 122 | 144) {
        record.put_slice(&[0xfd, 0xf8, 0xf8, 0]); // 4:2:0, 8 bits
    }
    Ok(VideoTrack::from_avcc(record.freeze())?)
}

/// Access units with whether they are keyframes. One ends where the next slice is a picture's first, or where what
/// stands before slices begins.
fn pictures(nals: &[&[u8]]) -> Vec<(bool, Bytes)> {
    let mut units: Vec<Vec<&[u8]>> = vec![Vec::new()];
    let mut has_slice = false;
    for nal in nals {
        let kind = nal_type(nal).unwrap_or_default();
        let is_slice = SLICES.contains(&kind);
        // first_mb_in_slice is 0: its exp-Golomb code is a single 1.
        let opens_picture = is_slice && nal.get(1).is_some_and(|byte| byte & 0x80 != 0);
        if has_slice && (opens_picture || !is_slice) {
            units.push(Vec::new());
            has_slice = false;
        }
        has_slice |= is_slice;
        // Parameter sets are in the init section.
        let is_kept = !matches!(kind, NAL_AUD | NAL_SPS | NAL_PPS);
        if let Some(unit) = units.last_mut().filter(|_| is_kept) {
            unit.push(nal);
        }
    }
    let is_key = |unit: &[&[u8]]| unit.iter().any(|nal| nal_type(nal) == Some(NAL_IDR));
    let has_picture =
        |unit: &&Vec<&[u8]>| unit.iter().any(|nal| nal_type(nal).is_some_and(|kind| SLICES.contains(&kind)));
    units
        .iter()
        .filter(has_picture)
        .map(|unit| (is_key(unit), to_length_prefixed(unit.iter().copied())))
        .collect()
}
