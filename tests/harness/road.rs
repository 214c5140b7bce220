//! A road to a server that counts who takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A port that passes on to another one. It ends with the test that made it.
pub struct Road {
    /// Where it begins.
    pub address: SocketAddr,
    connections: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Road {
    /// A road to this address.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn to(target: SocketAddr) -> Self {
        Self::between(SocketAddr::from(([127, 0, 0, 1], 0)), target).await
    }

    /// A road from one address to another.
    ///
    /// # Panics
    /// If the first is not free.
    pub async fn between(from: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(from).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
        let [connections, open, most] = counts.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let [connections, open, most] = counts.clone();
                connections.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(target).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, open, most, task }
    }

    /// An RTMP URL that begins here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.address)
    }

    /// How many connections took it so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many are on it now.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::SeqCst)
    }

    /// The most that were on it at once.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}
