//! How long claims live without media, application by application.

use crate::config::App;
use claims::Timing;
use std::sync::Arc;
use std::time::Duration;

/// The applications' own times.
#[derive(Clone, Debug)]
pub struct Timings {
    apps: Arc<[App]>,
    others: Timing,
}

impl Timings {
    /// Those of these applications, and `others` for all else that they do not say.
    #[must_use]
    pub fn new(apps: &[App], others: Timing) -> Self {
        Self { apps: apps.into(), others }
    }

    /// The times of an application; `None` if it has none of its own.
    #[must_use]
    pub fn of(&self, app: &str) -> Option<Timing> {
        let rule = self.apps.iter().find(|rule| rule.is_for(app))?;
        let own = [rule.first_media_seconds, rule.idle_seconds, rule.grace_seconds];
        let [first_media, idle, grace] = own.map(|time| time.map(|time| Duration::from_secs(time.get())));
        first_media.or(idle).or(grace)?;
        Some(Timing {
            first_media: first_media.unwrap_or(self.others.first_media),
            idle: idle.unwrap_or(self.others.idle),
            grace: grace.unwrap_or(self.others.grace),
        })
    }
}
