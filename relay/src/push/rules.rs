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
            let gap_max = app
                .push_gap_seconds
                .or(app.grace_seconds)
                .map_or(grace, |seconds| Duration::from_secs(seconds.get()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(app: serde_json::Value) -> Result<Rules, RulesError> {
        let app = serde_json::from_value(app).unwrap();
        Rules::open(&[app], &Claims::default())
    }

    #[test]
    fn each_application_has_its_own_rule_and_others_hold_for_a_claim_s_grace() {
        let rules = open(json!({ "name": "live", "push_gap": "silence", "push_gap_seconds": 60 })).unwrap();
        let own = rules.of(&"live/room".parse().unwrap());
        assert!(matches!(own.fill, Fill::Silence));
        assert_eq!((own.gap_max, own.lag_ms_max), (Duration::from_secs(60), 5_000));
        let other = rules.of(&"other/room".parse().unwrap());
        assert!(matches!(other.fill, Fill::Hold));
        assert_eq!((other.gap_max, other.lag_ms_max), (Duration::from_secs(15), 5_000));
    }

    #[test]
    fn a_clip_that_cannot_be_shown_is_named_by_its_key() {
        let slate = |path: &str| json!({ "name": "live", "push_gap": "slate", "push_slate": path });
        let missing = open(slate("/nonexistent/slate.flv")).err().unwrap().to_string();
        assert!(missing.starts_with("app.0.push_slate: the file cannot be read"), "{missing}");
        let other = open(slate("/proc/self/status")).err().unwrap().to_string();
        assert_eq!(other, "app.0.push_slate: this is not a whole FLV file");
        let endless = open(slate("/dev/zero")).err().unwrap().to_string();
        assert!(endless.starts_with("app.0.push_slate: the file is larger"), "{endless}");
    }
}
