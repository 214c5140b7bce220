//! What is in a recording, in the words of ffprobe and ffmpeg.

use std::path::Path;
use std::process::Command;

fn run(program: &str, args: &[&str], file: &Path, more: &[&str]) -> String {
    let out = Command::new(program).args(args).arg(file).args(more).output().unwrap();
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(complaints.is_empty(), "{program} complains about {}: {complaints}", file.display());
    String::from_utf8(out.stdout).unwrap()
}

/// Fields of the first stream of a kind (`v` or `a`), as `key=value` lines.
pub(crate) fn stream(file: &Path, kind: &str, fields: &str) -> String {
    let entries = format!("stream={fields}");
    run(
        "ffprobe",
        &["-v", "error", "-select_streams", kind, "-show_entries", &entries, "-of", "default=nw=1"],
        file,
        &[],
    )
}

/// The packets of a kind: time in seconds, and whether a decoder can start there.
pub(crate) fn packets(file: &Path, kind: &str) -> Vec<(f64, bool)> {
    let args =
        ["-v", "error", "-select_streams", kind, "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"];
    run("ffprobe", &args, file, &[])
        .lines()
        .filter_map(|line| {
            let (time, flags) = line.split_once(',')?;
            Some((time.parse().ok()?, flags.contains('K')))
        })
        .collect()
}

pub(crate) fn picture_types(file: &Path) -> String {
    let args = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=pict_type", "-of", "csv=p=0"];
    run("ffprobe", &args, file, &[]).chars().filter(char::is_ascii_alphabetic).collect()
}

/// Decodes everything; fails at the first complaint.
pub(crate) fn assert_decodes_clean(file: &Path) {
    run("ffmpeg", &["-v", "warning", "-xerror", "-i"], file, &["-f", "null", "-"]);
}

/// When the beeps begin after the flashes, in seconds: one number for each flash with a beep within half a second.
/// `crop` is the part of the picture that flashes, as ffmpeg writes it.
pub(crate) fn beeps_after_flashes(file: &Path, crop: &str) -> Vec<f64> {
    let flashes = onsets(
        file,
        "-vf",
        &format!("crop={crop},signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"),
        120.0,
    );
    let beeps = onsets(
        file,
        "-af",
        "asetnsamples=n=48,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-",
        -30.0,
    );
    let nearest = |flash: f64| {
        beeps
            .iter()
            .map(|beep| beep - flash)
            .min_by(|a, b| a.abs().total_cmp(&b.abs()))
            .filter(|gap| gap.abs() < 0.5)
    };
    flashes.into_iter().filter_map(nearest).collect()
}

/// When a measured value rises above a threshold.
fn onsets(file: &Path, kind: &str, filter: &str, threshold: f64) -> Vec<f64> {
    let text = run("ffmpeg", &["-v", "error", "-i"], file, &[kind, filter, "-f", "null", "-"]);
    let mut onsets = Vec::new();
    let (mut at, mut above) = (0.0, true); // one that has begun already has no onset
    for line in text.lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            at = time.trim().parse().unwrap();
        } else if let Some((_, value)) = line.split_once('=') {
            let now = value.parse().unwrap_or(f64::NEG_INFINITY) > threshold;
            if now && !above {
                onsets.push(at);
            }
            above = now;
        }
    }
    onsets
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    assert!(numbers.len() >= 3, "too few to tell: {numbers:?}");
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
