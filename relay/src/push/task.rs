//! The task of one push: takes the target's claim, and while it is kept connects and sends.
//!
//! Keeping the claim and pushing run side by side, and the moment the first fails the second is dropped, socket and
//! all, whatever it was waiting for. Only after that the claim may become another's.

use super::Pushes;
use super::feed::Feed;
use super::machine::{KEEP, Loss, Machine, NotGranted};
use super::rules::Rule;
use super::status::Status;
use super::words::words;
use crate::claim_desk::{Admitted, ClaimDesk, ClaimEvent, HolderOrder, Liveness, Refused};
use crate::clock;
use crate::hub::{Broadcast, Subscriber};
use crate::streams::machine::Moment;
use api::targets::{TargetHolder, TargetState};
use claims::{Admission, ClaimId, ClaimKey, FencingToken, Holder, What};
use rtmp::Message;
use rtmp::io::{PublishError, Publisher};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How many messages are sent at once.
const BATCH_ITEMS: usize = 64;
/// How often it looks whether there is something to push, while there is not.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Only a stream with media within this time is connected: many targets close connections without media.
const FRESH: Duration = Duration::from_secs(2);
/// How often the desk is shown that the push lives.
const PULSE: Duration = Duration::from_millis(500);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// One push.
pub(super) struct Task {
    pushes: Pushes,
    status: Arc<Status>,
    holder: Holder,
    written_since: watch::Receiver<Option<u64>>,
    stop: CancellationToken,
}

/// How a connection ended.
enum End {
    /// The stream is over, and goodbye was said.
    Stopped,
    /// The claim may no longer be ours.
    Fenced,
    /// The stream brought nothing for longer than the target is to wait, and goodbye was said.
    Paused,
    /// It broke.
    Broken(PublishError),
}

impl Task {
    pub(super) const fn new(
        pushes: Pushes,
        status: Arc<Status>,
        holder: Holder,
        written_since: watch::Receiver<Option<u64>>,
        stop: CancellationToken,
    ) -> Self {
        Self { pushes, status, holder, written_since, stop }
    }

    /// Works until the stream, or the relay, ends.
    pub(super) async fn run(self) {
        loop {
            let Some(Admitted { claim_id, token, orders, liveness, .. }) = self.take_claim().await else {
                return;
            };
            let grip = Grip { desk: self.pushes.parts.desk.clone(), token };
            let loss = tokio::select! {
                biased;
                loss = self.keep_claim(claim_id, token, orders, &liveness) => Some(loss),
                () = self.push(&liveness) => None,
            };
            match loss {
                Some(loss) => {
                    drop(grip);
                    warn!(?loss, "the claim on the target is lost; the push was stopped");
                    self.note(|machine, moment| machine.fenced(moment, loss, jitter()));
                }
                // The relay stops: the stream goes on when it is back, and keeps its target.
                None if self.pushes.parts.stop.is_cancelled() => return,
                None => {
                    self.pushes.parts.desk.release(claim_id, "nothing more is pushed there").await;
                    return;
                }
            }
        }
    }

