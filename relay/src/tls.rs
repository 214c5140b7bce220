//! The certificate that this relay shows, from two files that may change while it runs.
//!
//! [`Certificates`] holds the pair in use; all doors show the same one, with or without SNI. A new pair is taken at
//! once by new connections; one that cannot be used changes nothing, and is told of in the log, in a figure and at
//! `/readyz`.

mod pair;
mod reload;

pub use pair::PairError;
pub use reload::Reload;

use crate::clock;
use crate::config::PairFiles;
use jiff::Timestamp;
use pair::Pair;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// HTTP/2, then HTTP/1.1 (RFC 7301 §6, RFC 9113 §3.2).
const HTTP_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate in use.
pub struct Certificates {
    files: PairFiles,
    state: RwLock<State>,
}

struct State {
    pair: Pair,
    /// Why the pair that is in the files now is not in use.
    refused: Option<String>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// [`PairError`] names the file and what is wrong with it.
    pub fn load(files: PairFiles) -> Result<Arc<Self>, PairError> {
        let pair = Pair::read(&files)?;
        Ok(Arc::new(Self { files, state: RwLock::new(State { pair, refused: None }) }))
    }

    /// Reads the pair again, and takes it if it is another and can be used; blocks while it reads.
    ///
    /// # Errors
    /// [`PairError`]; then the pair before stays in use.
    pub(crate) fn reload(&self) -> Result<Reloaded, PairError> {
        let read = Pair::read(&self.files);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(pair) => {
                state.refused = None;
                if pair == state.pair {
                    return Ok(Reloaded::Same);
                }
                state.pair = pair;
                Ok(Reloaded::New)
            }
            Err(error) => {
                state.refused = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Until when the certificate in use is good.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.state.read().unwrap_or_else(PoisonError::into_inner).pair.not_after
    }

    /// How the certificate is, for people; an error if it has expired or a newer one could not be used.
    ///
    /// # Errors
    /// What is to be mended.
    pub fn health(&self) -> Result<String, String> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let not_after = state.pair.not_after;
        let until = format!("the certificate in use is good until {not_after}");
        if not_after <= clock::wall() {
            return Err(format!("the certificate in use has expired at {not_after}"));
        }
        match &state.refused {
            Some(why) => Err(format!("{why}; {until}")),
            None => Ok(until),
        }
    }

    /// For RTMPS: no application protocol is negotiated.
    ///
    /// # Errors
    /// If the cryptography that is built in does not work together.
    pub fn rtmps(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        self.config(&[])
    }

    /// For HTTPS: HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// If the cryptography that is built in does not work together.
    pub fn https(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        self.config(&HTTP_PROTOCOLS)
    }

    fn config(self: &Arc<Self>, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // Sessions are resumed by tickets, so that they cost no memory here. Nothing is taken before the handshake is over
        // (0-RTT), since that could be replayed.
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

/// What a reload found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// A pair that is now in use.
    New,
    /// The pair that is in use already.
    Same,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.state.read().unwrap_or_else(PoisonError::into_inner).pair.key.clone())
    }
}

#[cfg(test)]
mod tests;
