//! `sluice serve`: puts the parts together, runs them, and takes them down in order.
//!
//! Everything is parsed and opened before the first port is announced: the configuration, the store with its claims
//! and streams, the listeners. On SIGTERM or SIGINT the relay stops in order: the doors close and publishers are let go,
//! then the claims that they leave behind are written, then the store closes. Nothing waits for streams to finish: they
//! go on with the relay that follows. A second signal stops it at once.

use crate::config::{PairFiles, RelayConfig};
use crate::tls::Certificates;
use crate::{assembly, clock, push};
use config::{ConfigError, Listen};
use rtmp::io::Trust;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// What `serve` can be told on the command line; the rest is in the configuration.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Arguments {
    /// The configuration file (TOML); every key works without one, as SLUICE_SECTION__KEY.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen for RTMP [default: 127.0.0.1:1935].
    #[arg(long, value_name = "ADDRESS")]
    pub rtmp_listen: Option<String>,
    /// Where to listen for HTTP [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub http_listen: Option<String>,
    /// Where to serve operator pages, API and metrics, if not with the rest.
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<String>,
    /// The folder for everything that is kept [default: ~/.local/share/sluice].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Arguments {
    /// The configuration: file, environment, then these flags.
    ///
    /// # Errors
    /// [`ConfigError`] with the key's place and the fix.
    pub fn load(&self) -> Result<RelayConfig, ConfigError> {
        let data = self.data.as_ref().map(|path| path.to_string_lossy().into_owned());
        let flags = [
            ("rtmp.listen", self.rtmp_listen.clone()),
            ("http.listen", self.http_listen.clone()),
            ("http.admin_listen", self.admin_listen.clone()),
            ("data.path", data),
        ];
        let overrides = flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let loaded: RelayConfig = config::load(config::Sources {
            file: self.config.clone(),
            env: config::environment().into_iter().filter(|(name, _)| !is_the_recorders(name)),
            prefix: "SLUICE",
            overrides,
        })?;
        loaded.check()?;
        Ok(loaded)
    }
}

/// Whether a variable belongs to the recorder, which may share our environment.
fn is_the_recorders(name: &str) -> bool {
    ["SLUICE_RELAY__", "SLUICE_RECORDER__", "SLUICE_LIMITS__"].iter().any(|section| name.starts_with(section))
}

/// Why the relay did not start, with its sysexits code.
#[derive(Debug)]
pub struct StartError {
    /// What went wrong and how to mend it.
    pub message: String,
    /// 69 unavailable, or 78 configuration.
    pub code: u8,
}

const EXIT_UNAVAILABLE: u8 = 69;
const EXIT_CONFIG: u8 = 78;

impl StartError {
    fn unavailable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: EXIT_UNAVAILABLE }
    }

    fn configuration(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: EXIT_CONFIG }
    }
}

