//! One RTMP peer, from its handshake to its last byte.
//!
//! The wire is [`rtmp::ServerConn`]'s business; here the socket is read and written, the peer is admitted or refused,
//! and media is passed between it and a broadcast.

use super::RtmpServer;
use super::outbox::Outbox;
use super::socket::{READ_BYTES, Socket};
use crate::access::Place;
use crate::admission::{Admitted, PlayAdmitted, PlayAttempt, PlayRefused, PublishAttempt, Refused};
use crate::claim_desk::HolderOrder;
use crate::clock;
use crate::hooks::{ClientWords, Visit};
use crate::hub::{PlayerCount, PlayerKind, Subscriber, WriteError};
use crate::metrics::{Bound, RefusedFor};
use rtmp::{Message, ServerConn, ServerEvent};
use std::future::{Future, pending};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use tracing::{debug, info, warn};
use uuid::Uuid;

/// How long a peer may take nothing of what waits for it.
const UNWRITABLE_MAX: Duration = Duration::from_secs(15);
/// After a refusal or an error: how long the peer may take to read it before the socket is closed.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often is read at most from a peer that can no longer be written to.
const LAST_READS_MAX: usize = 64;
/// How many messages a player is given at once.
const BATCH_ITEMS: usize = 64;
/// Malformed messages in a row after which a publisher is sent away.
const MALFORMED_MAX: u32 = 100;

type Verdict = Pin<Box<dyn Future<Output = Result<Admitted, Refused>> + Send>>;
type PlayVerdict = Pin<Box<dyn Future<Output = Result<PlayAdmitted, PlayRefused>> + Send>>;

/// What a peer is here for.
enum Role {
    /// It has not said yet.
    Visitor,
    /// It wants to publish; the claim is being decided.
    Admitting(Verdict),
    /// It publishes.
    Publishing(Publication),
    /// It wants to play; that is being decided.
    AdmittingPlay(PlayVerdict),
    /// It plays.
    Playing(Playback),
}

struct Publication {
    admitted: Admitted,
    malformed: u32,
}

struct Playback {
    subscriber: Subscriber,
    skips_counted: u64,
    /// Whether the last batch was full, so that more can be taken at once.
    has_more: bool,
    _count: PlayerCount,
    visit: Visit,
}

/// What a role waits for.
enum News {
    Decided(Box<Result<Admitted, Refused>>),
    PlayDecided(Result<PlayAdmitted, PlayRefused>),
    Ordered(Option<HolderOrder>),
    MoreMedia,
    /// `on_update` said no.
    SentAway,
}

