//! `[[app]]`: the rules of one application.

use super::PushTemplate;
use crate::access::{AddressRule, AppToken, Asker, PlaySecret, TokenUse};
use crate::endpoint::Endpoint;
use ::config::{ConfigError, Within};
use serde::Deserialize;
use std::path::PathBuf;

/// The rules of one application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The application's name, such as `live`; `*` fits all.
    pub name: String,
    /// Who may publish.
    #[serde(default)]
    pub publish: Publish,
    /// From where publishers may come, whatever they show; the first line that fits decides, and where none does they may.
    #[serde(default)]
    pub publish_from: Vec<AddressRule>,
    /// Who may play.
    #[serde(default)]
    pub play: Play,
    /// From where players may come, in the same way.
    #[serde(default)]
    pub play_from: Vec<AddressRule>,
    /// What signed play URLs are signed with.
    #[serde(default)]
    pub play_secret: Option<PlaySecret>,
    /// Static tokens.
    #[serde(default)]
    pub token: Vec<AppToken>,
    /// From the grant to the first media, in seconds; absent: `claims.first_media_seconds`.
    #[serde(default)]
    pub first_media_seconds: Option<Within<1, 86_400>>,
    /// Between media, in seconds; absent: `claims.idle_seconds`.
    #[serde(default)]
    pub idle_seconds: Option<Within<1, 86_400>>,
    /// How long a lost publisher's place is kept, in seconds; absent: `claims.grace_seconds`.
    #[serde(default)]
    pub grace_seconds: Option<Within<1, 86_400>>,
    /// Where each of its publications is pushed.
    #[serde(default)]
    pub push: Vec<PushTemplate>,
    /// What targets get while a stream pauses.
    #[serde(default)]
    pub push_gap: PushGap,
    /// The clip for `slate`: an FLV file.
    #[serde(default)]
    pub push_slate: Option<PathBuf>,
    /// How long a pause may be, in seconds, before targets are told goodbye; absent: as long as a claim's grace.
    #[serde(default)]
    pub push_gap_seconds: Option<Within<1, 86_400>>,
    /// How far a target may lag, in milliseconds, before its push goes on at the newest keyframe.
    #[serde(default = "push_lag_ms_max")]
    pub push_lag_ms_max: Within<500, 10_000>,
    /// Asked whether a publisher that has the claim may go on.
    #[serde(default)]
    pub on_publish: Option<Endpoint>,
    /// Asked whether a player may play.
    #[serde(default)]
    pub on_play: Option<Endpoint>,
    /// Told that a publisher has ended.
    #[serde(default)]
    pub on_publish_done: Option<Endpoint>,
    /// Told that a player has ended.
    #[serde(default)]
    pub on_play_done: Option<Endpoint>,
    /// Told that a publisher or player has ended, after those two.
    #[serde(default)]
    pub on_done: Option<Endpoint>,
    /// Asked again and again whether a publisher or player may go on.
    #[serde(default)]
    pub on_update: Option<Endpoint>,
    /// How often `on_update` is asked, in seconds.
    #[serde(default = "update_seconds")]
    pub on_update_seconds: Within<1, 3_600>,
    /// How long a hook may take for its answer, in milliseconds.
    #[serde(default = "hook_timeout_ms")]
    pub hook_timeout_ms: Within<100, 8_000>,
    /// What happens when `on_publish` or `on_play` does not answer.
    #[serde(default)]
    pub on_error: OnError,
}

/// How many targets an application may have; with its hook's each of its publications then has as many as a stream may.
const PUSHES_MAX: usize = 7;

const fn push_lag_ms_max() -> Within<500, 10_000> {
    Within::new(crate::push::LAG_MS_MAX)
}

const fn update_seconds() -> Within<1, 3_600> {
    Within::new(30)
}

const fn hook_timeout_ms() -> Within<100, 8_000> {
    Within::new(3_000)
}

/// Who may publish to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// Anybody from this machine; with a grant or a token from anywhere. The default.
    #[default]
    Local,
    /// Only with a grant.
    Grant,
    /// With a token of the application's, or a grant.
    Token,
    /// Anybody.
    Open,
}

/// Who may play from an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Play {
    /// Anybody. The default.
    #[default]
    Open,
    /// Anybody from this machine.
    Local,
    /// With a token of the application's that may play.
    Token,
    /// With a URL signed by `play_secret`.
    Signed,
}

/// What targets get while a stream brings nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushGap {
    /// Nothing; the connection stays open. The default.
    #[default]
    Hold,
    /// Silence, and the newest keyframe again and again.
    Silence,
    /// The clip of `push_slate`.
    Slate,
}

/// What becomes of a publisher or player when the hook that was asked about it does not answer, or not with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Who was let in the last time is let in again; a stranger is refused. The default.
    #[default]
    Cached,
    /// Nobody is let in.
    Deny,
    /// Everybody is let in.
    Allow,
}

impl App {
    /// Whether its rules are for an application of this name.
    #[must_use]
    pub fn is_for(&self, app: &str) -> bool {
        self.name == app || self.name == "*"
    }

    /// The URLs of its hooks.
    pub fn hooks(&self) -> impl Iterator<Item = &Endpoint> {
        let all = [
            &self.on_publish,
            &self.on_play,
            &self.on_publish_done,
            &self.on_play_done,
            &self.on_done,
            &self.on_update,
        ];
        all.into_iter().flatten()
    }

    /// The token that somebody shows, if it lets it do this.
    #[must_use]
    pub fn token(&self, asker: Asker<'_>, wanted: TokenUse) -> Option<&AppToken> {
        AppToken::shown_by(&self.token, asker, wanted)
    }

    /// Whether its keys go together.
    pub(super) fn check(&self, at: usize) -> Result<(), ConfigError> {
        let refused =
            |key: &str, message: &str| Err(ConfigError::refused(&format!("app.{at}.{key}"), message));
        if self.push.len() > PUSHES_MAX {
            return refused("push", "an application pushes to at most 7 targets");
        }
        if self.push_gap == PushGap::Slate && self.push_slate.is_none() {
            return refused("push_slate", "push_gap = \"slate\" needs the FLV file that is shown");
        }
        let has_token = |wanted| self.token.iter().any(|token| token.may(wanted));
        if self.publish == Publish::Token && !has_token(TokenUse::Publish) {
            return refused("publish", "\"token\" needs an [[app.token]] that may publish; there is none");
        }
        if self.play == Play::Token && !has_token(TokenUse::Play) {
            return refused("play", "\"token\" needs an [[app.token]] with may = [\"play\"]; there is none");
        }
        if self.play == Play::Signed && self.play_secret.is_none() {
            return refused("play_secret", "play = \"signed\" needs the secret that URLs are signed with");
        }
        Ok(())
    }
}
