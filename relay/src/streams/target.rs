//! A stream's targets, as given at its start. Secret: a target's URL ends in its key, and only its front prints.

use api::Problem;
use media::{RtmpScheme, TargetUrl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many targets one stream may have.
const TARGETS_MAX: usize = 8;
/// The longest target URL, in bytes.
const BYTES_MAX: usize = 2048;

/// One outgoing RTMP URL. Serialized whole, for the store alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(TargetUrl);

impl Target {
    /// Parses all targets of a request.
    ///
    /// # Errors
    /// A 422 [`Problem`] that names the first one that cannot be used, as `targets[0]`; it repeats no key.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, Problem> {
        if texts.len() > TARGETS_MAX {
            return Err(Problem::field("targets", format!("a stream has at most {TARGETS_MAX} targets")));
        }
        let mut targets: Vec<Self> = Vec::new();
        let mut seen = BTreeMap::new();
        for (at, text) in texts.iter().enumerate() {
            let refused = |why: String| Problem::field(&format!("targets[{at}]"), why);
            let target = Self::parse(text).map_err(&refused)?;
            if let Some(before) = seen.insert(target.0.key().clone(), at) {
                return Err(refused(format!("this is the same target as targets[{before}]")));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("a target's URL has at most {BYTES_MAX} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err("a target's URL has no control characters".into());
        }
        let url: TargetUrl = text.parse().map_err(|why| format!("{why}"))?;
        match url.scheme() {
            RtmpScheme::Rtmp => Ok(Self(url)),
            RtmpScheme::Rtmps => Err("rtmps targets are not available yet".into()),
        }
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

    fn parse(texts: &[&str]) -> Result<Vec<Target>, Problem> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Target::parse_all(&texts)
    }

    #[test]
    fn a_target_that_cannot_be_used_is_named_by_its_place_and_its_key_is_not_repeated() {
        let good = "rtmp://a.example/live/s3cret";
        let long = format!("rtmp://a.example/live/s3cret?{}", "x".repeat(2048));
        for (texts, field) in [
            (vec!["http://a.example/live/s3cret"], "targets[0]"),
            (vec![good, "rtmp://a.example/s3cret"], "targets[1]"),
            (vec![good, "RTMP://A.example:1935/live//s3cret?x"], "targets[1]"),
            (vec!["rtmps://a.example/live/s3cret"], "targets[0]"),
            (vec!["rtmp://a.example/live/s3cret?\n"], "targets[0]"),
            (vec![&long], "targets[0]"),
            (vec![good; 9], "targets"),
        ] {
            let problem = parse(&texts).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{texts:?}");
            assert!(!problem.detail.contains("s3cret"), "{}", problem.detail);
        }
        let rtmps = parse(&["rtmps://a.example/live/s3cret"]).unwrap_err();
        assert_eq!(rtmps.detail, "rtmps targets are not available yet");
    }

    #[test]
    fn a_target_is_stored_whole_and_printed_without_its_key() {
        for text in ["rtmp://[::1]:2000/a/b/s3cret?k=v/w&x=s3cret2", "rtmp://host:1935/app/s3cret"] {
            let targets = parse(&[text]).unwrap();
            let stored = serde_json::to_string(&targets).unwrap();
            assert_eq!(stored, format!("[\"{text}\"]"));
            assert_eq!(serde_json::from_str::<Vec<Target>>(&stored).unwrap(), targets);
            assert!(!format!("{targets:?}").contains("s3cret"), "{targets:?}");
        }
    }
}
