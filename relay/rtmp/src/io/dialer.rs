//! How a client connects: for how long each step may take, and whose certificates it believes.

use super::transport::Transport;
use super::tuning::tune;
use super::{Deadlines, PublishError, Trust, within};
use media::{RtmpScheme, TargetUrl};
use tokio::net::TcpStream;

/// What a client needs to connect. Deadlines alone are enough for `rtmp://`.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    deadlines: Deadlines,
    trust: Option<Trust>,
}

impl From<Deadlines> for Dialer {
    fn from(deadlines: Deadlines) -> Self {
        Self { deadlines, trust: None }
    }
}

impl From<&Self> for Dialer {
    fn from(dialer: &Self) -> Self {
        dialer.clone()
    }
}

impl Dialer {
    /// A dialer for `rtmp://` and, since it knows whom to trust, for `rtmps://`.
    #[must_use]
    pub const fn new(deadlines: Deadlines, trust: Trust) -> Self {
        Self { deadlines, trust: Some(trust) }
    }

    /// The same with other deadlines.
    #[must_use]
    pub fn within(&self, deadlines: Deadlines) -> Self {
        Self { deadlines, trust: self.trust.clone() }
    }

    pub(super) const fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Resolves the name, connects, and with `rtmps://` agrees on a key with whoever its certificate names.
    pub(super) async fn dial(&self, url: &TargetUrl) -> Result<Transport, PublishError> {
        let deadlines = &self.deadlines;
        let connecting = TcpStream::connect((url.host(), url.port()));
        let stream = within(deadlines.connect, "connect", async { Ok(connecting.await?) }).await?;
        tune(&stream)?;
        match url.scheme() {
            RtmpScheme::Rtmp => Ok(Transport::Plain(stream)),
            RtmpScheme::Rtmps => {
                let trust = self.trust.as_ref();
                let trust = trust.ok_or(PublishError::Unsupported("rtmps without anybody to trust"))?;
                let secured = trust.secure(url.host(), stream);
                let secured = within(deadlines.handshake, "TLS handshake", async { Ok(secured.await?) });
                Ok(Transport::Tls(Box::new(secured.await?)))
            }
        }
    }
}