    /// `None` if the stream ended first.
    async fn take_claim(&self) -> Option<Admitted> {
        let desk = &self.pushes.parts.desk;
        let key = ClaimKey::Target(self.status.url.key().clone());
        let mut changes = desk.events();
        let mut written_since = self.written_since.clone();
        loop {
            let ask_at = self.status.machine().ask_at().unwrap_or_else(clock::now);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = sleep_until(ask_at.into()) => {}
                () = freed(&mut changes, &key) => {
                    self.status.machine().may_be_free(clock::now());
                    continue;
                }
            }
            // Whoever has no claim on its own name asks for no target.
            let asked = async {
                written_since.wait_for(Option::is_some).await.ok()?;
                Some(desk.publish(key.clone(), self.holder.clone()).await)
            };
            let outcome = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                outcome = asked => outcome?,
            };
            match outcome {
                Ok(admitted) => {
                    let takes_over = matches!(admitted.kind, Admission::Takeover { .. });
                    let claim = admitted.claim_id;
                    info!(token = %admitted.token, "the claim on the target is granted");
                    self.note(|machine, moment| machine.granted(moment, claim, takes_over));
                    return Some(admitted);
                }
                Err(refused) => self.not_granted(&refused),
            }
        }
    }

    fn not_granted(&self, refused: &Refused) {
        let why = if refused.is_unavailable() {
            NotGranted::Unavailable
        } else {
            let (label, since) = refused.holder().unwrap_or(("an operator's block", clock::wall()));
            NotGranted::Held(TargetHolder { label: label.to_owned(), since })
        };
        let said = match &why {
            NotGranted::Held(holder) => format!("held by {} since {}", holder.label, holder.since),
            NotGranted::Unavailable => "claims cannot be decided now".to_owned(),
        };
        info!(why = %said, "the target is not free");
        self.note(|machine, moment| machine.not_granted(moment, why, said, jitter()));
    }

    /// Keeps the claim for as long as it can, and returns how it was lost.
    async fn keep_claim(
        &self,
        claim: ClaimId,
        token: FencingToken,
        mut orders: mpsc::Receiver<HolderOrder>,
        liveness: &Liveness,
    ) -> Loss {
        let desk = &self.pushes.parts.desk;
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            let Some((renew_at, ends)) = self.status.machine().lease() else { return Loss::NotRenewed };
            let renew = async {
                sleep_until(renew_at.into()).await;
                let sent = clock::now();
                (sent, desk.renew(claim, KEEP).await)
            };
            tokio::pin!(renew);
            // One renewal at a time; whatever else happens meanwhile does not begin it anew.
            let (sent, renewed) = loop {
                tokio::select! {
                    biased;
                    order = orders.recv() => match order {
                        Some(HolderOrder::Probe) => {
                            liveness.media(clock::now());
                            desk.pong(token);
                        }
                        Some(HolderOrder::Disconnect { why }) => return Loss::Ordered(why),
                        None => return Loss::Ordered("the claims are closed".into()),
                    },
                    () = sleep_until(ends.into()) => return Loss::NotRenewed,
                    _ = pulse.tick() => liveness.media(clock::now()),
                    answer = &mut renew => break answer,
                }
            };
            match renewed {
                Ok(keep) => self.status.machine().renewed(sent, keep),
                Err(Some(gone)) => return Loss::Ordered(gone.to_string()),
                Err(None) => self.status.machine().not_renewed(clock::now()),
            }
        }
    }

    /// Connects and sends, again and again; returns when the stream is over and goodbye was said.
    async fn push(&self, liveness: &Liveness) {
        let url = &self.status.url;
        loop {
            let attempt = async {
                let broadcast = self.something_to_push().await;
                self.note(Machine::connecting);
                // The name is resolved at each try.
                (broadcast, Publisher::connect(url, &self.pushes.parts.dialer).await)
            };
            let (broadcast, connected) = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                attempted = attempt => attempted,
            };
            let end = match connected {
                Ok(publisher) => {
                    self.status.begins();
                    self.note(Machine::connected);
                    if self.status.machine().reconnects() > 0 {
                        self.pushes.parts.metrics.push_reconnects.inc();
                    }
                    let subscriber = broadcast.subscribe(self.rule().lag_ms_max);
                    self.send(publisher, subscriber, liveness).await
                }
                Err(error) => End::Broken(error),
            };
            match end {
                End::Stopped => return,
                // Whoever keeps the claim sees it too, and ends this.
                End::Fenced => return self.stop.cancelled().await,
                End::Paused => self.note(Machine::paused),
                End::Broken(error) => {
                    self.pushes.parts.metrics.push_failures.inc();
                    let why = words(&error, url);
                    self.note(|machine, moment| machine.failed(moment, why, jitter()));
                }
            }
        }
    }

    /// Waits until it may connect and the stream has media.
    async fn something_to_push(&self) -> Arc<Broadcast> {
        loop {
            let from = self.status.machine().connect_from();
            let now = clock::now();
            match from {
                Some(from) if from > now => sleep_until(from.into()).await,
                _ => {
                    if let Some(broadcast) = self.fresh_broadcast(now) {
                        return broadcast;
                    }
                    self.note(Machine::nothing_to_push);
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    fn fresh_broadcast(&self, now: Instant) -> Option<Arc<Broadcast>> {
        let since = (*self.written_since.borrow())?;
        let broadcast = self.pushes.parts.hub.find(&self.status.name)?;
        let facts = broadcast.facts(now);
        let is_fresh = facts.silence.is_some_and(|silence| silence < FRESH);
        (is_fresh && facts.token >= since).then_some(broadcast)
    }

    fn rule(&self) -> &Rule {
        self.pushes.parts.rules.of(&self.status.name)
    }

    /// Sends what comes over one connection, whoever publishes it; where nothing comes, what fills the gap.
    async fn send(&self, mut publisher: Publisher, subscriber: Subscriber, liveness: &Liveness) -> End {
        let rule = self.rule();
        let mut written_since = self.written_since.clone();
        let mut reader = Some(subscriber);
        let mut feed = Feed::new(rule.fill.clone(), clock::now());
        loop {
            let since = *written_since.borrow_and_update();
            let mut has_more = false;
            if let (Some(since), Some(subscriber)) = (since, &mut reader) {
                let skips = subscriber.skips();
                let batch = subscriber.take(BATCH_ITEMS);
                self.pushes.parts.metrics.push_skips.inc_by(subscriber.skips() - skips);
                has_more = batch.items.len() == BATCH_ITEMS;
                let messages = feed.take(since, &batch, clock::now());
                if let Err(end) = self.deliver(&mut publisher, &messages, liveness).await {
                    return self.with_goodbye(end, publisher).await;
                }
                if let Some(newest_ms) = batch.items.iter().map(|item| item.at_ms).max()
                    && !messages.is_empty()
                {
                    self.status.reached(newest_ms);
                }
                if batch.ended {
                    reader = None; // the stream may get another broadcast; the connection stays for it
                }
            }
            if has_more {
                tokio::task::yield_now().await; // catching up must not starve others
                continue;
            }
            let now = clock::now();
            let gap = feed.gap(now);
            self.note_gap(gap.is_some());
            if gap.is_some_and(|gap| gap >= rule.gap_max) {
                return self.with_goodbye(End::Paused, publisher).await;
            }
            let filled = feed.fill(now);
            if let Err(end) = self.deliver(&mut publisher, &filled, liveness).await {
                return self.with_goodbye(end, publisher).await;
            }
            let wake_at = feed.wake_at(now, rule.gap_max);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.with_goodbye(End::Stopped, publisher).await,
                error = publisher.failed() => return End::Broken(error),
                _ = written_since.changed() => {}
                () = more(&mut reader), if since.is_some() && reader.is_some() => {}
                () = sleep_until(wake_at.into()) => {}
                () = sleep(LOOK_EVERY), if reader.is_none() => {
                    let fresh = self.fresh_broadcast(clock::now());
                    reader = fresh.map(|broadcast| broadcast.subscribe(rule.lag_ms_max));
                }
            }
        }
    }

    /// Sends these, unless the claim may be another's by now.
    async fn deliver(
        &self,
        publisher: &mut Publisher,
        messages: &[Message],
        liveness: &Liveness,
    ) -> Result<(), End> {
        if messages.is_empty() {
            return Ok(());
        }
        if liveness.is_fenced() || !self.status.machine().may_send(clock::now()) {
            return Err(End::Fenced);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(End::Stopped),
            sent = publisher.send(messages) => sent.map_err(End::Broken)?,
        }
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        self.pushes.parts.metrics.push_sent.inc_by(bytes as u64);
        self.status.sent(bytes as u64);
        Ok(())
    }

    /// Says goodbye to a target that still listens.
    async fn with_goodbye(&self, end: End, publisher: Publisher) -> End {
        match end {
            End::Stopped | End::Paused => {
                // A target that does not listen is left without one.
                let _ = timeout(GOODBYE, publisher.close()).await;
            }
            End::Fenced | End::Broken(_) => drop(publisher),
        }
        end
    }

    fn note_gap(&self, is_gap: bool) {
        let mut machine = self.status.machine();
        if machine.gap_since().is_some() == is_gap {
            return;
        }
        machine.set_gap(is_gap.then(clock::wall));
        drop(machine);
        if is_gap {
            info!("the stream brings nothing; the connection is kept");
            self.pushes.parts.metrics.push_gaps.inc();
        }
        self.pushes.tell();
    }

    /// Changes the state and tells whoever watches, if that shows.
    fn note(&self, change: impl FnOnce(&mut Machine, Moment)) {
        let moment = Moment { now: clock::now(), wall: clock::wall() };
        let mut machine = self.status.machine();
        let before = machine.state();
        change(&mut machine, moment);
        let (state, detail) = (machine.state(), machine.detail().map(str::to_owned));
        drop(machine);
        if state != before {
            match state {
                TargetState::Failed => info!(why = detail.as_deref().unwrap_or_default(), "the push failed"),
                TargetState::Waiting | TargetState::Connecting | TargetState::Pushing | TargetState::Held => {
                    info!(%state, "the push went on");
                }
            }
            self.pushes.tell();
        }
    }
}

async fn more(reader: &mut Option<Subscriber>) {
    match reader {
        Some(subscriber) => subscriber.changed().await,
        None => pending().await,
    }
}

/// Waits until somebody gives the key up, or it may have been missed.
async fn freed(changes: &mut Receiver<ClaimEvent>, key: &ClaimKey) {
    loop {
        match changes.recv().await {
            Ok(event) if event.key == *key && (event.ends_claim() || event.what == What::Unblocked) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return pending().await,
        }
    }
}

/// Reports the push lost when it is dropped, however: a claim that has ended already does not notice.
struct Grip {
    desk: ClaimDesk,
    token: FencingToken,
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.desk.lost(self.token);
    }
}

/// Any number from 0 to 1.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without random numbers all wait equally long.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
