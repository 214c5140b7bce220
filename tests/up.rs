//! Relay and recorder on one machine: one command up, one signal down, nothing left.

use anyhow::ensure;
use e2e::{Process, alive, binary, descendants, eventually, scratch};
use rustix::process::Signal;
use std::path::Path;

fn up(data: &Path, arguments: &[&str]) -> Process {
    Process::start(binary("sluice"), |command| {
        command
            .args(["up", "--rtmp-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data"])
            .arg(data);
        command.args(["--profile", "540p30"]).args(arguments);
    })
    .expect("it starts")
}

fn is_live(line: &str) -> Option<()> {
    line.contains("The call is live.").then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_a_live_call_and_one_signal_takes_everything_down() {
    let data = scratch();
    // Even where a token is asked of everybody else.
    let mint = Process::start(binary("sluice"), |command| {
        command.args(["token", "new", "--label", "other", "--scope", "view", "--data"]).arg(data.path());
        command.env("SLUICE_RELAY", "http://127.0.0.1:1");
    });
    let status = mint.expect("it starts").ended(20.0).await.expect("it ends");
    assert!(status.success());
    let mut sluice = up(data.path(), &["--demo"]);
    sluice.hear(60.0, is_live).expect("the call is live");
    sluice.hear(5.0, |line| line.contains("Ctrl-C").then_some(())).expect("all that it has to say");
    let said = sluice.said();
    for word in
        ["/widget/preview?stream=live", "/hls/live/call/index.m3u8", "Operator page", "rtmp://127.0.0.1:"]
    {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    let everything = descendants(sluice.pid());
    assert!(everything.values().any(|name| name.starts_with("chrom")), "{everything:?}");
    sluice.signal(Signal::INT);
    let status = sluice.ended(15.0).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", sluice.said());
    let left: Vec<_> = everything.iter().filter(|(pid, _)| alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_killed_nothing_of_it_stays_and_the_next_one_goes_on_with_the_call() {
    let data = scratch();
    let mut sluice = up(data.path(), &["--demo"]);
    sluice.hear(60.0, is_live).expect("the call is live");
    let everything = descendants(sluice.pid());
    sluice.kill_9();
    eventually(10.0, "recorder, worker, browser, display and sound are gone", || async {
        let left: Vec<_> = everything.iter().filter(|(pid, _)| alive(**pid)).collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
    let mut next = up(data.path(), &["--demo"]);
    next.hear(90.0, is_live).expect("the call is live again");
}
