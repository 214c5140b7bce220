//! Relays to publish to: ffmpeg as an RTMP server that writes what it gets to a file, and one that says no.

use super::process::SOON;
use rtmp::{Limits, ServerConn, ServerEvent};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A port that was free a moment ago. ffmpeg cannot be given a listening socket.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn publish_url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live/room?grant=s3cret&incarnation=1")
}

/// ffmpeg, taking one publisher.
pub(crate) struct Ffmpeg {
    child: Child,
    pub(crate) file: PathBuf,
}

impl Ffmpeg {
    pub(crate) fn listen(port: u16, folder: &Path, name: &str) -> Self {
        let file = folder.join(name);
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-listen", "1", "-i", &format!("rtmp://127.0.0.1:{port}/live/room")])
            .args(["-c", "copy", "-copyts", "-flush_packets", "1"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, file }
    }

    /// Waits until the publisher has gone and the file is whole.
    pub(crate) fn finish(&mut self) -> PathBuf {
        let give_up = Instant::now() + SOON;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < give_up, "the relay sees no end of the stream");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.file.clone()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Refuses every publisher as a relay does whose claim is held by somebody else.
pub(crate) fn refuse_everyone() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut conn = ServerConn::new(Instant::now(), Limits::default());
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = socket.read(&mut piece) {
                if conn.handle_input(Instant::now(), &piece[..count]).is_err() {
                    break;
                }
                while let Some(event) = conn.poll_event() {
                    if let ServerEvent::PublishRequested { .. } = event {
                        conn.refuse_publish("held by another worker");
                    }
                }
                while let Some(bytes) = conn.poll_output() {
                    let _ = socket.write_all(&bytes);
                }
                if conn.is_closing() {
                    break;
                }
            }
        }
    });
    port
}
