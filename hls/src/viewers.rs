//! How many seem to watch a stream.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A peer that asked for no playlist for this long has gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// The peers that asked for a playlist lately.
///
/// An estimate: a player that opens several connections counts as several, and a shared cache as one.
#[derive(Debug)]
pub(crate) struct Viewers {
    peers_max: usize,
    seen: HashMap<SocketAddr, Instant>,
    /// When those who are gone were last swept out.
    swept: Option<Instant>,
}

impl Viewers {
    pub(crate) fn new(peers_max: usize) -> Self {
        Self { peers_max, seen: HashMap::new(), swept: None }
    }

    /// `peer` asked for a playlist. A new peer is not counted while the table is full.
    pub(crate) fn note(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(seen) = self.seen.get_mut(&peer) {
            *seen = now;
            return;
        }
        let sweep_is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= GONE_AFTER);
        if sweep_is_due {
            self.swept = Some(now);
            self.seen.retain(|_, seen| now.saturating_duration_since(*seen) < GONE_AFTER);
        }
        if self.seen.len() < self.peers_max {
            self.seen.insert(peer, now);
        }
    }

    pub(crate) fn count(&self, now: Instant) -> usize {
        self.seen.values().filter(|seen| now.saturating_duration_since(**seen) < GONE_AFTER).count()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as the first")]
mod tests {
    use super::*;

    #[test]
    fn peers_count_for_ten_seconds_and_the_table_is_bounded() {
        let start = Instant::now();
        let peer = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut viewers = Viewers::new(3);
        for port in 1..=5 {
            viewers.note(start, peer(port));
            viewers.note(start, peer(1));
        }
        assert_eq!(viewers.count(start), 3);
        let later = start + Duration::from_secs(9);
        viewers.note(later, peer(1));
        assert_eq!(viewers.count(start + Duration::from_secs(11)), 1);
        viewers.note(start + Duration::from_secs(11), peer(9));
        assert_eq!(viewers.seen.len(), 2);
    }
}
