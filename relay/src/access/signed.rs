//! Signed play URLs: whoever has the application's `play_secret` makes them, and they end by themselves.
//!
//! `?expires=UNIX_SECONDS&signature=HEX`, where HEX is HMAC-SHA256, by the secret, of the lines `play`, the stream
//! (`live/room-1`) and the expiry, joined by line feeds and without one at the end.

use super::{Denied, Query};
use config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use media::StreamUrl;
use serde::Deserialize;
use sha2::Sha256;

/// The shortest secret, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// What play URLs of an application are signed with.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Secret<String>")]
pub struct PlaySecret(Secret<String>);

/// A secret that is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a play_secret has at least {SECRET_BYTES_MIN} bytes; `openssl rand -hex 32` makes one")]
pub struct TooShort;

impl TryFrom<Secret<String>> for PlaySecret {
    type Error = TooShort;

    fn try_from(secret: Secret<String>) -> Result<Self, TooShort> {
        if secret.expose().len() < SECRET_BYTES_MIN { Err(TooShort) } else { Ok(Self(secret)) }
    }
}

impl PlaySecret {
    fn mac(&self, url: &StreamUrl, expires: i64) -> Option<Hmac<Sha256>> {
        // HMAC takes a key of any length (RFC 2104 §2).
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.expose().as_bytes()).ok()?;
        mac.update(format!("play\n{url}\n{expires}").as_bytes());
        Some(mac)
    }

    /// # Errors
    /// [`Denied`].
    pub(super) fn verify(&self, url: &StreamUrl, query: &Query, wall: Timestamp) -> Result<(), Denied> {
        const WRONG: Denied = Denied("Playing here needs a signed URL, and this one's signature is not good");
        let expires: i64 = query.get("expires").and_then(|text| text.parse().ok()).ok_or(WRONG)?;
        let shown = query.get("signature").and_then(unhex).ok_or(WRONG)?;
        let mac = self.mac(url, expires).ok_or(WRONG)?;
        mac.verify_slice(&shown).map_err(|_| WRONG)?;
        if expires <= wall.as_second() {
            return Err(Denied("This signed URL has expired; ask for a new one"));
        }
        Ok(())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> PlaySecret {
        PlaySecret(Secret::new("0123456789abcdef".to_owned()))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_signed_url_plays_its_stream_until_it_expires_and_no_other() {
        // printf 'play\nlive/room\n2000' | openssl dgst -sha256 -hmac 0123456789abcdef
        let good = "e707d00146f1d6f21e238f7a7228303c150a39200b7cf151b058bb636d28e058";
        let room: StreamUrl = "live/room".parse().unwrap();
        let query = Query::of("live", &format!("room?expires=2000&signature={good}"));
        assert_eq!(secret().verify(&room, &query, at(1999)), Ok(()));
        assert!(secret().verify(&room, &query, at(2000)).is_err());
        assert!(secret().verify(&"live/room2".parse().unwrap(), &query, at(1999)).is_err());
        for spoiled in [
            format!("room?expires=2001&signature={good}"),
            "room?expires=2000".into(),
            "room?expires=2000&signature=00".into(),
            format!("room?expires=2000&signature={}é", &good[..62]),
            format!("room?expires=2000&signature={}", "0".repeat(64)),
        ] {
            assert!(secret().verify(&room, &Query::of("live", &spoiled), at(1999)).is_err(), "{spoiled}");
        }
    }
}
