//! Addresses to listen on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A socket address to listen on. `:1935` is every address of the machine, IPv6 and IPv4; `localhost:1935` is
/// `127.0.0.1:1935`. Other host names are refused: what they mean may change between two starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen(SocketAddr);

/// A text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as \":1935\", \"0.0.0.0:1935\" or \"[::1]:1935\"")]
pub struct ListenError;

impl Listen {
    /// The address of a socket; `[::]` should be bound for both IPv6 and IPv4.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        self.0
    }

    /// Whether only programs of this machine can connect.
    #[must_use]
    pub const fn is_loopback(self) -> bool {
        match self.0.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(ListenError)?;
        let port = port.parse().map_err(|_| ListenError)?;
        let ip = match host {
            "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => return Err(ListenError),
        };
        Ok(Self(SocketAddr::new(ip, port)))
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => write!(f, ":{}", self.0.port()),
            _ => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_every_address() {
        let all: Listen = ":1935".parse().unwrap();
        assert!(all.address().ip().is_unspecified() && all.address().port() == 1935);
        assert_eq!(all.to_string(), ":1935");
        assert_eq!("0.0.0.0:1935".parse::<Listen>().unwrap().to_string(), "0.0.0.0:1935");
        assert!("localhost:80".parse::<Listen>().unwrap().is_loopback());
        assert!("[::1]:80".parse::<Listen>().unwrap().is_loopback());
        assert!(!all.is_loopback());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "1935", ":", ":x", "relay.example:1935", ":65536", "1.2.3.4"] {
            assert_eq!(text.parse::<Listen>(), Err(ListenError), "{text}");
        }
    }
}
