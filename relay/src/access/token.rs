//! Static tokens of an application: shown in the query, or as the stream's name ("stream key").

use super::Asker;
use crate::auth::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::Secret;
use serde::Deserialize;

/// The shortest secret, in bytes: shorter ones are guessed.
const SECRET_BYTES_MIN: usize = 16;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    /// To publish.
    Publish,
    /// To play.
    Play,
}

/// One token, kept as its digest.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Text")]
pub struct AppToken {
    label: String,
    digest: Digest,
    stream: Option<String>,
    may: Vec<TokenUse>,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    label: String,
    #[serde(default)]
    secret: Option<Secret<String>>,
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    may: Option<Vec<TokenUse>>,
}

/// Why a token cannot be used. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Neither or both.
    #[error("a token has either a secret or, in sha256, the SHA-256 of one in 64 hex digits")]
    OneOf,
    /// Too short.
    #[error("a token's secret has at least {SECRET_BYTES_MIN} bytes; `openssl rand -hex 16` makes one")]
    TooShort,
    /// Not 64 hex digits.
    #[error("sha256 is not 64 hex digits; `printf %s SECRET | sha256sum` makes them")]
    Digest,
    /// Not one segment of a stream's name.
    #[error("a token's stream is the last part of a stream's name, such as \"room-1\"")]
    Stream,
    /// No label.
    #[error("a token's label is not empty: operators know its holder by it")]
    Label,
}

impl TryFrom<Text> for AppToken {
    type Error = TokenError;

    fn try_from(text: Text) -> Result<Self, TokenError> {
        if text.label.trim().is_empty() {
            return Err(TokenError::Label);
        }
        let digest = match (&text.secret, &text.sha256) {
            (Some(secret), None) if secret.expose().len() < SECRET_BYTES_MIN => {
                return Err(TokenError::TooShort);
            }
            (Some(secret), None) => Digest::of(secret.expose()),
            (None, Some(hex)) => digest(hex).ok_or(TokenError::Digest)?,
            (Some(_), Some(_)) | (None, None) => return Err(TokenError::OneOf),
        };
        if let Some(stream) = &text.stream {
            let canonical = format!("app/{stream}").parse::<media::StreamUrl>();
            if stream.contains('/') || canonical.is_err() {
                return Err(TokenError::Stream);
            }
        }
        let may = text.may.unwrap_or_else(|| vec![TokenUse::Publish]);
        Ok(Self { label: text.label, digest, stream: text.stream, may })
    }
}

fn digest(hex: &str) -> Option<Digest> {
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> =
        (0..32).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes.filter(|_| is_hex).map(|bytes| Digest::from_text(URL_SAFE_NO_PAD.encode(bytes)))
}

impl AppToken {
    /// Its holder's public label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The only stream that it is for, if it is for one: the last part of its name.
    #[must_use]
    pub fn stream(&self) -> Option<&str> {
        self.stream.as_deref()
    }

    /// What it is for.
    #[must_use]
    pub fn may(&self, wanted: TokenUse) -> bool {
        self.may.contains(&wanted)
    }

    /// Which of these was shown. All are compared, each in constant time.
    pub(crate) fn find<'a>(tokens: &'a [Self], shown: &str) -> Option<&'a Self> {
        if tokens.is_empty() {
            return None;
        }
        let digest = Digest::of(shown);
        tokens
            .iter()
            .fold(None, |found, token| if token.digest.is_same(&digest) { Some(token) } else { found })
    }

    /// Which of these is in somebody's query and lets it do what it wants.
    pub(crate) fn shown_by<'a>(tokens: &'a [Self], asker: Asker<'_>, wanted: TokenUse) -> Option<&'a Self> {
        let token = Self::find(tokens, asker.query.get("token")?)?;
        let fits = token.stream().is_none_or(|stream| stream == asker.url.name());
        (fits && token.may(wanted)).then_some(token)
    }
}
