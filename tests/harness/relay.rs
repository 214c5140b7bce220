//! The relay, as a user starts it.

use crate::{Process, binary, scratch};
use anyhow::{Context, Result};
use api::claims::ClaimView;
use api::client::Client;
use api::streams::BroadcastView;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// How a relay is started.
#[derive(Clone, Debug, Default)]
pub struct RelayOptions {
    /// Environment variables, such as `SLUICE_CLAIMS__GRACE_SECONDS`.
    pub environment: Vec<(String, String)>,
}

/// A running relay on free ports.
pub struct Relay {
    /// The process.
    pub process: Process,
    /// Where it listens for RTMP.
    pub rtmp: SocketAddr,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it listens for RTMPS and for HTTPS, if it was given a certificate.
    pub secure: Option<(SocketAddr, SocketAddr)>,
    options: RelayOptions,
    data: Arc<tempfile::TempDir>,
}

impl Relay {
    /// Starts one with default settings.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(RelayOptions::default())
    }

    /// Starts one.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start_with(options: RelayOptions) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::launch(options, Arc::new(scratch()), any, any).expect("the relay comes up")
    }

    /// Starts one that shows this certificate, on free ports, beside other settings.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start_secure(certificate: &Path, key: &Path, more: &[(&str, &str)]) -> Self {
        let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let (certificate, key) = (path(certificate), path(key));
        let any = "127.0.0.1:0";
        let own = [
            ("SLUICE_TLS__CERTIFICATE", certificate.as_str()),
            ("SLUICE_TLS__KEY", &key),
            ("SLUICE_RTMPS__LISTEN", any),
            ("SLUICE_HTTPS__LISTEN", any),
        ];
        let environment =
            own.iter().chain(more).map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Self::start_with(RelayOptions { environment })
    }

    fn launch(
        options: RelayOptions,
        data: Arc<tempfile::TempDir>,
        rtmp: SocketAddr,
        http: SocketAddr,
    ) -> Result<Self> {
        let mut process = Process::start(binary("sluice"), |command| {
            command.arg("serve");
            command.arg("--rtmp-listen").arg(rtmp.to_string());
            command.arg("--http-listen").arg(http.to_string());
            command.arg("--data").arg(data.path());
            command.env("SLUICE_LOG", "info").envs(options.environment.clone());
        })?;
        let mut address = |what: &str| {
            process.hear(20.0, |line| line.strip_prefix(&format!("listening {what} "))?.trim().parse().ok())
        };
        let rtmp = address("rtmp")?;
        let http = address("http")?;
        let is_secure = options.environment.iter().any(|(key, _)| key == "SLUICE_TLS__CERTIFICATE");
        let secure = if is_secure { Some((address("rtmps")?, address("https")?)) } else { None };
        Ok(Self { process, rtmp, http, secure, options, data })
    }

    /// Kills it and starts it again with the same data on the same ports.
    ///
    /// # Errors
    /// If it does not come up again.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.process.kill_9();
        self.restart()
    }

    /// Starts it again, after it ended, with the same data on the same ports.
    ///
    /// # Errors
    /// If it does not come up again.
    pub fn restart(&mut self) -> Result<()> {
        *self =
            Self::launch(self.options.clone(), self.data.clone(), self.rtmp, self.http).context("restart")?;
        Ok(())
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A client of its API.
    ///
    /// # Panics
    /// Never: the address is one.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url(""), None).expect("the address is a URL")
    }

    /// A URL on its HTTP port.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// An RTMP URL.
    #[must_use]
    pub fn rtmp_url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.rtmp)
    }

    /// An RTMPS URL, under this host name.
    ///
    /// # Panics
    /// If it has no certificate.
    #[must_use]
    pub fn rtmps_url(&self, host: &str, path: &str) -> String {
        let (rtmps, _) = self.secure.expect("it has a certificate");
        format!("rtmps://{host}:{}/{path}", rtmps.port())
    }

    /// A URL on its HTTPS port, under this host name.
    ///
    /// # Panics
    /// If it has no certificate.
    #[must_use]
    pub fn https_url(&self, host: &str, path: &str) -> String {
        let (_, https) = self.secure.expect("it has a certificate");
        format!("https://{host}:{}{path}", https.port())
    }

    /// A stream's playlist.
    #[must_use]
    pub fn hls_url(&self, path: &str) -> String {
        self.url(&format!("/hls/{path}/index.m3u8"))
    }

    /// The broadcast of a name, if it is live.
    ///
    /// # Errors
    /// If it is not, or the API does not answer.
    pub async fn live(&self, name: &str) -> Result<BroadcastView> {
        let broadcasts = self.client().broadcasts().await?;
        broadcasts
            .into_iter()
            .find(|it| it.name == name && it.live)
            .with_context(|| format!("{name} is not live"))
    }

    /// The claim on a name, if there is one.
    ///
    /// # Errors
    /// If there is none, or the API does not answer.
    pub async fn claim(&self, name: &str) -> Result<ClaimView> {
        let claims = self.client().claims().await?;
        claims.into_iter().find(|it| it.key == name).with_context(|| format!("no claim on {name}"))
    }
}
