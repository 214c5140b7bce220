//! Whatever comes in from outside: a clear message, the right exit code or HTTP problem, and nobody else disturbed.

use anyhow::{Result, ensure};
use api::streams::{Call, CallKind, StartStream};
use e2e::{Ffmpeg, Process, Recorder, Relay, Source, binary, eventually, scratch};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn fails(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut process = Process::start(binary(program), |command| {
        command.args(arguments).envs(environment.iter().copied());
    })
    .expect("it starts");
    let status = process.ended(20.0).await.expect("it ends");
    (status.code().unwrap_or(-1), process.said())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_configuration_key_is_refused_with_its_line_and_the_nearest_name() {
    let folder = scratch();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, "[http]\n\n[rtmp]\nlistne = \":1935\"\n").expect("a file");
    let name = file.to_str().expect("a plain path");
    for arguments in [vec!["serve", "--config", name], vec!["check", name]] {
        let (code, said) = fails("sluice", &arguments, &[]).await;
        assert_eq!(code, 78, "{said}");
        for word in ["listne", "listen", "4"] {
            assert!(said.contains(word), "{word} is missing: {said}");
        }
    }
    let (code, said) = fails("sluice", &["serve"], &[("SLUICE_RTMP__LISTNE", ":1935")]).await;
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("listen"), "{said}");
    let (code, said) = fails("sluice-recorder", &["run"], &[("SLUICE_RECORDER__SLOT", "3")]).await;
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("slots"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_key_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = scratch();
    let data = folder.path().to_str().expect("a plain path");
    for (flag, other) in [("--rtmp-listen", "--http-listen"), ("--http-listen", "--rtmp-listen")] {
        let arguments = ["serve", flag, &address, other, "127.0.0.1:0", "--data", data];
        let (code, said) = fails("sluice", &arguments, &[]).await;
        assert_eq!(code, 69, "{said}");
        assert!(said.contains(&address) && said.contains("in use") && said.contains(flag), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_beyond_this_machine_without_tokens_is_refused() {
    let folder = scratch();
    let data = folder.path().to_str().expect("a plain path");
    for (wide, other) in [("--http-listen", "--rtmp-listen"), ("--rtmp-listen", "--http-listen")] {
        let arguments = ["serve", wide, "0.0.0.0:0", other, "127.0.0.1:0", "--data", data];
        let (code, said) = fails("sluice", &arguments, &[]).await;
        assert_eq!(code, 78, "{said}");
        assert!(said.contains("sluice token new"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_missing_and_the_package_that_brings_it() {
    let empty = scratch();
    let path = empty.path().to_str().expect("a plain path");
    let registry = empty.path().join("registry.bin");
    let environment = [
        ("PATH", path),
        ("GST_PLUGIN_SYSTEM_PATH_1_0", path),
        ("GST_PLUGIN_PATH_1_0", path),
        ("GST_REGISTRY_1_0", registry.to_str().expect("a plain path")),
    ];
    // setpriv, which starts it, is found by the harness's own PATH; the doctor looks with the one above.
    let mut process = Process::start("env", |command| {
        command.args(environment.map(|(name, value)| format!("{name}={value}")));
        command.arg(binary("sluice-recorder")).arg("doctor");
    })
    .expect("it starts");
    let status = process.ended(20.0).await.expect("it ends");
    let said = process.said();
    assert_eq!(status.code(), Some(69), "{said}");
    for word in [
        "chromium",
        "xvfb",
        "pulseaudio",
        "x264enc",
        "gstreamer1.0-plugins-ugly",
        "avenc_aac",
        "gstreamer1.0-libav",
    ] {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    let (code, said) = fails("sluice-recorder", &["doctor"], &[]).await;
    assert_eq!(code, 0, "this machine has everything: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_load_ends_with_its_reason_and_without_its_secrets() {
    let relay = Relay::start();
    let _recorder = Recorder::start(&relay, "rec-1", 1);
    // A port that was free a moment ago: nobody answers there.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let request = StartStream {
        call: Call { url: Some(format!("http://127.0.0.1:{port}/room?key=hidden")), kind: CallKind::Web },
        name: "live/broken".into(),
        targets: Vec::new(),
        profile: Some("540p30".into()),
        record: false,
        starts_at: None,
        ends_at: None,
        labels: BTreeMap::new(),
        wait_seconds: Some(20),
    };
    let stream = relay.client().start_stream(&request, "broken").await.expect("accepted");
    let said = eventually(40.0, "the reason can be read", || async {
        let view = relay.client().stream(stream.id).await?;
        let text = serde_json::to_string(&view)?;
        ensure!(text.contains("REFUSED") || text.to_lowercase().contains("refused"), "{text}");
        Ok(text)
    })
    .await;
    assert!(!said.contains("hidden"), "{said}");
    assert!(!relay.process.said().contains("hidden"), "the key is in the relay's log");
}

async fn post(relay: &Relay, body: impl Into<reqwest::Body>) -> Result<(u16, Value)> {
    let request =
        reqwest::Client::new().post(relay.url("/api/v1/streams")).header("content-type", "application/json");
    let answer = request.body(body).send().await?;
    ensure!(answer.headers()["content-type"] == "application/problem+json", "{:?}", answer.headers());
    Ok((answer.status().as_u16(), answer.json().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_is_a_problem_that_names_the_field_and_the_fix() {
    let relay = Relay::start();
    let good =
        serde_json::json!({"name": "live/x", "call": {"url": "https://call.example/x", "kind": "web"}});
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("a place") = value;
        body.to_string()
    };
    for (body, status, field) in [
        ("{".to_owned(), 400, None),
        (with("/name", "x".into()), 422, Some("name")),
        (with("/name", "live/..".into()), 422, Some("name")),
        (with("/call/url", "ftp://call.example".into()), 422, Some("call.url")),
        (with("/call/url", "nonsense".into()), 422, Some("call.url")),
        (with("/call/kind", "pigeon".into()), 422, Some("call.kind")),
    ] {
        let (got, problem) = post(&relay, body.clone()).await.expect("a problem");
        assert_eq!(got, status, "{body}: {problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        if let Some(field) = field {
            assert_eq!(problem["field"], field, "{problem}");
        }
    }
    let (status, problem) = post(&relay, vec![b' '; 4 << 20]).await.expect("a problem");
    assert_eq!((status, &problem["code"]), (413, &Value::from("too_large")));
    let lost = reqwest::get(relay.url("/api/v1/nothing")).await.expect("an answer");
    assert_eq!(lost.status(), 404);
    assert_eq!(lost.json::<Value>().await.expect("a problem")["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_rtmp_port_ends_its_own_connection_and_nothing_else() {
    let relay = Relay::start();
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room-1"), None);
    eventually(20.0, "it is live", || relay.live("live/room-1")).await;
    let token = relay.claim("live/room-1").await.expect("a claim").token;
    let mut state = 0x2545_f491_4f6c_dd1d_u64; // xorshift: the same garbage each time
    for round in 0..40usize {
        let mut socket = tokio::net::TcpStream::connect(relay.rtmp).await.expect("it listens");
        let mut garbage = vec![0u8; 200 * (round + 1)];
        for byte in &mut garbage {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        if round % 2 == 0 {
            garbage[0] = 3; // looks like RTMP for a moment
        }
        let _ = socket.write_all(&garbage).await;
        let _ = socket.shutdown().await;
        let mut rest = Vec::new();
        let end =
            tokio::time::timeout(std::time::Duration::from_secs(10), socket.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "round {round}: the relay hung up in time");
    }
    eventually(10.0, "it is as live as before", || async {
        let media = relay.live("live/room-1").await?.media;
        ensure!(media.silent_ms < 1_000 && media.frames_per_second > 25.0, "{media:?}");
        Ok(())
    })
    .await;
    assert_eq!(relay.claim("live/room-1").await.expect("a claim").token, token);
    let ready = reqwest::get(relay.url("/readyz")).await.expect("an answer");
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap_or_default());
}
