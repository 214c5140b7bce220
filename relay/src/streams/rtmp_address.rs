//! The RTMP address that others are told to publish to.

use std::net::{IpAddr, SocketAddr};

/// As configured; else where we listen; else, listening everywhere, the host under which the other reached us.
#[derive(Clone, Debug)]
pub struct RtmpAddress {
    advertise: String,
    listen: SocketAddr,
}

impl RtmpAddress {
    /// `advertise` is the configured `host:port`, or empty; `listen` is where RTMP is really listened on.
    #[must_use]
    pub fn new(advertise: impl Into<String>, listen: SocketAddr) -> Self {
        Self { advertise: advertise.into(), listen }
    }

    /// The `host:port` for one who reached us under this host.
    #[must_use]
    pub fn seen_from(&self, reached_at: Option<&str>) -> String {
        if !self.advertise.is_empty() {
            return self.advertise.clone();
        }
        if !self.listen.ip().is_unspecified() {
            return self.listen.to_string();
        }
        let port = self.listen.port();
        match reached_at {
            Some(host) if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => format!("[{host}]:{port}"),
            Some(host) => format!("{host}:{port}"),
            None => format!("127.0.0.1:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RtmpAddress;

    #[test]
    fn a_recorder_is_told_an_address_that_it_can_reach() {
        for (advertise, listen, reached_at, told) in [
            ("relay.example:1935", "0.0.0.0:1935", Some("10.0.0.1"), "relay.example:1935"),
            ("", "127.0.0.1:1935", Some("relay.example"), "127.0.0.1:1935"),
            ("", "0.0.0.0:1935", Some("relay.example"), "relay.example:1935"),
            ("", "[::]:1935", Some("fd00::1"), "[fd00::1]:1935"),
            ("", "0.0.0.0:1935", None, "127.0.0.1:1935"),
        ] {
            assert_eq!(RtmpAddress::new(advertise, listen.parse().unwrap()).seen_from(reached_at), told);
        }
    }
}
