//! What a stream was asked to be, parsed once: inside, every value is already usable.

use super::targets::Targets;
use api::Problem;
use api::streams::{CallKind, StartStream};
use jiff::Timestamp;
use media::StreamUrl;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use url::Url;
use uuid::Uuid;

/// The longest call URL, in bytes.
const CALL_URL_BYTES_MAX: usize = 2048;
/// How many labels one stream may have.
const LABELS_MAX: usize = 16;
/// The longest label name, in bytes.
const LABEL_NAME_BYTES_MAX: usize = 64;
/// The longest label value, in bytes.
const LABEL_VALUE_BYTES_MAX: usize = 256;
/// The longest that a request may wait for a recorder, in seconds.
pub(crate) const WAIT_SECONDS_MAX: u32 = 300;
/// How far ahead a stream may be planned, in hours: 90 days.
const AHEAD_HOURS_MAX: i64 = 90 * 24;

/// Picture size, rate and bit rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// 960x540, 30 pictures per second.
    #[serde(rename = "540p30")]
    P540,
    /// 1280x720, 30 pictures per second.
    #[default]
    #[serde(rename = "720p30")]
    P720,
    /// 1920x1080, 30 pictures per second.
    #[serde(rename = "1080p30")]
    P1080,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P540, Self::P720, Self::P1080];

    /// Its name in requests and jobs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P540 => "540p30",
            Self::P720 => "720p30",
            Self::P1080 => "1080p30",
        }
    }
}

/// A call's URL: http or https, with a host. Secret, since it may carry the call's key: only [`CallUrl::host`] prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallUrl(Url);