/// Runs the relay until a signal ends it.
pub async fn run(arguments: Arguments) -> ExitCode {
    let outcome = match arguments.load() {
        Ok(config) => launch(config).await,
        Err(error) => Err(StartError::configuration(error.to_string())),
    };
    match outcome {
        Ok(running) => {
            running.announce();
            running.until_signalled().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.message);
            ExitCode::from(error.code)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word to whoever started us, whatever the log level")]
pub(crate) fn complain(message: &str) {
    eprintln!("sluice: {message}");
}

/// A relay that runs.
pub struct Running {
    /// Where it listens for RTMP.
    pub rtmp: SocketAddr,
    /// Where it serves pages, API and playback.
    pub http: SocketAddr,
    /// Where it serves operator pages and API, if not there.
    pub admin: Option<SocketAddr>,
    /// Where it listens under TLS, if it has a certificate: for RTMP, and for HTTP.
    pub secure: Option<(SocketAddr, SocketAddr)>,
    stop: CancellationToken,
    parts: assembly::Parts,
}

impl Running {
    /// Says on standard output where it listens, one line each, for people and for programs that start it on port 0.
    #[expect(clippy::print_stdout, reason = "this is what the program promises to print")]
    pub fn announce(&self) {
        println!("listening rtmp {}", self.rtmp);
        println!("listening http {}", self.http);
        if let Some(admin) = self.admin {
            println!("listening admin {admin}");
        }
        if let Some((rtmps, https)) = self.secure {
            println!("listening rtmps {rtmps}");
            println!("listening https {https}");
        }
    }

    /// Where operators and recorders reach it from this machine.
    #[must_use]
    pub fn local_url(&self) -> String {
        format!("http://{}", from_here(self.admin.unwrap_or(self.http)))
    }

    /// A token for a program that this one starts, good until this one ends. Secret.
    ///
    /// # Errors
    /// A problem if the machine has no random numbers.
    pub fn own_token(&self, label: &str) -> Result<String, api::Problem> {
        self.parts.tokens.draw_own(clock::wall(), label)
    }

    /// Where viewers reach it from this machine.
    #[must_use]
    pub fn public_url(&self) -> String {
        format!("http://{}", from_here(self.http))
    }

    /// Where encoders reach it from this machine.
    #[must_use]
    pub fn rtmp_url(&self) -> String {
        format!("rtmp://{}", from_here(self.rtmp))
    }

    /// Runs until SIGTERM or SIGINT, then stops in order; a second signal stops at once.
    pub async fn until_signalled(self) {
        signalled().await;
        info!("stopping; a second signal stops at once");
        tokio::select! {
            () = self.shut_down() => info!("stopped"),
            () = signalled() => info!("stopped at once"),
        }
    }

    /// Stops in order: doors first, the store last.
    pub async fn shut_down(self) {
        self.stop.cancel();
        self.parts.ended().await;
    }
}

/// A listening address as this machine reaches it.
fn from_here(address: SocketAddr) -> SocketAddr {
    let host = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
    SocketAddr::new(host, address.port())
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signalled() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("signals cannot be watched; stop this program with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Opens everything and starts every part.
///
/// # Errors
/// [`StartError`] before anything is announced.
pub async fn launch(config: RelayConfig) -> Result<Running, StartError> {
    let config = Arc::new(config);
    let push_rules = push::Rules::open(&config.app, &config.claims)
        .map_err(|error| StartError::configuration(error.to_string()))?;
    let data = &config.data.path;
    std::fs::create_dir_all(data).map_err(|error| {
        let path = data.display();
        StartError::unavailable(format!(
            "the data folder {path} cannot be made: {error}; set --data (data.path)"
        ))
    })?;
    let store =
        assembly::open_store(&config).await.map_err(|error| StartError::unavailable(format!("{error:#}")))?;
    let has_tokens = store.has_tokens().await.map_err(|error| StartError::unavailable(error.to_string()))?;
    let pair = config.tls.pair().map_err(|missing| {
        StartError::configuration(format!("{missing}: a certificate and its key are set together"))
    })?;
    for (listen, key) in [
        (Some(config.rtmp.listen), "rtmp.listen"),
        (Some(config.http.listen), "http.listen"),
        (config.http.admin_listen, "http.admin_listen"),
        (pair.is_some().then_some(config.rtmps.listen), "rtmps.listen"),
        (pair.is_some().then_some(config.https.listen), "https.listen"),
    ] {
        if let Some(listen) = listen {
            crate::auth::may_listen(listen.address(), has_tokens)
                .map_err(|error| StartError::configuration(format!("{key}: {error}")))?;
        }
    }
    let trust = Trust::load(config.tls.ca_file.as_deref())
        .map_err(|error| StartError::configuration(format!("tls.ca_file: {error}")))?;
    let rtmp = bind(config.rtmp.listen, "--rtmp-listen (rtmp.listen)")?;
    let http = bind(config.http.listen, "--http-listen (http.listen)")?;
    let admin = match config.http.admin_listen {
        Some(listen) => Some(bind(listen, "--admin-listen (http.admin_listen)")?),
        None => None,
    };
    let secure = pair.map(|files| secure_doors(&config, files)).transpose()?;
    let stop = CancellationToken::new();
    let address = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_err(|error| StartError::unavailable(format!("a socket has no address: {error}")))
    };
    let (rtmp_address, http_address) = (address(&rtmp)?, address(&http)?);
    let admin_address = admin.as_ref().map(&address).transpose()?;
    let secure_addresses = match &secure {
        Some(secure) => Some((address(&secure.rtmps)?, address(&secure.https)?)),
        None => None,
    };
    let doors = assembly::Doors { rtmp, http, admin, secure };
    let parts = assembly::start(config, push_rules, store, doors, trust, stop.clone())
        .await
        .map_err(|error| StartError::unavailable(format!("{error:#}")))?;
    Ok(Running {
        rtmp: rtmp_address,
        http: http_address,
        admin: admin_address,
        secure: secure_addresses,
        stop,
        parts,
    })
}

/// The certificate, and the doors that show it.
fn secure_doors(config: &RelayConfig, files: PairFiles) -> Result<assembly::SecureDoors, StartError> {
    let certificates =
        Certificates::load(files).map_err(|error| StartError::configuration(format!("tls: {error}")))?;
    let rtmps = bind(config.rtmps.listen, "rtmps.listen")?;
    let https = bind(config.https.listen, "https.listen")?;
    Ok(assembly::SecureDoors { rtmps, https, certificates })
}

/// How many connections may wait to be accepted.
const LISTEN_QUEUE: i32 = 1_024;

fn bind(listen: Listen, setting: &str) -> Result<TcpListener, StartError> {
    let address = listen.address();
    open_listener(address).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => "is already in use by another program; stop that".to_owned(),
            std::io::ErrorKind::PermissionDenied => "needs more rights; take a port from 1024 up".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => {
                "is not an address of this machine; choose one that is".to_owned()
            }
            _ => format!("cannot be listened on ({error}); mend that"),
        };
        StartError::unavailable(format!("{address} {why}, or set another with {setting}"))
    })
}

fn open_listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it to fade.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?; // ":1935" means both families
    }
    socket.bind(&address.into())?;
    socket.listen(LISTEN_QUEUE)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}
