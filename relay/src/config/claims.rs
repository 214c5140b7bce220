//! `[claims]`: how long a claim lives without media, and how long it is remembered.

use serde::Deserialize;

/// How long a claim lives without media.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// From the grant to the first media, in seconds.
    pub first_media_seconds: u32,
    /// Between media, in seconds.
    pub idle_seconds: u32,
    /// How long a lost publisher's place is kept, with its readers, in seconds.
    pub grace_seconds: u32,
    /// For how many days what happened to claims is remembered, for operators.
    pub history_days: u32,
}

impl Default for Claims {
    fn default() -> Self {
        Self { first_media_seconds: 10, idle_seconds: 10, grace_seconds: 15, history_days: 30 }
    }
}
