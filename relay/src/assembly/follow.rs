//! Carries the desk's events to whom they concern: streams, live events, and broadcasts whose claim is over.

use crate::claim_desk::{ClaimDesk, ClaimEvent};
use crate::events::Events;
use crate::hub::Hub;
use crate::streams::{ClaimNews, Streams, claim_news};
use api::claims::{ClaimKind, ClaimState, ClaimView};
use api::events::Event;
use claims::ClaimKey;
use std::collections::HashSet;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Works until told to stop. Whatever was missed, at the start or by falling behind, is made good from the list.
pub(crate) async fn follow(
    desk: ClaimDesk,
    hub: Hub,
    streams: Streams,
    events: Events,
    stop: CancellationToken,
) {
    let mut changes = desk.events();
    tell_streams(&desk.list().await, &streams).await;
    loop {
        let event = tokio::select! {
            event = changes.recv() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Ok(event) => pass_on(&event, &hub, &streams, &events).await,
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "claim events came faster than they could be passed on; all is compared anew");
                compare(&desk, &hub, &streams, &events).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn pass_on(event: &ClaimEvent, hub: &Hub, streams: &Streams, events: &Events) {
    events.publish(event.to_api());
    // What happens to a stream's targets is its pushes' business.
    if let (ClaimKey::Ingest(_), Some(stream)) = (&event.key, event.stream_id)
        && let Some(news) = claim_news(event)
    {
        streams.claim_news(stream, news).await;
    }
    // While another holds the key, its publisher continues the broadcast.
    let is_free = event.row.as_ref().is_none_or(|row| row.state == ClaimState::Blocked);
    let is_over = event.ends_claim() && is_free;
    if let (true, ClaimKey::Ingest(url), Some(token)) = (is_over, &event.key, event.token) {
        hub.end(url, token.get());
    }
}

async fn compare(desk: &ClaimDesk, hub: &Hub, streams: &Streams, events: &Events) {
    let claims = desk.list().await;
    let held: HashSet<_> = claims.iter().map(|claim| claim.key.as_str()).collect();
    for broadcast in hub.all() {
        // A desk that does not answer lists nothing; nobody is cut off for that.
        if !held.is_empty() && !held.contains(broadcast.url().as_str()) {
            hub.end(broadcast.url(), broadcast.token());
        }
    }
    tell_streams(&claims, streams).await;
    events.publish(Event::Claims { claims });
}

/// Claims that are gone are found out by their next renewal.
async fn tell_streams(claims: &[ClaimView], streams: &Streams) {
    for claim in claims.iter().filter(|claim| claim.kind == ClaimKind::Ingest) {
        let Some(stream) = claim.stream_id else { continue };
        let news = match claim.state {
            ClaimState::Live | ClaimState::Probing if claim.silent_ms.is_some() => ClaimNews::Live,
            ClaimState::Live
            | ClaimState::Probing
            | ClaimState::Reserved
            | ClaimState::Lingering
            | ClaimState::Blocked => ClaimNews::Lost,
        };
        streams.claim_news(stream, news).await;
    }
}
