//! HTTP-FLV: a player by HTTP gets what one by RTMP gets, and is asked about and counted like one.

use anyhow::{Context, Result, ensure};
use e2e::{Authority, Ffmpeg, Receiver, Relay, RelayOptions, Reply, Source, Validity};
use e2e::{eventually, ffprobe_json, scratch};
use media::TargetUrl;
use rtmp::io::{Deadlines, Publisher};
use rtmp::{Message, MessageKind};
use std::process::Command;
use std::time::Duration;

fn relay(keys: &[(&str, &str)]) -> Relay {
    let mut environment = vec![("SLUICE_APP__0__NAME".to_owned(), "live".to_owned())];
    environment
        .extend(keys.iter().map(|(key, value)| (format!("SLUICE_APP__0__{key}"), (*value).to_owned())));
    Relay::start_with(RelayOptions { environment })
}

async fn players(relay: &Relay, expected: u32) -> Result<()> {
    let media = relay.live("live/room").await?.media;
    ensure!(media.flv_players == expected && media.rtmp_players == 0, "{media:?}");
    Ok(())
}

/// One tag of an FLV file.
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    kind: u8,
    timestamp: u32,
    body: Vec<u8>,
}

/// Reads the file's header (its flags) and so many tags (FLV 10.1 §E.2 to §E.4).
async fn tags(response: &mut reqwest::Response, count: usize) -> Result<(u8, Vec<Tag>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(found) = parse(&bytes, count) {
            return found;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await??;
        bytes.extend_from_slice(&chunk.context("the file ended early")?);
    }
}

