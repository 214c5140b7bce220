//! Which events there are, and how they read.

use super::Item;
use api::events::Event;
use api::streams::StreamState;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

/// All of them.
const KINDS: [&str; 18] = [
    "claim.granted",
    "claim.live",
    "claim.lingering",
    "claim.resumed",
    "claim.displaced",
    "claim.seized",
    "claim.released",
    "claim.expired",
    "claim.refused",
    "claim.blocked",
    "claim.unblocked",
    "stream.queued",
    "stream.claiming",
    "stream.joining",
    "stream.live",
    "stream.recovering",
    "stream.stopping",
    "stream.ended",
];

/// How many streams' last states are remembered; beyond it a stream's next event may repeat its state.
const STREAMS_MAX: usize = 4_096;

/// Some events: one by name, `claim.*`, `stream.*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EventPattern(String);

/// A text that fits no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event {0:?}; there are *, {all}", all = KINDS.join(", "))]
pub struct PatternError(String);

impl EventPattern {
    /// All events.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self("*".into())]
    }

    /// Whether an event of this kind is meant.
    #[must_use]
    pub fn fits(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(front) => kind.starts_with(front),
            None => kind == self.0,
        }
    }
}

impl TryFrom<String> for EventPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        let pattern = Self(text);
        let is_whole = matches!(pattern.0.as_str(), "*" | "claim.*" | "stream.*");
        if is_whole || KINDS.contains(&pattern.0.as_str()) {
            Ok(pattern)
        } else {
            Err(PatternError(pattern.0))
        }
    }
}

/// Turns what watchers see into events: a change of a claim is one, a new row of a stream only if its state is new.
#[derive(Default)]
pub(super) struct Observer {
    states: HashMap<Uuid, StreamState>,
}

impl Observer {
    pub(super) fn observe(&mut self, event: &Event, wall: Timestamp) -> Option<Item> {
        let (kind, stream, at, data) = match event {
            Event::Claim { what, claim, key, detail, at } => {
                let data = json!({ "key": key, "claim": claim, "detail": detail });
                (format!("claim.{what}"), key.clone(), *at, data)
            }
            Event::Stream { stream } => {
                if self.states.len() >= STREAMS_MAX {
                    self.states.clear();
                }
                let before = match stream.state {
                    StreamState::Ended => self.states.remove(&stream.id),
                    state => self.states.insert(stream.id, state),
                };
                if before == Some(stream.state) {
                    return None;
                }
                // Rows that cannot be written as JSON do not exist; null would say so.
                let data = serde_json::to_value(stream).unwrap_or_default();
                (format!("stream.{}", stream.state), stream.name.clone(), wall, data)
            }
            Event::Snapshot { .. }
            | Event::Broadcasts { .. }
            | Event::Claims { .. }
            | Event::Recorder { .. }
            | Event::Targets { .. } => return None,
        };
        let id = Uuid::now_v7();
        let body =
            json!({ "id": id, "type": kind, "timestamp": at, "stream": stream, "data": data }).to_string();
        Some(Item { id, kind, stream, body, at, number: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_one_event_a_family_or_all_and_a_wrong_one_names_them() {
        let pattern = |text: &str| EventPattern::try_from(text.to_owned());
        assert!(
            pattern("claim.*").unwrap().fits("claim.seized") && pattern("*").unwrap().fits("stream.live")
        );
        assert!(!pattern("stream.live").unwrap().fits("stream.ended"));
        assert!(KINDS.iter().all(|kind| pattern(kind).is_ok_and(|pattern| pattern.fits(kind))));
        for text in ["", "claim", "cl*", "stream.dead"] {
            assert!(pattern(text).unwrap_err().to_string().contains("claim.seized"), "{text}");
        }
    }

    #[test]
    fn a_claim_s_change_is_an_event_with_an_id_of_its_own() {
        let change = Event::Claim {
            what: "granted".into(),
            claim: None,
            key: "live/room".into(),
            detail: "bot: reserved".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let mut observer = Observer::default();
        let one = observer.observe(&change, Timestamp::UNIX_EPOCH).unwrap();
        let two = observer.observe(&change, Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(one.id, two.id);
        let body: serde_json::Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(
            (body["type"].as_str(), body["stream"].as_str()),
            (Some("claim.granted"), Some("live/room"))
        );
        assert_eq!(body["id"], one.id.to_string());
        assert_eq!(body["data"]["detail"], "bot: reserved");
    }
}
