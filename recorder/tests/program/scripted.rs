//! What the tests of the recorder's program share: the program itself, a relay that says what a test tells it to, and
//! workers that are small shell scripts speaking `ipc`. The recorder and its processes are real.

use api::control::{FromRecorder, FromRelay, Job, WorkerReport};
use api::streams::CallKind;
use futures_util::{SinkExt, StreamExt};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

/// How long anything may take that has no deadline of its own in the test; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The secret part of the publish URL.
pub(crate) const GRANT: &str = "hidden-grant-0123456789";
/// The secret part of the call's URL.
pub(crate) const CALL_KEY: &str = "hidden-call-key-0123456789";

/// A folder, and a number that is in the arguments of every process that is to be found again.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) mark: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("7{:07}{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { folder: tempfile::tempdir().unwrap(), mark }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn work_dir(&self) -> PathBuf {
        self.path("work")
    }

    /// A worker that keeps its orders in the file `spec-N`, then runs the given lines. `$MARK` is the scene's number.
    pub(crate) fn scripted_worker(&self, lines: &str) -> PathBuf {
        let script = format!(
            "#!/bin/sh\nMARK={}\nSCENE={}\nread -r spec\nn=$(ls $SCENE | grep -c ^spec-)\necho \"$spec\" > $SCENE/spec-$n\n\
             say() {{ echo \"{{\\\"report\\\":\\\"state\\\",\\\"state\\\":\\\"$1\\\"}}\"; }}\n{lines}\n",
            self.mark,
            self.folder.path().display(),
        );
        let path = self.path("scripted-worker.sh");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn spec(&self, number: u32) -> ipc::WorkerSpec {
        serde_json::from_str(&fs::read_to_string(self.path(&format!("spec-{number}"))).unwrap()).unwrap()
    }

    /// Processes with the scene's number or folder in their arguments, apart from recorders.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let folder = self.folder.path().to_str().unwrap().to_owned();
        let is_ours = |pid: &u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).into_owned();
            (arguments.contains(&self.mark) || arguments.contains(&folder)) && !arguments.contains("\0run\0")
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }

    pub(crate) async fn wait_for_processes(&self, number: usize) {
        wait_until(&format!("{number} processes"), || self.processes().len() == number).await;
    }

    /// The cells' folders that are there.
    pub(crate) fn cells(&self) -> Vec<PathBuf> {
        fs::read_dir(self.work_dir()).unwrap().flatten().map(|entry| entry.path()).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal(pid, "KILL");
        }
    }
}

/// The recorder's program.
pub(crate) struct Recorder(pub(crate) Child);

impl Recorder {
    pub(crate) fn run(scene: &Scene, relay: &str, worker: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-recorder"));
        command
            .args(["run", "--relay", relay, "--name", "recorder-1", "--slots", "2"])
            .arg("--worker")
            .arg(worker)
            .arg("--work-dir")
            .arg(scene.work_dir())
            .args(more)
            .env("SLUICE_LOG", "debug")
            .env("UNRELATED_SECRET", "hidden-environment-0123456789")
            .stderr(fs::File::options().create(true).append(true).open(scene.path("log")).unwrap());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "the recorder does not end");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A relay that says what the test tells it to.
pub(crate) struct ScriptedRelay {
    listener: TcpListener,
    pub(crate) url: String,
}

impl ScriptedRelay {
    pub(crate) async fn new() -> Self {
        Self::at("127.0.0.1:0").await
    }

    pub(crate) async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next recorder that connects, and what its hello says it runs. It is welcomed.
    pub(crate) async fn accept(&self, keep: &[Uuid]) -> (Line, Vec<WorkerReport>) {
        let (socket, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        let mut line = Line(tokio_tungstenite::accept_async(socket).await.unwrap());
        let FromRecorder::Hello { recorder, running, slots, .. } = line.next().await else {
            panic!("the first message is no hello");
        };
        assert_eq!((recorder.as_str(), slots), ("recorder-1", 2));
        line.say(FromRelay::Welcome { keep: keep.to_vec() }).await;
        (line, running)
    }
}

/// The relay's side of one control connection.
pub(crate) struct Line(WebSocketStream<TcpStream>);

impl Line {
    pub(crate) async fn say(&mut self, message: FromRelay) {
        let text = serde_json::to_string(&message).unwrap();
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> FromRecorder {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("a message");
            if let Message::Text(text) = message.expect("an open connection").unwrap() {
                assert!(!text.contains("hidden"), "{text}");
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Reads on until a worker has the state.
    pub(crate) async fn worker(&mut self, state: &str) -> WorkerReport {
        let wanted = async {
            loop {
                match self.next().await {
                    FromRecorder::Worker { worker } if worker.state == state => return worker,
                    FromRecorder::Ended { reason, detail, .. } => panic!("ended: {reason}: {detail}"),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, wanted).await.expect("a worker in this state")
    }

    /// Reads on until a stream has ended; the reason and the detail.
    pub(crate) async fn ended(&mut self, stream: Uuid) -> (String, String) {
        let wanted = async {
            loop {
                if let FromRecorder::Ended { stream_id, reason, detail } = self.next().await {
                    assert_eq!(stream_id, stream);
                    return (reason, detail);
                }
            }
        };
        timeout(PATIENCE, wanted).await.expect("the stream's end")
    }

    pub(crate) async fn start(&mut self) -> Uuid {
        let job = job();
        let stream = job.stream_id;
        self.say(FromRelay::Start { job: Box::new(job) }).await;
        stream
    }

    /// What the other side says at its end.
    pub(crate) async fn is_closed(&mut self) -> bool {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("an end") {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return true,
                Some(Ok(_)) => {}
            }
        }
    }
}

pub(crate) fn job() -> Job {
    Job {
        stream_id: Uuid::new_v4(),
        name: "live/room-1".into(),
        kind: CallKind::Test,
        call_url: Some(format!("https://call.example/room#key={CALL_KEY}")),
        profile: "720p30".into(),
        publish_url: format!("rtmp://127.0.0.1:1/live/room-1?grant={GRANT}"),
        first_incarnation: 1,
    }
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let signal = match signal {
        "KILL" => rustix::process::Signal::KILL,
        "TERM" => rustix::process::Signal::TERM,
        other => panic!("{other}"),
    };
    let _ = rustix::process::kill_process(pid, signal);
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

pub(crate) async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the program to its end: exit code, standard output, standard error.
pub(crate) fn output(arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-recorder"));
    command.args(arguments).envs(env.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
