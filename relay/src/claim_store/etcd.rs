//! Claims in an etcd cluster, shared by several relays.
//!
//! The rules are the [`Ledger`]'s; here is what carries its changes to etcd and etcd's news to it. A task ([`link`])
//! keeps one session to one member: lease, heartbeat, watch; when any of them falls silent it goes on to the next
//! member. While there is no session nothing new is granted, at once and not after a timeout; what runs goes on.
//!
//! Under the prefix (`sluice/`), JSON values: `claims/{kind}/{key}` under the relay's lease, `fences/{kind}/{key}` under
//! a second lease that lives longer, `blocks/{kind}/{key}` under leases of their own length, `asks/{kind}/{key}` under
//! the relay's lease, `relays/{id}` the heartbeat, `epoch`. A claim's fencing token is the mod revision of its grant.

mod cell;
mod change;
mod error;
mod life;
mod link;
mod place;
#[cfg(test)]
pub(crate) mod test_member;

pub use error::EtcdError;
pub use place::Place;

use super::{ClaimStore, Wish, Word};
use crate::clock;
use crate::grant::GrantKey;
use crate::store::Store;
use change::Session;
use claims::fleet::{Ledger, News, Op, OpId, Opening, Outcome, Restored, Terms};
use claims::{FencingToken, Version};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use life::Life;
use link::Link;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use uuid::Uuid;

/// The life of a relay's lease: a relay that is out of reach for so long has lost its claims.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// How long the relay waits for a cluster at its start.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How many changes are under way; further ones wait, at most one of each key.
const UNDER_WAY_MAX: usize = 64;
/// How many batches of news may wait for the desk; then the watch waits.
const NEWS_MAX: usize = 64;
/// How often what did not get through is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The shared store, as the desk sees it.
pub struct EtcdStore {
    ledger: Ledger,
    session: Option<Session>,
    waiting: VecDeque<(OpId, Op)>,
    under_way: FuturesUnordered<BoxFuture<'static, (OpId, Outcome)>>,
    news: mpsc::Receiver<LinkNews>,
    life: Arc<Life>,
    retry: Interval,
    /// Ends with the store.
    _link: AbortOnDropHandle<()>,
}

/// What the link tells.
enum LinkNews {
    /// There is a session.
    Up(Box<Arrival>),
    /// Changes, in order, up to a version; and if a heartbeat was among them, when it was sent.
    News(Vec<News>, Version, Option<Instant>),
    /// There is none any more.
    Down,
}

/// The beginning of a session.
struct Arrival {
    session: Session,
    /// Everything that the store holds.
    opening: Opening,
    /// What the relays of the fleet sign grants with.
    grants: GrantKey,
}

/// A store that was joined, and what it held.
pub struct Joined {
    /// The store.
    pub store: EtcdStore,
    /// What the table is restored from.
    pub restored: Restored,
    /// At least as large as every token so far.
    pub token: FencingToken,
    /// What the relays of the fleet sign grants with, so that each knows the others'.
    pub grants: GrantKey,
}

impl EtcdStore {
    /// Waits for the cluster and reads what it holds.
    ///
    /// # Errors
    /// [`EtcdError`] says what is wrong, after a minute without a cluster or at once if waiting does not help.
    pub async fn open(place: Place, marks: Store) -> Result<Joined, EtcdError> {
        let me = place.relay(marks.relay_id().await?);
        let (tell, mut news) = mpsc::channel(NEWS_MAX);
        let life = Arc::new(Life::new(clock::now()));
        let terms = Terms { process: Uuid::new_v4(), epoch: place.epoch, guard: LEASE };
        let link = Link::new(place, me.clone(), marks, life.clone(), tell);
        let fault = link.fault();
        let link = AbortOnDropHandle::new(tokio::spawn(link.run()));
        let first = tokio::time::timeout(START_WITHIN, news.recv());
        let Ok(Some(LinkNews::Up(arrival))) = first.await else {
            return Err(fault.take());
        };
        let Arrival { session, opening, grants } = *arrival;
        let version = opening.version;
        let (ledger, restored) = Ledger::open(clock::now(), me, terms, opening);
        let token = ledger.token(version);
        let mut retry = tokio::time::interval(RETRY_EVERY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let store = Self {
            ledger,
            session: Some(session),
            waiting: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            news,
            life,
            retry,
            _link: link,
        };
        Ok(Joined { store, restored, token, grants })
    }

    /// Starts what may be started; what cannot even be sent is answered.
    fn start(&mut self) {
        while let Some(op) = self.ledger.poll_op() {
            self.waiting.push_back(op);
        }
        let Some(session) = &self.session else {
            for (id, _) in std::mem::take(&mut self.waiting) {
                self.ledger.answered(id, Outcome::Refused);
            }
            return;
        };
        while self.under_way.len() < UNDER_WAY_MAX
            && let Some((id, op)) = self.waiting.pop_front()
        {
            let session = session.clone();
            self.under_way.push(Box::pin(async move { (id, session.change(op).await) }));
        }
    }

    fn hear(&mut self, news: LinkNews) {
        match news {
            LinkNews::Up(arrival) => {
                info!(version = %arrival.opening.version, "etcd is within reach");
                self.session = Some(arrival.session);
                self.ledger.compared(arrival.opening);
            }
            LinkNews::News(news, progress, sent) => {
                self.ledger.watched(news, progress);
                if let Some(sent) = sent {
                    self.life.told(sent);
                }
            }
            LinkNews::Down => {
                warn!("etcd is out of reach: nothing new is granted; what runs goes on");
                self.session = None;
            }
        }
    }
}

impl ClaimStore for EtcdStore {
    fn submit(&mut self, now: Instant, wish: Wish) {
        self.ledger.at(now);
        match wish {
            Wish::Save { save, record, replaces, standing } => {
                self.ledger.save(save, record, replaces, standing);
            }
            Wish::Persist(change) => self.ledger.persist(change),
            Wish::Show(key, shown) => self.ledger.show(&key, shown),
            Wish::Ask(key) => self.ledger.ask(&key),
            Wish::Vouch(key) => self.ledger.vouch(&key),
            Wish::Evict(key, version, why) => self.ledger.evict(&key, version, &why),
        }
    }

    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Word> {
        loop {
            self.ledger.at(clock::now());
            self.start();
            if let Some(told) = self.ledger.poll_told() {
                return Poll::Ready(Word::Told(told));
            }
            if let Poll::Ready(Some((id, outcome))) = self.under_way.poll_next_unpin(cx) {
                self.ledger.answered(id, outcome);
                continue;
            }
            if let Poll::Ready(Some(news)) = self.news.poll_recv(cx) {
                self.hear(news);
                continue;
            }
            if self.retry.poll_tick(cx).is_ready() {
                if self.session.is_some() && self.ledger.is_stalled() {
                    self.ledger.retry();
                }
                continue;
            }
            return Poll::Pending;
        }
    }

    fn lease_left(&self, now: Instant) -> Option<Duration> {
        Some(self.life.left(now))
    }
}
