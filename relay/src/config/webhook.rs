//! `[[webhook]]`: who is told what happens to streams and claims.

use crate::endpoint::Endpoint;
use crate::webhooks::{EventPattern, SigningKey};
use ::config::ConfigError;
use serde::Deserialize;
use std::num::NonZeroUsize;

/// One receiver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where events are posted.
    pub url: Endpoint,
    /// What they are signed with.
    pub secret: SigningKey,
    /// Which events; all by default.
    #[serde(default = "EventPattern::all")]
    pub events: Vec<EventPattern>,
    /// How many events may wait for it; beyond it the oldest is lost.
    #[serde(default = "waiting_max")]
    pub waiting_max: NonZeroUsize,
}

/// Some ten megabytes in the store.
const fn waiting_max() -> NonZeroUsize {
    NonZeroUsize::new(10_000).expect("it is not zero")
}

/// The most that may wait.
const WAITING_CEILING: usize = 100_000;
/// The most receivers.
const WEBHOOKS_MAX: usize = 16;

/// Whether bounds hold and each receiver is named once: two with one URL would share what waits for them.
pub(super) fn check(webhooks: &[Webhook]) -> Result<(), ConfigError> {
    if webhooks.len() > WEBHOOKS_MAX {
        let message = format!("there may be {WEBHOOKS_MAX} webhooks; let one receiver hand on to others");
        return Err(ConfigError::refused("webhook", message));
    }
    for (at, webhook) in webhooks.iter().enumerate() {
        if webhook.waiting_max.get() > WAITING_CEILING {
            let message = format!("expected 1 to {WAITING_CEILING}");
            return Err(ConfigError::refused(&format!("webhook.{at}.waiting_max"), message));
        }
        if let Some(before) = webhooks[..at].iter().position(|other| other.url == webhook.url) {
            let message =
                format!("the same URL as webhook.{before}; put all of its events into one [[webhook]]");
            return Err(ConfigError::refused(&format!("webhook.{at}.url"), message));
        }
    }
    Ok(())
}
