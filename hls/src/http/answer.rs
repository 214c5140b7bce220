//! Answers and their headers.

use crate::snapshot::Body;
use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::convert::Infallible;

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
const MEDIA_TYPE: &str = "video/mp4";
/// A media URL never names other bytes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// How long a preflight answer holds, in seconds.
const PREFLIGHT_SECONDS: &str = "86400";
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request gets no media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such stream, or no such thing in it.
    NotFound,
    /// `_HLS_msn` or `_HLS_part` is malformed.
    BadDirectives,
    /// They name something too far in the future.
    TooFarAhead,
    /// It did not come within the time that a request is held.
    NotInTime,
    /// Too many wait.
    TooMany,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, cache, text) = match self {
            // Short, so that a cache does not keep a stream's viewers out that come a moment early.
            Self::NotFound => (StatusCode::NOT_FOUND, "max-age=1", "not found\n"),
            Self::BadDirectives => (
                StatusCode::BAD_REQUEST,
                "no-store",
                "_HLS_msn and _HLS_part are numbers, a part needs its segment\n",
            ),
            Self::TooFarAhead => (StatusCode::BAD_REQUEST, "no-store", "too far ahead\n"),
            Self::NotInTime => (StatusCode::SERVICE_UNAVAILABLE, "no-store", "it did not come in time\n"),
            Self::TooMany => (StatusCode::SERVICE_UNAVAILABLE, "no-store", "too many requests wait\n"),
        };
        let mut response = (status, [(header::CACHE_CONTROL, cache)], text).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

/// A playlist on its way out.
pub(super) struct Playlist<'a> {
    pub(super) body: &'a Body,
    pub(super) max_age_seconds: u32,
}

impl Playlist<'_> {
    pub(super) fn answer(self, request: &HeaderMap) -> Response {
        let cache = format!("public, max-age={}", self.max_age_seconds);
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(PLAYLIST_TYPE)),
            (header::VARY, HeaderValue::from_static("Accept-Encoding")),
            (
                header::CACHE_CONTROL,
                HeaderValue::try_from(cache).unwrap_or(HeaderValue::from_static("no-store")),
            ),
        ];
        if accepts_gzip(request) {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (headers, encoding, self.body.gzip()).into_response()
        } else {
            (headers, self.body.plain()).into_response()
        }
    }
}

/// Whether `Accept-Encoding` names gzip, or anything, without a weight of zero (RFC 9110 §12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let offers = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut by_name = None;
    let mut by_star = None;
    for offer in offers.flat_map(|value| value.split(',')) {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight =
            weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).unwrap_or(1.0);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => by_name = Some(weight > 0.0),
            "*" => by_star = Some(weight > 0.0),
            _ => {}
        }
    }
    by_name.or(by_star).unwrap_or(false)
}

/// A media file.
pub(super) fn media(bytes: Bytes) -> Response {
    (media_headers(), bytes).into_response()
}

/// A media file that is kept in parts: sent one after the other, not joined.
pub(super) fn media_of_parts(parts: Vec<Bytes>) -> Response {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let body = HttpBody::from_stream(tokio_stream::iter(parts.into_iter().map(Ok::<_, Infallible>)));
    (media_headers(), [(header::CONTENT_LENGTH, HeaderValue::from(length))], body).into_response()
}

fn media_headers() -> [(HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER)),
    ]
}

/// The answer to a browser that asks before it asks.
pub(super) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Range"),
        (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Lets any page read an answer, also that something is missing. Without credentials, so that caches keep one copy.
pub(super) async fn open_to_all_pages(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        // hls.js reads Age to find the live edge behind a cache.
        HeaderValue::from_static("Age, Date, Content-Length, Content-Range"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (offer, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.5", true),
            ("gzip;q=0, *", false),
            ("*", true),
            ("identity", false),
            ("GZIP", true),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(offer));
            assert_eq!(accepts_gzip(&headers), expected, "{offer}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
