//! What a hook's 3xx asks for.

use crate::streams::Target;

/// The longest Location that is looked at, in bytes.
const LOCATION_BYTES_MAX: usize = 2_048;

/// What is to be done besides letting somebody in. Secret: a target ends in its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// Push the stream there as well.
    Push(Target),
    /// Publish or play this stream of the application instead.
    Rename(String),
}

/// A Location that asks for nothing we can do, in words without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable(pub(super) String);

impl Redirect {
    /// From a Location: an RTMP URL, or a stream's name.
    pub(super) fn parse(location: &str) -> Result<Self, Unusable> {
        if location.len() > LOCATION_BYTES_MAX {
            return Err(Unusable(format!("its Location is longer than {LOCATION_BYTES_MAX} bytes")));
        }
        let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("rtmp" | "rtmps") => {
                let target = Target::parse(location);
                target.map(Self::Push).map_err(|why| Unusable(format!("its Location is no target: {why}")))
            }
            Some(_) => Err(Unusable("its Location is neither an RTMP URL nor a stream's name".into())),
            None => {
                // Frameworks like to make a path of it.
                let name = location.trim_start_matches('/');
                let is_name = !name.is_empty() && !name.contains(['/', '?', '#']);
                if is_name && format!("app/{name}").parse::<media::StreamUrl>().is_ok() {
                    Ok(Self::Rename(name.to_owned()))
                } else {
                    Err(Unusable("its Location is no stream's name".into()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_target_or_a_name() {
        assert!(matches!(Redirect::parse("rtmp://192.0.2.1/stream/k3y"), Ok(Redirect::Push(_))));
        assert!(matches!(Redirect::parse("RTMP://Host.example:2000/stream/k3y"), Ok(Redirect::Push(_))));
        for name in ["room-2", "/room-2"] {
            assert_eq!(Redirect::parse(name), Ok(Redirect::Rename("room-2".into())));
        }
    }

    #[test]
    fn another_location_is_not_repeated_in_the_words_about_it() {
        let long = format!("rtmp://h/a/{}", "k3y".repeat(1_000));
        for location in ["", "/", "a/k3y", "http://h/k3y", "rtmp://h/k3y", "..", "k3y?x", "k%3y", &long] {
            let Unusable(words) = Redirect::parse(location).unwrap_err();
            assert!(!words.contains("k3y"), "{words}");
        }
    }
}
