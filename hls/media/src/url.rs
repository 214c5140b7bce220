//! Where a stream is published: one canonical form each, so that equality is what a claim locks.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::str::FromStr;

/// The longest canonical path, in bytes.
pub(crate) const PATH_BYTES_MAX: usize = 512;

/// What must be escaped inside one path segment of a URL (RFC 3986 §3.3, and a little more for safety in HTML).
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'/')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b'[')
    .add(b']')
    .add(b'&')
    .add(b'\'');

/// Why a stream's name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamUrlError {
    /// Fewer than two path segments are left.
    #[error("a stream is named app/name, such as live/room-1")]
    TooShort,
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("a stream's name has at most {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A `%` without two hex digits, or bytes that are not UTF-8.
    #[error("a percent escape in the stream's name is malformed")]
    BadEscape,
    /// A control character, `.` or `..`.
    #[error("a stream's name has no control characters and no . or .. segments")]
    Forbidden,
}

/// The canonical address of one stream at this relay: `app/name`, decoded, case-sensitive, without host or query.
///
/// Clients split one URL differently between application and name, add slashes, escapes and queries; all of them
/// arrive at one value here, and its equality is what an ingest claim locks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamUrl(Box<str>);

impl StreamUrl {
    /// From what an RTMP client sent as application and as stream name.
    ///
    /// # Errors
    /// [`StreamUrlError`] names what is wrong with it.
    pub fn from_rtmp(app: &str, name: &str) -> Result<Self, StreamUrlError> {
        let mut path = String::new();
        for raw in [app, name].into_iter().flat_map(|part| without_query(part).split('/')) {
            if raw.is_empty() {
                continue;
            }
            let segment = decode(raw)?;
            let forbidden =
                segment.is_empty() || segment == "." || segment == ".." || segment.contains(['/', '\\']);
            if forbidden || segment.chars().any(char::is_control) {
                return Err(StreamUrlError::Forbidden);
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&segment);
            if path.len() > PATH_BYTES_MAX {
                return Err(StreamUrlError::TooLong);
            }
        }
        if !path.contains('/') {
            return Err(StreamUrlError::TooShort);
        }
        Ok(Self(path.into()))
    }

    /// The canonical path, such as `live/room-1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All but the last segment: the application whose rules apply.
    #[must_use]
    pub fn app(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(app, _)| app)
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The path with each segment escaped for use in a URL.
    #[must_use]
    pub fn to_url_path(&self) -> String {
        let escaped: Vec<_> =
            self.0.split('/').map(|part| utf8_percent_encode(part, ESCAPED).to_string()).collect();
        escaped.join("/")
    }
}

impl FromStr for StreamUrl {
    type Err = StreamUrlError;
    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::from_rtmp(path, "")
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamUrl({})", self.0)
    }
}

impl serde::Serialize for StreamUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for StreamUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn without_query(part: &str) -> &str {
    part.split_once('?').map_or(part, |(path, _)| path)
}

/// Percent-decodes once. `percent_encoding` passes a bad escape through; we refuse it, since two spellings of one
/// name must never be two claims.
fn decode(segment: &str) -> Result<String, StreamUrlError> {
    let bytes = segment.as_bytes();
    let escapes_are_whole = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole {
        return Err(StreamUrlError::BadEscape);
    }
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| StreamUrlError::BadEscape)?;
    Ok(decoded.into_owned())
}

/// Why an outgoing RTMP URL is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetUrlError {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("an RTMP URL begins with rtmp:// or rtmps://")]
    Scheme,
    /// No host, or a port that is not a number from 1 to 65535.
    #[error("an RTMP URL needs a host, and a port from 1 to 65535 if one is given")]
    Authority,
    /// No application or no stream name.
    #[error("an RTMP URL ends in app/name: {0}")]
    Path(StreamUrlError),
}

/// Whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RtmpScheme {
    /// Plain TCP, port 1935.
    Rtmp,
    /// TLS, port 443.
    Rtmps,
}

/// An RTMP URL that we connect to, with everything that was written in it.
///
/// Its last segment and its query are secret: `Display` and `Debug` print `…` for both.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl {
    scheme: RtmpScheme,
    host: Box<str>,
    port: u16,
    app: Box<str>,
    name: Box<str>,
    key: TargetKey,
}

/// What a target claim locks: `host:port/app/name`, host in lower case, port filled in, no scheme and no query.
///
/// Secret, since it contains the stream key: `Display` and `Debug` print `…` for its last segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey(Box<str>);

impl TargetKey {
    /// The key with its secret, for comparing and storing; never for printing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = self.0.rsplit_once('/').map_or("", |(public, _)| public);
        write!(f, "{public}/…")
    }
}

impl fmt::Debug for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetKey({self})")
    }
}

impl TargetUrl {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn scheme(&self) -> RtmpScheme {
        self.scheme
    }

    /// The host, in lower case; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, filled in if it was not written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The application as sent in `connect`.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The stream name with its query, as sent in `publish`. Secret.
    #[must_use]
    pub fn expose_name(&self) -> &str {
        &self.name
    }

