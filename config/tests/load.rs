//! Promises of the loader, kept with a configuration as a program would have it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use config::{ByteSize, Interval, Listen, Secret, Sources, load};
use serde::Deserialize;
use std::io::Write;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Program {
    rtmp: Rtmp,
    limits: Limits,
    app: Vec<App>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Rtmp {
    listen: Listen,
    names: Vec<String>,
    key: Option<Secret<String>>,
    enabled: bool,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self { listen: ":1935".parse().unwrap(), names: Vec::new(), key: None, enabled: true }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Limits {
    grace: Interval,
    body: ByteSize,
    players: u16,
    ratio: f64,
    mode: Mode,
    pin: Option<Secret<u16>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Strict,
    Lenient,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            grace: Interval::from_seconds(15),
            body: ByteSize::from_mib(1),
            players: 100,
            ratio: 0.5,
            mode: Mode::Strict,
            pin: None,
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct App {
    name: String,
    #[serde(default)]
    takeover: bool,
}

fn read(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Program, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    load(Sources {
        file: Some(file.path().to_owned()),
        env: pairs(env),
        prefix: "SLUICE",
        overrides: pairs(flags),
    })
    .map_err(|error| {
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        error.to_string().replace(&file.path().display().to_string(), "FILE")
    })
}

fn complaint(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    read(text, env, flags).unwrap_err()
}

#[test]
fn no_source_at_all_gives_the_defaults() {
    let sources = Sources { file: None, env: Vec::new(), prefix: "SLUICE", overrides: Vec::new() };
    assert_eq!(load::<Program>(sources).unwrap(), Program::default());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "[limits]\nplayers = 1\ngrace = \"1s\"\nbody = \"1MiB\"";
    let env = [("SLUICE_LIMITS__PLAYERS", "2"), ("SLUICE_LIMITS__GRACE", "2s"), ("PATH", "/bin")];
    let program = read(file, &env, &[("limits.players", "3")]).unwrap();
    assert_eq!(program.limits.players, 3);
    assert_eq!(program.limits.grace, Interval::from_seconds(2));
    assert_eq!(program.limits.body, ByteSize::from_mib(1));
}

#[test]
fn every_kind_of_value_can_be_set_without_a_file() {
    let env = [
        ("SLUICE_RTMP__LISTEN", "127.0.0.1:0"),
        ("SLUICE_RTMP__NAMES", "a, b"),
        ("SLUICE_RTMP__KEY", "12345"),
        ("SLUICE_RTMP__ENABLED", "false"),
        ("SLUICE_LIMITS__RATIO", "0.25"),
        ("SLUICE_LIMITS__MODE", "lenient"),
        ("SLUICE_LIMITS__BODY", "2GiB"),
        ("SLUICE_APP__0__NAME", "live"),
        ("SLUICE_APP__1__NAME", "test"),
        ("SLUICE_APP__1__TAKEOVER", "true"),
    ];
    let program = read("", &env, &[]).unwrap();
    assert!(program.rtmp.listen.is_loopback() && !program.rtmp.enabled);
    assert_eq!(program.rtmp.names, ["a", "b"]);
    assert_eq!(program.rtmp.key.unwrap().expose(), "12345");
    assert_eq!((program.limits.ratio, program.limits.mode), (0.25, Mode::Lenient));
    assert_eq!(program.limits.body.get(), 2 << 30);
    let apps = [App { name: "live".into(), takeover: false }, App { name: "test".into(), takeover: true }];
    assert_eq!(program.app, apps);
}

#[test]
fn the_environment_reaches_into_a_list_of_the_file() {
    let program = read("[[app]]\nname = \"live\"\n", &[("SLUICE_APP__0__TAKEOVER", "yes")], &[]).unwrap();
    assert_eq!(program.app, [App { name: "live".into(), takeover: true }]);
}

#[test]
fn an_empty_variable_unsets_an_optional_key() {
    assert_eq!(read("[rtmp]\nkey = \"x\"", &[("SLUICE_RTMP__KEY", "")], &[]).unwrap().rtmp.key, None);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let text = complaint("# one\n[rtmp]\nenabled = true\nlisen = \":1\"\n", &[], &[]);
    assert_eq!(text, "unknown key rtmp.lisen (FILE, line 4); did you mean rtmp.listen?");
    let text = complaint("[rtpm]\nlisten = \":1\"\n", &[], &[]);
    assert_eq!(text, "unknown key rtpm (FILE, line 1); did you mean rtmp?");
    let text = complaint("[[app]]\nname = \"a\"\n[[app]]\nname = \"b\"\ntakover = true", &[], &[]);
    assert_eq!(text, "unknown key app.1.takover (FILE, line 5); did you mean app.1.takeover?");
}

#[test]
fn an_unknown_key_without_a_like_one_is_answered_with_all_that_are_known() {
    let text = complaint("[rtmp]\nzzzzzzzzz = 1", &[], &[]);
    assert_eq!(text, "unknown key rtmp.zzzzzzzzz (FILE, line 2); known here: listen, names, key, enabled");
}

#[test]
fn an_unknown_key_of_the_environment_or_the_flags_is_refused_too() {
    let text = complaint("", &[("SLUICE_RTMP__LISTN", ":1")], &[]);
    assert_eq!(
        text,
        "unknown key rtmp.listn (environment variable SLUICE_RTMP__LISTN); did you mean rtmp.listen?"
    );
    let text = complaint("", &[], &[("limit.players", "1")]);
    assert_eq!(text, "unknown key limit (command line); did you mean limits?");
}

#[test]
fn a_variable_without_a_section_is_none_of_ours() {
    assert_eq!(read("", &[("SLUICE_LOG", "debug"), ("SLUICEX__Y", "1")], &[]).unwrap(), Program::default());
}

#[test]
fn a_wrong_type_names_key_line_and_what_was_expected() {
    let text = complaint("[limits]\n\nplayers = \"many\"", &[], &[]);
    assert_eq!(
        text,
        "limits.players (FILE, line 3): expected a number from 0 to 65535, found string \"many\""
    );
    let text = complaint("[limits]\nplayers = 70000", &[], &[]);
    assert_eq!(
        text,
        "limits.players (FILE, line 2): expected a number from 0 to 65535, found integer `70000`"
    );
    let text = complaint("[rtmp]\nenabled = \"maybe\"", &[], &[]);
    assert_eq!(text, "rtmp.enabled (FILE, line 2): expected true or false, found string \"maybe\"");
    let text = complaint("rtmp = 3", &[], &[]);
    assert_eq!(text, "rtmp (FILE, line 1): expected a table, found integer `3`");
    let text = complaint("", &[("SLUICE_LIMITS__PLAYERS", "x")], &[]);
    assert!(
        text.starts_with("limits.players (environment variable SLUICE_LIMITS__PLAYERS): expected a number")
    );
}

#[test]
fn a_text_that_is_no_address_time_or_choice_says_what_would_be() {
    let text = complaint("[rtmp]\nlisten = \"1935\"", &[], &[]);
    assert_eq!(
        text,
        "rtmp.listen (FILE, line 2): expected an address such as \":1935\", \"0.0.0.0:1935\" or \"[::1]:1935\""
    );
    let text = complaint("[limits]\ngrace = \"15\"", &[], &[]);
    assert!(text.starts_with("limits.grace (FILE, line 2): expected a time with its unit"));
    let text = complaint("[limits]\nmode = \"strikt\"", &[], &[]);
    assert_eq!(
        text,
        "limits.mode (FILE, line 2): expected one of strict, lenient, found \"strikt\" (did you mean \"strict\"?)"
    );
}

#[test]
fn a_required_key_that_is_absent_is_named_in_full() {
    assert_eq!(complaint("[[app]]\ntakeover = true", &[], &[]), "app.0.name is not set");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let text = complaint("[rtmp]\nlisten = \n", &[], &[]);
    assert!(text.starts_with("FILE, line 2: "), "{text}");
    let sources = Sources {
        file: Some("/nonexistent/relay.toml".into()),
        env: Vec::new(),
        prefix: "SLUICE",
        overrides: Vec::new(),
    };
    let text = load::<Program>(sources).unwrap_err().to_string();
    assert!(text.starts_with("cannot read /nonexistent/relay.toml: "), "{text}");
}

#[test]
fn a_secret_is_in_no_error_and_no_print() {
    let program = read("[rtmp]\nkey = \"hidden\"", &[], &[]).unwrap();
    assert!(format!("{program:?}").contains("key: Some(…)"));
    for (text, env) in [
        ("[limits]\npin = \"hidden\"", ("PATH", "")),
        ("", ("SLUICE_LIMITS__PIN", "hidden")),
        ("[rtmp]\nkey = \"hidden", ("PATH", "")),
    ] {
        let text = read(text, &[env], &[]).unwrap_err();
        assert!(!text.contains("hidden"), "{text}");
    }
}
