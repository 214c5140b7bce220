//! ffmpeg and ffprobe: publishers and players that nobody here wrote.

use crate::Process;
use anyhow::{Result, ensure};
use std::process::Command;

/// What ffmpeg publishes.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A moving picture of 640x360 at 30 frames per second with a tone, in real time.
    Small,
    /// The same with 1280x720.
    Hd,
}

/// A running ffmpeg.
pub struct Ffmpeg {
    /// The process.
    pub process: Process,
}

impl Ffmpeg {
    /// Publishes to an RTMP URL until dropped, or for so many seconds.
    ///
    /// # Panics
    /// If ffmpeg is not installed.
    #[must_use]
    pub fn publish(source: Source, url: &str, seconds: Option<u32>) -> Self {
        let (size, kbps) = match source {
            Source::Small => ("640x360", "600k"),
            Source::Hd => ("1280x720", "2500k"),
        };
        let process = Process::start("ffmpeg", |command| {
            command.args(["-hide_banner", "-loglevel", "warning", "-re"]);
            command.args(["-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=30")]);
            command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]);
            if let Some(seconds) = seconds {
                command.args(["-t", &seconds.to_string()]);
            }
            command.args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-pix_fmt",
                "yuv420p",
            ]);
            command.args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", kbps]);
            command.args(["-c:a", "aac", "-b:a", "96k", "-ac", "2", "-f", "flv", url]);
        });
        Self { process: process.expect("ffmpeg is installed") }
    }

    /// Runs ffmpeg to its end and returns what it said on standard error.
    ///
    /// # Errors
    /// If it fails or takes too long.
    pub async fn run(seconds: f64, arguments: &[&str]) -> Result<String> {
        let mut process = Process::start("ffmpeg", |command| {
            command.args(["-hide_banner", "-nostdin", "-loglevel", "repeat+warning"]).args(arguments);
        })?;
        let status = process.ended(seconds).await?;
        let said = process.said();
        ensure!(status.success(), "ffmpeg failed ({status}): {said}");
        Ok(said)
    }
}

/// What ffprobe says, as JSON.
///
/// # Errors
/// If it fails or prints no JSON.
pub fn ffprobe_json(arguments: &[&str]) -> Result<serde_json::Value> {
    let output = Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).output()?;
    ensure!(output.status.success(), "ffprobe failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
