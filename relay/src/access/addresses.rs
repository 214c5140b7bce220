//! Lists of addresses that may or may not: evaluated in order, the first that fits decides, as in nginx-rtmp.

use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address with the addresses beside it: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`, or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Network {
    /// Every address.
    All,
    /// IPv4.
    V4(Ipv4Addr, u8),
    /// IPv6.
    V6(Ipv6Addr, u8),
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, a network such as 10.0.0.0/8, or all; found {0:?}")]
pub struct NetworkError(String);

impl Network {
    /// Whether an address is in it. An IPv4 address that came over an IPv6 socket is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::All, _) => true,
            (Self::V4(network, length), IpAddr::V4(address)) => {
                let differing = u32::from(*network) ^ u32::from(address);
                differing.checked_shr(32 - u32::from(*length)).unwrap_or(0) == 0
            }
            (Self::V6(network, length), IpAddr::V6(address)) => {
                let differing = u128::from(*network) ^ u128::from(address);
                differing.checked_shr(128 - u32::from(*length)).unwrap_or(0) == 0
            }
            (Self::V4(..), IpAddr::V6(_)) | (Self::V6(..), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let refused = || NetworkError(text.chars().take(64).collect());
        if text == "all" {
            return Ok(Self::All);
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse().ok().filter(|length| *length <= longest).ok_or_else(refused)?,
            None => longest,
        };
        Ok(match address {
            IpAddr::V4(address) => Self::V4(address, length),
            IpAddr::V6(address) => Self::V6(address, length),
        })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

/// One line of a list: `allow 10.0.0.0/8` or `deny all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AddressRule {
    /// Who comes from here may.
    Allow(Network),
    /// Who comes from here may not.
    Deny(Network),
}

/// A text that is no line of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRuleError {
    /// It begins with something else.
    #[error("expected \"allow NETWORK\" or \"deny NETWORK\", such as \"allow 10.0.0.0/8\" or \"deny all\"")]
    Verb,
    /// What follows is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl AddressRule {
    /// What a list says of an address: the first line that fits decides, and where none does it may. An address that is
    /// not known fits `all` alone.
    #[must_use]
    pub fn allow(list: &[Self], address: Option<IpAddr>) -> bool {
        let fits = |network: &Network| match address {
            Some(address) => network.contains(address),
            None => *network == Network::All,
        };
        for rule in list {
            match rule {
                Self::Allow(network) if fits(network) => return true,
                Self::Deny(network) if fits(network) => return false,
                Self::Allow(_) | Self::Deny(_) => {}
            }
        }
        true
    }
}

impl FromStr for AddressRule {
    type Err = AddressRuleError;

    fn from_str(text: &str) -> Result<Self, AddressRuleError> {
        let (verb, network) = text.trim().split_once(' ').ok_or(AddressRuleError::Verb)?;
        match verb {
            "allow" => Ok(Self::Allow(network.trim().parse()?)),
            "deny" => Ok(Self::Deny(network.trim().parse()?)),
            _ => Err(AddressRuleError::Verb),
        }
    }
}

impl TryFrom<String> for AddressRule {
    type Error = AddressRuleError;

    fn try_from(text: String) -> Result<Self, AddressRuleError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &[&str], address: &str) -> bool {
        let list: Vec<AddressRule> = list.iter().map(|line| line.parse().unwrap()).collect();
        AddressRule::allow(&list, Some(address.parse().unwrap()))
    }

    #[test]
    fn the_first_line_that_fits_decides() {
        let list =
            ["allow 10.1.0.0/16", "deny 10.0.0.0/8", "allow 2001:db8::/32", "allow 192.0.2.7", "deny all"];
        for (address, may) in [
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            assert_eq!(allows(&list, address), may, "{address}");
        }
        assert!(allows(&["deny 10.0.0.0/8"], "192.0.2.1"), "where no line fits it may, as in nginx-rtmp");
        assert!(!allows(&["deny 0.0.0.0/0"], "192.0.2.1"));
        assert!(
            allows(&["deny 0.0.0.0/0"], "2001:db8::1"),
            "a network of one family does not meet the other"
        );
        let deny_all = ["deny all".parse().unwrap()];
        assert!(!AddressRule::allow(&deny_all, None) && AddressRule::allow(&[], None));
    }

    #[test]
    fn a_line_that_is_none_says_what_one_is() {
        for text in
            ["", "10.0.0.0/8", "permit all", "allow", "deny 10.0.0.0/33", "allow host.example", "deny ::/129"]
        {
            let error = text.parse::<AddressRule>().unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
        }
    }
}