fn parse(bytes: &[u8], count: usize) -> Option<Result<(u8, Vec<Tag>)>> {
    let big_endian = |part: &[u8]| part.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    let (header, mut rest) = bytes.split_at_checked(13)?;
    if header[..4] != *b"FLV\x01" || header[5..] != [0, 0, 0, 9, 0, 0, 0, 0] {
        return Some(Err(anyhow::anyhow!("no FLV: {header:?}")));
    }
    let mut found = Vec::new();
    while found.len() < count {
        let (head, after) = rest.split_at_checked(11)?;
        let length = big_endian(&head[1..4]);
        let (body, after) = after.split_at_checked(length as usize)?;
        let (size, after) = after.split_at_checked(4)?;
        if big_endian(size) != length + 11 {
            return Some(Err(anyhow::anyhow!("a tag of {length} bytes ends in {size:?}")));
        }
        let timestamp = big_endian(&head[4..7]) | u32::from(head[7]) << 24;
        found.push(Tag { kind: head[0], timestamp, body: body.to_vec() });
        rest = after;
    }
    Some(Ok((header[4], found)))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_played_whole_from_a_keyframe_on_and_counted() {
    let relay = relay(&[]);
    let mut publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    let row = eventually(20.0, "it is live", || relay.live("live/room")).await;
    assert_eq!(row.playback.flv.as_deref(), Some("/flv/live/room.flv"));
    let url = relay.url("/flv/live/room.flv");
    let said = Ffmpeg::run(30.0, &["-i", &url, "-t", "3", "-f", "null", "-"]).await;
    assert_eq!(said.expect("ffmpeg plays it").trim(), "", "every frame decodes");
    let probed = ffprobe_json(&["-show_streams", "-show_packets", "-read_intervals", "%+1", &url]);
    let probed = probed.expect("ffprobe reads it");
    let list = |key: &str| probed[key].as_array().expect("a list").clone();
    let codecs: Vec<_> = list("streams").iter().map(|it| it["codec_name"].clone()).collect();
    assert!(
        codecs.len() == 2 && codecs.contains(&"h264".into()) && codecs.contains(&"aac".into()),
        "{codecs:?}"
    );
    let picture = list("packets").into_iter().find(|it| it["codec_type"] == "video").expect("a picture");
    assert!(picture["flags"].as_str().expect("flags").starts_with('K'), "{picture}");

    eventually(5.0, "the players have gone", || players(&relay, 0)).await;
    let mut held = reqwest::get(&url).await.expect("an answer");
    assert_eq!(held.headers()["content-type"], "video/x-flv");
    assert_eq!(held.headers()["access-control-allow-origin"], "*");
    let (flags, first) = tags(&mut held, 10).await.expect("tags");
    assert_eq!(flags, 0b101, "sound and pictures are announced");
    assert_eq!(first[0].kind, 18, "metadata comes first");
    assert!(first[1..].is_sorted_by_key(|tag| tag.timestamp), "{first:?}");
    players(&relay, 1).await.expect("one is counted");

    // The stream ends, and with it the file.
    publisher.process.kill_9();
    let rest = async {
        while held.chunk().await?.is_some() {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(25), rest).await.expect("it ends").expect("and cleanly");
    assert_eq!(reqwest::get(&url).await.expect("an answer").status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_asked_about_who_plays_by_http_and_told_of_the_end() {
    let receiver = Receiver::start().await;
    let hook = receiver.url("/hook");
    let relay = relay(&[("ON_PLAY", &hook), ("ON_PLAY_DONE", &hook)]);
    receiver.answer(|call| Reply::Status(if call.field("key") == "good" { 204 } else { 403 }));
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    for (path, status) in [
        ("/flv/live/none.flv", 404),
        ("/flv/live/room", 404),
        ("/flv/room.flv", 404),
        ("/flv/%ff/a.flv", 404),
    ] {
        assert_eq!(reqwest::get(relay.url(path)).await.expect("an answer").status(), status, "{path}");
    }
    assert_eq!(receiver.said(), [""; 0], "no hook hears of what is not live");
    let refused = reqwest::get(relay.url("/flv/live/room.flv")).await.expect("an answer");
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.text().await.expect("words"), "Refused by this relay's operator\n");

    let client = reqwest::Client::new().get(relay.url("/flv/live/room.flv?key=good"));
    let client = client.header("user-agent", "a player/1").header("referer", "https://page.example/");
    let mut playing = client.send().await.expect("an answer");
    tags(&mut playing, 5).await.expect("it plays");
    let asked = receiver.calls().pop().expect("a call");
    for (field, value) in [
        ("call", "play"),
        ("app", "live"),
        ("name", "room"),
        ("addr", "127.0.0.1"),
        ("flashver", "a player/1"),
        ("pageurl", "https://page.example/"),
    ] {
        assert_eq!(asked.field(field), value, "{}", asked.body);
    }
    drop(playing);
    eventually(5.0, "the end is told", || async {
        ensure!(receiver.said() == ["play", "play", "play_done"], "{:?}", receiver.said());
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_play_by_rtmp_may_not_by_http_either_and_a_signed_url_opens_both_under_tls_too() {
    let secret = "0123456789abcdef0123456789abcdef";
    let folder = scratch();
    let authority = Authority::new(folder.path());
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    authority.issue("localhost", Validity::Current, &certificate, &key);
    let more = [
        ("SLUICE_APP__0__NAME", "live"),
        ("SLUICE_APP__0__PLAY", "signed"),
        ("SLUICE_APP__0__PLAY_SECRET", secret),
    ];
    let relay = Relay::start_secure(&certificate, &key, &more);
    let _publisher = Ffmpeg::publish(Source::Small, &relay.rtmp_url("live/room"), None);
    eventually(20.0, "it is live", || relay.live("live/room")).await;
    let path = "/flv/live/room.flv";
    assert_eq!(reqwest::get(relay.url(path)).await.expect("an answer").status(), 403);

    // As operating.md has it.
    let script = "expires=$(( $(date +%s) + 3600 )); \
        signature=$(printf 'play\\nlive/room\\n%s' $expires | openssl dgst -sha256 -hmac \"$PLAY_SECRET\" -r | cut -d' ' -f1); \
        printf 'expires=%s&signature=%s' $expires $signature";
    let signed =
        Command::new("sh").args(["-c", script]).env("PLAY_SECRET", secret).output().expect("a shell");
    let query = String::from_utf8(signed.stdout).expect("text");
    let mut playing = reqwest::get(relay.url(&format!("{path}?{query}"))).await.expect("an answer");
    tags(&mut playing, 5).await.expect("it plays");
    for version in ["--http2", "--http1.1"] {
        let taken = Command::new("curl")
            .args(["--silent", "--max-time", "2", version, "--cacert"])
            .arg(authority.file())
            .arg(relay.https_url("localhost", &format!("{path}?{query}")))
            .output()
            .expect("curl is installed");
        assert!(taken.stdout.starts_with(b"FLV\x01\x05"), "{version}: {} bytes", taken.stdout.len());
        assert!(parse(&taken.stdout, 30).is_some_and(|it| it.is_ok()), "{version}: {}", taken.stdout.len());
    }
    assert!(!relay.process.said().contains("signature="), "a signature is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_rtmp_is_carried_byte_for_byte() {
    let relay = relay(&[]);
    let target: TargetUrl = relay.rtmp_url("live/room").parse().expect("a URL");
    let mut publisher = Publisher::connect(&target, Deadlines::default()).await.expect("it publishes");
    // Enhanced RTMP v2, ExVideoTagHeader: a sequence start and coded frames of VP9, which nothing here reads.
    let start = b"\x90vp09\x01\x00\x00\x00\x00\x1f\x80\x02\x02\x02\x00\x00".as_slice();
    let frame = b"\x93vp09 whatever it holds".as_slice();
    let message = |timestamp, body: &'static [u8]| Message {
        kind: MessageKind::Video,
        timestamp,
        body: bytes::Bytes::from_static(body),
    };
    publisher.send(&[message(0, start), message(0, frame)]).await.expect("it is taken");
    let url = relay.url("/flv/live/room.flv");
    let mut playing =
        eventually(5.0, "it is there", || async { Ok(reqwest::get(&url).await?.error_for_status()?) }).await;
    let (flags, found) = tags(&mut playing, 2).await.expect("tags");
    assert_eq!(flags, 0b001, "pictures alone are announced");
    assert_eq!(found.iter().map(|tag| &*tag.body).collect::<Vec<_>>(), [start, frame]);
}
