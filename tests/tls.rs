//! What is encrypted stays trustworthy: certificates are checked, renewed without a restart, and told of when they are bad.

use anyhow::{Context, Result, ensure};
use api::streams::{Call, CallKind, StartStream, StreamView};
use api::targets::TargetState;
use e2e::{Authority, Ffmpeg, Recorder, Relay, RelayOptions, Source, Validity, eventually, scratch};
use rtmp::MessageKind;
use rtmp::io::{Deadlines, Dialer, Player, PublishError, Publisher, TlsError, Trust};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A folder with an authority and a pair for `localhost`.
struct Keys {
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = scratch();
        let authority = Authority::new(folder.path());
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        authority.issue("localhost", Validity::Current, &certificate, &key);
        Self { authority, certificate, key, folder }
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(Deadlines::default(), Trust::load(Some(self.authority.file())).expect("an authority"))
    }

    /// The relay that shows the pair.
    fn relay(&self) -> Relay {
        Relay::start_secure(&self.certificate, &self.key, &[])
    }
}

/// What curl gets: the body, and then the HTTP version and the status.
fn curl(authority: &Path, more: &[&str], url: &str) -> Result<String> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "10",
            "--write-out",
            "\n%{http_version} %{http_code}",
        ])
        .arg("--cacert")
        .arg(authority)
        .args(more)
        .arg(url)
        .output()
        .context("curl is installed")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

