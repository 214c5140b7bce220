//! Requests without a token come from this machine's own pages and tools, never from a page elsewhere.
//!
//! A foreign page can make the operator's browser send requests here. Two things give it away: the name under which it
//! reached us, which is its own name turned to our address (DNS rebinding), and the `Origin` that browsers add to
//! whatever changes something. A token in the request ends the question, since no browser adds that by itself.

use api::{Problem, ProblemCode};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The names of this relay.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Further names, besides `localhost` and addresses, under which browsers reach it.
    hosts: Vec<String>,
}

impl Guard {
    /// With the configured names.
    #[must_use]
    pub fn new(hosts: &[String]) -> Self {
        Self { hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Whether a request without a token may have been meant. `changes` is whether it could change something.
    ///
    /// # Errors
    /// A 403 [`Problem`].
    pub fn check(&self, host: Option<&str>, origin: Option<&str>, changes: bool) -> Result<(), Problem> {
        let refused = |why: &str| Err(Problem::new(ProblemCode::Forbidden, why));
        // HTTP/1.1 has always a Host; a request without one is no browser's.
        if host.is_some_and(|host| !self.is_ours(host)) {
            return refused("this host name is not this relay's; add it to http.hosts if it is");
        }
        let Some(origin) = origin.filter(|_| changes) else { return Ok(()) };
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_none() || authority != host {
            return refused("a page of another site may not do this");
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        // An address cannot be rebound.
        let is_address = name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok();
        is_address || name == "localhost" || name.ends_with(".localhost") || self.hosts.contains(&name)
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
pub(crate) fn name_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_elsewhere_can_neither_read_nor_change_anything() {
        let guard = Guard::new(&["Relay.Example".into()]);
        let own = [
            (Some("127.0.0.1:8080"), None, true),
            (Some("127.0.0.1:8080"), Some("http://127.0.0.1:8080"), true),
            (Some("localhost:8080"), Some("http://localhost:8080"), true),
            (Some("[::1]:8080"), Some("http://[::1]:8080"), true),
            (Some("relay.example"), Some("https://relay.example"), true),
            (Some("127.0.0.1:8080"), Some("https://elsewhere.example"), false),
            (None, None, true),
        ];
        for (host, origin, changes) in own {
            assert!(guard.check(host, origin, changes).is_ok(), "{host:?} {origin:?}");
        }
        let foreign = [
            (Some("evil.example"), None, false),
            (Some("evil.example:8080"), Some("http://evil.example:8080"), true),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("127.0.0.1:8080"), Some("https://evil.example"), true),
            (Some("127.0.0.1:8080"), Some("http://127.0.0.1:9999"), true),
            (Some("127.0.0.1:8080"), Some("null"), true),
        ];
        for (host, origin, changes) in foreign {
            assert_eq!(guard.check(host, origin, changes).unwrap_err().status, 403, "{host:?} {origin:?}");
        }
    }
}
