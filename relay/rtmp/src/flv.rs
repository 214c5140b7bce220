//! The bodies of audio and video messages, which are FLV tags (FLV 10.1 §E.4; Enhanced RTMP v2).
//!
//! H.264 and AAC are read in their legacy and in their enhanced form and written in the legacy one, which everybody
//! understands. H.265, AV1, VP9 and Opus are read in their enhanced form. Every other codec is told apart by its FourCC
//! and passed on unread; multitrack bodies are looked into for sequence headers alone.

mod audio;
mod file;
mod metadata;
mod modex;
mod multitrack;
mod video;

pub use audio::{AudioCodec, AudioTag, audio_config, audio_frame, parse_audio};
pub use file::{file_header, file_tag};
pub use metadata::metadata;
pub use multitrack::{TrackId, sequence_headers};
pub use video::{VideoCodec, VideoTag, parse_video, video_config, video_frame};

/// Why a body is not an FLV tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The body ends inside its header.
    #[error("an FLV tag is cut short")]
    Short,
    /// A NAL unit of an H.264 frame is longer than the frame.
    #[error("a NAL length runs past the end of its FLV tag")]
    NalLength,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::codec::aac::low_complexity_config;
    use media::{AudioTrack, Frame, Timestamp, TrackKind, VideoTrack};

    /// The record that libx264 writes for 1280x720 at 30 frames per second.
    const X264_720P: &[u8] = &[
        1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x1a, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10,
        0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22,
        0xc0, 0xfd, 0xf8, 0xf8, 0,
    ];
    const NAL: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];

    fn video(parts: &[&[u8]]) -> Result<VideoTag, FlvError> {
        parse_video(&parts.concat().into())
    }

    fn audio(parts: &[&[u8]]) -> Result<AudioTag, FlvError> {
        parse_audio(&parts.concat().into())
    }

    fn picture(codec: VideoCodec, keyframe: bool, composition_ms: i32, data: &'static [u8]) -> VideoTag {
        VideoTag::Frame { codec, keyframe, composition_ms, data: Bytes::from_static(data) }
    }

    #[test]
    fn what_we_write_reads_back() {
        let track = VideoTrack::from_avcc(Bytes::from_static(X264_720P)).unwrap();
        let config = parse_video(&video_config(&track)).unwrap();
        assert_eq!(config, VideoTag::Config { codec: VideoCodec::H264, record: track.config.clone() });
        for (dts, pts, composition) in [(0, 0, 0), (33_333, 100_000, 67), (100_000, 60_000, -40)] {
            let frame = Frame {
                kind: TrackKind::Video,
                dts: Timestamp::from_micros(dts),
                pts: Timestamp::from_micros(pts),
                keyframe: dts == 0,
                data: Bytes::from_static(NAL),
            };
            let tag = parse_video(&video_frame(&frame)).unwrap();
            assert_eq!(tag, picture(VideoCodec::H264, frame.keyframe, composition, NAL));
        }
        let track = AudioTrack::from_asc(low_complexity_config(48_000, 2).unwrap()).unwrap();
        let config = parse_audio(&audio_config(&track)).unwrap();
        assert_eq!(config, AudioTag::Config { codec: AudioCodec::Aac, config: track.config.clone() });
        let values = crate::amf0::read_all(&metadata(None, Some(&track), 0)).unwrap();
        assert_eq!(values[1].get("audiosamplerate"), Some(&48_000.0.into()));
    }

    #[test]
    fn legacy_avc_is_read_with_its_signed_composition_time() {
        assert_eq!(video(&[&[0x17, 1, 0, 0, 80], NAL]), Ok(picture(VideoCodec::H264, true, 80, NAL)));
        assert_eq!(
            video(&[&[0x27, 1, 0xff, 0xff, 0xd8], NAL]),
            Ok(picture(VideoCodec::H264, false, -40, NAL))
        );
        assert_eq!(video(&[&[0x17, 2, 0, 0, 0]]), Ok(VideoTag::End));
        assert_eq!(video(&[&[0x57, 0]]), Ok(VideoTag::Other), "a seek command");
        assert_eq!(video(&[&[0x12, 1, 2, 3]]), Ok(VideoTag::Other), "Sorenson H.263");
    }

    #[test]
    fn enhanced_avc_is_read_like_legacy_avc() {
        let record = Bytes::from_static(X264_720P);
        assert_eq!(
            video(&[&[0x90], b"avc1", X264_720P]),
            Ok(VideoTag::Config { codec: VideoCodec::H264, record })
        );
        let h264 = VideoCodec::H264;
        assert_eq!(video(&[&[0x91], b"avc1", &[0xff, 0xff, 0xd8], NAL]), Ok(picture(h264, true, -40, NAL)));
        assert_eq!(video(&[&[0xa3], b"avc1", NAL]), Ok(picture(h264, false, 0, NAL)));
        assert_eq!(video(&[&[0x92], b"avc1"]), Ok(VideoTag::End));
    }

    #[test]
    fn enhanced_codecs_are_told_apart_by_their_four_cc() {
        let hevc = VideoCodec::Hevc;
        assert_eq!(video(&[&[0x91], b"hvc1", &[0, 0, 40, 9, 9]]), Ok(picture(hevc, true, 40, &[9, 9])));
        // AV1 has no composition time, so its first bytes are its own.
        let av1 = VideoCodec::Av1;
        assert_eq!(video(&[&[0x91], b"av01", &[0, 0, 40]]), Ok(picture(av1, true, 0, &[0, 0, 40])));
        assert_eq!(video(&[&[0x94], b"hvc1", &[2]]), Ok(VideoTag::Other), "metadata");
        assert_eq!(video(&[&[0x96, 0x01], b"avc1"]), Ok(VideoTag::Other), "multitrack");
        assert_eq!(video(&[&[0xd1, 0]]), Ok(VideoTag::Other), "a command has one byte and no FourCC");
        let opus = AudioCodec::Opus;
        let data = Bytes::from_static(&[7]);
        assert_eq!(audio(&[&[0x91], b"Opus", &[7]]), Ok(AudioTag::Frame { codec: opus, data }));
    }

    #[test]
    fn a_mod_ex_prefix_is_skipped_whatever_its_length() {
        let h264 = VideoCodec::H264;
        // Three bytes of nanoseconds, then type 0 and CodedFramesX.
        let short = [&[0x97, 2, 0, 1, 2, 0x03][..], b"avc1"].concat();
        assert_eq!(video(&[&short, NAL]), Ok(picture(h264, true, 0, NAL)));
        let long = [&[0x97, 255, 1, 0x2b][..], &[0; 300], &[0x03], b"avc1"].concat();
        assert_eq!(video(&[&long, NAL]), Ok(picture(h264, true, 0, NAL)));
        let twice = [&[0x97, 0, 9, 0x07, 0, 9, 0x03][..], b"avc1"].concat();
        assert_eq!(video(&[&twice, NAL]), Ok(picture(h264, true, 0, NAL)));
        let data = Bytes::from_static(&[7]);
        assert_eq!(
            audio(&[&[0x97, 0, 9, 0x01], b"mp4a", &[7]]),
            Ok(AudioTag::Frame { codec: AudioCodec::Aac, data })
        );
    }

    #[test]
    fn silence_and_strange_sound_are_passed_on() {
        assert_eq!(audio(&[]), Ok(AudioTag::Other));
        assert_eq!(audio(&[&[0x2f, 1, 2]]), Ok(AudioTag::Other), "MP3");
        assert_eq!(audio(&[&[0x92], b"mp4a"]), Ok(AudioTag::Other), "sequence end");
        assert_eq!(audio(&[&[0x94], b"mp4a", &[1, 2, 0, 0, 0, 3]]), Ok(AudioTag::Other), "multichannel");
        assert_eq!(video(&[]), Ok(VideoTag::Other));
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_tag() {
        assert_eq!(video(&[&[0x17, 1, 0, 0]]), Err(FlvError::Short));
        assert_eq!(video(&[&[0x91], b"avc"]), Err(FlvError::Short));
        assert_eq!(video(&[&[0x97, 255, 0]]), Err(FlvError::Short));
        assert_eq!(audio(&[&[0xaf]]), Err(FlvError::Short));
        assert_eq!(video(&[&[0x17, 1, 0, 0, 0, 0, 0, 0, 3, 0x65, 1]]), Err(FlvError::NalLength));
        assert_eq!(video(&[&[0x93], b"avc1", &[0, 0]]), Err(FlvError::NalLength));
    }

    #[test]
    fn a_file_tag_states_its_time_and_its_size() {
        let body = Bytes::from_static(&[0xaf, 1, 7]);
        let message = crate::Message { kind: crate::MessageKind::Audio, timestamp: 0x0102_0304, body };
        let expected = [8, 0, 0, 3, 2, 3, 4, 1, 0, 0, 0, 0xaf, 1, 7, 0, 0, 0, 14];
        assert_eq!(file_tag(&message)[..], expected);
        assert_eq!(file_header(true, true)[..], *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
    }
}
