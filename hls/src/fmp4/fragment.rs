//! One `moof` and its `mdat`.

use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::unit::Sample;
use bytes::{BufMut, Bytes, BytesMut};

/// tfhd: offsets count from the moof (ISO/IEC 14496-12 §8.8.7).
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// trun: data offset, and per sample duration, size, flags and composition offset (§8.8.8).
const VIDEO_RUN: u32 = 0x1 | 0x100 | 0x200 | 0x400 | 0x800;
/// trun: data offset, and per sample duration and size.
const AUDIO_RUN: u32 = 0x1 | 0x100 | 0x200;
/// tfhd: the samples' flags are given once.
const DEFAULT_FLAGS: u32 = 0x20;
/// sample_depends_on = 2: a keyframe depends on no other (§8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// sample_depends_on = 1 and sample_is_non_sync_sample.
const NON_SYNC: u32 = 0x0101_0000;

/// The fragment with these samples, each track's in decoding order; a track without samples is left out.
pub(crate) fn fragment(sequence: u32, video: &[Sample], audio: &[Sample]) -> Bytes {
    let media: usize = video.iter().chain(audio).map(|sample| sample.data.len()).sum();
    let mut out = BytesMut::with_capacity(media + 256 + video.len() * 16 + audio.len() * 8);
    let mut offsets = Vec::with_capacity(2);
    nest(&mut out, b"moof", |out| {
        nest(out, b"mfhd", |out| {
            out.put_u32(0);
            out.put_u32(sequence);
        });
        if !video.is_empty() {
            offsets.push((track_fragment(out, VIDEO_TRACK, video), 0));
        }
        if !audio.is_empty() {
            let before = video.iter().map(|sample| sample.data.len()).sum();
            offsets.push((track_fragment(out, AUDIO_TRACK, audio), before));
        }
    });
    let media_at = out.len() + 8;
    for (place, before) in offsets {
        let offset = u32::try_from(media_at + before).unwrap_or(u32::MAX);
        out[place..place + 4].copy_from_slice(&offset.to_be_bytes());
    }
    nest(&mut out, b"mdat", |out| {
        for sample in video.iter().chain(audio) {
            out.put_slice(&sample.data);
        }
    });
    out.freeze()
}

/// Writes a `traf`; returns where its data offset must be filled in.
fn track_fragment(out: &mut BytesMut, track: u32, samples: &[Sample]) -> usize {
    let mut offset_at = 0;
    let is_video = track == VIDEO_TRACK;
    nest(out, b"traf", |out| {
        nest(out, b"tfhd", |out| {
            out.put_u32(DEFAULT_BASE_IS_MOOF | if is_video { 0 } else { DEFAULT_FLAGS });
            out.put_u32(track);
            if !is_video {
                out.put_u32(SYNC);
            }
        });
        nest(out, b"tfdt", |out| {
            out.put_u32(1 << 24);
            let start = samples.first().map_or(0, |sample| sample.ticks);
            out.put_u64(u64::try_from(start).unwrap_or(0));
        });
        nest(out, b"trun", |out| {
            // Version 1: composition offsets are signed.
            out.put_u32(1 << 24 | if is_video { VIDEO_RUN } else { AUDIO_RUN });
            out.put_u32(u32::try_from(samples.len()).unwrap_or(u32::MAX));
            offset_at = out.len();
            out.put_u32(0);
            for (index, sample) in samples.iter().enumerate() {
                // A sample lasts until the next, also where sound skips ahead.
                let next =
                    samples.get(index + 1).and_then(|next| u32::try_from(next.ticks - sample.ticks).ok());
                out.put_u32(next.unwrap_or(sample.duration_ticks));
                out.put_u32(u32::try_from(sample.data.len()).unwrap_or(u32::MAX));
                if is_video {
                    out.put_u32(if sample.keyframe { SYNC } else { NON_SYNC });
                    out.put_i32(sample.composition);
                }
            }
        });
    });
    offset_at
}

/// Writes a box: its size is filled in when its body is known.
fn nest(out: &mut BytesMut, kind: &[u8; 4], body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    body(out);
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Decode, Moof};

    fn sample(ticks: i64, duration_ticks: u32, keyframe: bool, data: &'static [u8]) -> Sample {
        Sample { ticks, duration_ticks, composition: -3, keyframe, data: Bytes::from_static(data) }
    }

    #[test]
    fn an_independent_reader_finds_every_sample_where_it_is() {
        let video =
            [sample(1_000_000_000_000, 3_000, true, b"idr!"), sample(1_000_000_003_000, 3_010, false, b"p")];
        let audio = [sample(48_000, 1024, true, b"aac")];
        let bytes = fragment(7, &video, &audio);
        let moof = Moof::decode(&mut &bytes[..]).unwrap();
        assert_eq!(moof.mfhd.sequence_number, 7);
        let [picture, sound] = &moof.traf[..] else { panic!("two tracks") };
        assert_eq!(picture.tfdt.as_ref().unwrap().base_media_decode_time, 1_000_000_000_000);
        assert_eq!(picture.trun[0].samples.get(0).unwrap().cts, Some(-3));
        let at = picture.trun[0].data_offset.unwrap() as usize;
        assert_eq!(&bytes[at..at + 5], b"idr!p");
        let at = sound.trun[0].data_offset.unwrap() as usize;
        assert_eq!(&bytes[at..], b"aac");
    }
}
