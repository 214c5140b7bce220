//! What can go wrong between us and the browser.

use std::io;
use std::time::Duration;

/// A call that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CdpError {
    /// The browser has gone, or has closed its pipe.
    #[error("the browser has gone")]
    Closed,
    /// No answer within the call's deadline.
    #[error("{method} was not answered within {deadline:?}")]
    Timeout {
        /// The protocol's method.
        method: &'static str,
        /// How long we waited.
        deadline: Duration,
    },
    /// Too many calls wait for an answer already.
    #[error("too many calls are waiting for the browser")]
    Busy,
    /// The browser answered with an error.
    #[error("{method} was refused: {message}")]
    Refused {
        /// The protocol's method.
        method: &'static str,
        /// The browser's words.
        message: String,
    },
    /// The browser's answer lacks what the protocol promises.
    #[error("the answer to {method} lacks {what}")]
    Malformed {
        /// The protocol's method.
        method: &'static str,
        /// The missing field.
        what: &'static str,
    },
}

/// A browser that did not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Its program could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// The program's name or path.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It started, but did not answer.
    #[error("the browser did not come up: {why}; its last words: {stderr}")]
    NotReady {
        /// What became of the first call.
        why: CdpError,
        /// The end of its standard error, at most a few KiB. No page was open yet, so it names none.
        stderr: String,
    },
}

/// A page that did not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NavigateError {
    /// Name not found, connection refused, certificate refused and the like.
    #[error("the page does not load: {error}")]
    Load {
        /// Chromium's name for it, such as `net::ERR_CONNECTION_REFUSED`. Contains no URL.
        error: String,
    },
    /// The browser did not answer.
    #[error(transparent)]
    Cdp(#[from] CdpError),
}

/// An expression without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// It threw, or its promise was rejected.
    #[error("the page threw: {text}")]
    Thrown {
        /// The exception's description, cut to a bounded length. From the page: may contain anything.
        text: String,
    },
    /// The browser did not answer.
    #[error(transparent)]
    Cdp(#[from] CdpError),
}
