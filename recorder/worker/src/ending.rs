//! The end of a worker, as a value.

use ipc::EndReason;

/// Why a worker ends, and a short sentence about it without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) reason: EndReason,
    pub(crate) detail: String,
}

impl Ending {
    pub(crate) fn new(reason: EndReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(crate) fn cell_failed(detail: impl Into<String>) -> Self {
        Self::new(EndReason::CellFailed, detail)
    }

    pub(crate) fn join_failed(detail: impl Into<String>) -> Self {
        Self::new(EndReason::JoinFailed, detail)
    }

    pub(crate) fn bug(detail: impl Into<String>) -> Self {
        Self::new(EndReason::Bug, detail)
    }
}