pub(super) struct Connection {
    server: Arc<RtmpServer>,
    socket: Socket,
    peer: Option<SocketAddr>,
    id: Uuid,
    /// Its place among the connections of its address.
    place: Place,
    /// What the peer said about itself.
    client: ClientWords,
    wire: ServerConn,
    outbox: Outbox,
    role: Role,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(server: Arc<RtmpServer>, socket: Socket, id: Uuid, place: Place, now: Instant) -> Self {
        Self {
            wire: ServerConn::new(now, server.limits.clone()),
            server,
            peer: socket.peer_addr(),
            socket,
            id,
            place,
            client: ClientWords::default(),
            outbox: Outbox::default(),
            role: Role::Visitor,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Attends to the peer until either side ends.
    pub(super) async fn run(mut self) {
        let courteous = loop {
            match self.step().await {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(courteous) => break courteous,
            }
        };
        // A publisher's claim is reported lost as it is dropped; its broadcast stays for one that comes back in time.
        self.role = Role::Visitor;
        if courteous {
            self.say_goodbye().await;
        }
    }

    /// One round; breaks with whether the peer should still be told something.
    async fn step(&mut self) -> ControlFlow<bool> {
        let now = clock::now();
        self.collect_output(now);
        if let Err(error) = self.flush(now) {
            debug!(%error, "the peer is gone");
            return self.read_last_words();
        }
        if self.wire.is_closing() {
            return ControlFlow::Break(true);
        }
        let wire_deadline = self.wire.poll_timeout();
        let write_deadline = self.outbox.deadline(UNWRITABLE_MAX);
        let deadline = [wire_deadline, write_deadline].into_iter().flatten().min();
        let waiting_to_write = !self.outbox.is_empty() || !self.socket.is_flushed();
        tokio::select! {
            ready = self.socket.readable() => match ready {
                Ok(()) => self.read(),
                Err(_) => ControlFlow::Break(false),
            },
            _ = self.socket.writable(), if waiting_to_write => ControlFlow::Continue(()),
            news = self.role.news(waiting_to_write) => self.on_news(news),
            () = until(deadline) => self.on_deadline(),
        }
    }

    fn read(&mut self) -> ControlFlow<bool> {
        let count = match self.socket.try_read(&mut self.buffer) {
            Ok(0) => return ControlFlow::Break(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
            Err(error) => {
                debug!(%error, "the peer is gone");
                return ControlFlow::Break(false);
            }
        };
        self.server.metrics.rtmp_received.inc_by(count as u64);
        let now = clock::now();
        let outcome = self.wire.handle_input(now, &self.buffer[..count]);
        // What was understood before the error still counts.
        let flow = self.take_events(now);
        if let Err(error) = outcome {
            self.server.metrics.rtmp_protocol_errors.inc();
            info!(%error, "the peer is sent away for what it sent");
            return ControlFlow::Break(true);
        }
        flow
    }

    /// A peer that said goodbye and closed may be written to before its goodbye is read. What it sent is still there.
    fn read_last_words(&mut self) -> ControlFlow<bool> {
        for _ in 0..LAST_READS_MAX {
            match self.socket.try_read(&mut self.buffer) {
                Ok(count) if count > 0 => {
                    let now = clock::now();
                    let outcome = self.wire.handle_input(now, &self.buffer[..count]);
                    self.take_events(now)?;
                    if outcome.is_err() {
                        break;
                    }
                }
                Ok(_) | Err(_) => break,
            }
        }
        ControlFlow::Break(false)
    }

    fn on_deadline(&mut self) -> ControlFlow<bool> {
        let now = clock::now();
        if self.outbox.deadline(UNWRITABLE_MAX).is_some_and(|deadline| deadline <= now) {
            info!("the peer reads nothing and is sent away");
            self.wire.end_slow_play();
            return ControlFlow::Break(true);
        }
        if let Err(error) = self.wire.handle_timeout(now) {
            debug!(%error, "the peer is sent away");
            return ControlFlow::Break(true);
        }
        self.take_events(now)
    }

    fn take_events(&mut self, now: Instant) -> ControlFlow<bool> {
        while let Some(event) = self.wire.poll_event() {
            self.on_event(now, event)?;
        }
        ControlFlow::Continue(())
    }

    fn on_event(&mut self, now: Instant, event: ServerEvent) -> ControlFlow<bool> {
        match event {
            ServerEvent::Media(message) => return self.on_media(now, message),
            ServerEvent::Connected { tc_url, flash_ver, swf_url, page_url, .. } => {
                self.place.shook_hands();
                self.client = ClientWords { flash_ver, swf_url, tc_url, page_url };
            }
            ServerEvent::PublishRequested { app, name } => {
                if let Err(bound) = self.place.attempt(now) {
                    self.server.metrics.address_refused.get_or_create(&Bound { bound }).inc();
                    let why = "Too many attempts to publish from your address; try again in a minute".into();
                    let refused = Refused { reason: RefusedFor::Access, description: why };
                    return self.on_verdict(now, Err(refused));
                }
                let attempt = PublishAttempt {
                    app,
                    name,
                    peer: self.peer,
                    connection: self.id,
                    client: self.client.clone(),
                };
                let admission = self.server.admission.clone();
                let hub = self.server.hub.clone();
                let outputs = self.server.outputs.clone();
                self.role =
                    Role::Admitting(Box::pin(async move { admission.decide(attempt, &hub, &outputs).await }));
            }
            ServerEvent::PlayRequested { app, name } => {
                let attempt = PlayAttempt {
                    app,
                    name,
                    peer: self.peer,
                    connection: self.id,
                    client: self.client.clone(),
                };
                let admission = self.server.admission.clone();
                let hub = self.server.hub.clone();
                self.role =
                    Role::AdmittingPlay(Box::pin(async move { admission.decide_play(attempt, &hub).await }));
            }
            ServerEvent::Unpublished => {
                if let Role::Publishing(publication) = std::mem::replace(&mut self.role, Role::Visitor) {
                    publication.admitted.claim.finish();
                }
            }
            ServerEvent::Stopped => self.role = Role::Visitor,
            ServerEvent::Pong => {
                if let Role::Publishing(publication) = &self.role {
                    publication.admitted.claim.answer_probe();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn on_media(&mut self, now: Instant, message: Message) -> ControlFlow<bool> {
        let Role::Publishing(publication) = &mut self.role else {
            return ControlFlow::Continue(()); // late media of an ended publication
        };
        let Admitted { claim, broadcast, .. } = &publication.admitted;
        match broadcast.write(now, claim.token.get(), message) {
            Ok(()) => {
                publication.malformed = 0;
                claim.saw_media(now);
            }
            Err(WriteError::Malformed(error)) => {
                self.server.metrics.media_malformed.inc();
                publication.malformed += 1;
                if publication.malformed == 1 {
                    warn!(%error, "a malformed message was left out");
                }
                if publication.malformed >= MALFORMED_MAX {
                    self.wire.end_publish("Too many malformed messages in a row");
                }
            }
            Err(error @ (WriteError::Stale { .. } | WriteError::Ended)) => {
                self.server.metrics.media_fenced.inc();
                info!(%error, "a publisher whose claim is over was fenced off");
                self.wire
                    .end_publish("This publication has ended; its URL has a newer holder or was released");
            }
        }
        ControlFlow::Continue(())
    }

    fn on_play_verdict(
        &mut self,
        now: Instant,
        verdict: Result<PlayAdmitted, PlayRefused>,
    ) -> ControlFlow<bool> {
        match verdict {
            Ok(PlayAdmitted { broadcast, visit }) => {
                info!(url = %broadcast.url(), "a player began");
                self.wire.accept_play();
                self.collect_output(now);
                let count = broadcast.count_player(PlayerKind::Rtmp);
                let subscriber = broadcast.subscribe(self.server.player_lag_ms_max);
                self.role = Role::Playing(Playback {
                    subscriber,
                    skips_counted: 0,
                    has_more: false,
                    _count: count,
                    visit,
                });
                self.play_on(now);
            }
            Err(why) => {
                debug!(%why, "a player was refused");
                self.role = Role::Visitor;
                self.wire.refuse_play(&why.to_string());
            }
        }
        // A pipelining client may have sent more with its request.
        self.take_events(now)
    }

    fn on_news(&mut self, news: News) -> ControlFlow<bool> {
        let now = clock::now();
        match news {
            News::Decided(verdict) => self.on_verdict(now, *verdict),
            News::PlayDecided(verdict) => self.on_play_verdict(now, verdict),
            News::Ordered(Some(HolderOrder::Probe)) => {
                self.wire.ping(now);
                ControlFlow::Continue(())
            }
            News::Ordered(Some(HolderOrder::Disconnect { why })) => {
                info!(%why, "the publisher is sent away");
                self.role = Role::Visitor;
                self.wire.end_publish(&why);
                ControlFlow::Continue(())
            }
            // The desk is gone: the relay is stopping.
            News::Ordered(None) => ControlFlow::Break(true),
            News::MoreMedia => {
                self.play_on(now);
                ControlFlow::Continue(())
            }
            News::SentAway => {
                info!("the peer is sent away by its application's hook");
                self.role = Role::Visitor;
                self.wire.end_publish("Ended by this relay's operator");
                self.wire.end_play();
                ControlFlow::Continue(())
            }
        }
    }

    fn on_verdict(&mut self, now: Instant, verdict: Result<Admitted, Refused>) -> ControlFlow<bool> {
        match verdict {
            Ok(admitted) => {
                info!(url = %admitted.broadcast.url(), token = %admitted.claim.token, "a publisher was admitted");
                self.server.metrics.publish_admitted.inc();
                self.wire.accept_publish();
                self.role = Role::Publishing(Publication { admitted, malformed: 0 });
            }
            Err(refused) => {
                info!(reason = ?refused.reason, description = %refused.description, "a publisher was refused");
                self.server.metrics.refuse(refused.reason);
                self.role = Role::Visitor;
                self.wire.refuse_publish(&refused.description);
            }
        }
        // A pipelining client may have sent more with its request.
        self.take_events(now)
    }

    /// Gives the player what there is, and the end after the last of it: nothing else wakes us then.
    fn play_on(&mut self, now: Instant) {
        if self.feed_player(now) {
            self.wire.end_play();
        }
    }

    /// Gives the player what there is; returns whether the broadcast is over and all has been handed out.
    fn feed_player(&mut self, now: Instant) -> bool {
        let Role::Playing(playback) = &mut self.role else { return false };
        let batch = playback.subscriber.take(BATCH_ITEMS);
        let skips = playback.subscriber.skips();
        self.server.metrics.player_skips.inc_by(skips - playback.skips_counted);
        playback.skips_counted = skips;
        playback.has_more = batch.items.len() == BATCH_ITEMS;
        let shared = self.wire.takes_shared_chunks();
        for message in batch.opening() {
            if shared {
                self.outbox.push(now, rtmp::shared_chunks(&message));
            } else {
                self.wire.send(&message);
            }
        }
        for item in batch.items {
            if shared {
                self.outbox.push(now, item.chunks());
            } else {
                self.wire.send(&item.message);
            }
        }
        batch.ended
    }

    fn collect_output(&mut self, now: Instant) {
        while let Some(bytes) = self.wire.poll_output() {
            self.outbox.push(now, bytes);
        }
    }

    fn flush(&mut self, now: Instant) -> std::io::Result<()> {
        let written = self.outbox.write_to(now, &mut self.socket)?;
        self.server.metrics.rtmp_sent.inc_by(written as u64);
        Ok(())
    }

    /// Sends what is left to say, then FIN, then waits briefly for the peer to read it: closing at once with unread
    /// input would send RST and destroy the text.
    async fn say_goodbye(&mut self) {
        let deadline = tokio::time::Instant::from_std(clock::now() + GOODBYE);
        let farewell = async {
            loop {
                let now = clock::now();
                self.collect_output(now);
                if self.flush(now).is_err() {
                    return;
                }
                if self.outbox.is_empty() && self.socket.is_flushed() {
                    break;
                }
                let _ = self.socket.writable().await;
            }
            self.socket.finish();
            while self.socket.readable().await.is_ok() {
                match self.socket.try_read(&mut self.buffer) {
                    Ok(0) => return,
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        };
        let _ = tokio::time::timeout_at(deadline, farewell).await;
    }
}

impl Role {
    /// Waits for what concerns this role. Cancel-safe.
    async fn news(&mut self, waiting_to_write: bool) -> News {
        match self {
            Self::Visitor => pending().await,
            Self::Admitting(verdict) => {
                let decided = verdict.await;
                News::Decided(Box::new(decided))
            }
            Self::AdmittingPlay(verdict) => News::PlayDecided(verdict.await),
            Self::Publishing(Publication { admitted: Admitted { orders, visit, .. }, .. }) => {
                tokio::select! {
                    order = orders.recv() => News::Ordered(order),
                    () = visit.ended_by_hook() => News::SentAway,
                }
            }
            Self::Playing(playback) => {
                let ready = async {
                    if waiting_to_write {
                        pending::<()>().await;
                    }
                    if !playback.has_more {
                        playback.subscriber.changed().await;
                    }
                };
                tokio::select! {
                    () = ready => News::MoreMedia,
                    () = playback.visit.ended_by_hook() => News::SentAway,
                }
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
