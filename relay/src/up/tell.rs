//! What `sluice up` says to the person who started it.
#![expect(clippy::print_stdout, reason = "this is what the command is for")]

use crate::serve::Running;
use api::streams::StreamView;

/// One step of the start or the stop.
pub(super) fn step(text: &str) {
    println!("  · {text}");
}

/// Where to look, and what to try next.
pub(super) fn addresses(running: &Running, live: Option<&StreamView>) {
    let public = running.public_url();
    let desk = running.local_url();
    let rtmp = running.rtmp_url();
    println!();
    match live {
        Some(stream) => {
            println!("  The call is live.");
            println!();
            println!("    Watch it          {public}{}", stream.playback.widget);
            println!("    HLS               {public}{}", stream.playback.hls);
        }
        None => {
            println!("  Sluice is running.");
            println!();
        }
    }
    println!("    Operator page     {desk}/");
    println!("    A call of yours   make run CALL=https://meet.example/your-room");
    println!("    From ffmpeg       ffmpeg -re -i FILE -c:v libx264 -g 60 -c:a aac -f flv {rtmp}/live/mine");
    println!("    From OBS          server {rtmp}/live   stream key mine   keyframe interval 2 s");
    println!("    and watch it      {public}/widget/preview?stream=live/mine");
    println!("    Stop              Ctrl-C");
    println!();
}
