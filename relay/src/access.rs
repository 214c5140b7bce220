//! Who may publish to an application and who may play from it: by address, by token, by signature.
//!
//! Rules are parsed once, at the start; deciding waits for nothing and touches nothing. What a claim is taken by, and
//! whether a grant is good, is [`admission`](crate::admission)'s business; how many connections an address may have is
//! [`Crowd`]'s. HTTP playback can ask the same question as RTMP play: [`AccessRules::may_play`].
//!
//! No secret of a rule is ever printed: tokens are kept as digests, and a denial repeats nothing that was shown.

mod addresses;
mod crowd;
mod query;
mod signed;
mod token;

pub use addresses::{AddressRule, AddressRuleError, Network, NetworkError};
pub use crowd::{Crowd, CrowdLimits, Place, TooMany};
pub use query::Query;
pub use signed::PlaySecret;
pub use token::{AppToken, TokenUse};

use crate::config::{App, Play, Publish};
use jiff::Timestamp;
use media::StreamUrl;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks for what.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The stream. For a publisher, what [`AccessRules::named`] made of it.
    pub url: &'a StreamUrl,
    /// The parameters that came with it.
    pub query: &'a Query,
    /// From where; `None` if the socket was gone already.
    pub address: Option<IpAddr>,
}

/// Turned away. For the peer: plain, without addresses or keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub &'static str);

/// By what right somebody publishes who shows no grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishRight {
    /// The application is open to it; nobody proved who it is.
    Anonymous,
    /// It showed one of the application's tokens, of this label.
    Token(String),
}

/// The rules of all applications. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    apps: Arc<[App]>,
}

/// A publisher's stream, when its name may have been a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The stream's public name.
    pub url: StreamUrl,
    /// Whose token the name was.
    pub by: Option<String>,
}

impl AccessRules {
    /// The rules of these applications; the first whose name fits holds.
    #[must_use]
    pub fn new(apps: &[App]) -> Self {
        Self { apps: apps.into() }
    }

    fn of(&self, app: &str) -> Option<&App> {
        self.apps.iter().find(|rule| rule.is_for(app))
    }

    /// What a publisher means by its stream's name: where that is a token of its application that names a stream, the
    /// stream. To be asked before anything prints the name.
    #[must_use]
    pub fn named(&self, url: StreamUrl) -> Named {
        let tokens = self.of(url.app()).map_or(&[][..], |rule| &rule.token);
        let found = AppToken::find(tokens, url.name()).filter(|token| token.may(TokenUse::Publish));
        let stream = found.and_then(|token| Some((token, token.stream()?)));
        let Some((token, stream)) = stream else { return Named { url, by: None } };
        match format!("{}/{stream}", url.app()).parse() {
            Ok(public) => Named { url: public, by: Some(token.label().to_owned()) },
            Err(_) => Named { url, by: None }, // longer than a name may be
        }
    }

    /// Whether publishers from this address may come at all, whatever they show.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn may_publish_from(&self, app: &str, address: Option<IpAddr>) -> Result<(), Denied> {
        let rules = self.of(app).map_or(&[][..], |rule| &rule.publish_from);
        if AddressRule::allow(rules, address) {
            Ok(())
        } else {
            Err(Denied("Publishing here is not for your address"))
        }
    }

    /// Whether somebody without a grant may publish, and by what right.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn may_publish(&self, asker: Asker<'_>, named_by: Option<String>) -> Result<PublishRight, Denied> {
        let rule = self.of(asker.url.app());
        let kind = rule.map_or(Publish::default(), |rule| rule.publish);
        if kind == Publish::Grant {
            return Err(Denied("Publishing here needs a grant: ask the API for a publish URL"));
        }
        if let Some(label) = named_by {
            return Ok(PublishRight::Token(label));
        }
        if let Some(token) = rule.and_then(|rule| rule.token(asker, TokenUse::Publish)) {
            return Ok(PublishRight::Token(token.label().to_owned()));
        }
        match kind {
            Publish::Open => Ok(PublishRight::Anonymous),
            Publish::Local if is_local(asker.address) => Ok(PublishRight::Anonymous),
            Publish::Local | Publish::Grant => {
                Err(Denied("Publishing here needs a grant: ask the API for a publish URL"))
            }
            Publish::Token => {
                Err(Denied("Publishing here needs a token or a grant, and none that fits was shown"))
            }
        }
    }

    /// Whether somebody may play, over whatever protocol.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn may_play(&self, asker: Asker<'_>, wall: Timestamp) -> Result<(), Denied> {
        let Some(rule) = self.of(asker.url.app()) else { return Ok(()) };
        if !AddressRule::allow(&rule.play_from, asker.address) {
            return Err(Denied("Playing here is not for your address"));
        }
        match rule.play {
            Play::Open => Ok(()),
            Play::Local if is_local(asker.address) => Ok(()),
            Play::Local => Err(Denied("Playing here is for this machine alone")),
            Play::Token if rule.token(asker, TokenUse::Play).is_some() => Ok(()),
            Play::Token => Err(Denied("Playing here needs a token, and none that fits was shown")),
            Play::Signed => {
                let secret = rule.play_secret.as_ref().ok_or(Denied("Playing here is not possible"))?;
                secret.verify(asker.url, asker.query, wall)
            }
        }
    }

    /// Whether a parameter of a publish or play URL is a secret between the peer and this relay, which nobody else is
    /// told.
    #[must_use]
    pub fn is_our_secret(&self, app: &str, name: &str, value: &str) -> bool {
        match name {
            "grant" | "handover" => true,
            "token" => self.of(app).is_some_and(|rule| AppToken::find(&rule.token, value).is_some()),
            "signature" => self.of(app).is_some_and(|rule| rule.play == Play::Signed),
            _ => false,
        }
    }
}

fn is_local(address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
