//! The recorder's configuration. `config/recorder.toml` shows every key with its default.

use crate::session::Limits;
use config::{ConfigError, Interval};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// How much of the machine's processors workers may take.
const CORES_SHARE: f64 = 0.8;
/// Cores that one stream at 1280x720 takes with everything that belongs to it, as measured.
const CORES_PER_STREAM: f64 = 0.65;
/// Memory that one stream takes with its browser, as measured (0.55 GB) and a little more, in KiB.
const MEMORY_PER_STREAM_KIB: u64 = 768 * 1024;
/// More streams than this on one machine are a typing error.
const SLOTS_MAX: u32 = 512;
/// The longest name of a recorder, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Everything that the recorder can be told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the relay is.
    pub relay: Relay,
    /// This recorder.
    pub recorder: Recorder,
    /// How long things may take.
    pub limits: TimeLimits,
}

/// Where the relay is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Relay {
    /// Its HTTP address.
    #[serde(deserialize_with = "address")]
    pub url: Url,
    /// A file with a token of scope `record`; none where the relay asks for none. It is read at each connection.
    pub token_file: Option<PathBuf>,
}

impl Default for Relay {
    fn default() -> Self {
        let url = Url::parse("http://127.0.0.1:8080").expect("the default address is a URL");
        Self { url, token_file: None }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text itself is left out: somebody may have put a password into it.
    Url::parse(&text).map_err(|_| D::Error::custom("expected an http URL such as \"http://relay:8080\""))
}

/// This recorder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Recorder {
    /// Its name, unique in the fleet; the machine's name if absent.
    pub name: Option<String>,
    /// How many streams it carries at most; see [`Recorder::slots`] if absent.
    pub slots: Option<u32>,
    /// Where the workers' folders are.
    pub work_dir: Option<PathBuf>,
    /// The worker's program; `sluice-worker` beside this program if absent.
    pub worker: Option<PathBuf>,
    /// Words for placing: pools, regions.
    pub labels: BTreeMap<String, String>,
    /// How many lines of each worker's log are kept per second.
    pub log_lines_per_second: u32,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            name: None,
            slots: None,
            work_dir: None,
            worker: None,
            labels: BTreeMap::new(),
            log_lines_per_second: 50,
        }
    }
}

/// How long things may take; see [`Limits`] for each.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TimeLimits {
    pub start: Interval,
    pub join: Interval,
    pub publish: Interval,
    pub silence: Interval,
    pub refused_for: Interval,
    pub join_attempts_max: u32,
    pub backoff_max: Interval,
    pub settled_after: Interval,
    pub stop_within: Interval,
}

impl Default for TimeLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            start: Interval::new(limits.start),
            join: Interval::new(limits.join),
            publish: Interval::new(limits.publish),
            silence: Interval::new(limits.silence),
            refused_for: Interval::new(limits.refused_for),
            join_attempts_max: limits.join_attempts_max,
            backoff_max: Interval::new(limits.backoff_max),
            settled_after: Interval::new(limits.settled_after),
            stop_within: Interval::new(limits.stop_within),
        }
    }
}

impl TimeLimits {
    /// The same as durations.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits {
            start: self.start.get(),
            join: self.join.get(),
            publish: self.publish.get(),
            silence: self.silence.get(),
            refused_for: self.refused_for.get(),
            join_attempts_max: self.join_attempts_max,
            backoff_max: self.backoff_max.get(),
            settled_after: self.settled_after.get(),
            stop_within: self.stop_within.get(),
        }
    }
}

impl Settings {
    /// Refuses what is of the right type and makes no sense.
    ///
    /// # Errors
    ///
    /// The first such value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.relay.url.scheme() != "http" || !self.relay.url.has_host() {
            return Err(ConfigError::refused(
                "relay.url",
                "expected an http URL such as \"http://relay:8080\"",
            ));
        }
        if !self.relay.url.username().is_empty() || self.relay.url.password().is_some() {
            return Err(ConfigError::refused(
                "relay.url",
                "a token belongs in relay.token_file, not in the URL",
            ));
        }
        let name = self.recorder.name();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(ConfigError::refused("recorder.name", "expected a name of 1 to 128 bytes"));
        }
        if !(1..=SLOTS_MAX).contains(&self.recorder.slots()) {
            return Err(ConfigError::refused(
                "recorder.slots",
                format!("expected a number from 1 to {SLOTS_MAX}"),
            ));
        }
        let limits = &self.limits;
        for (key, interval) in [
            ("limits.start", limits.start),
            ("limits.join", limits.join),
            ("limits.publish", limits.publish),
            ("limits.silence", limits.silence),
            ("limits.backoff_max", limits.backoff_max),
        ] {
            // Workers report about every two seconds; a shorter limit would kill healthy ones.
            if interval < Interval::from_seconds(3) {
                return Err(ConfigError::refused(key, "expected three seconds or more"));
            }
        }
        if limits.join_attempts_max == 0 {
            return Err(ConfigError::refused("limits.join_attempts_max", "expected a number from 1"));
        }
        Ok(())
    }
}

