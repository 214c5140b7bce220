use super::*;
use crate::config::RelayConfig;

const SECRET: &str = "0123456789abcdef-studio";

fn rules(toml: &str) -> AccessRules {
    AccessRules::new(&load(toml).unwrap().app)
}

fn load(toml: &str) -> Result<RelayConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, toml).unwrap();
    let sources =
        config::Sources { file: Some(file), env: Vec::new(), prefix: "SLUICE", overrides: Vec::new() };
    let loaded: RelayConfig = config::load(sources).map_err(|error| error.to_string())?;
    loaded.check().map_err(|error| error.to_string())?;
    Ok(loaded)
}

fn publish(rules: &AccessRules, name: &str, address: &str) -> Result<(String, PublishRight), Denied> {
    let address = Some(address.parse().unwrap());
    let (app, stream) = name.rsplit_once('/').unwrap();
    let query = Query::of(app, stream);
    let Named { url, by } = rules.named(StreamUrl::from_rtmp(app, stream).unwrap());
    rules.may_publish_from(url.app(), address)?;
    let right = rules.may_publish(Asker { url: &url, query: &query, address }, by)?;
    Ok((url.to_string(), right))
}

fn play(rules: &AccessRules, name: &str, address: &str) -> Result<(), Denied> {
    let (app, stream) = name.rsplit_once('/').unwrap();
    let query = Query::of(app, stream);
    let url = StreamUrl::from_rtmp(app, stream).unwrap();
    let address = Some(address.parse().unwrap());
    rules.may_play(Asker { url: &url, query: &query, address }, Timestamp::from_second(1_000).unwrap())
}

const HERE: &str = "127.0.0.1";
const THERE: &str = "192.0.2.1";

#[test]
fn without_rules_this_machine_publishes_and_everybody_plays() {
    let rules = AccessRules::default();
    assert_eq!(publish(&rules, "live/room", HERE), Ok(("live/room".into(), PublishRight::Anonymous)));
    assert!(publish(&rules, "live/room", THERE).is_err());
    assert_eq!(play(&rules, "live/room", THERE), Ok(()));
}

#[test]
fn a_token_lets_in_who_shows_it_in_the_query_or_as_the_stream_s_name() {
    let rules = rules(&format!(
        "[[app]]\nname = 'live'\npublish = 'token'\n
        [[app.token]]\nlabel = 'studio'\nsecret = '{SECRET}'\nstream = 'room-1'\n
        [[app.token]]\nlabel = 'any'\nsha256 = '{}'\n",
        // printf %s fedcba9876543210 | sha256sum
        "3465f6e6975baa864ca957f0914ecda9bf7eb601ac31ac20a5dc3d329279a843"
    ));
    let studio = Ok(("live/room-1".to_owned(), PublishRight::Token("studio".into())));
    assert_eq!(publish(&rules, &format!("live/room-1?token={SECRET}"), THERE), studio);
    assert_eq!(publish(&rules, &format!("live/{SECRET}"), THERE), studio);
    let any = Ok(("live/other".to_owned(), PublishRight::Token("any".into())));
    assert_eq!(publish(&rules, "live/other?token=fedcba9876543210", THERE), any);
    for refused in [
        "live/room-1".to_owned(),
        "live/room-1?token=wrong".into(),
        format!("live/room-2?token={SECRET}"),
        format!("live/{SECRET}x"),
    ] {
        let denied = publish(&rules, &refused, HERE).unwrap_err();
        assert!(!denied.to_string().contains("0123"), "{denied}");
    }
    assert!(!format!("{rules:?}").contains(SECRET));
}

#[test]
fn a_token_is_for_what_it_says() {
    let rules = rules(&format!(
        "[[app]]\nname = '*'\nplay = 'token'\n
        [[app.token]]\nlabel = 'viewer'\nsecret = '{SECRET}'\nmay = ['play']\n"
    ));
    assert!(publish(&rules, &format!("live/room?token={SECRET}"), THERE).is_err());
    assert_eq!(play(&rules, &format!("live/room?token={SECRET}"), THERE), Ok(()));
    assert!(play(&rules, "live/room", HERE).is_err());
}

#[test]
fn address_lists_come_before_every_token() {
    let rules = rules(&format!(
        "[[app]]\nname = 'live'\npublish = 'open'\npublish_from = ['allow 192.0.2.0/24', 'deny all']\n
        play = 'open'\nplay_from = ['deny 192.0.2.0/24']\n
        [[app.token]]\nlabel = 'studio'\nsecret = '{SECRET}'\n"
    ));
    assert!(publish(&rules, "live/room", THERE).is_ok());
    assert!(publish(&rules, &format!("live/room?token={SECRET}"), "198.51.100.1").is_err());
    assert!(play(&rules, "live/room", THERE).is_err());
    assert!(play(&rules, "live/room", HERE).is_ok());
}

#[test]
fn a_rule_that_cannot_work_is_refused_with_its_key() {
    for (toml, words) in [
        ("publish = 'token'", &["app.0.publish", "token"][..]),
        ("play = 'token'", &["app.0.play", "token"]),
        ("play = 'signed'", &["app.0.play_secret"]),
        ("play_secret = 'short'", &["app.0.play_secret", "openssl"]),
        ("publish_from = ['allow nobody']", &["app.0.publish_from.0", "10.0.0.0/8"]),
        ("[[app.token]]\nlabel = 'x'", &["app.0.token.0", "sha256"]),
        ("[[app.token]]\nlabel = 'x'\nsecret = 'short-s3cret'", &["app.0.token.0", "openssl"]),
        (
            "[[app.token]]\nlabel = 'x'\nsecret = '0123456789abcdef'\nstream = 'a/b'",
            &["app.0.token.0", "room-1"],
        ),
        ("on_publish = 'ftp://x/'", &["app.0.on_publish", "http://"]),
        ("on_publish = 'http://u:s3cret@host/x'", &["app.0.on_publish"]),
    ] {
        let error = load(&format!("[[app]]\nname = 'live'\n{toml}")).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{toml}: {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }
    for (toml, words) in [
        ("[rtmp]\nchunk_streams_max = 0", &["rtmp.chunk_streams_max", "from 4 to"][..]),
        ("[rtmp]\nmessage_bytes_max = '1KiB'", &["rtmp.message_bytes_max"]),
        ("[rtmp]\nexempt_from_limits = ['nowhere']", &["rtmp.exempt_from_limits.0"]),
    ] {
        let error = load(toml).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{toml}: {error}");
        }
    }
}
