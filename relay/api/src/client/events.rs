//! The relay's live events, as they come.

use super::error::ClientError;
use super::sse::Parser;
use crate::events::Event;
use futures_util::stream::{self, Stream};
use reqwest::Response;

/// An open stream of events. Nothing is queued here beyond what one read brought: a slow reader is the relay's to
/// handle, which sends it a new snapshot.
pub struct Events {
    response: Response,
    parser: Parser,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next event; `None` when the relay ended the stream, as it does at its own end. Events that this version does
    /// not know are passed over.
    ///
    /// # Errors
    ///
    /// When the connection broke or was silent for too long, or what came cannot be understood; the stream is over then.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(raw) = self.parser.pop() {
                if is_known(&raw.name) {
                    return serde_json::from_slice(&raw.data).map(Some).map_err(ClientError::Answer);
                }
            }
            let Some(chunk) = self.response.chunk().await.map_err(ClientError::from_transport)? else {
                return Ok(None);
            };
            self.parser.push(&chunk).map_err(|_| ClientError::TooLarge)?;
        }
    }

    /// The same as a `Stream`, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, ClientError>> + Send {
        stream::unfold(Some(self), |events| async {
            let mut events = events?;
            match events.next().await {
                Ok(Some(event)) => Some((Ok(event), Some(events))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// Whether an event of this name is in [`Event`]; a newer relay may send others.
fn is_known(name: &str) -> bool {
    matches!(name, "snapshot" | "stream" | "broadcasts" | "claim" | "claims" | "recorder")
}
