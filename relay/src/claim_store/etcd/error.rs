//! Why the store of a fleet cannot be used.

use crate::store::StoreError;
use etcd_client::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// Why the store of a fleet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// No member answers.
    #[error("no etcd member of store.etcd can be used: {0}")]
    Unreachable(String),
    /// The cluster does not let us in.
    #[error("etcd refuses this relay: check store.etcd_user and store.etcd_password, and its rights ({0})")]
    NotAllowed(String),
    /// Tokens might not go on rising.
    #[error(
        "the etcd cluster is not the one that this relay knew, or was set back in time; if that was meant, set \
         store.epoch to {next} on every relay"
    )]
    Replaced {
        /// The epoch after ours.
        next: u16,
    },
    /// Other relays are in a later epoch.
    #[error("store.epoch is {ours}, but the other relays are at {theirs}: set it to that")]
    OldEpoch {
        /// Ours.
        ours: u16,
        /// What the cluster says.
        theirs: u16,
    },
    /// Our own file fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EtcdError {
    /// Whether another try may fare better.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Store(_))
    }
}

impl From<Error> for EtcdError {
    fn from(error: Error) -> Self {
        match &error {
            // `google.rpc.Code`: PERMISSION_DENIED, UNAUTHENTICATED; etcd answers a wrong password with INVALID_ARGUMENT.
            Error::GRpcStatus(status) if [3, 7, 16].contains(&i32::from(status.code())) => {
                Self::NotAllowed(status.message().to_owned())
            }
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// What went wrong last, for whoever waits for the first session.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<Mutex<Option<EtcdError>>>);

impl Fault {
    pub(super) fn take(&self) -> EtcdError {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.unwrap_or_else(|| EtcdError::Unreachable("no answer in time".into()))
    }

    pub(super) fn set(&self, error: EtcdError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}