impl CallUrl {
    /// The whole URL, for the recorder alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// The host, for people.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |why: &str| Err(Problem::field("call.url", why));
        if text.len() > CALL_URL_BYTES_MAX {
            return refused("a call's URL has at most 2048 bytes");
        }
        let Ok(url) = Url::parse(text) else {
            return refused("this is not a URL; give one such as https://meet.example/room");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refused("a call's URL begins with https:// or http://");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return refused("a call's URL needs a host");
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for CallUrl {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<CallUrl> for String {
    fn from(url: CallUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Debug for CallUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.host())
    }
}

/// A stream's orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its id; also the claim's instance.
    pub id: Uuid,
    /// Where it appears.
    pub name: StreamUrl,
    /// How the call is entered; never `auto`.
    pub kind: CallKind,
    /// The call; absent for kind `test` only.
    pub call: Option<CallUrl>,
    /// Size and bit rate.
    pub profile: Profile,
    /// When it starts, if not at once.
    pub starts_at: Option<Timestamp>,
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
    /// Where it is pushed to. Secret.
    #[serde(default, skip_serializing_if = "Targets::is_empty")]
    pub targets: Targets,
    /// Free words.
    pub labels: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Spec {
    /// Parses a request.
    ///
    /// # Errors
    /// A 422 [`Problem`] that names the field and how to mend it.
    pub fn parse(id: Uuid, wall: Timestamp, request: &StartStream) -> Result<Self, Problem> {
        let name = request.name.parse().map_err(|why| Problem::field("name", format!("{why}")))?;
        let kind = match request.call.kind {
            CallKind::Auto => CallKind::Web,
            kind @ (CallKind::Jitsi
            | CallKind::Janus
            | CallKind::ElementCall
            | CallKind::Bbb
            | CallKind::Galene
            | CallKind::Web
            | CallKind::Test) => kind,
        };
        let call = match (&request.call.url, kind) {
            (Some(url), _) => Some(CallUrl::parse(url)?),
            (None, CallKind::Test) => None,
            (None, _) => {
                return Err(Problem::field("call.url", format!("a call of kind {kind} needs a URL")));
            }
        };
        let profile = match &request.profile {
            None => Profile::default(),
            Some(asked) => {
                Profile::ALL.into_iter().find(|known| known.as_str() == asked).ok_or_else(|| {
                    Problem::field("profile", "there are the profiles 540p30, 720p30 and 1080p30")
                })?
            }
        };
        let targets = Targets::parse(&request.targets)?;
        if request.record {
            return Err(Problem::field("record", "recording is not available yet; leave it out"));
        }
        check_times(wall, request.starts_at, request.ends_at)?;
        check_labels(&request.labels)?;
        if request.wait_seconds.is_some_and(|seconds| seconds > WAIT_SECONDS_MAX) {
            let why = format!("a request waits at most {WAIT_SECONDS_MAX} seconds");
            return Err(Problem::field("wait_seconds", why));
        }
        Ok(Self {
            id,
            name,
            kind,
            call,
            profile,
            starts_at: request.starts_at.filter(|at| *at > wall),
            ends_at: request.ends_at,
            targets,
            labels: request.labels.clone(),
            created_at: wall,
        })
    }

    /// Whether another request asks for what this stream already is: same name, same call, same picture.
    #[must_use]
    pub fn is_same_call(&self, other: &Self) -> bool {
        let same_place = self.name == other.name && self.profile == other.profile;
        same_place && self.kind == other.kind && self.call == other.call
    }

    /// The claim holder's public label.
    #[must_use]
    pub fn label(&self) -> String {
        format!("stream {}", self.name)
    }
}

fn check_times(
    wall: Timestamp,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
) -> Result<(), Problem> {
    let hours_ahead = |at: Timestamp| at.duration_since(wall).as_hours();
    if starts_at.is_some_and(|at| hours_ahead(at) > AHEAD_HOURS_MAX) {
        return Err(Problem::field("starts_at", "a stream is planned at most 90 days ahead"));
    }
    let Some(ends_at) = ends_at else { return Ok(()) };
    if ends_at <= wall {
        return Err(Problem::field("ends_at", "this time is already over"));
    }
    if starts_at.is_some_and(|starts_at| ends_at <= starts_at) {
        return Err(Problem::field("ends_at", "a stream ends after it starts"));
    }
    Ok(())
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > LABELS_MAX {
        return Err(Problem::field("labels", format!("a stream has at most {LABELS_MAX} labels")));
    }
    for (name, value) in labels {
        if name.is_empty() || name.len() > LABEL_NAME_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            let why = format!(
                "a label's name has 1 to {LABEL_NAME_BYTES_MAX} bytes, its value at most {LABEL_VALUE_BYTES_MAX}"
            );
            return Err(Problem::field("labels", why));
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Err(Problem::field("labels", "labels have no control characters"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(change: serde_json::Value) -> Result<Spec, Problem> {
        let mut body =
            json!({ "call": { "url": "https://meet.example/room#secret" }, "name": "live/room-1" });
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        let request = serde_json::from_value(body).unwrap();
        Spec::parse(Uuid::nil(), "2026-01-01T12:00:00Z".parse().unwrap(), &request)
    }

    #[test]
    fn a_field_that_cannot_be_used_is_named() {
        for (change, field) in [
            (json!({ "name": "live" }), "name"),
            (json!({ "name": "live/../x" }), "name"),
            (json!({ "call": { "url": "ftp://x/y" } }), "call.url"),
            (json!({ "call": { "url": "file:///etc/passwd" } }), "call.url"),
            (json!({ "call": { "url": "nonsense" } }), "call.url"),
            (json!({ "call": { "url": format!("https://x/{}", "y".repeat(2100)) } }), "call.url"),
            (json!({ "call": { "kind": "web" } }), "call.url"),
            (json!({ "profile": "4k" }), "profile"),
            (json!({ "targets": ["rtmp://x/y/z", "http://x/y/z"] }), "targets[1]"),
            (json!({ "record": true }), "record"),
            (json!({ "ends_at": "2026-01-01T11:59:00Z" }), "ends_at"),
            (json!({ "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T13:00:00Z" }), "ends_at"),
            (json!({ "starts_at": "2027-01-02T00:00:00Z" }), "starts_at"),
            (json!({ "wait_seconds": 301 }), "wait_seconds"),
            (json!({ "labels": { "": "x" } }), "labels"),
            (json!({ "labels": { "a": "b\nc" } }), "labels"),
        ] {
            let problem = parse(change.clone()).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{change}");
        }
    }

    #[test]
    fn a_call_url_is_kept_whole_and_printed_by_its_host_alone() {
        let spec = parse(json!({})).unwrap();
        assert_eq!(spec.call.as_ref().unwrap().expose(), "https://meet.example/room#secret");
        assert_eq!(spec.kind, CallKind::Web);
        assert!(!format!("{spec:?}").contains("secret"), "{spec:?}");
    }

    #[test]
    fn a_start_in_the_past_is_a_start_now() {
        assert_eq!(parse(json!({ "starts_at": "2026-01-01T11:00:00Z" })).unwrap().starts_at, None);
        assert!(parse(json!({ "call": { "kind": "test" } })).unwrap().call.is_none());
    }
}
