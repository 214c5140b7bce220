//! How events are signed: as Standard Webhooks 1.0 has it, for which most languages have a library.
//!
//! `webhook-id`, `webhook-timestamp` (seconds since the UNIX epoch, of this attempt) and `webhook-signature`: `v1,` and
//! the base64 of HMAC-SHA256 of `ID.TIMESTAMP.BODY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// The shortest key, in bytes.
const KEY_BYTES_MIN: usize = 16;
/// What marks a secret whose rest is the key in base64.
const PREFIX: &str = "whsec_";

/// What one receiver's events are signed with.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Secret<String>")]
pub struct SigningKey(Secret<Vec<u8>>);

/// Why a secret cannot be used. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short.
    #[error(
        "a webhook's secret has at least {KEY_BYTES_MIN} bytes; `echo whsec_$(openssl rand -base64 32)` makes one"
    )]
    TooShort,
    /// No base64 after `whsec_`.
    #[error(
        "a secret that begins with whsec_ goes on in base64; `echo whsec_$(openssl rand -base64 32)` makes one"
    )]
    Base64,
}

impl TryFrom<Secret<String>> for SigningKey {
    type Error = KeyError;

    fn try_from(secret: Secret<String>) -> Result<Self, KeyError> {
        let key = match secret.expose().strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| KeyError::Base64)?,
            None => secret.expose().as_bytes().to_vec(),
        };
        if key.len() < KEY_BYTES_MIN { Err(KeyError::TooShort) } else { Ok(Self(Secret::new(key))) }
    }
}

impl SigningKey {
    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes a key of any length (RFC 2104 §2).
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.expose()) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, KeyError> {
        Secret::new(text.to_owned()).try_into()
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The example of its specification and libraries.
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_not_repeated() {
        assert_eq!(key("short").unwrap_err(), KeyError::TooShort);
        assert_eq!(key("whsec_!!").unwrap_err(), KeyError::Base64);
        assert_eq!(key("whsec_AAAA").unwrap_err(), KeyError::TooShort);
        assert!(!format!("{:?}", key("0123456789abcdef").unwrap()).contains("48"));
    }
}
