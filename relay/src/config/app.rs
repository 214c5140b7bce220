//! `[[app]]`: the rules of one application.

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
}

/// Who may publish to an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// Anybody from this machine; with a grant from anywhere. The default.
    #[default]
    Local,
    /// Only with a grant.
    Grant,
    /// Anybody.
    Open,
}
