//! HTTP hooks with nginx-rtmp's forms and meanings, asked and told about publishers and players.
//!
//! A publisher is asked about strictly after it has the claim and before anything else happens: a contender that is
//! refused fires no hook, and what `*_done` tells of was let in before. 2xx lets in, 3xx lets in and also pushes or
//! renames, 4xx turns away. No answer within the deadline is no answer: then the application's `on_error` decides, by
//! default so that whoever was let in the last time goes on and a stranger stays out. A hook that fails again and again
//! is left alone for a while, so that nobody waits for it.
//!
//! Of one stream, a publisher's `*_done` is delivered, or given up, before the next one's `on_publish` is asked. Nothing
//! here is on the media path.

mod breaker;
mod caller;
mod endings;
mod figures;
mod form;
mod memory;
mod redirect;
mod visit;

pub use figures::HookFigures;
pub use form::ClientWords;
pub use redirect::Redirect;
pub use visit::Visit;

use crate::clock;
use crate::config::{App, OnError};
use crate::endpoint::Endpoint;
use crate::hub::Hub;
use caller::{Caller, Hook, NoReply, Reply};
use endings::Endings;
use figures::PolicyLabel;
use form::{Call, Subject, form};
use media::StreamUrl;
use memory::{Acquaintance, Memory};
use redirect::Unusable;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuid::Uuid;
use visit::{Kind, Told};

/// What hooks need of the relay.
pub struct Parts<'a> {
    /// The applications with their hooks.
    pub apps: &'a [App],
    /// For the time of a stream.
    pub hub: Hub,
    /// What is counted.
    pub figures: Arc<HookFigures>,
    /// Their tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// One who wants to publish or play.
pub struct Visitor {
    /// Which stream.
    pub url: StreamUrl,
    /// From where.
    pub address: Option<IpAddr>,
    /// Its connection.
    pub connection: Uuid,
    /// What it said about itself.
    pub client: ClientWords,
    /// The parameters of its URL, without secrets that are between it and this relay.
    pub arguments: Vec<(String, String)>,
    /// Whom its credentials name.
    pub principal: String,
    /// Which of that one's publishers.
    pub instance: Option<String>,
}

/// Let in.
#[derive(Debug)]
pub struct Welcome {
    /// Its stay; what is to be told at the end is told when this is dropped.
    pub visit: Visit,
    /// What else the hook asked for.
    pub redirect: Option<Redirect>,
}

/// Turned away by a hook, or because it gave no answer. For the peer: plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub &'static str);

/// The hooks of all applications. Cloning shares them.
#[derive(Clone)]
pub struct Hooks {
    apps: Arc<[App]>,
    caller: Caller,
    memory: Memory,
    endings: Endings,
    hub: Hub,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hooks {
    /// Prepares them and starts what tells of endings.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn start(parts: Parts<'_>) -> reqwest::Result<Self> {
        let endpoints = parts.apps.iter().flat_map(App::hooks);
        let caller = Caller::new(crate::endpoint::client()?, endpoints, parts.figures);
        let endings = Endings::start(caller.clone(), &parts.tasks, parts.stop.clone());
        Ok(Self {
            apps: parts.apps.into(),
            caller,
            memory: Memory::default(),
            endings,
            hub: parts.hub,
            tasks: parts.tasks,
            stop: parts.stop,
        })
    }

    /// Asks whether a publisher that has the claim may go on. Dropping the future withdraws the question; a hook that
    /// may have heard it is told of the end.
    ///
    /// # Errors
    /// [`Denied`] with what to tell the peer.
    pub async fn ask_publish(&self, visitor: Visitor) -> Result<Welcome, Denied> {
        self.ask(Kind::Publisher, visitor).await
    }

    /// Asks whether a player may play.
    ///
    /// # Errors
    /// [`Denied`] with what to tell the peer.
    pub async fn ask_play(&self, visitor: Visitor) -> Result<Welcome, Denied> {
        self.ask(Kind::Player, visitor).await
    }

