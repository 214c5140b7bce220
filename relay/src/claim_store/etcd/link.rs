//! The task that keeps a session to the cluster.

use super::cell::{BeatJson, Cells, json};
use super::change::Session;
use super::error::{EtcdError, Fault};
use super::life::{Beats, Life};
use super::{Arrival, LEASE, LinkNews, Place};
use crate::clock;
use crate::grant::GrantKey;
use crate::store::{EtcdMark, Store};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use claims::Version;
use claims::fleet::{Opening, Relay};
use etcd_client::{
    Client, Compare, CompareOp, Error, EventType, GetOptions, LeaseKeepAliveStream, LeaseKeeper, PutOptions,
    ResponseHeader, SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse, WatchOptions, WatchStream,
};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

/// How long a connection to a member may take.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a member may take for anything small; a heartbeat and this fit several times into a lease.
const CALL_WITHIN: Duration = Duration::from_millis(1_500);
/// How often a heartbeat is written and the lease renewed.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often, in heartbeats, the lease of the fences is renewed.
const FENCES_EVERY: u64 = 30;
/// The life of the fences' lease: for how long a relay that was out of reach may find that nobody had its claims.
const FENCES: Duration = Duration::from_secs(3_600);
/// How many keys are read at once.
const PAGE: i64 = 1_000;
/// How long until the next member is tried.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// See the module's contract.
pub(super) struct Link {
    place: Place,
    cells: Cells,
    me: Relay,
    marks: Store,
    process: Uuid,
    life: Arc<Life>,
    fault: Fault,
    tell: mpsc::Sender<LinkNews>,
    /// The leases of earlier sessions, which go on.
    lease: Option<i64>,
    fences: Option<i64>,
    beats: Beats,
}

/// A session, with what only the link needs of it.
struct Open {
    arrival: Arrival,
    watch: WatchStream,
    lease: (LeaseKeeper, LeaseKeepAliveStream),
    fences: (LeaseKeeper, LeaseKeepAliveStream),
    sent: Instant,
}

