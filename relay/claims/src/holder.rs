//! Who asks, and who holds.

use std::fmt;
use uuid::Uuid;

/// A name that may be shown to anybody: printable ASCII of 1 to 48 bytes, whatever it was made from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Box<str>);

impl Label {
    /// The longest label, in bytes; the rest is cut.
    pub const BYTES_MAX: usize = 48;

    /// From any text: other characters become `?`, an empty one becomes `unnamed`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let shown = printable(text.trim(), Self::BYTES_MAX);
        Self(if shown.is_empty() { "unnamed".into() } else { shown.into() })
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Printable ASCII of at most `bytes_max`, everything else replaced: what may enter a text for strangers.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(bytes_max).collect()
}

/// By what a returning holder is recognised: the authenticated principal *and* the instance.
///
/// Never an address, never the stream key alone: two recorders may well have the same credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId {
    /// Whom the credentials name.
    pub principal: String,
    /// Which of the principal's publishers: the grant's instance or the stream's id.
    pub instance: Option<String>,
}

/// Who wants a claim or has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Whom the credentials name, such as a token's id or `anonymous`.
    pub principal: String,
    /// Which of the principal's publishers. `None` for those who were not authenticated or named none: they are never
    /// taken for a returning holder.
    pub instance: Option<String>,
    /// Which process of that instance. The same number is the same process reconnecting, a larger one its successor;
    /// a smaller one is stale and refused.
    pub incarnation: u32,
    /// The name shown to others.
    pub label: Label,
    /// Larger may displace smaller where the app allows it; equal never does.
    pub priority: u8,
    /// The stream it publishes for, if a bot started one.
    pub stream_id: Option<Uuid>,
}

impl Holder {
    /// A publisher that cannot be recognised again.
    #[must_use]
    pub fn anonymous(label: Label) -> Self {
        Self {
            principal: "anonymous".into(),
            instance: None,
            incarnation: 0,
            label,
            priority: 0,
            stream_id: None,
        }
    }

    /// A publisher that is recognised again by principal and instance; its first process, of priority 0.
    #[must_use]
    pub fn new(principal: impl Into<String>, instance: impl Into<String>, label: impl AsRef<str>) -> Self {
        Self {
            principal: principal.into(),
            instance: Some(instance.into()),
            incarnation: 0,
            label: Label::new(label.as_ref()),
            priority: 0,
            stream_id: None,
        }
    }

    /// The same, as another of its processes.
    #[must_use]
    pub fn incarnation(self, incarnation: u32) -> Self {
        Self { incarnation, ..self }
    }

    /// By what it is recognised and blocked.
    #[must_use]
    pub fn id(&self) -> HolderId {
        HolderId { principal: self.principal.clone(), instance: self.instance.clone() }
    }

    /// Whether the other is this holder come back. Without an instance nobody is.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.instance.is_some() && self.instance == other.instance && self.principal == other.principal
    }

    /// Whether a block on `blocked` meets this holder. A block on one without an instance meets all of its
    /// principal's that have none, since they cannot be told apart.
    pub(crate) fn is_met_by(&self, blocked: &HolderId) -> bool {
        self.principal == blocked.principal && self.instance == blocked.instance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_credentials_without_the_same_instance_are_not_the_same_holder() {
        let one = Holder::new("fosdem", "recorder-1", "rec-1");
        let two = Holder::new("fosdem", "recorder-2", "rec-1");
        assert!(!one.is_same(&two));
        let nameless = Holder::anonymous(Label::new("obs"));
        assert!(!nameless.is_same(&nameless.clone()));
        assert!(one.is_same(&Holder { incarnation: 9, ..one.clone() }));
    }

    #[test]
    fn a_label_is_printable_and_short_whatever_it_was_made_from() {
        assert_eq!(Label::new(" \r\n").as_str(), "unnamed");
        assert_eq!(Label::new("a\nb\u{1F600}\0").as_str(), "a?b??");
        assert_eq!(Label::new(&"x".repeat(500)).as_str().len(), Label::BYTES_MAX);
    }
}
