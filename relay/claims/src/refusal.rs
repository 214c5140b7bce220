//! Why somebody was turned away, and what it is told.

use crate::Label;
use std::fmt;

/// A short number by which an operator finds the refusal that somebody complains about; shown as four hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference(pub u16);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Another holder publishes and is healthy, or is being given time to return.
    Held,
    /// The key is kept for another holder, whose publisher has not come yet.
    Reserved,
    /// A newer process of the same holder has taken over.
    Stale,
    /// The same holder displaced its own healthy connection too often: two senders share one grant.
    Shared,
    /// The claim that its grant names has ended.
    Gone,
    /// An operator blocked the key.
    KeyBlocked,
    /// An operator blocked this holder from the key.
    HolderBlocked,
    /// The grant could not be made durable.
    StoreUnavailable,
    /// Too many wait on this key, or too many keys are claimed.
    Busy,
    /// No decision (or no keyframe from a higher priority) within the time allowed.
    TimedOut,
}

impl Reason {
    /// A few words for logs and metrics labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Reserved => "reserved",
            Self::Stale => "stale",
            Self::Shared => "shared",
            Self::Gone => "gone",
            Self::KeyBlocked => "key_blocked",
            Self::HolderBlocked => "holder_blocked",
            Self::StoreUnavailable => "store_unavailable",
            Self::Busy => "busy",
            Self::TimedOut => "timed_out",
        }
    }
}

/// One refusal: what the refused one may know. Never an address, a key, a principal or an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Whose claim is in the way, by public label.
    pub holder: Option<Label>,
    /// Since when that holder has it, in milliseconds since the UNIX epoch.
    pub since_unix_ms: Option<i64>,
    /// By what an operator finds it.
    pub reference: Reference,
}

impl Refusal {
    /// What the refused one is told: at most 200 bytes of ASCII.
    #[must_use]
    pub fn text(&self) -> String {
        let reference = self.reference;
        let holder = self.holder.as_ref().map_or("another publisher", Label::as_str);
        let since = self.since_unix_ms.map_or_else(String::new, |ms| format!(" since {}", clock_time(ms)));
        match self.reason {
            Reason::Held => format!(
                "URL held by {holder}{since}; publish refused, running stream unaffected (ref {reference})"
            ),
            Reason::Reserved => {
                format!("URL reserved for {holder}{since}; publish refused (ref {reference})")
            }
            Reason::Stale => format!(
                "a newer process of {holder} has the URL{since}; publish refused, running stream unaffected \
                 (ref {reference})"
            ),
            Reason::Shared => format!(
                "two senders share the grant of {holder}; publish refused, running stream unaffected \
                 (ref {reference})"
            ),
            Reason::Gone => format!("the claim of this grant has ended; publish refused (ref {reference})"),
            Reason::KeyBlocked => format!("URL blocked by an operator; publish refused (ref {reference})"),
            Reason::HolderBlocked => {
                format!("publisher blocked from this URL by an operator; publish refused (ref {reference})")
            }
            Reason::StoreUnavailable => {
                format!("claim could not be stored; publish refused, try again (ref {reference})")
            }
            Reason::Busy => {
                format!("too many want a claim now; publish refused, try again (ref {reference})")
            }
            Reason::TimedOut => format!("no decision in time; publish refused, try again (ref {reference})"),
        }
    }
}

/// The time of day in UTC, such as `12:00:03Z`.
fn clock_time(unix_ms: i64) -> String {
    let second = unix_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_holder_since_when_and_a_reference() {
        let refusal = Refusal {
            reason: Reason::Held,
            holder: Some(Label::new("rec-2")),
            since_unix_ms: Some((12 * 3600 + 3) * 1000 + 999),
            reference: Reference(0x7f3a),
        };
        assert_eq!(
            refusal.text(),
            "URL held by rec-2 since 12:00:03Z; publish refused, running stream unaffected (ref 7f3a)"
        );
    }

    #[test]
    fn every_refusal_is_at_most_200_bytes_of_ascii_whatever_the_label() {
        use Reason::*;
        for reason in
            [Held, Reserved, Stale, Shared, Gone, KeyBlocked, HolderBlocked, StoreUnavailable, Busy, TimedOut]
        {
            let refusal = Refusal {
                reason,
                holder: Some(Label::new(&"\u{1F600}".repeat(300))),
                since_unix_ms: Some(i64::MIN),
                reference: Reference(0xffff),
            };
            let text = refusal.text();
            assert!(text.is_ascii() && text.len() <= 200, "{} bytes: {text}", text.len());
        }
    }
}
