//! `[[app]]`: the rules of one application.

use crate::access::{AddressRule, AppToken, Asker, PlaySecret, TokenUse};
use crate::endpoint::Endpoint;
use ::config::{ConfigError, Within};
use serde::Deserialize;

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

    /// The token that somebody shows, if it lets it do this.
    #[must_use]
    pub fn token(&self, asker: Asker<'_>, wanted: TokenUse) -> Option<&AppToken> {
        AppToken::shown_by(&self.token, asker, wanted)
    }

    /// Whether its keys go together.
    pub(super) fn check(&self, at: usize) -> Result<(), ConfigError> {
        let refused =
            |key: &str, message: &str| Err(ConfigError::refused(&format!("app.{at}.{key}"), message));
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
