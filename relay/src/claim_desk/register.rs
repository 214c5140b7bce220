//! Who is connected, as the desk knows it: one entry per admitted publisher.

use super::awake::Awake;
use super::{HolderOrder, Liveness};
use claims::{ClaimTable, ContenderId, FencingToken};
use std::collections::HashMap;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How many orders may wait for a connection. A probe that finds no room is not sent: one that waits already asks the
/// same. For a disconnection there is always room, and the end of the orders says the same.
const ORDERS_MAX: usize = 4;

/// One admitted publisher.
struct Publisher {
    contender: ContenderId,
    liveness: Liveness,
    orders: mpsc::Sender<HolderOrder>,
    /// The last media that the table was told of.
    told: Option<Instant>,
}

/// All admitted publishers.
#[derive(Default)]
pub(super) struct Register(HashMap<FencingToken, Publisher>);

impl Register {
    pub(super) fn admit(
        &mut self,
        token: FencingToken,
        contender: ContenderId,
        liveness: Liveness,
    ) -> mpsc::Receiver<HolderOrder> {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        self.0.insert(token, Publisher { contender, liveness, orders, told: None });
        received
    }

    /// The token that a contender was admitted under, should it have left before it knew.
    pub(super) fn token_of(&self, contender: ContenderId) -> Option<FencingToken> {
        self.0.iter().find(|(_, publisher)| publisher.contender == contender).map(|(token, _)| *token)
    }

    pub(super) fn probe(&self, token: FencingToken) {
        let Some(publisher) = self.0.get(&token) else { return };
        publisher.liveness.wants_media();
        // The last place is kept for the disconnection.
        if publisher.orders.capacity() > 1 {
            let _ = publisher.orders.try_send(HolderOrder::Probe);
        }
    }

    pub(super) fn disconnect(&mut self, token: FencingToken, why: String) {
        let Some(publisher) = self.0.remove(&token) else { return };
        publisher.liveness.fence();
        match publisher.orders.try_send(HolderOrder::Disconnect { why }) {
            // A connection that is gone needs no order.
            Ok(()) | Err(TrySendError::Closed(_) | TrySendError::Full(_)) => {}
        }
    }

    pub(super) fn forget(&mut self, token: FencingToken) {
        if let Some(publisher) = self.0.remove(&token) {
            publisher.liveness.fence();
        }
    }

    /// Tells the table of the media that one publisher sent since it was last told.
    pub(super) fn tell(&mut self, token: FencingToken, table: &mut ClaimTable, awake: &Awake) {
        let Some(publisher) = self.0.get_mut(&token) else { return };
        let last = publisher.liveness.last_media();
        if let Some(at) = last.filter(|_| last != publisher.told) {
            publisher.told = last;
            table.media(awake.at(at), token);
        }
        // Media that was on its way before the question does not answer it; the next does, and is to be heard of.
        if table.is_probed(token) {
            publisher.liveness.wants_media();
        }
    }

    /// The same of all of them.
    pub(super) fn tell_all(&mut self, table: &mut ClaimTable, awake: &Awake) {
        let tokens: Vec<_> = self.0.keys().copied().collect();
        for token in tokens {
            self.tell(token, table, awake);
        }
    }
}