    /// What `connect` states as `tcUrl`: everything before the stream name.
    #[must_use]
    pub fn tc_url(&self) -> String {
        let scheme = match self.scheme {
            RtmpScheme::Rtmp => "rtmp",
            RtmpScheme::Rtmps => "rtmps",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        format!("{scheme}://{host}:{}/{}", self.port, self.app)
    }

    /// What a claim on this target locks.
    #[must_use]
    pub fn key(&self) -> &TargetKey {
        &self.key
    }
}

impl FromStr for TargetUrl {
    type Err = TargetUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(TargetUrlError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => RtmpScheme::Rtmp,
            "rtmps" => RtmpScheme::Rtmps,
            _ => return Err(TargetUrlError::Scheme),
        };
        let default_port = match scheme {
            RtmpScheme::Rtmp => 1935,
            RtmpScheme::Rtmps => 443,
        };
        let (authority, path) = rest.split_once('/').ok_or(TargetUrlError::Path(StreamUrlError::TooShort))?;
        let (host, port) = split_authority(authority, default_port)?;
        // The name is what follows the last slash before the query; a query may itself contain slashes.
        let (bare, query) = path.split_once('?').map_or((path, None), |(bare, query)| (bare, Some(query)));
        let canonical = bare.parse::<StreamUrl>().map_err(TargetUrlError::Path)?;
        let (app, name) = bare
            .trim_end_matches('/')
            .rsplit_once('/')
            .ok_or(TargetUrlError::Path(StreamUrlError::TooShort))?;
        let app = app.trim_matches('/');
        let name = query.map_or_else(|| name.to_owned(), |query| format!("{name}?{query}"));
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let key = TargetKey(format!("{shown}:{port}/{canonical}").into());
        Ok(Self { scheme, host: host.into(), port, app: app.into(), name: name.into(), key })
    }
}

fn split_authority(authority: &str, default_port: u16) -> Result<(String, u16), TargetUrlError> {
    let bad = TargetUrlError::Authority;
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(bad.clone())?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad);
        }
        (host, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or(bad.clone())?)
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | '/' | '\\');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() || host.len() > 253 || host.contains(odd) {
        return Err(bad);
    }
    let port = match port {
        "" => default_port,
        digits => digits.parse().ok().filter(|port| *port != 0).ok_or(bad)?,
    };
    Ok((host, port))
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.tc_url())
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_stream_is_one_key() {
        let one = StreamUrl::from_rtmp("live", "room 1").unwrap();
        for (app, name) in [
            ("live", "room%201"),
            ("/live/", "/room 1/"),
            ("live/room 1", ""),
            ("live?token=x/y", "room%201?grant=abc/def"),
            ("", "live//room%201"),
        ] {
            assert_eq!(StreamUrl::from_rtmp(app, name).unwrap(), one, "{app} + {name}");
        }
        assert_ne!(StreamUrl::from_rtmp("live", "Room 1").unwrap(), one);
        assert_eq!(one.to_url_path(), "live/room%201");
        assert_eq!((one.app(), one.name()), ("live", "room 1"));
    }

    #[test]
    fn a_malformed_name_is_refused_with_its_reason() {
        use StreamUrlError::{BadEscape, Forbidden, TooLong, TooShort};
        for (app, name, why) in [
            ("live", "", TooShort),
            ("live", "a%2", BadEscape),
            ("live", "a%zz", BadEscape),
            ("live", "%ff", BadEscape),
            ("live", "..", Forbidden),
            ("live", "%2e%2e", Forbidden),
            ("live", "a%2fb", Forbidden),
            ("live", "a%00b", Forbidden),
            ("live", "a\nb", Forbidden),
        ] {
            assert_eq!(StreamUrl::from_rtmp(app, name), Err(why), "{app} + {name}");
        }
        assert_eq!(StreamUrl::from_rtmp("live", &"x".repeat(600)), Err(TooLong));
    }

    #[test]
    fn two_spellings_of_one_target_are_one_key_and_print_no_secret() {
        let a: TargetUrl = "rtmp://A.Example./app/s3cret".parse().unwrap();
        let b: TargetUrl = "rtmp://a.example:1935/app//s3cret?x=1".parse().unwrap();
        assert_eq!(a.key(), b.key());
        assert_eq!(b.expose_name(), "s3cret?x=1");
        let text = format!("{a} {a:?} {b} {b:?} {:?} {}", a.key(), a.key());
        assert!(!text.contains("s3cret"), "{text}");
        let tls: TargetUrl = "rtmps://[::1]/live2/k".parse().unwrap();
        assert_eq!((tls.host(), tls.port(), tls.app()), ("::1", 443, "live2"));
        assert_eq!(tls.tc_url(), "rtmps://[::1]:443/live2");
    }

    #[test]
    fn a_bad_target_is_refused() {
        for text in
            ["", "http://a/b/c", "rtmp://", "rtmp:///a/b", "rtmp://h:0/a/b", "rtmp://h:x/a/b", "rtmp://h/a"]
        {
            assert!(text.parse::<TargetUrl>().is_err(), "{text}");
        }
    }
}
