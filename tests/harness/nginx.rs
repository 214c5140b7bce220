//! nginx with its RTMP module: the ingest that most people push to.

use crate::{Process, eventually, scratch};
use anyhow::{Context, Result, ensure};
use std::net::TcpListener;
use std::path::PathBuf;

/// One nginx, and its figures by HTTP. What it gets in the application `live` it records, one file for each publication.
pub struct Nginx {
    /// The process.
    pub process: Process,
    rtmp: u16,
    http: u16,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts one with these lines in its application `live`, and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not come up.
    pub async fn start_with(lines: &str) -> Self {
        let folder = scratch();
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let (rtmp, http) = (free(), free());
        let path = folder.path().display();
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             user root; worker_processes 1; daemon off; master_process off; pid {path}/pid;\n\
             error_log {path}/error.log info;\n\
             events {{ worker_connections 128; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{rtmp}; access_log {path}/rtmp.log;\n\
             application live {{ live on; record all; record_path {path}; record_suffix -%s.flv;\n{lines} }} }} }}\n\
             http {{ access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b;\n\
             fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;\n\
             server {{ listen 127.0.0.1:{http}; location / {{ rtmp_stat all; }} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).expect("a file");
        let process = launch(&folder);
        let nginx = Self { process, rtmp, http, folder };
        eventually(10.0, "nginx is up", || nginx.stat()).await;
        nginx
    }

    /// Starts one that takes everything.
    ///
    /// # Panics
    /// If it is not installed or does not come up.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts it again, after it was killed, on the same ports.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn restart(&mut self) {
        self.process = launch(&self.folder);
        eventually(10.0, "nginx is up again", || self.stat()).await;
    }

    /// Where it listens for RTMP, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.rtmp
    }

    /// An RTMP URL in its application `live`.
    #[must_use]
    pub fn rtmp_url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{name}", self.rtmp)
    }

    /// Its figures, as XML.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn stat(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/", self.http);
        let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(2)).build()?;
        Ok(client.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// How many RTMP connections it has accepted since it was started.
    ///
    /// # Errors
    /// If it does not say.
    pub async fn accepted(&self) -> Result<u32> {
        let text = self.stat().await?;
        let count = text.split("<naccepted>").nth(1).and_then(|rest| rest.split('<').next());
        Ok(count.context("a count")?.parse()?)
    }

    /// Whether it has exactly this many publishers, and media of them.
    ///
    /// # Errors
    /// If it has more or fewer.
    pub async fn has_publishers(&self, wanted: usize) -> Result<()> {
        let text = self.stat().await?;
        let found = text.matches("<publishing/>").count();
        // A stream and its publisher's connection are both marked.
        ensure!(found == 2 * wanted, "{found} marks of publishing, not {}: {text}", 2 * wanted);
        Ok(())
    }

    /// What it says in its error log, which tells of every publisher that it refuses.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("error.log"))?)
    }

    /// The recordings of a name, oldest first.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn recordings(&self, name: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|end| end == "flv");
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if is_one && stem.rsplit_once('-').is_some_and(|(its, _)| its == name) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn launch(folder: &tempfile::TempDir) -> Process {
    let process = Process::start("/usr/sbin/nginx", |command| {
        command.arg("-c").arg(folder.path().join("nginx.conf"));
    });
    process.expect("nginx is installed")
}
