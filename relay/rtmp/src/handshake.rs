//! The handshake (RTMP 1.0 §5.2 and its digest form), which is rml_rtmp's: it was sound under long fuzzing.
//!
//! Nothing of that crate is visible outside this file.

use bytes::Bytes;
use rml_rtmp::handshake::{Handshake as Inner, HandshakeProcessResult, PeerType};

/// One side of a handshake.
pub(crate) struct Handshake(Box<Inner>);

/// What a piece of input led to.
pub(crate) struct Progress {
    /// To be sent to the peer.
    pub(crate) reply: Bytes,
    /// Set once the handshake is over: input that already belongs to the chunk stream.
    pub(crate) rest: Option<Bytes>,
}

impl Handshake {
    /// The side that waits.
    pub(crate) fn server() -> Self {
        Self(Box::new(Inner::new(PeerType::Server)))
    }

    /// The side that begins, and its first bytes.
    pub(crate) fn client() -> Result<(Self, Bytes), String> {
        let mut inner = Box::new(Inner::new(PeerType::Client));
        let first = inner.generate_outbound_p0_and_p1().map_err(|error| error.to_string())?;
        Ok((Self(inner), first.into()))
    }

    /// Takes bytes from the peer.
    pub(crate) fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, String> {
        match self.0.process_bytes(bytes).map_err(|error| error.to_string())? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                Ok(Progress { reply: response_bytes.into(), rest: None })
            }
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                Ok(Progress { reply: response_bytes.into(), rest: Some(remaining_bytes.into()) })
            }
        }
    }
}
