//! ffmpeg as the encoder before us and the player after us.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::Path;
use std::process::Command;

/// Makes an FLV file; `arguments` are everything between `ffmpeg` and the output's name.
pub(crate) fn make_flv(arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.flv");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments.split_whitespace()).arg("-f").arg("flv").arg(&path);
    let output = command.output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(path).unwrap()
}

/// A test picture with moving parts and a tone.
pub(crate) fn pictures_and_sound(seconds: u32, gop: u32, b_frames: u32) -> Vec<u8> {
    make_flv(&format!(
        "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 -t {seconds} \
         -c:v libx264 -preset ultrafast -b:v 300k -bf {b_frames} -g {gop} -keyint_min {gop} -sc_threshold 0 \
         -pix_fmt yuv420p -c:a aac -ac 2 -b:a 64k"
    ))
}

/// Decodes everything; whatever ffmpeg has to say about it.
pub(crate) fn complaints(input: impl AsRef<std::ffi::OsStr>) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-i"]).arg(input).args(["-f", "null", "-"]);
    let output = command.output().expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { said } else { format!("it failed: {said}") }
}

/// The MD5 of each frame of one track: of the decoded picture, or of the packet where `copy`.
pub(crate) fn frame_hashes(file: &Path, track: &str, copy: bool) -> Vec<String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file).args(["-map", track, "-fps_mode", "passthrough"]);
    if copy {
        command.args(["-c", "copy"]);
    }
    let output = command.args(["-f", "framemd5", "-"]).output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let hashes = text.lines().filter(|line| !line.starts_with('#'));
    // stream, dts, pts, duration, size, hash, and then perhaps the same of side data.
    hashes.map(|line| line.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

/// What ffprobe shows of `entries`, one line per stream.
pub(crate) fn probe(file: &Path, entries: &str) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", entries, "-of", "csv=p=0"]).arg(file);
    let output = command.output().expect("ffprobe is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
