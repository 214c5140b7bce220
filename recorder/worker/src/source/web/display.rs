//! A private X display without a screen.
//!
//! Xvfb picks its number itself, listens on its Unix socket only, and lets nobody in without the cookie, which only
//! this user can read.

use crate::cell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

/// How long Xvfb may take to accept clients.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// The longest display number that we read, in bytes.
const NUMBER_BYTES_MAX: usize = 16;
/// How the cookie protocol is called, to server and clients.
const COOKIE_PROTOCOL: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// Xauth's FamilyWild: the entry counts for every address and every display number.
const FAMILY_WILD: u16 = 0xffff;

/// A display; ends when it is dropped.
pub(super) struct Display {
    /// Such as `:7`.
    pub(super) name: String,
    pub(super) server: Child,
}

impl Display {
    pub(super) async fn start(folder: &Path, (width, height): (u32, u32)) -> io::Result<Self> {
        let authority = cell::xauthority(folder);
        write_cookie(&authority)?;
        let mut server = cell::command(cell::DISPLAY_PROGRAM)
            .args(["-displayfd", "1", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .args(["-nolisten", "tcp", "-nolisten", "local", "-noreset", "-auth"])
            .arg(&authority)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = server.stdout.take().ok_or_else(|| io::Error::other("Xvfb has no standard output"))?;
        let number = timeout(READY_WITHIN, read_number(out))
            .await
            .map_err(|_| io::Error::other(format!("Xvfb was not ready within {READY_WITHIN:?}")))??;
        Ok(Self { name: format!(":{number}"), server })
    }
}

/// Xvfb writes its number and a line feed when it is ready.
async fn read_number(out: impl tokio::io::AsyncRead + Unpin) -> io::Result<u32> {
    let mut out = BufReader::new(out);
    let mut text = String::new();
    while !text.ends_with('\n') {
        let ended = io::Error::other("Xvfb ended before it was ready");
        match out.read_u8().await {
            Ok(byte) if text.len() < NUMBER_BYTES_MAX => text.push(char::from(byte)),
            _ => return Err(ended),
        }
    }
    text.trim().parse().map_err(|_| io::Error::other("Xvfb named no display number"))
}

/// Writes an Xauthority file with a new cookie (Xau, `AuFileName(3)`: big-endian lengths before each field).
fn write_cookie(file: &Path) -> io::Result<()> {
    let mut cookie = [0; 16];
    getrandom::fill(&mut cookie).map_err(|error| io::Error::other(error.to_string()))?;
    let mut entry = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [&b""[..], b"", COOKIE_PROTOCOL, &cookie] {
        entry.extend_from_slice(&(field.len() as u16).to_be_bytes());
        entry.extend_from_slice(field);
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(&entry)
}
