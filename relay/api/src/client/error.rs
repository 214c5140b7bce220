//! What can go wrong when asking a relay.

use crate::Problem;

/// Why an answer is missing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The relay says no; match on [`Problem::code`].
    #[error("{0}")]
    Problem(Box<Problem>),
    /// An answer that is not the relay's, such as a proxy's error page.
    #[error("the answer is HTTP {0} without an explanation; is this the relay's address?")]
    Status(u16),
    /// The address is not an `http` URL.
    #[error("the relay's address must be a URL such as http://127.0.0.1:8080")]
    Url,
    /// The token has characters that no token has.
    #[error("the token has characters that no token has, such as a space or a line break")]
    Token,
    /// No connection could be made.
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("the relay did not answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection to the relay broke: {0}")]
    Broken(String),
    /// The answer, or one event, is larger than any that is ours.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer is not what this version of the API says.
    #[error("the answer cannot be understood: {0}")]
    Answer(serde_json::Error),
}

impl ClientError {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status == 503 || problem.status == 429,
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::Unreachable(_) | Self::Timeout | Self::Broken(_) => true,
            Self::Url | Self::Token | Self::TooLarge | Self::Answer(_) => false,
        }
    }

    pub(super) fn from_transport(error: reqwest::Error) -> Self {
        // The URL is cut out: the caller knows it, and its path would only be noise.
        let error = error.without_url();
        let cause = innermost(&error).to_string();
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Unreachable(cause)
        } else {
            Self::Broken(cause)
        }
    }
}

fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
