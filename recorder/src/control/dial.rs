//! Making one connection to the relay.

use api::PREFIX;
use api::control::{CONNECT_PATH, MESSAGE_BYTES_MAX};
use config::Secret;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

/// How long finding the relay's address and connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the relay may take to accept the connection as a recorder's.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest token file, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The token cannot be read.
    #[error("cannot read the token file {}: {source}", path.display())]
    TokenFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file has something else in it.
    #[error("the token file {} has no token in it", path.display())]
    NoToken {
        /// Which file.
        path: PathBuf,
    },
    /// Nobody answers at the relay's address.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A deadline passed.
    #[error("no answer in time while {0}")]
    Timeout(&'static str),
    /// The relay, or whoever is there, does not want us.
    #[error("the relay answers HTTP {status}{}", hint(*status))]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is no WebSocket.
    #[error("{0}")]
    Protocol(String),
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "; it wants a token of scope record (relay.token_file)",
        403 => "; the token has no scope record",
        404 => "; is this the relay's address?",
        409 => "; another recorder has this name (recorder.name)",
        _ => "",
    }
}

/// Knows the relay's address and where our token is.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    relay: Url,
    endpoint: Url,
    token_file: Option<PathBuf>,
}

impl Dialler {
    /// For a relay at an `http` URL; `None` if it is no such URL.
    #[must_use]
    pub(crate) fn new(relay: &Url, token_file: Option<PathBuf>) -> Option<Self> {
        let mut endpoint = relay.clone();
        if relay.scheme() != "http" || !relay.has_host() {
            return None;
        }
        endpoint.set_scheme("ws").ok()?;
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        let path = format!("{}{PREFIX}{CONNECT_PATH}", relay.path().trim_end_matches('/'));
        endpoint.set_path(&path);
        Some(Self { relay: relay.clone(), endpoint, token_file })
    }

    /// The relay's address, for people.
    #[must_use]
    pub(crate) const fn relay(&self) -> &Url {
        &self.relay
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// See [`DialError`]; all may pass by themselves.
    pub(crate) async fn dial(&self) -> Result<WebSocketStream<TcpStream>, DialError> {
        let protocol = |error: SocketError| match error {
            SocketError::Http(response) => DialError::Status { status: response.status().as_u16() },
            SocketError::Io(error) => DialError::Io(error),
            other => DialError::Protocol(other.to_string()),
        };
        let mut request = self.endpoint.as_str().into_client_request().map_err(protocol)?;
        if let Some(token) = self.token().await? {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| self.no_token())?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        // A host without a port means HTTP's own.
        let host = self.endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.endpoint.port_or_known_default().unwrap_or(80);
        let socket = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)))
            .await
            .map_err(|_| DialError::Timeout("connecting"))??;
        socket.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * MESSAGE_BYTES_MAX);
        let handshake = client_async_with_config(request, socket, Some(config));
        let (socket, _) = timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| DialError::Timeout("asking to be let in"))?
            .map_err(protocol)?;
        Ok(socket)
    }

    async fn token(&self) -> Result<Option<Secret<String>>, DialError> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| DialError::TokenFile { path: path.clone(), source })?;
        let token = text.trim();
        if token.is_empty()
            || token.len() > TOKEN_BYTES_MAX
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(self.no_token());
        }
        Ok(Some(Secret::new(token.to_owned())))
    }

    fn no_token(&self) -> DialError {
        DialError::NoToken { path: self.token_file.clone().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_below_the_relays_address() {
        let endpoint = |relay: &str| {
            Dialler::new(&relay.parse().unwrap(), None).map(|dialler| dialler.endpoint.to_string())
        };
        let expected = "ws://relay:8080/api/v1/recorders/connect";
        assert_eq!(endpoint("http://relay:8080").as_deref(), Some(expected));
        assert_eq!(endpoint("http://relay:8080/").as_deref(), Some(expected));
        let expected = "ws://relay/sluice/api/v1/recorders/connect";
        assert_eq!(endpoint("http://relay/sluice/?x#y").as_deref(), Some(expected));
        assert_eq!(endpoint("https://relay"), None);
    }
}
