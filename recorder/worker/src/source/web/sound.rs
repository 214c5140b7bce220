//! A private sound server with one sink that goes nowhere; its monitor is what the call sounds like.

use crate::cell;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// The source to record from.
pub(super) const MONITOR: &str = "call.monitor";

/// How long PulseAudio may take to accept clients.
const READY_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(20);
/// sockaddr_un's sun_path, with its final NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A sound server; ends when it is dropped.
pub(super) struct Sound {
    pub(super) server: Child,
}

impl Sound {
    pub(super) async fn start(folder: &Path) -> io::Result<Self> {
        let socket = cell::pulse_socket(folder);
        if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(io::Error::other("the worker's folder has too long a path for a socket in it"));
        }
        let _ = std::fs::remove_file(&socket); // of a worker that used this folder before
        // The socket lies in a folder of this user, and the server compares the user ids: no cookie is needed.
        let protocol =
            format!("module-native-protocol-unix auth-cookie-enabled=0 socket={}", socket.display());
        let sink = "module-null-sink sink_name=call rate=48000 channels=2 format=s16le";
        let mut server = cell::command("pulseaudio")
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"])
            .args(["--disallow-exit", "--disallow-module-loading", "--log-target=stderr"])
            .args(["--load", sink, "--load", &protocol])
            .env("HOME", folder.join("home"))
            .spawn()?;
        let ready = async {
            while UnixStream::connect(&socket).await.is_err() {
                sleep(ASK_EVERY).await;
            }
        };
        tokio::select! {
            outcome = timeout(READY_WITHIN, ready) => {
                outcome.map_err(|_| io::Error::other(format!("not ready within {READY_WITHIN:?}")))?;
            }
            _ = server.wait() => return Err(io::Error::other("PulseAudio ended before it was ready")),
        }
        Ok(Self { server })
    }
}
