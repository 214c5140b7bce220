//! What recorders say, and what they are told.

use super::{Connection, Reconciler, moment};
use crate::recorders::{ConnectionId, Hello, Refusal};
use crate::streams::RecorderNews;
use crate::streams::machine::{Event, STOP_WITHIN_MS};
use api::control::{FromRecorder, FromRelay, Job};
use api::{Problem, ProblemCode};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};
use uuid::Uuid;

impl Reconciler {
    pub(super) fn recorder_news(&mut self, news: RecorderNews) {
        match news {
            RecorderNews::Arrived { connection, hello, reached_at, outgoing, reply } => {
                let arrived = self.arrived(connection, &hello, reached_at, outgoing);
                let _ = reply.send(arrived);
            }
            RecorderNews::Said { connection, message } => {
                if let Some(name) = self.registry.name_of(connection).map(str::to_owned) {
                    self.said(&name, message);
                }
            }
            RecorderNews::Left { connection } => self.left(connection),
        }
    }

    fn arrived(
        &mut self,
        connection: ConnectionId,
        hello: &Hello,
        reached_at: Option<String>,
        outgoing: mpsc::Sender<FromRelay>,
    ) -> Result<(), Refusal> {
        let arrival = self.registry.arrive(moment(), connection, hello)?;
        if let Some(replaced) = arrival.replaces {
            // Its task ends as its queue does.
            self.connections.remove(&replaced);
        }
        let name = hello.recorder.clone();
        info!(recorder = %name, slots = hello.slots, running = hello.running.len(), "recorder connected");
        let kept = self.entries.iter().filter(|(_, entry)| entry.machine.is_kept_by(&name));
        let welcome = FromRelay::Welcome { keep: kept.map(|(id, _)| *id).collect() };
        self.connections.insert(connection, Connection { outgoing, reached_at });
        self.send(&name, welcome);
        if arrival.is_drained {
            self.send(&name, FromRelay::Drain);
        }
        for id in self.streams_of(&name) {
            let carries = hello.running.iter().any(|report| report.stream_id == id);
            self.tell(id, Event::RecorderBack { recorder: name.clone(), carries });
        }
        for report in &hello.running {
            self.worker_said(&name, report.clone());
        }
        self.publish_recorder(&name);
        self.offer_places();
        Ok(())
    }

    fn said(&mut self, name: &str, message: FromRecorder) {
        self.stale_recorders.insert(name.to_owned());
        match message {
            FromRecorder::Hello { .. } => warn!(recorder = %name, "a second hello is ignored"),
            FromRecorder::Load { stress } => self.registry.load(name, stress),
            FromRecorder::Worker { worker } => {
                self.registry.worker(name, worker.clone());
                self.worker_said(name, worker);
            }
            FromRecorder::Ended { stream_id, reason, detail } => {
                info!(recorder = %name, stream = %stream_id, %reason, %detail, "recorder ended a stream");
                self.registry.ended(name, stream_id);
                self.tell(stream_id, Event::RecorderEnded { recorder: name.into(), reason, detail });
                self.offer_places();
            }
            FromRecorder::Declined { stream_id, detail } => {
                info!(recorder = %name, stream = %stream_id, %detail, "recorder declined a stream");
                self.tell(stream_id, Event::Declined { recorder: name.into(), detail });
            }
            FromRecorder::Draining => self.registry.says_draining(name),
        }
    }

    /// A worker of a stream that this recorder is not to carry is stopped, however it came to run.
    fn worker_said(&mut self, name: &str, report: api::control::WorkerReport) {
        let id = report.stream_id;
        let is_wanted = self.entries.get(&id).is_some_and(|entry| entry.machine.recorder() == Some(name));
        if is_wanted {
            self.tell(id, Event::Worker { recorder: name.into(), report });
        } else {
            self.send_stop(id, name);
        }
    }

    fn left(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        let Some(name) = self.registry.leave(moment(), connection) else { return };
        let carried = self.streams_of(&name);
        if carried.is_empty() {
            info!(recorder = %name, "a recorder without streams has gone");
        } else {
            warn!(recorder = %name, streams = carried.len(), "recorder's control connection is lost");
        }
        for id in carried {
            self.tell(id, Event::RecorderLost { recorder: name.clone() });
        }
        self.publish_recorder(&name);
    }

    fn streams_of(&self, name: &str) -> Vec<Uuid> {
        let carried = self.entries.iter().filter(|(_, entry)| entry.machine.recorder() == Some(name));
        carried.map(|(id, _)| *id).collect()
    }

    /// A place may be free: those that wait longest are asked first.
    fn offer_places(&mut self) {
        let waiting: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.machine.wants_place()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.tell(id, Event::SpareAppeared);
        }
    }

    pub(super) fn drain_recorder(&mut self, name: &str, reply: oneshot::Sender<Result<(), Problem>>) {
        let known = self.registry.drain(name);
        if known {
            info!(recorder = %name, "recorder is drained");
            self.send(name, FromRelay::Drain);
            self.publish_recorder(name);
        }
        let unknown = || Problem::new(ProblemCode::NotFound, "no recorder has this name");
        let _ = reply.send(if known { Ok(()) } else { Err(unknown()) });
    }

    pub(super) fn send_start(&mut self, id: Uuid, recorder: &str, first_incarnation: u32) {
        let Some(entry) = self.entries.get(&id) else { return };
        let Some(claim) = entry.machine.claim() else { return };
        let spec = entry.machine.spec();
        let reached_at = self.registry.connection(recorder).and_then(|at| self.connections.get(&at));
        let reached_at = reached_at.and_then(|connection| connection.reached_at.as_deref());
        let address = self.parts.rtmp.seen_from(reached_at);
        let job = Job {
            stream_id: id,
            name: spec.name.to_string(),
            kind: spec.kind,
            call_url: spec.call.as_ref().map(|call| call.expose().to_owned()),
            profile: spec.profile.as_str().into(),
            publish_url: self.parts.claims.publish_url(spec, claim, &address),
            first_incarnation,
        };
        info!(stream = %id, recorder = %recorder, first_incarnation, "recorder is told to carry the stream");
        if !self.send(recorder, FromRelay::Start { job: Box::new(job) }) {
            self.tell(id, Event::RecorderLost { recorder: recorder.to_owned() });
        }
    }

    pub(super) fn send_stop(&mut self, id: Uuid, recorder: &str) {
        // A recorder that cannot be told is told by the welcome when it comes back.
        self.send(recorder, FromRelay::Stop { stream_id: id, within_ms: STOP_WITHIN_MS });
    }

    /// Whether it went into the recorder's queue. A full queue closes the connection; the next hello repairs.
    fn send(&mut self, recorder: &str, message: FromRelay) -> bool {
        let Some(connection) = self.registry.connection(recorder) else { return false };
        let Some(open) = self.connections.get(&connection) else { return false };
        if open.outgoing.try_send(message).is_ok() {
            return true;
        }
        warn!(recorder = %recorder, "recorder does not take its orders; its connection is closed");
        self.connections.remove(&connection);
        false
    }

    pub(super) fn publish_recorder(&mut self, name: &str) {
        self.board.put_recorders(self.registry.views());
        if let Some(view) = self.registry.view(name) {
            self.parts.events.publish(api::events::Event::Recorder { recorder: Box::new(view) });
        }
    }
}
