//! `[claims]`: how long a claim lives without media, and how long it is remembered.

use ::config::ConfigError;
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

impl Claims {
    /// Whether every time can work: with 0 each publisher would be dead, or forgotten, at once.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value, unit) in [
            ("claims.first_media_seconds", self.first_media_seconds, "seconds"),
            ("claims.idle_seconds", self.idle_seconds, "seconds"),
            ("claims.grace_seconds", self.grace_seconds, "seconds"),
            ("claims.history_days", self.history_days, "days"),
        ] {
            if value == 0 {
                return Err(ConfigError::refused(key, format!("expected at least 1 ({unit}), found 0")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_refused_by_name_and_with_the_least_that_works() {
        type Field = fn(&mut Claims) -> &mut u32;
        let fields: [(&str, Field); 4] = [
            ("claims.first_media_seconds", |claims| &mut claims.first_media_seconds),
            ("claims.idle_seconds", |claims| &mut claims.idle_seconds),
            ("claims.grace_seconds", |claims| &mut claims.grace_seconds),
            ("claims.history_days", |claims| &mut claims.history_days),
        ];
        assert!(Claims::default().check().is_ok());
        for (key, field) in fields {
            let mut claims = Claims::default();
            *field(&mut claims) = 0;
            let error = claims.check().unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("at least 1"), "{error}");
        }
    }
}
