//! One etcd for the tests of this crate; each test has a prefix of its own.

use super::Place;
use claims::Label;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

struct Member {
    url: String,
    _data: TempDir,
}

/// A place under this prefix.
///
/// # Panics
/// If etcd is not installed or does not come up.
pub(crate) fn place(prefix: &str) -> Place {
    static MEMBER: OnceLock<Member> = OnceLock::new();
    let member = MEMBER.get_or_init(start);
    Place {
        endpoints: vec![member.url.clone()],
        prefix: format!("{prefix}/"),
        user: None,
        ca: None,
        identity: None,
        epoch: 0,
        label: Label::new("relay-a"),
    }
}

fn start() -> Member {
    let data = tempfile::tempdir().unwrap();
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [client, peer] = held.map(|it| it.local_addr().unwrap());
    let (url, peer) = (format!("http://{client}"), format!("http://{peer}"));
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "etcd", "--data-dir"]).arg(data.path());
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command
        .args(["--initial-cluster", &format!("default={peer}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It dies with the thread that started it, so that one lasts as long as the tests do.
    std::thread::spawn(move || {
        let status = command.spawn().and_then(|mut etcd| etcd.wait());
        panic!("etcd ended: {status:?}");
    });
    for _ in 0..200 {
        if TcpStream::connect(client).is_ok() {
            return Member { url, _data: data };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("etcd does not come up");
}