    async fn ask(&self, kind: Kind, visitor: Visitor) -> Result<Welcome, Denied> {
        let app = self.apps.iter().position(|rule| rule.is_for(visitor.url.app()));
        let Some(rule) = app.map(|at| &self.apps[at]).filter(|rule| rule.hooks().next().is_some()) else {
            return Ok(Welcome { visit: Visit::untold(), redirect: None });
        };
        let (hook, endpoint, call) = match kind {
            Kind::Publisher => (Hook::Publish, &rule.on_publish, Call::Publish),
            Kind::Player => (Hook::Play, &rule.on_play, Call::Play),
        };
        let Visitor { url, address, connection, client, arguments, principal, instance } = visitor;
        let who = endpoint
            .as_ref()
            .map(|endpoint| Acquaintance::of(endpoint, &url, &principal, instance.as_deref(), &arguments));
        let subject = Subject { url, address, client_id: client_id(connection), client, arguments };
        let body = form(&subject, call);
        let visit = Visit::new(kind, Arc::new(subject), rule, self.endings.clone());
        if kind == Kind::Publisher {
            self.endings.succeed(&visit).await;
        }
        if !visit.announce() {
            return Err(Denied("Another publisher has taken over"));
        }
        let (Some(endpoint), Some(who)) = (endpoint, who) else {
            visit.welcome(self, rule);
            return Ok(Welcome { visit, redirect: None });
        };
        let answer = self.caller.call(hook, endpoint, timeout_of(rule), body).await;
        let redirect = match answer {
            Ok(Reply::Accepted) => None,
            Ok(Reply::Redirected(location)) => location.and_then(|location| usable(hook, &location)),
            Ok(Reply::Denied(status)) => {
                info!(hook = hook.as_str(), status, "a hook said no");
                self.memory.denied(who);
                visit.forget();
                return Err(Denied("Refused by this relay's operator"));
            }
            Err(no_reply) => {
                if no_reply == NoReply::NotCalled {
                    visit.forget(); // nobody is told of the end of what was never told
                }
                let redirect = self.unanswered(hook, rule.on_error, who)?;
                visit.welcome(self, rule);
                return Ok(Welcome { visit, redirect });
            }
        };
        self.memory.accepted(who, redirect.clone(), clock::now());
        visit.welcome(self, rule);
        Ok(Welcome { visit, redirect })
    }

    /// What the application's rule makes of no answer.
    fn unanswered(
        &self,
        hook: Hook,
        on_error: OnError,
        who: Acquaintance,
    ) -> Result<Option<Redirect>, Denied> {
        let last = self.memory.last(who, clock::now());
        let (decision, outcome) = match (on_error, last) {
            (OnError::Cached, Some(redirect)) => ("cached", Ok(redirect)),
            (OnError::Allow, last) => ("allowed", Ok(last.flatten())),
            (OnError::Cached, None) | (OnError::Deny, _) => {
                ("refused", Err(Denied("This relay cannot ask whether you may; try again shortly")))
            }
        };
        warn!(hook = hook.as_str(), decision, "a hook gave no answer");
        self.caller.figures().unanswered.get_or_create(&PolicyLabel { hook: hook.as_str(), decision }).inc();
        outcome
    }

    /// Asks `on_update` about one visit, again and again, until it says no or the visit ends.
    fn keep_asking(
        &self,
        told: &Told,
        over: &CancellationToken,
        sent_away: &CancellationToken,
        rule: &App,
        endpoint: &Endpoint,
    ) {
        let (hooks, subject, kind) = (self.clone(), told.subject.clone(), told.kind);
        let (over, sent_away) = (over.clone(), sent_away.clone());
        let (endpoint, every, within) =
            (endpoint.clone(), Duration::from_secs(rule.on_update_seconds.get()), timeout_of(rule));
        let began = clock::now();
        let work = async move {
            let mut period = tokio::time::interval_at((began + every).into(), every);
            period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = over.cancelled() => return,
                    () = hooks.stop.cancelled() => return,
                    _ = period.tick() => {}
                }
                let seconds = clock::now().saturating_duration_since(began).as_secs();
                // RTMP's 32 bits wrap, by design.
                let timestamp = hooks.hub.find(&subject.url).map_or(0, |it| it.newest_ms() as u32);
                let call = match kind {
                    Kind::Publisher => Call::UpdatePublish { seconds, timestamp },
                    Kind::Player => Call::UpdatePlay { seconds, timestamp },
                };
                let answer = hooks.caller.call(Hook::Update, &endpoint, within, form(&subject, call)).await;
                // Without an answer it goes on: it was let in, and a dead hook is no reason to end it.
                if let Ok(Reply::Denied(status)) = answer {
                    info!(status, url = %subject.url, "on_update said no; the peer is sent away");
                    sent_away.cancel();
                    return;
                }
            }
        };
        self.tasks.spawn(work);
    }
}

/// What a Location asks for; nothing if it cannot be used, since the peer was let in all the same.
fn usable(hook: Hook, location: &str) -> Option<Redirect> {
    match Redirect::parse(location) {
        Ok(redirect) => Some(redirect),
        Err(Unusable(why)) => {
            warn!(hook = hook.as_str(), %why, "a hook's redirect cannot be followed; the peer was let in without it");
            None
        }
    }
}

fn timeout_of(rule: &App) -> Duration {
    Duration::from_millis(rule.hook_timeout_ms.get())
}

/// A number for a connection: 48 random bits, which every language's numbers hold.
const fn client_id(connection: Uuid) -> u64 {
    (connection.as_u128() >> 80) as u64
}
