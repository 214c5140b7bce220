//! An etcd cluster: the store that relays of a fleet share.

use crate::{Process, eventually, scratch};
use anyhow::{Context, Result};
use std::net::TcpListener;
use std::time::Duration;

/// A cluster of one or several members on loopback.
pub struct Etcd {
    /// Its members.
    pub members: Vec<Member>,
}

/// One member.
pub struct Member {
    /// The process.
    pub process: Process,
    /// What it is started with.
    arguments: Vec<String>,
    client: u16,
    _data: tempfile::TempDir,
}

impl Etcd {
    /// Starts a cluster of so many members, and waits until it has a leader.
    ///
    /// # Panics
    /// If etcd is not installed or does not come up.
    pub async fn start(members: usize) -> Self {
        Self::start_at("127.0.0.1", members).await
    }

    /// The same, with clients served at this address as well.
    ///
    /// # Panics
    /// If etcd is not installed or does not come up.
    pub async fn start_at(address: &str, members: usize) -> Self {
        // Held together, so that no port is given out twice; they are free again when the members start.
        let held: Vec<_> =
            (0..2 * members).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports: Vec<_> = held.iter().map(|it| it.local_addr().expect("an address").port()).collect();
        drop(held);
        let peers: Vec<_> = ports[members..].iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let names = peers.iter().enumerate().map(|(at, peer)| format!("m{at}={peer}"));
        let cluster = names.collect::<Vec<_>>().join(",");
        let started = (0..members).map(|at| {
            let data = scratch();
            let mut client = format!("http://127.0.0.1:{}", ports[at]);
            if address != "127.0.0.1" {
                client += &format!(",http://{address}:{}", ports[at]);
            }
            let arguments = [
                ("name", format!("m{at}")),
                ("data-dir", data.path().display().to_string()),
                ("listen-client-urls", client.clone()),
                ("advertise-client-urls", client),
                ("listen-peer-urls", peers[at].clone()),
                ("initial-advertise-peer-urls", peers[at].clone()),
                ("initial-cluster", cluster.clone()),
            ];
            let arguments: Vec<_> =
                arguments.into_iter().map(|(name, value)| format!("--{name}={value}")).collect();
            Member { process: launch(&arguments), arguments, client: ports[at], _data: data }
        });
        let cluster = Self { members: started.collect() };
        eventually(20.0, "etcd has a leader", || cluster.leader()).await;
        cluster
    }

    /// What a relay is told: `store.etcd`.
    #[must_use]
    pub fn urls(&self) -> String {
        self.urls_at("127.0.0.1")
    }

    /// The same at another address.
    #[must_use]
    pub fn urls_at(&self, address: &str) -> String {
        let urls: Vec<_> =
            self.members.iter().map(|member| format!("http://{address}:{}", member.client)).collect();
        urls.join(",")
    }

    /// Which member leads.
    ///
    /// # Errors
    /// If none does, or none of them answers.
    pub async fn leader(&self) -> Result<usize> {
        let mut last = anyhow::anyhow!("no member");
        for at in 0..self.members.len() {
            match self.members[at].leads().await {
                Ok(true) => return Ok(at),
                Ok(false) => {}
                Err(error) => last = error,
            }
        }
        Err(last.context("no leader"))
    }
}

impl Member {
    /// Starts it again after it was killed.
    pub fn restart(&mut self) {
        self.process = launch(&self.arguments);
    }

    async fn leads(&self) -> Result<bool> {
        let url = format!("http://127.0.0.1:{}/v3/maintenance/status", self.client);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build()?;
        let answer: serde_json::Value =
            serde_json::from_str(&client.post(url).body("{}").send().await?.text().await?)?;
        let leader = answer["leader"].as_str().context("no leader")?;
        Ok(leader != "0" && Some(leader) == answer["header"]["member_id"].as_str())
    }
}

fn launch(arguments: &[String]) -> Process {
    let process = Process::start("/usr/bin/etcd", |command| {
        command.args(arguments);
    });
    process.expect("etcd is installed")
}
