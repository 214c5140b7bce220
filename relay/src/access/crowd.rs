//! How many connections one address may have, how many of them unfinished, and how often it may try to publish.
//!
//! An IPv6 address counts by its /64, which is what one customer has. Bounded: an address costs a row only while it is
//! connected or its attempts are not forgotten.

use super::Network;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many addresses are known at once. Beyond it, those that are not connected are forgotten, with their attempts.
const ADDRESSES_MAX: usize = 65_536;
/// In which the attempts to publish are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// The bounds of each address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrowdLimits {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once that have not said `connect` yet.
    pub handshakes_max: usize,
    /// Attempts to publish within a minute.
    pub attempts_per_minute_max: u32,
    /// Addresses to which none of these applies.
    pub exempt: Vec<Network>,
}

/// Which bound an address has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelValue)]
pub enum TooMany {
    /// Connections.
    Connections,
    /// Unfinished handshakes.
    Handshakes,
    /// Attempts to publish.
    Attempts,
}

/// All addresses. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Crowd {
    limits: Arc<CrowdLimits>,
    rows: Arc<Mutex<HashMap<IpAddr, Row>>>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    connections: usize,
    handshakes: usize,
    /// Attempts that still count, as of `counted`; one is forgotten every so often.
    attempts: f64,
    counted: Instant,
}

impl Crowd {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: CrowdLimits) -> Self {
        Self { limits: Arc::new(limits), rows: Arc::default() }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<IpAddr, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection comes from an address, and keeps its place until the place is dropped.
    ///
    /// # Errors
    /// [`TooMany`], which leaves everything as it was.
    pub fn enter(&self, address: IpAddr, now: Instant) -> Result<Place, TooMany> {
        if self.limits.exempt.iter().any(|network| network.contains(address)) {
            return Ok(Place { counted: None, shakes: false });
        }
        let key = whole(address);
        let mut rows = self.rows();
        if rows.len() >= ADDRESSES_MAX && !rows.contains_key(&key) {
            rows.retain(|_, row| row.connections > 0);
        }
        let row =
            rows.entry(key).or_insert(Row { connections: 0, handshakes: 0, attempts: 0.0, counted: now });
        if row.connections >= self.limits.connections_max {
            return Err(TooMany::Connections);
        }
        if row.handshakes >= self.limits.handshakes_max {
            return Err(TooMany::Handshakes);
        }
        row.connections += 1;
        row.handshakes += 1;
        Ok(Place { counted: Some((self.clone(), key)), shakes: true })
    }

    #[cfg(test)]
    fn known(&self) -> usize {
        self.rows().len()
    }
}

/// One connection's place.
#[derive(Debug)]
pub struct Place {
    /// `None` for an exempt address.
    counted: Option<(Crowd, IpAddr)>,
    shakes: bool,
}

impl Place {
    /// The handshake is over and the peer said `connect`.
    pub fn shook_hands(&mut self) {
        if let (Some((crowd, key)), true) = (&self.counted, std::mem::take(&mut self.shakes))
            && let Some(row) = crowd.rows().get_mut(key)
        {
            row.handshakes -= 1;
        }
    }

    /// The peer tries to publish.
    ///
    /// # Errors
    /// [`TooMany::Attempts`]; this attempt does not count then, so that one who waits gets its turn.
    pub fn attempt(&self, now: Instant) -> Result<(), TooMany> {
        let Some((crowd, key)) = &self.counted else { return Ok(()) };
        let max = f64::from(crowd.limits.attempts_per_minute_max);
        let mut rows = crowd.rows();
        let Some(row) = rows.get_mut(key) else { return Ok(()) };
        row.forget(now, max);
        if row.attempts + 1.0 > max {
            return Err(TooMany::Attempts);
        }
        row.attempts += 1.0;
        Ok(())
    }
}

impl Row {
    fn forget(&mut self, now: Instant, max: f64) {
        let passed = now.saturating_duration_since(self.counted);
        self.attempts = (self.attempts - max * passed.as_secs_f64() / MINUTE.as_secs_f64()).max(0.0);
        self.counted = now;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shook_hands();
        let Some((crowd, key)) = &self.counted else { return };
        let mut rows = crowd.rows();
        let Some(row) = rows.get_mut(key) else { return };
        row.connections -= 1;
        // One that tried to publish stays known until there is no room or its attempts are looked at anew.
        if row.connections == 0 && row.attempts == 0.0 {
            rows.remove(key);
        }
    }
}

/// What counts as one address.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !(u128::from(u64::MAX))).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    fn crowd() -> Crowd {
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        Crowd::new(CrowdLimits { connections_max: 3, handshakes_max: 2, attempts_per_minute_max: 6, exempt })
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections_and_fewer_unfinished_ones() {
        let (crowd, now) = (crowd(), Instant::now());
        let mut one = crowd.enter(at("192.0.2.1"), now).unwrap();
        let two = crowd.enter(at("::ffff:192.0.2.1"), now).unwrap();
        assert_eq!(crowd.enter(at("192.0.2.1"), now).unwrap_err(), TooMany::Handshakes);
        one.shook_hands();
        one.shook_hands();
        let three = crowd.enter(at("192.0.2.1"), now).unwrap();
        drop(two);
        let four = crowd.enter(at("192.0.2.1"), now).unwrap();
        assert_eq!(crowd.enter(at("192.0.2.1"), now).unwrap_err(), TooMany::Connections);
        assert!(crowd.enter(at("192.0.2.2"), now).is_ok(), "another address does not notice");
        drop((one, three, four));
        assert_eq!(crowd.known(), 0, "who has gone costs nothing");
    }

    #[test]
    fn one_customer_s_ipv6_addresses_are_one() {
        let (crowd, now) = (crowd(), Instant::now());
        let _places =
            (crowd.enter(at("2001:db8::1"), now).unwrap(), crowd.enter(at("2001:db8::2"), now).unwrap());
        assert!(crowd.enter(at("2001:db8::3"), now).is_err());
        assert!(crowd.enter(at("2001:db8:0:1::3"), now).is_ok());
    }

    #[test]
    fn attempts_are_forgotten_one_by_one_and_survive_a_reconnect() {
        let (crowd, now) = (crowd(), Instant::now());
        for _ in 0..6 {
            crowd.enter(at("192.0.2.1"), now).unwrap().attempt(now).unwrap();
        }
        let place = crowd.enter(at("192.0.2.1"), now).unwrap();
        assert_eq!(place.attempt(now), Err(TooMany::Attempts));
        assert_eq!(place.attempt(now + Duration::from_secs(11)), Ok(()));
        assert_eq!(place.attempt(now + Duration::from_secs(11)), Err(TooMany::Attempts));
    }

    #[test]
    fn an_exempt_address_has_no_bound() {
        let (crowd, now) = (crowd(), Instant::now());
        let places: Vec<_> = (0..100).map(|_| crowd.enter(at("127.0.0.1"), now).unwrap()).collect();
        assert!(places.iter().all(|place| (0..100).all(|_| place.attempt(now).is_ok())));
    }

    #[test]
    fn a_million_addresses_take_no_more_room_than_65_536() {
        let (crowd, now) = (crowd(), Instant::now());
        for number in 0..200_000_u32 {
            crowd
                .enter(std::net::Ipv4Addr::from(number << 4 | 0x0800_0000).into(), now)
                .unwrap()
                .attempt(now)
                .unwrap();
        }
        assert!(crowd.known() <= ADDRESSES_MAX);
    }
}
