//! Grants: the proof that a publisher shows.
//!
//! A grant says "whoever brings this is instance I of principal P, for claim C on stream U". It is signed with a key
//! that only this relay has (HMAC-SHA256) and goes into a publish URL, so it is URL-safe and a secret. It is to be
//! taken up within minutes; after that it serves only the claim that it names, as long as that lives.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{ClaimId, Holder, Label};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use media::StreamUrl;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// For how long a grant can be taken up.
pub const TAKE_UP: Duration = Duration::from_secs(10 * 60);
/// The longest grant that is looked at, in bytes: a stream's longest name escaped, and the rest.
const TEXT_BYTES_MAX: usize = 4_096;

/// What grants are signed with. Secret: never printed.
#[derive(Clone)]
pub struct GrantKey([u8; Self::BYTES]);

impl GrantKey {
    /// Its length.
    pub const BYTES: usize = 32;

    /// From random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store that keeps secrets.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than the hash's block of 64 bytes is followed by zeros.
        let mut block = [0_u8; 64];
        block[..Self::BYTES].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(payload);
        mac
    }
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey(…)")
    }
}

/// What a grant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The claim that it was made for.
    pub claim_id: ClaimId,
    /// The stream that may be published.
    pub url: StreamUrl,
    /// Whom it makes its bearer.
    pub principal: String,
    /// Which of the principal's publishers.
    pub instance: String,
    /// The bearer's public label.
    pub label: Label,
    /// The stream that it publishes for, if a bot started one.
    pub stream_id: Option<Uuid>,
    /// Until when it can be taken up.
    pub expires: Timestamp,
}

/// Why a grant is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It is not of our form.
    #[error("the grant cannot be read")]
    Malformed,
    /// We did not sign it.
    #[error("the grant's signature is wrong")]
    BadSignature,
    /// It is ours, but its time to be taken up is over. It still serves the claim that it names while that lives.
    #[error("the grant has expired")]
    Expired(Box<Grant>),
}

/// The form that is signed. Short names, since all of it goes into a URL.
#[derive(Serialize, Deserialize)]
struct Payload {
    c: Uuid,
    u: StreamUrl,
    p: String,
    i: String,
    l: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<Uuid>,
    /// Milliseconds since the UNIX epoch.
    e: i64,
}

impl Grant {
    /// Writes and signs it. Secret.
    #[must_use]
    pub fn mint(&self, key: &GrantKey) -> String {
        let payload = Payload {
            c: self.claim_id.get(),
            u: self.url.clone(),
            p: self.principal.clone(),
            i: self.instance.clone(),
            l: self.label.to_string(),
            s: self.stream_id,
            e: self.expires.as_millisecond(),
        };
        // Strings and numbers with named fields always have a JSON form.
        let payload = serde_json::to_vec(&payload).unwrap_or_default();
        let signature = key.mac(&payload).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature))
    }

    /// Reads one that somebody shows. The signature is compared in constant time, and nothing of the payload is looked
    /// at before it fits.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn verify(key: &GrantKey, text: &str, now: Timestamp) -> Result<Self, GrantError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(GrantError::Malformed);
        }
        let (payload, signature) = text.split_once('.').ok_or(GrantError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| GrantError::Malformed);
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        key.mac(&payload).verify_slice(&signature).map_err(|_| GrantError::BadSignature)?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(|_| GrantError::Malformed)?;
        let grant = Self {
            claim_id: ClaimId(payload.c),
            url: payload.u,
            principal: payload.p,
            instance: payload.i,
            label: Label::new(&payload.l),
            stream_id: payload.s,
            expires: Timestamp::from_millisecond(payload.e).map_err(|_| GrantError::Malformed)?,
        };
        if now < grant.expires { Ok(grant) } else { Err(GrantError::Expired(Box::new(grant))) }
    }

    /// Its bearer as a holder.
    #[must_use]
    pub fn holder(&self, incarnation: u32) -> Holder {
        let holder =
            Holder::new(&self.principal, &self.instance, self.label.as_str()).incarnation(incarnation);
        Holder { stream_id: self.stream_id, ..holder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            claim_id: ClaimId(Uuid::from_u128(7)),
            url: "live/room 1".parse().unwrap(),
            principal: "token-1".into(),
            instance: "stream-1".into(),
            label: Label::new("bot"),
            stream_id: Some(Uuid::from_u128(8)),
            expires: Timestamp::from_second(1_000_000).unwrap(),
        }
    }

    fn before() -> Timestamp {
        Timestamp::from_second(999_999).unwrap()
    }

    #[test]
    fn a_grant_says_the_same_to_the_one_who_signed_it() {
        let key = GrantKey::new([1; 32]);
        let text = grant().mint(&key);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        assert_eq!(Grant::verify(&key, &text, before()), Ok(grant()));
        let holder = grant().holder(3);
        assert_eq!((holder.incarnation, holder.stream_id), (3, Some(Uuid::from_u128(8))));
    }

    #[test]
    fn an_expired_grant_is_told_from_a_forged_one_and_still_says_what_it_is_for() {
        let key = GrantKey::new([1; 32]);
        let text = grant().mint(&key);
        let expired = Err(GrantError::Expired(Box::new(grant())));
        assert_eq!(Grant::verify(&key, &text, grant().expires), expired);
        assert_eq!(Grant::verify(&GrantKey::new([2; 32]), &text, before()), Err(GrantError::BadSignature));
    }

    #[test]
    fn no_changed_byte_passes() {
        let key = GrantKey::new([1; 32]);
        let text = grant().mint(&key);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let outcome = Grant::verify(&key, &changed, before());
            assert!(
                matches!(outcome, Err(GrantError::BadSignature | GrantError::Malformed)),
                "{at}: {outcome:?}"
            );
        }
        for text in ["", ".", "a.b", "!!.!!", &"a".repeat(10_000), &text[..text.len() - 1]] {
            assert!(Grant::verify(&key, text, before()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_grant_s_key_is_never_printed() {
        assert_eq!(format!("{:?}", GrantKey::new([1; 32])), "GrantKey(…)");
    }
}
