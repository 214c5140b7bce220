//! Errors as RFC 9457 problem details with a stable code.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The stable names of what can go wrong. Programs match on these, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// 400: the request is not JSON, or not HTTP as we read it.
    Malformed,
    /// 401: no token, or one that is unknown.
    Unauthenticated,
    /// 403: the token lacks the scope.
    Forbidden,
    /// 404: no such path, stream, claim or recorder.
    NotFound,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 409: another holder has the claim.
    ClaimHeld,
    /// 409: the expected fencing token is not the newest.
    StaleToken,
    /// 409: the idempotency key was used with another request.
    IdempotencyMismatch,
    /// 409: the stream is ending or has ended.
    StreamEnded,
    /// 413: the body is larger than allowed.
    TooLarge,
    /// 422: a field has a value that cannot be used; `field` names it.
    InvalidField,
    /// 429 or 503: too many at once.
    Busy,
    /// 503: no recorder has a spare place.
    NoSpareRecorder,
    /// 503: the store cannot be written.
    StoreUnavailable,
    /// 503: the relay is draining.
    Draining,
    /// 500: a bug.
    Internal,
}

impl ProblemCode {
    /// The HTTP status it is sent with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::ClaimHeld | Self::StaleToken | Self::IdempotencyMismatch | Self::StreamEnded => 409,
            Self::TooLarge => 413,
            Self::InvalidField => 422,
            Self::Internal => 500,
            Self::Busy | Self::NoSpareRecorder | Self::StoreUnavailable | Self::Draining => 503,
        }
    }
}

/// One problem, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference that names the kind of problem; `/api/docs#` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// One short sentence, the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable name.
    pub code: ProblemCode,
    /// What happened this time and how to mend it.
    pub detail: String,
    /// The field at fault, as a path such as `call.url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Who holds what is asked for, where that is the problem. Never an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<HolderView>>,
    /// When to try again, in seconds; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// Who holds a claim, as far as others may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderView {
    /// The holder's public label.
    pub label: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl Problem {
    /// A problem of a kind with what happened this time.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let title = match code {
            ProblemCode::Malformed => "the request could not be read",
            ProblemCode::Unauthenticated => "a valid token is needed",
            ProblemCode::Forbidden => "the token does not allow this",
            ProblemCode::NotFound => "there is nothing here",
            ProblemCode::MethodNotAllowed => "this path does not take this method",
            ProblemCode::ClaimHeld => "another holder has this stream URL",
            ProblemCode::StaleToken => "the claim has changed hands meanwhile",
            ProblemCode::IdempotencyMismatch => "this idempotency key belongs to another request",
            ProblemCode::StreamEnded => "the stream has ended",
            ProblemCode::TooLarge => "the body is too large",
            ProblemCode::InvalidField => "a field has a value that cannot be used",
            ProblemCode::Busy => "too much is going on",
            ProblemCode::NoSpareRecorder => "no recorder has a spare place",
            ProblemCode::StoreUnavailable => "the store cannot be written",
            ProblemCode::Draining => "this relay is draining",
            ProblemCode::Internal => "a bug in the relay",
        };
        let name = serde_json::to_value(code).ok().and_then(|name| name.as_str().map(str::to_owned));
        Self {
            kind: format!("/api/docs#{}", name.unwrap_or_default()),
            title: title.into(),
            status: code.status(),
            code,
            detail: detail.into(),
            field: None,
            holder: None,
            retry_after_seconds: None,
        }
    }

    /// A field that cannot be used, with the fix.
    #[must_use]
    pub fn field(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ProblemCode::InvalidField, detail) }
    }

    /// The same, to be tried again after some seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{} ({field}): {}", self.title, self.detail),
            None => write!(f, "{}: {}", self.title, self.detail),
        }
    }
}

impl std::error::Error for Problem {}