async fn figure(relay: &Relay, name: &str) -> Result<f64> {
    let text = reqwest::get(relay.url("/metrics")).await?.text().await?;
    let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
    Ok(line.rsplit(' ').next().context("a value")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_publishes_over_rtmps_and_a_player_plays_it_over_rtmps() {
    let keys = Keys::new();
    let relay = keys.relay();
    let _publisher = Ffmpeg::publish(Source::Hd, &relay.rtmps_url("localhost", "live/room"), None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    let address = relay.rtmps_url("localhost", "live/room");
    let said = Ffmpeg::run(30.0, &["-i", &address, "-t", "3", "-f", "null", "-"]).await;
    assert_eq!(said.expect("ffmpeg plays it").trim(), "", "every frame decodes");

    let url = address.parse().expect("a URL");
    let mut player = Player::connect(&url, &keys.dialer()).await.expect("we trust its authority");
    let (mut pictures, mut sounds) = (0, 0);
    while pictures < 60 || sounds < 60 {
        match player.next().await.expect("it plays on").kind {
            MessageKind::Video => pictures += 1,
            MessageKind::Audio => sounds += 1,
            MessageKind::Data => {}
        }
    }
    assert_eq!(relay.live("live/room").await.expect("live").media.rtmp_players, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_is_refused_in_words_over_rtmps_too() {
    let keys = Keys::new();
    let relay = keys.relay();
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmps_url("localhost", "live/room"), None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    let url = relay.rtmps_url("localhost", "live/room").parse().expect("a URL");
    match Publisher::connect(&url, &keys.dialer()).await {
        Err(PublishError::Refused { code, description }) => {
            assert_eq!(code, "NetStream.Publish.BadName");
            assert!(description.contains("held by"), "{description}");
        }
        Err(other) => panic!("the words are lost: {other}"),
        Ok(_) => panic!("there are two publishers"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_trusts_only_a_good_certificate_of_that_name() {
    let keys = Keys::new();
    let relay = keys.relay();
    let why =
        async |url: &str, dialer: &Dialer| match Publisher::connect(&url.parse().expect("a URL"), dialer)
            .await
        {
            Err(PublishError::Tls(why)) => why,
            Err(other) => panic!("{url}: {other}"),
            Ok(_) => panic!("{url} is trusted"),
        };
    let strangers = Dialer::new(Deadlines::default(), Trust::load(None).expect("the machine's own"));
    assert_eq!(why(&relay.rtmps_url("localhost", "live/a"), &strangers).await, TlsError::UnknownIssuer);
    let other_name = why(&relay.rtmps_url("127.0.0.1", "live/a"), &keys.dialer()).await;
    assert!(other_name.to_string().contains("localhost"), "{other_name}");
    let plain = format!("rtmps://localhost:{}/live/a", relay.http.port());
    assert_eq!(why(&plain, &keys.dialer()).await, TlsError::NotTls);

    let (certificate, key) = (keys.folder.path().join("old.pem"), keys.folder.path().join("old-key.pem"));
    keys.authority.issue("localhost", Validity::Expired, &certificate, &key);
    let expired = Relay::start_secure(&certificate, &key, &[]);
    assert_eq!(why(&expired.rtmps_url("localhost", "live/a"), &keys.dialer()).await, TlsError::Expired);
    let ready = reqwest::get(expired.url("/readyz")).await.expect("an answer");
    assert_eq!(ready.status(), 200, "the plain doors work on");
    assert!(ready.text().await.expect("text").contains("has expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_bad_one_changes_nothing() {
    let keys = Keys::new();
    let relay = keys.relay();
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmps_url("localhost", "live/room"), None);
    let before = eventually(20.0, "it is live", || relay.live("live/room")).await;
    let shown = async |name: &str| {
        let url = relay.rtmps_url(name, "live/room").parse()?;
        Player::connect(&url, &keys.dialer()).await?;
        anyhow::Ok(())
    };
    shown("localhost").await.expect("the first certificate");

    // A certificate without its key.
    keys.authority.issue(
        "127.0.0.1",
        Validity::Current,
        &keys.certificate,
        &keys.folder.path().join("elsewhere.pem"),
    );
    eventually(15.0, "the relay tells of the bad pair", || async {
        let ready = reqwest::get(relay.url("/readyz")).await?;
        ensure!(ready.status() == 200, "not ready");
        let text = ready.text().await?;
        ensure!(text.contains("is not that of the certificate"), "{text}");
        ensure!((figure(&relay, "sluice_tls_pair_refused ").await? - 1.0).abs() < f64::EPSILON, "no figure");
        Ok(())
    })
    .await;
    shown("localhost").await.expect("the first certificate is still in use");

    keys.authority.issue("127.0.0.1", Validity::Current, &keys.certificate, &keys.key);
    eventually(15.0, "the new certificate is shown", || shown("127.0.0.1")).await;
    assert!(shown("localhost").await.is_err(), "the old one is shown, too");
    assert!(figure(&relay, "sluice_tls_pair_refused ").await.expect("a figure").abs() < f64::EPSILON);

    // SIGHUP: at once, and it does not end the relay.
    keys.authority.issue("localhost", Validity::Current, &keys.certificate, &keys.key);
    relay.process.signal(rustix::process::Signal::HUP);
    eventually(1.5, "the newest certificate is shown", || shown("localhost")).await;
    let after = relay.live("live/room").await.expect("the publisher was not disturbed");
    assert_eq!(after.token, before.token);
    assert!(relay.process.said().contains("cannot be used; the one before stays"), "the log tells of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_and_http_1_1_are_served_under_tls_with_the_same_rules() {
    let keys = Keys::new();
    let relay = keys.relay();
    let authority = keys.authority.file();
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    let playlist = relay.https_url("localhost", "/hls/live/room/media.m3u8");
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let said = curl(authority, &[option], &playlist).expect("an answer");
        assert!(said.starts_with("#EXTM3U") && said.ends_with(&format!("{version} 200")), "{said}");
        let api = curl(authority, &[option], &relay.https_url("localhost", "/api/v1/broadcasts"))
            .expect("an answer");
        assert!(api.contains("live/room") && api.ends_with("200"), "{api}");
        // A page elsewhere whose name was turned to our address is refused, though HTTP/2 has no Host field.
        let rebound =
            ["--resolve", &format!("evil.example:{}:127.0.0.1", relay.secure.expect("secure").1.port())];
        let said = curl(
            authority,
            &[&[option, "--insecure"][..], &rebound.map(|text| text)].concat(),
            &relay.https_url("evil.example", "/api/v1/broadcasts"),
        )
        .expect("an answer");
        assert!(said.ends_with(&format!("{version} 403")), "{said}");
    }
    // Plain HTTP stays HTTP/1.1.
    let plain = curl(authority, &["--http2"], &relay.url("/healthz")).expect("an answer");
    assert!(plain.ends_with("1.1 200"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_nonsense_at_a_secure_port_is_hung_up_on() {
    let keys = Keys::new();
    let relay = keys.relay();
    let (rtmps, https) = relay.secure.expect("secure");
    for address in [rtmps, https] {
        for opening in [&b""[..], b"\x16\x03\x01", b"\x03GET / HTTP/1.1\r\n\r\n"] {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            socket.write_all(opening).await.expect("it takes bytes");
            let mut rest = Vec::new();
            let ended =
                tokio::time::timeout(std::time::Duration::from_secs(15), socket.read_to_end(&mut rest));
            assert!(ended.await.is_ok(), "{address} keeps {opening:?}");
        }
    }
    let failed = figure(&relay, "sluice_tls_handshakes_failed_total").await.expect("a figure");
    assert!(failed >= 6.0, "{failed}");
}

async fn start(relay: &Relay, name: &str, target: String) -> StreamView {
    let request = StartStream {
        call: Call { url: None, kind: CallKind::Test },
        name: name.into(),
        targets: vec![target],
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: BTreeMap::new(),
        wait_seconds: Some(20),
    };
    relay.client().start_stream(&request, name).await.expect("the start is accepted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_reaches_an_rtmps_target_that_it_may_trust_and_says_why_it_trusts_no_other() {
    let keys = Keys::new();
    let official = keys.relay();
    let ca_file = ("SLUICE_TLS__CA_FILE".to_owned(), keys.authority.file().display().to_string());
    let relay = Relay::start_with(RelayOptions { environment: vec![ca_file] });
    let _recorder = Recorder::start(&relay, "rec-1", 2);
    let good = start(&relay, "live/good", official.rtmps_url("localhost", "live/k3y-of-good")).await;
    let bad = start(&relay, "live/bad", official.rtmps_url("127.0.0.1", "live/k3y-of-bad")).await;
    eventually(30.0, "the good one pushes", || async {
        let targets = relay.client().stream(good.id).await?.targets;
        ensure!(targets[0].state == TargetState::Pushing, "{targets:?}");
        official.live("live/k3y-of-good").await
    })
    .await;
    let row = eventually(30.0, "the bad one fails", || async {
        let target = relay.client().stream(bad.id).await?.targets.pop().context("a target")?;
        ensure!(target.state == TargetState::Failed, "{target:?}");
        Ok(target)
    })
    .await;
    let detail = row.detail.expect("a reason");
    assert!(detail.contains("its certificate is for") && detail.contains("localhost"), "{detail}");
    assert!(!relay.process.said().contains("k3y-of"), "a key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_gets_tls_1_2_and_1_3_with_the_whole_chain_and_nothing_older() {
    let keys = Keys::new();
    let relay = keys.relay();
    let (rtmps, https) = relay.secure.expect("secure");
    let greet = |port: u16, more: &[&str]| {
        let output = Command::new("timeout")
            .args(["10", "openssl", "s_client", "-connect", &format!("localhost:{port}")])
            .args(["-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error"])
            .arg("-CAfile")
            .arg(keys.authority.file())
            .args(more)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for port in [rtmps.port(), https.port()] {
        for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let (is_good, said) = greet(port, &[option]);
            assert!(is_good && said.contains(version), "{option} at {port}: {said}");
            assert!(said.contains("Verify return code: 0 (ok)"), "{option} at {port}: {said}");
        }
        // Openssl's own policy would refuse it first at its default level.
        let (is_good, said) = greet(port, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(!is_good, "TLS 1.1 at {port}: {said}");
    }
    let (_, said) = greet(https.port(), &["-alpn", "h2,http/1.1"]);
    assert!(said.contains("ALPN protocol: h2"), "{said}");
}
