//! What ffmpeg encodes, as access units with their decoder's record: an MP4 file whose index ffprobe reads for us.

#![allow(dead_code, reason = "each test uses a part of it")]

use bytes::Bytes;
use media::{Frame, Timestamp, TrackKind};
use std::path::Path;
use std::process::Command;

/// One track of a file.
pub(crate) struct Encoded {
    /// The record in the form that Enhanced RTMP sends it in. Empty for VP9, which ffmpeg does not show.
    pub(crate) record: Bytes,
    pub(crate) frames: Vec<Frame>,
}

/// Encodes into `path`; `arguments` are everything between `ffmpeg` and the output's name.
pub(crate) fn make_mp4(path: &Path, arguments: &str) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments.split_whitespace()).arg(path);
    let output = command.output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads the first track of a kind.
pub(crate) fn read(path: &Path, kind: TrackKind) -> Encoded {
    let file = Bytes::from(std::fs::read(path).unwrap());
    let entries = "packet=pts_time,dts_time,size,pos,flags";
    let frames = probe(path, kind, &["-show_entries", entries, "-of", "csv=p=0"])
        .lines()
        .filter(|line| line.split(',').count() >= 5) // not the side data of a packet
        .map(|line| frame(kind, line, &file))
        .collect();
    let dump = probe(path, kind, &["-show_entries", "stream=extradata", "-show_data", "-of", "default=nk=1"]);
    Encoded { record: undump(&dump), frames }
}

fn frame(kind: TrackKind, line: &str, file: &Bytes) -> Frame {
    let fields: Vec<&str> = line.split(',').collect();
    let time = |text: &str| Timestamp::from_millis((text.parse::<f64>().unwrap() * 1_000.0).round() as i64);
    let (size, at): (usize, usize) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    let keyframe = fields[4].starts_with('K');
    let (pts, dts) = (time(fields[0]), time(fields[1]));
    Frame { kind, dts, pts, keyframe, data: file.slice(at..at + size) }
}

fn probe(path: &Path, kind: TrackKind, arguments: &[&str]) -> String {
    let stream = if kind == TrackKind::Video { "v:0" } else { "a:0" };
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", stream]).args(arguments).arg(path);
    let output = command.output().expect("ffprobe is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// ffprobe's dump: offset, sixteen bytes in groups of two, and the same as text.
fn undump(dump: &str) -> Bytes {
    let lines = dump.lines().filter_map(|line| line.split_once(": "));
    let digits: String = lines.flat_map(|(_, rest)| rest.chars().take(39)).filter(|c| *c != ' ').collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
