//! What the end-to-end tests stand on: the real programs on free ports, real peers beside them, and patience with a
//! deadline instead of sleeps.
//!
//! Every process that a test starts dies with it: each gets the test thread's end as its death signal, and is killed
//! when its handle is dropped.

mod authority;
mod browser;
mod ffmpeg;
mod latency;
mod nginx;
mod patience;
mod process;
mod receiver;
mod recorder;
mod relay;
mod road;
mod sockets;
mod watch;

pub use authority::{Authority, Validity};
pub use browser::Tab;
pub use ffmpeg::{Ffmpeg, Source, ffprobe_json};
pub use latency::glass_to_glass_ms;
pub use nginx::Nginx;
pub use patience::{Deadline, eventually};
pub use process::{Process, alive, binary, descendants, kill_9};
pub use receiver::{Call, Receiver, Reply};
pub use recorder::{Recorder, folder_id};
pub use relay::{Relay, RelayOptions};
pub use road::Road;
pub use sockets::Sockets;
pub use watch::{Seen, Watch};

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A folder of the test's own, removed with it.
///
/// # Panics
/// If the temporary folder cannot be written.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    let own = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new()
        .prefix("sluice-test-")
        .permissions(own)
        .tempdir()
        .expect("a temporary folder can be made")
}

/// A file of the test data.
#[must_use]
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}
