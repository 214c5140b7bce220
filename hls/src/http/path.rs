//! What a request's path names.

use media::StreamUrl;

/// Something that can be fetched of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `index.m3u8`
    Multivariant,
    /// `media.m3u8`
    Playlist,
    /// `{token}/…`
    Media { token: u64, media: Media },
}

/// A media file, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `init-{n}.mp4`
    Init(u64),
    /// `p{n}.m4s`
    Part(u64),
    /// `s{msn}.m4s`
    Segment(u64),
}

/// Reads a path as it was sent, below where the router is nested.
pub(super) fn parse(path: &str) -> Option<(StreamUrl, Resource)> {
    let (rest, file) = path.trim_start_matches('/').rsplit_once('/')?;
    let (stream, resource) = match file {
        "index.m3u8" => (rest, Resource::Multivariant),
        "media.m3u8" => (rest, Resource::Playlist),
        _ => {
            let (stream, token) = rest.rsplit_once('/')?;
            (stream, Resource::Media { token: number(token)?, media: media(file)? })
        }
    };
    Some((stream.parse().ok()?, resource))
}

fn media(file: &str) -> Option<Media> {
    if let Some(init) = file.strip_prefix("init-") {
        return number(init.strip_suffix(".mp4")?).map(Media::Init);
    }
    let name = file.strip_suffix(".m4s")?;
    match name.split_at_checked(1)? {
        ("p", digits) => number(digits).map(Media::Part),
        ("s", digits) => number(digits).map(Media::Segment),
        _ => None,
    }
}

/// A number in its one spelling: `07` and `+7` would be other addresses of the same bytes.
pub(super) fn number(digits: &str) -> Option<u64> {
    let is_plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let stream: StreamUrl = "live/room 1".parse().unwrap();
        for (path, resource) in [
            ("/live/room%201/index.m3u8", Resource::Multivariant),
            ("live/room%201/media.m3u8", Resource::Playlist),
            ("/live/room%201/7/init-0.mp4", Resource::Media { token: 7, media: Media::Init(0) }),
            ("/live/room%201/7/p12.m4s", Resource::Media { token: 7, media: Media::Part(12) }),
            ("/live/room%201/7/s12.m4s", Resource::Media { token: 7, media: Media::Segment(12) }),
        ] {
            assert_eq!(parse(path), Some((stream.clone(), resource)), "{path}");
        }
        for path in [
            "",
            "/",
            "/index.m3u8",
            "/live/index.m3u8",
            "/live/a/x/p1.m4s",
            "/live/a/7/p01.m4s",
            "/live/a/7/p+1.m4s",
            "/live/a/7/é.m4s",
            "/live/a/7/.m4s",
            "/live/a/7/p99999999999999999999.m4s",
            "/live/../index.m3u8",
            "/live/%2e%2e/index.m3u8",
            "/live/a/other.txt",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
