//! Orders from the supervisor: standard input.
//!
//! The first line is the [`WorkerSpec`]; later lines are [`Order`]s. Its end, an overlong line, `SIGTERM` and
//! `SIGINT` all mean "stop".

use crate::ending::Ending;
use ipc::{EndReason, LINE_BYTES_MAX, Order, WorkerSpec};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

/// How long the first line may take.
const SPEC_WITHIN: Duration = Duration::from_secs(10);
/// How long a stop may take when nobody says.
const STOP_WITHIN: Duration = Duration::from_millis(1_000);

/// Where later orders arrive.
pub(crate) struct Orders {
    stop: watch::Receiver<Option<Duration>>,
}

impl Orders {
    /// Reads the spec, and goes on reading in the background.
    pub(crate) async fn read(
        input: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(WorkerSpec, Self), Ending> {
        let bad = |detail: String| Ending::new(EndReason::BadSpec, detail);
        let mut input = BufReader::new(input);
        let line = timeout(SPEC_WITHIN, next_line(&mut input))
            .await
            .map_err(|_| bad(format!("no orders within {SPEC_WITHIN:?}")))?
            .ok_or_else(|| bad("standard input ended before the orders, or they are too long".into()))?;
        // serde names the field or the position, and for an unknown variant its text, but never a string's content.
        let spec: WorkerSpec = serde_json::from_slice(&line).map_err(|error| bad(error.to_string()))?;
        let (sender, stop) = watch::channel(None);
        tokio::spawn(obey(input, sender));
        Ok((spec, Self { stop }))
    }

    /// Waits for the order to stop; gives how long that may take. Can be dropped while waiting.
    pub(crate) async fn stopped(&mut self) -> Duration {
        let within = self.stop.wait_for(Option::is_some).await;
        within.ok().and_then(|within| *within).unwrap_or(STOP_WITHIN)
    }
}

async fn obey(mut input: impl AsyncBufRead + Unpin, stop: watch::Sender<Option<Duration>>) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return; // dropping the sender means "stop"
    };
    loop {
        let line = tokio::select! {
            line = next_line(&mut input) => line,
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        let Some(line) = line else {
            info!("standard input ended, or a signal asked to stop");
            break;
        };
        match serde_json::from_slice(&line) {
            Ok(Order::Stop { within_ms }) => {
                let _ = stop.send(Some(Duration::from_millis(within_ms.into()))); // the worker is ending already
                return;
            }
            Err(error) => warn!(%error, "an order cannot be read and is ignored"),
        }
    }
    let _ = stop.send(Some(STOP_WITHIN)); // as above
}

/// The next line without its end; `None` at the end of input, after an error, and for one over [`LINE_BYTES_MAX`].
async fn next_line(input: &mut (impl AsyncBufRead + Unpin)) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let count = input.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line).await.ok()?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if count > LINE_BYTES_MAX {
        return None;
    }
    (count > 0).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"{"stream_id":"00000000-0000-0000-0000-000000000000","incarnation":1,"kind":"test","call_url":null,"publish_url":"rtmp://127.0.0.1/live/x","profile":"540p30","join_timeout_seconds":5}"#;

    #[tokio::test]
    async fn a_stop_order_carries_its_time() {
        let input = format!("{SPEC}\nnonsense\n{{\"order\":\"stop\",\"within_ms\":250}}\n");
        let (spec, mut orders) = Orders::read(std::io::Cursor::new(input.into_bytes())).await.unwrap();
        assert_eq!(spec.incarnation, 1);
        assert_eq!(orders.stopped().await, Duration::from_millis(250));
    }

    #[tokio::test]
    async fn the_end_of_input_means_stop() {
        let (_, mut orders) = Orders::read(std::io::Cursor::new(SPEC.as_bytes())).await.unwrap();
        assert_eq!(orders.stopped().await, STOP_WITHIN);
    }

    #[tokio::test]
    async fn orders_that_cannot_be_read_end_the_worker() {
        let endless = vec![b' '; LINE_BYTES_MAX + 10];
        for input in [&b""[..], b"{}\n", b"\xff\n", &endless] {
            let outcome = Orders::read(std::io::Cursor::new(input.to_vec())).await;
            assert_eq!(outcome.err().map(|ending| ending.reason), Some(EndReason::BadSpec));
        }
    }
}
