//! An HTTP URL that this relay calls: where hooks and webhooks go.
//!
//! Secret but for its host: people put keys into paths and queries, and what prints is `http://host:port/…`.

use config::Secret;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use url::Url;

/// The longest URL, in bytes.
const BYTES_MAX: usize = 2_048;

/// One URL.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Secret<String>")]
pub struct Endpoint(Url);

/// Why a URL cannot be called. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No http URL.
    #[error("expected a URL that begins with http:// and a host, of at most {BYTES_MAX} bytes")]
    Url,
    /// https.
    #[error(
        "https is not spoken here: use http:// to this machine or a private network, or a TLS proxy on this machine"
    )]
    Tls,
    /// A name or password before the host.
    #[error("a URL with a user or password is not sent; put a secret into its path or query")]
    Userinfo,
}

impl TryFrom<Secret<String>> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: Secret<String>) -> Result<Self, EndpointError> {
        if text.expose().len() > BYTES_MAX {
            return Err(EndpointError::Url);
        }
        let mut url: Url = text.expose().parse().map_err(|_| EndpointError::Url)?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(EndpointError::Tls),
            _ => return Err(EndpointError::Url),
        }
        if !url.has_host() {
            return Err(EndpointError::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Userinfo);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl Endpoint {
    /// All of it, to be called and not to be printed.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }

    /// A name for it in the store that does not hold it: SHA-256 in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.0.as_str().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "http://{host}:{}/…", self.0.port_or_known_default().unwrap_or(80))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// A client that follows no redirect (a 3xx means something to hooks) and asks no proxy of the environment.
///
/// # Errors
/// If the system has no randomness for its tables; nothing that mends itself.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_prints_its_host_alone() {
        let endpoint =
            Endpoint::try_from(Secret::new("http://Bot.example/s3cret?auth=s3cret#x".into())).unwrap();
        assert_eq!(endpoint.to_string(), "http://bot.example:80/…");
        assert_eq!(format!("{endpoint:?}"), "http://bot.example:80/…");
        assert_eq!(endpoint.expose().as_str(), "http://bot.example/s3cret?auth=s3cret");
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_without_repeating_it() {
        for text in
            ["", "s3cret", "ftp://host/s3cret", "https://host/s3cret", "http://u:s3cret@host/", "http://"]
        {
            let error = Endpoint::try_from(Secret::new(text.to_owned())).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
