//! Where every publication of an application is pushed: a target's URL with the publication's name in it.

use crate::streams::Target;
use ::config::Secret;
use media::StreamUrl;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::fmt;

/// Whatever a publisher calls itself stays inside the place that it is put into (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One target of an application. Secret like a [`Target`]: what prints is its front.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Secret<String>")]
pub struct PushTemplate {
    text: String,
    /// For a publication of some name; it shows that the text can be used at all.
    sample: Target,
}

impl PushTemplate {
    /// The target of one publication.
    ///
    /// # Errors
    /// Why there is none, for people; such as a name that is too long to be put in.
    pub fn target(&self, url: &StreamUrl) -> Result<Target, String> {
        fill(&self.text, url.app(), url.name())
    }
}

fn fill(text: &str, app: &str, name: &str) -> Result<Target, String> {
    let mut filled = String::with_capacity(text.len() + app.len() + name.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, after) = after.split_once('}').ok_or("a { without its }")?;
        let value = match variable {
            "app" => app,
            "name" => name,
            _ => return Err("there are the variables {app} and {name}".into()),
        };
        filled.push_str(before);
        // An application may have several segments.
        let segments: Vec<_> =
            value.split('/').map(|part| utf8_percent_encode(part, ESCAPED).to_string()).collect();
        filled.push_str(&segments.join("/"));
        rest = after;
    }
    filled.push_str(rest);
    Target::parse(&filled)
}

impl TryFrom<Secret<String>> for PushTemplate {
    type Error = String;

    fn try_from(text: Secret<String>) -> Result<Self, String> {
        let sample = fill(text.expose(), "app", "name")?;
        Ok(Self { text: text.expose().to_owned(), sample })
    }
}

impl fmt::Debug for PushTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sample.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<PushTemplate, String> {
        Secret::new(text.to_owned()).try_into()
    }

    #[test]
    fn a_publisher_s_name_stays_inside_its_place() {
        let template = template("rtmp://a.example/{app}/{name}?auth=k3y").unwrap();
        let target = |name: &str| String::from(template.target(&name.parse().unwrap()).unwrap());
        assert_eq!(target("live/room-1"), "rtmp://a.example:1935/live/room-1?auth=k3y");
        assert_eq!(target("live/x%3Fauth=y"), "rtmp://a.example:1935/live/x%3Fauth%3Dy?auth=k3y");
        assert_eq!(target("a/b/{app}"), "rtmp://a.example:1935/a/b/%7Bapp%7D?auth=k3y");
        assert!(!format!("{template:?}").contains("k3y"), "{template:?}");
    }

    #[test]
    fn a_target_that_cannot_be_used_is_refused_without_its_key() {
        for text in ["http://a/b/k3y", "rtmp://a/k3y", "rtmp://a/b/{k3y}", "rtmp://a/b/k3y{name"] {
            let why = template(text).unwrap_err();
            assert!(!why.contains("k3y"), "{why}");
        }
    }
}
