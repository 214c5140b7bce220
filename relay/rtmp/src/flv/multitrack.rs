//! Multitrack bodies of Enhanced RTMP v2: which tracks one of them announces.
//!
//! A relay passes them on as they are. It looks inside only to know which sequence headers a late player needs.

use super::modex::skip_modex;
use crate::MessageKind;
use bytes::Buf;

/// The id of a track within its kind, as every multitrack message states it; 0 is the default track.
pub type TrackId = u8;

/// Packet types of Multitrack: the one place where both enumerations differ.
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
const SEQUENCE_START: u8 = 0;
/// MPEG2TSSequenceStart, for AV1.
const MPEG2TS_SEQUENCE_START: u8 = 5;
const FRAME_COMMAND: u8 = 5;

/// AvMultitrackType.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// The tracks whose sequence headers this body holds, in its order; empty for every other body, and for one that is cut
/// short or of an unknown form, which is passed on but not kept.
#[must_use]
pub fn sequence_headers(kind: MessageKind, body: &[u8]) -> Vec<TrackId> {
    read(kind, body).unwrap_or_default()
}

fn read(kind: MessageKind, body: &[u8]) -> Option<Vec<TrackId>> {
    let mut rest = body;
    let first = rest.try_get_u8().ok()?;
    let (is_enhanced, multitrack) = match kind {
        MessageKind::Video => (first & 0x80 != 0 && (first & 0x70) >> 4 != FRAME_COMMAND, VIDEO_MULTITRACK),
        MessageKind::Audio => (first >> 4 == 9, AUDIO_MULTITRACK),
        MessageKind::Data => return None,
    };
    if !is_enhanced || skip_modex(first & 0x0f, &mut rest).ok()? != multitrack {
        return None;
    }
    let form = rest.try_get_u8().ok()?;
    let (form, packet_type) = (form >> 4, form & 0x0f);
    let announces = packet_type == SEQUENCE_START
        || (kind == MessageKind::Video && packet_type == MPEG2TS_SEQUENCE_START);
    if !announces || form > MANY_TRACKS_MANY_CODECS {
        return None;
    }
    if form != MANY_TRACKS_MANY_CODECS {
        rest = rest.get(4..)?;
    }
    if form == ONE_TRACK {
        return Some(vec![rest.try_get_u8().ok()?]);
    }
    debug_assert!(form == MANY_TRACKS || form == MANY_TRACKS_MANY_CODECS);
    let mut tracks = Vec::new();
    while !rest.is_empty() {
        if form == MANY_TRACKS_MANY_CODECS {
            rest = rest.get(4..)?;
        }
        let track = rest.try_get_u8().ok()?;
        // A track is announced once; a body that repeats one would only grow what is kept.
        if tracks.contains(&track) {
            return None;
        }
        tracks.push(track);
        let size = usize::try_from(rest.try_get_uint(3).ok()?).ok()?;
        rest = rest.get(size..)?;
    }
    Some(tracks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(parts: &[&[u8]]) -> Vec<TrackId> {
        sequence_headers(MessageKind::Video, &parts.concat())
    }

    #[test]
    fn each_form_says_whose_sequence_headers_it_holds() {
        assert_eq!(video(&[&[0x96, 0x00], b"hvc1", &[3, 1, 2]]), [3]);
        assert_eq!(video(&[&[0x96, 0x10], b"hvc1", &[0, 0, 0, 1, 9], &[1, 0, 0, 2, 9, 9]]), [0, 1]);
        let (avc, av1) = ([b"avc1", &[0, 0, 0, 1, 9][..]].concat(), [b"av01", &[7, 0, 0, 0][..]].concat());
        assert_eq!(video(&[&[0x96, 0x20], &avc, &av1]), [0, 7]);
        let audio = [&[0x95, 0x00][..], b"Opus", &[2]].concat();
        assert_eq!(sequence_headers(MessageKind::Audio, &audio), [2]);
        assert_eq!(video(&[&[0x97, 0, 9, 0x06, 0x00], b"hvc1", &[3]]), [3], "behind ModEx");
    }

    #[test]
    fn nothing_else_announces_a_track() {
        assert!(video(&[&[0x96, 0x01], b"hvc1", &[3, 1, 2]]).is_empty(), "coded frames");
        assert!(video(&[&[0x96, 0x30], b"hvc1", &[3]]).is_empty(), "an unknown form");
        assert!(video(&[&[0x95, 0x00], b"hvc1", &[3]]).is_empty(), "audio's packet type");
        assert!(video(&[&[0xd6, 0x00], b"hvc1", &[3]]).is_empty(), "a command");
        assert!(video(&[&[0x17, 0, 0, 0, 0]]).is_empty(), "legacy");
        let whole = [&[0x96, 0x10][..], b"hvc1", &[0, 0, 0, 1, 9]].concat();
        for cut in 0..whole.len() {
            let found = sequence_headers(MessageKind::Video, &whole[..cut]);
            assert!(found.is_empty(), "cut at {cut}");
        }
        assert!(video(&[&whole, &[0, 0, 0, 0]]).is_empty(), "the same track twice");
    }
}