impl Recorder {
    /// The name.
    #[must_use]
    pub fn name(&self) -> String {
        let machine = || {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
            name.map_or_else(|_| "recorder".into(), |name| name.trim().to_owned())
        };
        self.name.clone().unwrap_or_else(machine)
    }

    /// How many streams at most. By default, what fits into 80 % of the processors (the rest is for the moments when all
    /// pages load at once) and into the memory, and never less than one.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
            slots_of_machine(cores, memory_kib(&memory, "MemTotal"))
        })
    }

    /// Where the workers' folders are: by default in the user's runtime folder, or in `/tmp` where there is none.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir.clone().unwrap_or_else(|| match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("sluice-recorder"),
            _ => {
                std::env::temp_dir().join(format!("sluice-recorder-{}", rustix::process::geteuid().as_raw()))
            }
        })
    }

    /// The worker's program.
    #[must_use]
    pub fn worker(&self) -> PathBuf {
        let beside = || {
            let ours = std::env::current_exe().unwrap_or_default();
            ours.with_file_name("sluice-worker")
        };
        self.worker.clone().unwrap_or_else(beside)
    }
}

fn slots_of_machine(cores: usize, memory_kib: Option<u64>) -> u32 {
    let by_cores = (cores as f64 * CORES_SHARE / CORES_PER_STREAM).floor() as u32;
    let by_memory =
        memory_kib.map_or(u32::MAX, |kib| u32::try_from(kib / MEMORY_PER_STREAM_KIB).unwrap_or(u32::MAX));
    by_cores.min(by_memory).clamp(1, SLOTS_MAX)
}

/// A figure of proc_meminfo(5), in KiB.
pub(crate) fn memory_kib(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Sources;

    fn load(text: &str) -> Result<Settings, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let file = Some(file.path().to_owned());
        config::load(Sources { file, env: Vec::new(), prefix: "SLUICE", overrides: Vec::new() })
    }

    #[test]
    fn the_shipped_file_says_the_defaults_and_its_commented_keys_exist() {
        let shipped = include_str!("../../config/recorder.toml");
        assert_eq!(load(shipped).unwrap(), Settings::default());
        let uncommented: String = shipped
            .lines()
            .map(|line| match line.strip_prefix("#") {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let settings = load(&uncommented).unwrap();
        settings.check().unwrap();
        assert!(settings.recorder.name.is_some() && settings.recorder.slots.is_some());
        assert!(settings.recorder.work_dir.is_some() && settings.recorder.worker.is_some());
        assert!(settings.relay.token_file.is_some() && !settings.recorder.labels.is_empty());
    }

    #[test]
    fn every_key_of_the_limits_is_in_the_shipped_file() {
        let shipped = include_str!("../../config/recorder.toml");
        // An unknown key is answered with all known ones.
        let Err(ConfigError::UnknownKey { known, .. }) = load("[limits]\nzzzzzzzz = 1") else {
            unreachable!("the key is unknown");
        };
        assert!(known.len() == 9);
        for key in known {
            assert!(shipped.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
    }

    #[test]
    fn values_without_sense_are_refused() {
        for (text, key) in [
            ("[relay]\nurl = \"rtmp://relay\"", "relay.url"),
            ("[relay]\nurl = \"http://user:pass@relay\"", "relay.url"),
            ("[recorder]\nslots = 0", "recorder.slots"),
            ("[recorder]\nname = \"\"", "recorder.name"),
            ("[limits]\nsilence = \"1s\"", "limits.silence"),
            ("[limits]\njoin_attempts_max = 0", "limits.join_attempts_max"),
        ] {
            let text = load(text).unwrap().check().unwrap_err().to_string();
            assert!(text.starts_with(key), "{text}");
        }
    }

    #[test]
    fn slots_follow_cores_and_memory() {
        let gib = |gib: u64| Some(gib << 20);
        assert_eq!(slots_of_machine(1, gib(4)), 1);
        assert_eq!(slots_of_machine(2, gib(24)), 2);
        assert_eq!(slots_of_machine(16, gib(64)), 19);
        assert_eq!(slots_of_machine(16, gib(4)), 5);
        assert_eq!(slots_of_machine(16, gib(0)), 1);
        assert_eq!(slots_of_machine(16, None), 19);
        assert_eq!(memory_kib("MemTotal:       24683948 kB\nMemFree: 1 kB\n", "MemTotal"), Some(24_683_948));
    }
}
