//! Carries the desk's events to whom they concern: streams, live events, and broadcasts whose claim is over.

use crate::claim_desk::{ClaimDesk, ClaimEvent};
use crate::clock;
use crate::events::Events;
use crate::hub::Hub;
use crate::streams::{ClaimNews, Streams, claim_news};
use api::claims::{ClaimKind, ClaimState, ClaimView};
use api::events::Event;
use claims::ClaimKey;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often broadcasts are compared with the claims, so that none outlives its claim for long, whatever was missed.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// No claims at all may also mean that the desk does not answer. Then only a broadcast this long without media is over.
const QUIET: Duration = Duration::from_secs(60);

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
    let mut sweeps = tokio::time::interval(SWEEP_EVERY);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            event = changes.recv() => event,
            _ = sweeps.tick() => {
                sweep(&desk, &hub).await;
                continue;
            }
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
    // While another holds the key here, its publisher continues the broadcast.
    let is_free =
        event.row.as_ref().is_none_or(|row| row.state == ClaimState::Blocked || row.relay.is_some());
    let is_over = event.ends_claim() && is_free;
    if let (true, ClaimKey::Ingest(url), Some(token)) = (is_over, &event.key, event.token) {
        hub.end(url, token.get());
    }
}

async fn compare(desk: &ClaimDesk, hub: &Hub, streams: &Streams, events: &Events) {
    let claims = sweep(desk, hub).await;
    tell_streams(&claims, streams).await;
    events.publish(Event::Claims { claims });
}

/// Ends broadcasts whose claim is over; returns the claims.
async fn sweep(desk: &ClaimDesk, hub: &Hub) -> Vec<ClaimView> {
    // Taken first: whatever was there by then had its claim before.
    let there: Vec<_> = hub.all().into_iter().map(|broadcast| (broadcast.token(), broadcast)).collect();
    let claims = desk.list().await;
    let held: HashSet<_> = claims
        .iter()
        .filter(|claim| claim.kind == ClaimKind::Ingest && claim.state != ClaimState::Blocked)
        .filter(|claim| claim.relay.is_none())
        .map(|claim| claim.key.as_str())
        .collect();
    for (token, broadcast) in there {
        let is_held = held.contains(broadcast.url().as_str());
        let silence = broadcast.facts(clock::now()).silence;
        if !is_held && (!claims.is_empty() || silence.is_some_and(|silence| silence > QUIET)) {
            warn!(url = %broadcast.url(), token, "a broadcast without a claim is ended");
            hub.end(broadcast.url(), token);
        }
    }
    claims
}

/// Claims that are gone are found out by their next renewal.
async fn tell_streams(claims: &[ClaimView], streams: &Streams) {
    let ours = claims.iter().filter(|claim| claim.kind == ClaimKind::Ingest && claim.relay.is_none());
    for claim in ours {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Broadcast, START_MS};
    use crate::store::Store;
    use claims::{Holder, Rules};

    #[tokio::test]
    async fn a_broadcast_whose_claim_is_gone_is_ended_and_the_one_beside_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("sluice.db")).unwrap();
        let (desk, task) = ClaimDesk::load(store, Rules::default()).await.unwrap();
        tokio::spawn(task.run(CancellationToken::new()));
        let hub = Hub::default();
        for name in ["live/kept", "live/left"] {
            let url: media::StreamUrl = name.parse().unwrap();
            let made = Broadcast::new(url.clone(), clock::now(), clock::wall(), START_MS);
            made.admit(1).unwrap();
            let _ = hub.open(&url, || made).unwrap();
        }
        let find = |name: &str| hub.find(&name.parse().unwrap());
        sweep(&desk, &hub).await;
        assert!(find("live/left").is_some(), "no claims at all may be a desk that does not answer");

        let kept = ClaimKey::Ingest("live/kept".parse().unwrap());
        desk.reserve(kept, Holder::new("a", "1", "a"), Duration::from_secs(30)).await.unwrap();
        sweep(&desk, &hub).await;
        assert!(find("live/kept").is_some());
        assert!(find("live/left").is_none());
    }
}
