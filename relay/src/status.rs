//! What viewers may know of a stream: made of what is live and of what was asked for, in that order.

use crate::streams::playback;
use api::status::{PublicState, StreamStatus};
use api::streams::{BroadcastView, StreamState, StreamView};
use jiff::Timestamp;
use media::StreamUrl;

/// One stream as viewers see it. What a recorder or an operator wrote is never repeated here.
#[must_use]
pub fn status(
    name: &StreamUrl,
    broadcast: Option<&BroadcastView>,
    stream: Option<&StreamView>,
) -> StreamStatus {
    if let Some(broadcast) = broadcast {
        let (state, detail) = if broadcast.live {
            (PublicState::Live, "There is a picture.")
        } else {
            (PublicState::Recovering, "The picture is lost; it should be back in a moment.")
        };
        let since = since_of(state, broadcast, stream);
        return StreamStatus {
            state,
            since: Some(since),
            hls: Some(playback(name).hls),
            token: Some(broadcast.token),
            detail: detail.into(),
        };
    }
    let nothing = |state, since: Option<Timestamp>, detail: &str| StreamStatus {
        state,
        since,
        hls: None,
        token: None,
        detail: detail.into(),
    };
    let Some(stream) = stream else {
        return nothing(PublicState::Idle, None, "Nothing is here yet.");
    };
    let since = Some(stream.state_since);
    match stream.state {
        StreamState::Queued => match stream.starts_at {
            Some(at) => nothing(PublicState::Idle, None, &format!("It starts at {at}.")),
            None => nothing(PublicState::Starting, since, "It is being started."),
        },
        StreamState::Claiming | StreamState::Joining | StreamState::Live => {
            nothing(PublicState::Starting, since, "It is being started.")
        }
        StreamState::Recovering => {
            nothing(PublicState::Recovering, since, "The picture is lost; it should be back in a moment.")
        }
        StreamState::Stopping | StreamState::Ended => nothing(PublicState::Ended, since, "It is over."),
    }
}

fn since_of(state: PublicState, broadcast: &BroadcastView, stream: Option<&StreamView>) -> Timestamp {
    match state {
        PublicState::Recovering => {
            let recovering = stream.filter(|stream| stream.state == StreamState::Recovering);
            recovering.map_or(broadcast.since, |stream| stream.state_since)
        }
        PublicState::Idle | PublicState::Starting | PublicState::Live | PublicState::Ended => broadcast.since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name() -> StreamUrl {
        "live/room 1".parse().unwrap()
    }

    fn stream(state: &str) -> StreamView {
        serde_json::from_value(json!({
            "id": uuid::Uuid::nil(), "name": "live/room 1", "state": state, "kind": "web", "profile": "720p30",
            "record": false, "created_at": "2026-01-01T10:00:00Z", "state_since": "2026-01-01T10:00:05Z",
            "claims": [], "playback": { "hls": "", "widget": "" }, "incarnation": 1,
            "detail": "an internal word"
        }))
        .unwrap()
    }

    fn broadcast(live: bool) -> BroadcastView {
        serde_json::from_value(json!({
            "name": "live/room 1", "live": live, "token": 7, "since": "2026-01-01T10:00:09Z",
            "media": api::streams::MediaView::default(), "playback": { "hls": "", "widget": "" }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_live_counts_more_than_what_was_asked_for() {
        use PublicState::{Ended, Idle, Live, Recovering, Starting};
        for (broadcast, stream, state) in [
            (None, None, Idle),
            (None, Some(stream("joining")), Starting),
            (None, Some(stream("recovering")), Recovering),
            (None, Some(stream("ended")), Ended),
            (Some(broadcast(true)), None, Live),
            (Some(broadcast(true)), Some(stream("stopping")), Live),
            (Some(broadcast(true)), Some(stream("ended")), Live),
            (Some(broadcast(false)), Some(stream("recovering")), Recovering),
        ] {
            let status = status(&name(), broadcast.as_ref(), stream.as_ref());
            assert_eq!(status.state, state);
            assert_eq!(status.hls.is_some(), broadcast.is_some());
            assert!(!status.detail.contains("internal"));
        }
        assert_eq!(
            status(&name(), Some(&broadcast(true)), None).hls.as_deref(),
            Some("/hls/live/room%201/index.m3u8")
        );
    }

    #[test]
    fn a_planned_stream_is_idle_and_says_when_it_starts() {
        let mut planned = stream("queued");
        planned.starts_at = Some("2026-01-01T12:00:00Z".parse().unwrap());
        let status = status(&name(), None, Some(&planned));
        assert_eq!(
            (status.state, status.detail.as_str()),
            (PublicState::Idle, "It starts at 2026-01-01T12:00:00Z.")
        );
    }
}
