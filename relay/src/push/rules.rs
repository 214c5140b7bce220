//! How pushes behave, by the application of their stream.

use super::slate::{Slate, SlateError};
use crate::config::{App, Claims, PushGap};
use media::StreamUrl;
use std::sync::Arc;
use std::time::Duration;

/// How far a target may lag where nothing else is said, in milliseconds of media.
pub(crate) const LAG_MS_MAX: u64 = 5_000;

/// What a target gets while its stream pauses.
#[derive(Clone, Debug)]
pub(super) enum Fill {
    /// Nothing; the connection stays.
    Hold,
    /// Silence, and the newest keyframe again and again.
    Silence,
    /// A clip.
    Slate(Arc<Slate>),
}

/// How one push behaves.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// What fills a gap.
    pub(super) fill: Fill,
    /// How long a gap may be; then the target is told goodbye until there is media again.
    pub(super) gap_max: Duration,
    /// How far the target may lag; beyond it the push goes on at the newest keyframe.
    pub(super) lag_ms_max: i64,
}

/// A file that an application names cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("app.{app}.push_slate: {why}")]
pub struct RulesError {
    app: usize,
    why: SlateError,
}

/// The rules of all applications. Cloning shares them.
#[derive(Clone)]
pub struct Rules {
    apps: Arc<[(App, Rule)]>,
    other: Rule,
}

impl Rules {
    /// Reads the clips that they name.
    ///
    /// # Errors
    /// [`RulesError`] names the application whose clip cannot be shown.
    pub fn open(apps: &[App], claims: &Claims) -> Result<Self, RulesError> {
        let grace = Duration::from_secs(claims.grace_seconds.into());
        let rule = |(at, app): (usize, &App)| {
            let fill = match (app.push_gap, &app.push_slate) {
                (PushGap::Hold, _) | (PushGap::Slate, None) => Fill::Hold,
                (PushGap::Silence, _) => Fill::Silence,
                (PushGap::Slate, Some(path)) => {
                    Fill::Slate(Arc::new(Slate::read(path).map_err(|why| RulesError { app: at, why })?))
                }
            };
            let gap_max = app.push_gap_seconds.map_or(grace, |seconds| Duration::from_secs(seconds.get()));
            let lag_ms_max = app.push_lag_ms_max.get() as i64;
            Ok((app.clone(), Rule { fill, gap_max, lag_ms_max }))
        };
        let apps: Vec<_> = apps.iter().enumerate().map(rule).collect::<Result<_, _>>()?;
        let other = Rule { fill: Fill::Hold, gap_max: grace, lag_ms_max: LAG_MS_MAX as i64 };
        Ok(Self { apps: apps.into(), other })
    }

    /// Those for one stream.
    pub(super) fn of(&self, name: &StreamUrl) -> &Rule {
        let found = self.apps.iter().find(|(app, _)| app.is_for(name.app()));
        found.map_or(&self.other, |(_, rule)| rule)
    }
}
