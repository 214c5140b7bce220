//! The init section: `ftyp` and a `moov` without samples.

use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::unit::VIDEO_TIMESCALE;
use bytes::{Bytes, BytesMut};
use media::codec::opus::Head;
use media::{AudioCodec, AudioTrack, TrackError, VideoCodec, VideoTrack};
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Atom, Audio, Av01, Av1c, Avc1, Avcc, Codec, Dinf, Dops, Dref, DrefEntry, Encode, Esds, FixedPoint,
    FourCC, Ftyp, Hdlr, Hvc1, Hvcc, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Opus, OpusChannelMapping, Smhd,
    Stbl, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd, Vp09, VpcC,
};

/// A track that MP4 cannot describe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no init section can be written for this track: {0}")]
pub(crate) struct InitError(String);

impl From<mp4_atom::Error> for InitError {
    fn from(error: mp4_atom::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<TrackError> for InitError {
    fn from(error: TrackError) -> Self {
        Self(error.to_string())
    }
}

/// The init section for these tracks; their codec configurations are kept to the byte.
pub(crate) fn init_section(
    video: Option<&VideoTrack>,
    audio: Option<&AudioTrack>,
) -> Result<Bytes, InitError> {
    let mut moov = Moov {
        mvhd: Mvhd {
            timescale: 1_000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: AUDIO_TRACK + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex::default()),
        ..Moov::default()
    };
    if let Some(video) = video {
        add_track(&mut moov, VIDEO_TRACK, video_track(video)?);
    }
    if let Some(audio) = audio {
        add_track(&mut moov, AUDIO_TRACK, audio_track(audio)?);
    }
    let brands = [b"iso6", b"mp41", b"cmfc"].map(FourCC::new);
    let ftyp = Ftyp { major_brand: brands[0], minor_version: 0, compatible_brands: brands.to_vec() };
    let mut out = BytesMut::new();
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    let out = out.freeze();
    let kept = |config: &Bytes| out.windows(config.len().max(1)).any(|window| window == &config[..]);
    // The box of Opus holds its header's fields in another byte order, without its magic.
    let all_kept = video.is_none_or(|video| kept(&video.config))
        && audio.is_none_or(|audio| audio.codec == AudioCodec::Opus || kept(&audio.config));
    if !all_kept {
        return Err(InitError("its configuration record would be changed".into()));
    }
    Ok(out)
}

fn add_track(moov: &mut Moov, track_id: u32, trak: Trak) {
    moov.trak.push(trak);
    let trex = Trex { track_id, default_sample_description_index: 1, ..Trex::default() };
    moov.mvex.get_or_insert_default().trex.push(trex);
}

fn video_track(video: &VideoTrack) -> Result<Trak, InitError> {
    if !video.is_sized() {
        return Err(InitError("neither its record nor its keyframe states a size".into()));
    }
    let width = u16::try_from(video.width).map_err(|_| InitError("it is too wide".into()))?;
    let height = u16::try_from(video.height).map_err(|_| InitError("it is too high".into()))?;
    let visual = Visual { data_reference_index: 1, width, height, ..Visual::default() };
    let entry = sample_entry(video, visual)?;
    let tkhd = Tkhd { width: width.into(), height: height.into(), ..tkhd(VIDEO_TRACK) };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..minf(entry) };
    Ok(trak(tkhd, VIDEO_TIMESCALE, b"vide", minf))
}

/// The sample entry, with the record in its box.
fn sample_entry(video: &VideoTrack, visual: Visual) -> Result<Codec, InitError> {
    let mut record = &video.config[..];
    Ok(match video.codec {
        VideoCodec::H264 => Codec::Avc1(Avc1 {
            visual,
            avcc: Avcc::decode_body(&mut record)?,
            btrt: None,
            colr: None,
            pasp: None,
            taic: None,
            fiel: None,
            spatial: None,
        }),
        VideoCodec::Hevc => {
            Codec::Hvc1(Hvc1 { visual, hvcc: Hvcc::decode_body(&mut record)?, ..Hvc1::default() })
        }
        VideoCodec::Av1 => {
            Codec::Av01(Av01 { visual, av1c: Av1c::decode_body(&mut record)?, ..Av01::default() })
        }
        VideoCodec::Vp9 => {
            // A full box: version 1 and flags stand in front of the record.
            let boxed = [&[1, 0, 0, 0], record].concat();
            let vpcc = VpcC::decode_body(&mut &boxed[..])?;
            Codec::Vp09(Vp09 { visual, vpcc, btrt: None, colr: None, pasp: None, spatial: None })
        }
    })
}

fn audio_track(audio: &AudioTrack) -> Result<Trak, InitError> {
    // 16.16 fixed point cannot say 88.2 or 96 kHz; the decoder configuration does.
    let sample_rate = FixedPoint::from(u16::try_from(audio.sample_rate).unwrap_or(0));
    let channel_count = u16::from(if audio.channels == 0 { 2 } else { audio.channels });
    let sound = Audio { data_reference_index: 1, channel_count, sample_size: 16, sample_rate };
    let entry = match audio.codec {
        AudioCodec::Aac => Codec::Mp4a(Mp4a { audio: sound, esds: esds(audio), btrt: None, taic: None }),
        AudioCodec::Opus => Codec::Opus(Opus { audio: sound, dops: dops(audio)?, btrt: None }),
    };
    let tkhd = Tkhd { volume: 1.into(), alternate_group: 1, ..tkhd(AUDIO_TRACK) };
    let minf = Minf { smhd: Some(Smhd::default()), ..minf(entry) };
    Ok(trak(tkhd, audio.sample_rate, b"soun", minf))
}

fn esds(audio: &AudioTrack) -> Esds {
    let dec_specific = DecoderSpecific { raw: audio.config.to_vec(), ..DecoderSpecific::default() };
    let dec_config = DecoderConfig {
        object_type_indication: 0x40, // MPEG-4 audio (ISO/IEC 14496-1 table 5)
        stream_type: 5,               // audio (table 6)
        dec_specific: Some(dec_specific),
        ..DecoderConfig::default()
    };
    let es_desc =
        EsDescriptor { es_id: 1, dec_config, sl_config: SLConfig::default(), ..EsDescriptor::default() };
    Esds { es_desc }
}

/// "Encapsulation of Opus in ISO Base Media File Format" §4.3.2.
fn dops(audio: &AudioTrack) -> Result<Dops, InitError> {
    let head = Head::parse(&audio.config)?;
    Ok(Dops {
        output_channel_count: head.channels,
        pre_skip: head.pre_skip,
        input_sample_rate: head.input_sample_rate,
        output_gain: head.output_gain,
        channel_mapping: head.mapping.map(|mapping| OpusChannelMapping {
            family: mapping.family,
            stream_count: mapping.streams,
            coupled_count: mapping.coupled,
            channel_mapping: mapping.channels,
        }),
    })
}

fn tkhd(track_id: u32) -> Tkhd {
    Tkhd { track_id, enabled: true, in_movie: true, ..Tkhd::default() }
}

fn minf(entry: Codec) -> Minf {
    let here = DrefEntry::Url(Url::default());
    Minf {
        dinf: Dinf { dref: Dref { entries: vec![here] } },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![entry] },
            stco: Some(mp4_atom::Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    }
}

fn trak(tkhd: Tkhd, timescale: u32, handler: &[u8; 4], minf: Minf) -> Trak {
    let mdhd = Mdhd { timescale, language: "und".into(), ..Mdhd::default() };
    let name = if handler == b"vide" { "video" } else { "sound" };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: name.into() };
    Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_kept_to_the_byte() {
        let video = VideoTrack::from_avcc(Bytes::from_static(&[
            1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x1a, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1,
            0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3,
            0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0,
        ]))
        .unwrap();
        let audio = AudioTrack::from_asc(Bytes::from_static(&[0x11, 0x90, 0x56, 0xe5, 0x00])).unwrap();
        let bytes = init_section(Some(&video), Some(&audio)).unwrap();
        for config in [&video.config, &audio.config] {
            assert!(bytes.windows(config.len()).any(|window| window == &config[..]));
        }
    }
}
