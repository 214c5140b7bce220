//! One publisher or player, from the question about it to what is told of its end.

use super::endings::Endings;
use super::form::Subject;
use super::{Hooks, timeout_of};
use crate::config::App;
use crate::endpoint::Endpoint;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What somebody is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Publisher,
    Player,
}

/// Somebody's stay. Dropping it is its end, which hooks are told of.
pub struct Visit(Option<Stay>);

struct Stay {
    told: Arc<Told>,
    endings: Endings,
    over: CancellationToken,
    sent_away: CancellationToken,
}

/// What is told of an end, and whether it is to be told yet.
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) subject: Arc<Subject>,
    /// `on_publish_done` or `on_play_done`.
    pub(super) own_done: Option<Endpoint>,
    pub(super) done: Option<Endpoint>,
    pub(super) within: Duration,
    /// [`QUIET`], [`TOLD`] or [`SETTLED`].
    stage: AtomicU8,
}

/// No hook has heard of it, so that none is told of its end.
const QUIET: u8 = 0;
/// A hook may have heard of it.
const TOLD: u8 = 1;
/// Its end was told, or is not to be told.
const SETTLED: u8 = 2;

impl Told {
    /// Whether the caller is the one to tell of the end.
    pub(super) fn settle(&self) -> bool {
        self.stage.swap(SETTLED, Ordering::Relaxed) == TOLD
    }
}

impl Visit {
    /// One that no hook is about.
    #[must_use]
    pub const fn untold() -> Self {
        Self(None)
    }

    pub(super) fn new(kind: Kind, subject: Arc<Subject>, rule: &App, endings: Endings) -> Self {
        let own_done = match kind {
            Kind::Publisher => rule.on_publish_done.clone(),
            Kind::Player => rule.on_play_done.clone(),
        };
        let told = Told {
            kind,
            subject,
            own_done,
            done: rule.on_done.clone(),
            within: timeout_of(rule),
            stage: AtomicU8::new(QUIET),
        };
        let (over, sent_away) = (CancellationToken::new(), CancellationToken::new());
        Self(Some(Stay { told: Arc::new(told), endings, over, sent_away }))
    }

    /// Waits until `on_update` sends it away. Cancel-safe; it may be for ever.
    pub async fn ended_by_hook(&self) {
        match &self.0 {
            Some(stay) => stay.sent_away.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn told(&self) -> Option<&Arc<Told>> {
        self.0.as_ref().map(|stay| &stay.told)
    }

    /// It was let in.
    pub(super) fn welcome(&self, hooks: &Hooks, rule: &App) {
        if let (Some(stay), Some(endpoint)) = (&self.0, &rule.on_update) {
            hooks.keep_asking(&stay.told, &stay.over, &stay.sent_away, rule, endpoint);
        }
    }

    /// Hooks hear of it now, and will be told of its end. `false` if another has taken its place meanwhile.
    pub(super) fn announce(&self) -> bool {
        let Some(stay) = &self.0 else { return true };
        stay.told.stage.compare_exchange(QUIET, TOLD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Nothing is to be told of its end.
    pub(super) fn forget(&self) {
        if let Some(stay) = &self.0 {
            stay.told.settle();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(stay) = self.0.take() {
            stay.over.cancel();
            stay.endings.end(&stay.told);
        }
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Visit(told)" } else { "Visit(untold)" })
    }
}