impl Link {
    pub(super) fn new(
        place: Place,
        me: Relay,
        marks: Store,
        life: Arc<Life>,
        tell: mpsc::Sender<LinkNews>,
    ) -> Self {
        let cells = Cells::new(&place.prefix);
        Self {
            place,
            cells,
            me,
            marks,
            process: Uuid::new_v4(),
            life,
            fault: Fault::default(),
            tell,
            lease: None,
            fences: None,
            beats: Beats::default(),
        }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    /// Works until nobody listens; before the first session it also ends with a fault that no waiting mends.
    pub(super) async fn run(mut self) {
        let mut was_up = false;
        let endpoints = self.place.endpoints.clone();
        for endpoint in endpoints.iter().cycle() {
            let error = match self.open(endpoint).await {
                Ok(open) => {
                    info!(%endpoint, "a session with etcd begins");
                    was_up = true;
                    let Some(error) = self.keep(open).await else { return };
                    if self.tell.send(LinkNews::Down).await.is_err() {
                        return;
                    }
                    error
                }
                Err(error) => error,
            };
            warn!(%endpoint, %error, "no session with etcd");
            let is_hopeless = !was_up && !error.may_pass();
            self.fault.set(error);
            if is_hopeless || self.tell.is_closed() {
                return;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn open(&mut self, endpoint: &str) -> Result<Open, EtcdError> {
        let options = Some(self.place.options(endpoint));
        let client = within(CONNECT_WITHIN, Client::connect([endpoint], options)).await?;
        let sent = clock::now();
        let (lease, keep_lease) = take_lease(&client, self.lease, LEASE).await?;
        self.life.leased(sent);
        self.lease = Some(lease);
        let (fences, keep_fences) = take_lease(&client, self.fences, FENCES).await?;
        self.fences = Some(fences);
        let sent = clock::now();
        let (opening, cluster) = self.read(&client).await?;
        self.check(&client, cluster, opening.version).await?;
        let from = opening.version.0.cast_signed().saturating_add(1);
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        let mut watching = client.watch_client();
        let watch = within(CALL_WITHIN, watching.watch(self.cells.prefix(), Some(options))).await?;
        let grants = self.share_grants(&client).await?;
        let session = Session { client, cells: self.cells.clone(), lease, fences };
        Ok(Open {
            arrival: Arrival { session, opening, grants },
            watch,
            lease: keep_lease,
            fences: keep_fences,
            sent,
        })
    }

    /// Everything under the prefix at one version.
    async fn read(&self, client: &Client) -> Result<(Opening, u64), EtcdError> {
        let mut opening = Opening::default();
        let mut from = self.cells.prefix().as_bytes().to_vec();
        let end = end_of(&from);
        let mut kv = client.kv_client();
        loop {
            let mut options = GetOptions::new()
                .with_range(end.clone())
                .with_limit(PAGE)
                .with_sort(SortTarget::Key, SortOrder::Ascend);
            if opening.version.is_present() {
                options = options.with_revision(opening.version.0.cast_signed());
            }
            let page = within(CALL_WITHIN, kv.get(from, Some(options))).await?;
            let header = page.header();
            if !opening.version.is_present() {
                opening.version = Version(header.map_or(0, ResponseHeader::revision).cast_unsigned());
            }
            for pair in page.kvs() {
                let Ok(name) = pair.key_str() else { continue };
                let version = Version(pair.mod_revision().cast_unsigned());
                if let Some(key) = self.cells.fence_of(name) {
                    opening.fences.push((key, version));
                } else {
                    opening.cells.extend(self.cells.news(name, Some(pair.value()), version));
                }
            }
            let Some(last) = page.kvs().last().filter(|_| page.more()) else {
                let cluster = header.map_or(0, ResponseHeader::cluster_id);
                return Ok((opening, cluster));
            };
            from = [last.key(), &[0]].concat();
        }
    }

    /// Whether tokens of this cluster are larger than all that we know.
    async fn check(&self, client: &Client, cluster: u64, version: Version) -> Result<(), EtcdError> {
        let ours = self.place.epoch;
        let known = self.marks.etcd_mark().await?;
        if let Some(known) = known.filter(|known| known.epoch >= ours)
            && (known.epoch > ours || known.cluster != cluster || known.revision > version.0)
        {
            return Err(EtcdError::Replaced { next: known.epoch.saturating_add(1) });
        }
        let mut kv = client.kv_client();
        let told = within(CALL_WITHIN, kv.get(self.cells.epoch(), None)).await?;
        let told = told.kvs().first().and_then(|pair| pair.value_str().ok()?.parse::<u16>().ok());
        if let Some(theirs) = told.filter(|theirs| *theirs > ours) {
            return Err(EtcdError::OldEpoch { ours, theirs });
        }
        if told != Some(ours) {
            within(CALL_WITHIN, kv.put(self.cells.epoch(), ours.to_string(), None)).await?;
        }
        self.remember(cluster, version).await
    }

    /// The fleet's key for grants: that of the relay that came first.
    async fn share_grants(&self, client: &Client) -> Result<GrantKey, EtcdError> {
        let ours = self.marks.grant_key().await?;
        let name = self.cells.grants();
        let txn = Txn::new()
            .when([Compare::create_revision(name.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(name.as_str(), BASE64_STANDARD.encode(ours.expose()), None)])
            .or_else([TxnOp::get(name.as_str(), None)]);
        let answer = within(CALL_WITHIN, client.kv_client().txn(txn)).await?;
        if answer.succeeded() {
            return Ok(ours);
        }
        let Some(TxnOpResponse::Get(got)) = answer.op_responses().into_iter().next() else {
            return Err(EtcdError::Unreachable("an answer without the grants' key".into()));
        };
        let bytes = got.kvs().first().and_then(|pair| BASE64_STANDARD.decode(pair.value()).ok());
        let bytes = bytes.and_then(|bytes| <[u8; GrantKey::BYTES]>::try_from(bytes).ok());
        bytes.map(GrantKey::new).ok_or_else(|| EtcdError::Unreachable(format!("{name} is no key for grants")))
    }

    async fn remember(&self, cluster: u64, version: Version) -> Result<(), EtcdError> {
        let mark = EtcdMark { cluster, revision: version.0, epoch: self.place.epoch };
        Ok(self.marks.set_etcd_mark(mark).await?)
    }

    /// Keeps a session until it breaks; `None` if nobody listens any more.
    async fn keep(&mut self, open: Open) -> Option<EtcdError> {
        let Open { arrival, watch, lease, fences, sent } = open;
        self.life.told(sent);
        let client = arrival.session.client.clone();
        self.tell.send(LinkNews::Up(Box::new(arrival))).await.ok()?;
        tokio::select! {
            error = self.beat(&client, lease, fences) => Some(error),
            error = self.watch(watch) => error,
        }
    }

    /// Renews the leases and writes heartbeats until one fails.
    async fn beat(
        &self,
        client: &Client,
        (mut lease, mut lease_told): (LeaseKeeper, LeaseKeepAliveStream),
        (mut fences, mut fences_told): (LeaseKeeper, LeaseKeepAliveStream),
    ) -> EtcdError {
        let mut kv = client.kv_client();
        let name = self.cells.relay(self.me.id);
        loop {
            let sent = clock::now();
            match within(CALL_WITHIN, renew(&mut lease, &mut lease_told)).await {
                Ok(true) => self.life.leased(sent),
                Ok(false) => return EtcdError::Unreachable("our lease has ended".into()),
                Err(error) => return error,
            }
            let beat = self.beats.send(sent);
            let value = json(&BeatJson { label: self.me.label.to_string(), process: self.process, beat });
            let put = PutOptions::new().with_lease(lease.id());
            if let Err(error) = within(CALL_WITHIN, kv.put(name.as_str(), value, Some(put))).await {
                return error;
            }
            if beat.is_multiple_of(FENCES_EVERY)
                && let Err(error) = within(CALL_WITHIN, renew(&mut fences, &mut fences_told)).await
            {
                return error;
            }
            sleep(BEAT_EVERY).await;
            if self.life.is_behind(clock::now()) {
                return EtcdError::Unreachable("the watch tells nothing".into());
            }
        }
    }

    /// Passes on what changes until the watch ends; `None` if nobody listens.
    async fn watch(&self, mut watch: WatchStream) -> Option<EtcdError> {
        let own = self.cells.relay(self.me.id);
        loop {
            let message = match watch.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Some(closed("watch")),
                Err(error) => return Some(error.into()),
            };
            if message.canceled() {
                return Some(EtcdError::Unreachable(format!(
                    "the watch was ended: {}",
                    message.cancel_reason()
                )));
            }
            let mut news = Vec::new();
            let mut progress = Version::ABSENT;
            let mut told = None;
            for event in message.events() {
                let Some(pair) = event.kv() else { continue };
                let version = Version(pair.mod_revision().cast_unsigned());
                progress = progress.max(version);
                let Ok(name) = pair.key_str() else { continue };
                let value = (event.event_type() == EventType::Put).then(|| pair.value());
                if name == own {
                    told = value.and_then(|value| self.came_back(value)).or(told);
                } else {
                    news.extend(self.cells.news(name, value, version));
                }
            }
            if !news.is_empty() || told.is_some() {
                self.tell.send(LinkNews::News(news, progress, told)).await.ok()?;
            }
        }
    }

    /// When a heartbeat that came back was sent.
    fn came_back(&self, value: &[u8]) -> Option<Instant> {
        let beat: BeatJson = serde_json::from_slice(value).ok()?;
        self.beats.sent(beat.beat).filter(|_| beat.process == self.process)
    }
}

fn closed(what: &str) -> EtcdError {
    EtcdError::Unreachable(format!("the {what} was closed"))
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, EtcdError> {
    match timeout(limit, call).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(EtcdError::Unreachable("it does not answer in time".into())),
    }
}

/// The lease of this name if it still lives, or else a new one.
async fn take_lease(
    client: &Client,
    known: Option<i64>,
    life: Duration,
) -> Result<(i64, (LeaseKeeper, LeaseKeepAliveStream)), EtcdError> {
    let mut leases = client.lease_client();
    if let Some(id) = known {
        match timeout(CALL_WITHIN, leases.keep_alive(id)).await {
            Ok(Ok(kept)) => return Ok((id, kept)),
            // It has ended.
            Ok(Err(Error::LeaseKeepAliveError(_))) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(EtcdError::Unreachable("it does not answer in time".into())),
        }
    }
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    let id = within(CALL_WITHIN, leases.grant(seconds, None)).await?.id();
    Ok((id, within(CALL_WITHIN, leases.keep_alive(id)).await?))
}

/// Renews a lease once; whether it lives.
async fn renew(keeper: &mut LeaseKeeper, told: &mut LeaseKeepAliveStream) -> Result<bool, Error> {
    keeper.keep_alive().await?;
    Ok(told.message().await?.is_some_and(|answer| answer.ttl() > 0))
}

/// The first key after all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // etcd's API: `\0` ends a range that goes to the last key.
    vec![0]
}
