//! News of a page.

use crate::connection::RawEvent;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Texts from the page are cut to this many bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// One thing that happened in a page. Texts come from the page: they may contain anything, and anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The page wrote to its console.
    Console {
        /// `log`, `info`, `warning`, `error`, `debug` and the protocol's other words.
        level: String,
        /// The arguments, joined by spaces; objects as their description. Cut to a bounded length.
        text: String,
    },
    /// An exception or a rejected promise that the page did not catch.
    Exception {
        /// Its description, cut to a bounded length.
        text: String,
    },
    /// The renderer died. The page can be brought back by [`crate::Page::reload`].
    Crashed,
    /// The page was closed, or taken over by another client.
    Detached,
    /// The page's `load` event.
    Loaded,
    /// A document was answered over HTTP. Only while [`crate::Page::navigate`] runs.
    Document {
        /// The HTTP status.
        status: u16,
    },
    /// A document did not load. Only while [`crate::Page::navigate`] runs.
    LoadFailed {
        /// Chromium's name for it, such as `net::ERR_CONNECTION_REFUSED`.
        error: String,
    },
    /// We read too slowly: this many events were lost before the next one.
    Lost(u64),
}

/// A page's events since [`crate::Page::events`] was called.
pub struct Events {
    pub(crate) ring: Option<Receiver<Arc<RawEvent>>>,
}

impl Events {
    /// The next event; `None` when the page or the browser has ended. Can be dropped while waiting without losing
    /// an event.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.ring.as_mut()?.recv().await {
                Ok(raw) => {
                    if let Some(event) = parse(&raw) {
                        return Some(event);
                    }
                }
                Err(RecvError::Lagged(count)) => return Some(Event::Lost(count)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn parse(raw: &RawEvent) -> Option<Event> {
    let params = &raw.params;
    Some(match raw.method.as_str() {
        "Runtime.consoleAPICalled" => Event::Console {
            level: params["type"].as_str().unwrap_or("log").to_owned(),
            text: cut(params["args"].as_array()?.iter().map(shown).collect::<Vec<_>>().join(" ")),
        },
        "Runtime.exceptionThrown" => Event::Exception { text: exception_text(&params["exceptionDetails"]) },
        "Inspector.targetCrashed" => Event::Crashed,
        "Inspector.detached" => Event::Detached,
        "Page.loadEventFired" => Event::Loaded,
        "Network.responseReceived" if params["type"] == "Document" => {
            Event::Document { status: status(params)? }
        }
        "Network.loadingFailed" if params["type"] == "Document" => {
            Event::LoadFailed { error: params["errorText"].as_str().unwrap_or_default().to_owned() }
        }
        _ => return None,
    })
}

/// The HTTP status in the parameters of `Network.responseReceived`.
pub(crate) fn status(params: &Value) -> Option<u16> {
    u16::try_from(params["response"]["status"].as_u64()?).ok()
}

/// The description of a `Runtime.ExceptionDetails`.
pub(crate) fn exception_text(details: &Value) -> String {
    let thrown = &details["exception"];
    if thrown.is_null() {
        return cut(details["text"].as_str().unwrap_or("an exception").to_owned());
    }
    cut(shown(thrown))
}

/// A `Runtime.RemoteObject` as a person would read it.
fn shown(object: &Value) -> String {
    match (&object["value"], object["description"].as_str()) {
        (Value::String(text), _) => text.clone(),
        (_, Some(description)) => description.to_owned(),
        (Value::Null, None) => object["type"].as_str().unwrap_or("null").to_owned(),
        (value, None) => value.to_string(),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
