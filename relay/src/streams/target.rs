//! One target of a stream. Secret: a target's URL ends in its key, and only its front prints.

use media::TargetUrl;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest target URL, in bytes.
const BYTES_MAX: usize = 2048;

/// One outgoing RTMP URL. Serialized whole, for the store alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(TargetUrl);

impl Target {
    /// Parses one.
    ///
    /// # Errors
    /// Why it cannot be used, for people; its key is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("a target's URL has at most {BYTES_MAX} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err("a target's URL has no control characters".into());
        }
        text.parse().map(Self).map_err(|why| format!("{why}"))
    }

    /// Where to push.
    #[must_use]
    pub const fn url(&self) -> &TargetUrl {
        &self.0
    }
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        format!("{}/{}", target.0.tc_url(), target.0.expose_name())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_with_a_scheme_that_cannot_be_pushed_to_is_refused() {
        for text in ["http://a.example/live/s3cret", "srt://a.example/live/s3cret"] {
            let why = Target::parse(text).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn a_target_is_stored_whole_and_printed_without_its_key() {
        for text in ["rtmp://[::1]:2000/a/b/s3cret?k=v/w&x=s3cret2", "rtmps://host:1936/app/s3cret"] {
            let target = Target::parse(text).unwrap();
            let stored = serde_json::to_string(&target).unwrap();
            assert_eq!(stored, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Target>(&stored).unwrap(), target);
            assert!(!format!("{target:?}").contains("s3cret"), "{target:?}");
        }
    }
}
