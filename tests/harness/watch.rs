//! A player that notes what it sees, without decoding it.

use anyhow::Result;
use media::TargetUrl;
use rtmp::MessageKind;
use rtmp::io::{Deadlines, Player};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a player saw of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Pictures.
    pub pictures: u32,
    /// The widest step between two pictures, in milliseconds of the stream.
    pub widest_ms: u32,
    /// How often a picture's time was before that of the picture before it.
    pub steps_back: u32,
}

/// A player at work.
pub struct Watch {
    stop: oneshot::Sender<()>,
    watching: JoinHandle<Result<Seen>>,
}

impl Watch {
    /// Plays an RTMP URL until told to end, or until the stream ends.
    ///
    /// # Panics
    /// If it is no RTMP URL.
    #[must_use]
    pub fn start(url: &str) -> Self {
        let target: TargetUrl = url.parse().expect("a URL");
        let (stop, stopped) = oneshot::channel();
        Self { stop, watching: tokio::spawn(watch(target, stopped)) }
    }

    /// What it has seen.
    ///
    /// # Errors
    /// If it was cut off before.
    ///
    /// # Panics
    /// If the player panicked.
    pub async fn end(self) -> Result<Seen> {
        let _ = self.stop.send(());
        self.watching.await.expect("no panic")
    }
}

async fn watch(target: TargetUrl, mut stopped: oneshot::Receiver<()>) -> Result<Seen> {
    let mut player = Player::connect(&target, Deadlines::default()).await?;
    let mut seen = Seen::default();
    let mut last = None::<u32>;
    loop {
        let message = tokio::select! {
            message = player.next() => message?,
            _ = &mut stopped => return Ok(seen),
        };
        // FLV 10.1 §E.4.3.1: AVCPacketType 0 is a decoder configuration, not a picture.
        if message.kind != MessageKind::Video || message.body.get(1) == Some(&0) {
            continue;
        }
        seen.pictures += 1;
        if let Some(last) = last {
            let step = message.timestamp.wrapping_sub(last) as i32;
            seen.steps_back += u32::from(step < 0);
            seen.widest_ms = seen.widest_ms.max(step.max(0).unsigned_abs());
        }
        last = Some(message.timestamp);
    }
}
