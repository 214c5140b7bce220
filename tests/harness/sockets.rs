//! How many connections a process has to a port, as the kernel says: the most at any time while it looks.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// TCP_ESTABLISHED, as in /proc/net/tcp.
const ESTABLISHED: &str = "01";

/// Looks at the connections of one process to one local port until it is dropped.
pub struct Sockets {
    /// The rows of the kernel's table when there were most.
    most: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Sockets {
    /// Begins to look.
    #[must_use]
    pub fn of(pid: u32, port: u16) -> Self {
        let most = Arc::new(Mutex::new(Vec::new()));
        let seen = most.clone();
        let task = tokio::spawn(async move {
            let mut period = tokio::time::interval(LOOK_EVERY);
            loop {
                period.tick().await;
                let now = established(pid, port);
                let mut most = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if now.len() > most.len() {
                    *most = now;
                }
            }
        });
        Self { most, task }
    }

    /// The rows of the kernel's table when there were most.
    #[must_use]
    pub fn most_at_once(&self) -> Vec<String> {
        self.most.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The process's ends of connections to the port.
fn established(pid: u32, port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let remote = format!(":{port:04X}");
    let rows: Vec<_> = table.lines().filter(|row| is_established_to(row, &remote)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let own: HashSet<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    // sl, local and remote address, state, queues, timer, retransmits, uid, timeout, inode. A table that changes while it is
    // read may have a row twice.
    let inode = |row: &str| row.split_whitespace().nth(9).unwrap_or_default().to_owned();
    let by_inode: BTreeMap<_, _> = rows.into_iter().map(|row| (inode(row), row.to_owned())).collect();
    by_inode
        .into_iter()
        .filter(|(inode, _)| own.contains(&format!("socket:[{inode}]")))
        .map(|(_, row)| row)
        .collect()
}

fn is_established_to(row: &str, remote: &str) -> bool {
    let mut words = row.split_whitespace().skip(2);
    words.next().is_some_and(|address| address.ends_with(remote)) && words.next() == Some(ESTABLISHED)
}
