//! Whom a hook let in the last time, so that while it does not answer the same ones go on and no other comes in.
//!
//! Bounded: beyond [`ANSWERS_MAX`] the answer given longest ago is forgotten, and its publisher is a stranger again
//! should the hook then not answer.

use super::redirect::Redirect;
use media::StreamUrl;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many answers are remembered.
const ANSWERS_MAX: usize = 4_096;
/// For how long an answer counts.
const LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Which hook let whom in to which stream, as a digest: what somebody showed is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Acquaintance([u8; 32]);

impl Acquaintance {
    /// Somebody is the same if its principal, its instance and what its URL says are the same.
    pub(super) fn of(
        hook: &crate::endpoint::Endpoint,
        url: &StreamUrl,
        principal: &str,
        instance: Option<&str>,
        arguments: &[(String, String)],
    ) -> Self {
        let mut hash = Sha256::new();
        let fixed = [hook.expose().as_str(), url.as_str(), principal, instance.unwrap_or_default()];
        let shown = arguments.iter().flat_map(|(field, value)| [field.as_str(), value.as_str()]);
        for part in fixed.into_iter().chain(shown) {
            hash.update((part.len() as u64).to_be_bytes()); // so that no two lists of parts read alike
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

#[derive(Clone)]
struct Answer {
    redirect: Option<Redirect>,
    at: Instant,
}

/// All answers. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<HashMap<Acquaintance, Answer>>>);

impl Memory {
    fn answers(&self) -> MutexGuard<'_, HashMap<Acquaintance, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was let in.
    pub(super) fn accepted(&self, who: Acquaintance, redirect: Option<Redirect>, now: Instant) {
        let mut answers = self.answers();
        if answers.len() >= ANSWERS_MAX && !answers.contains_key(&who) {
            let oldest = answers.iter().min_by_key(|(_, answer)| answer.at).map(|(who, _)| *who);
            oldest.map(|who| answers.remove(&who));
        }
        answers.insert(who, Answer { redirect, at: now });
    }

    /// It was turned away.
    pub(super) fn denied(&self, who: Acquaintance) {
        self.answers().remove(&who);
    }

    /// With what it was let in the last time, if that counts still.
    pub(super) fn last(&self, who: Acquaintance, now: Instant) -> Option<Option<Redirect>> {
        let answers = self.answers();
        let answer = answers.get(&who)?;
        (now.saturating_duration_since(answer.at) < LASTS).then(|| answer.redirect.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use config::Secret;

    fn who(principal: &str, argument: &str) -> Acquaintance {
        let hook = Secret::new("http://bot.example/".to_owned()).try_into().unwrap();
        let arguments = [("key".to_owned(), argument.to_owned())];
        Acquaintance::of(&hook, &"live/room".parse().unwrap(), principal, None, &arguments)
    }

    #[test]
    fn the_same_one_is_remembered_for_a_day_and_no_stranger_is() {
        let (memory, now) = (Memory::default(), Instant::now());
        memory.accepted(who("a", "k"), None, now);
        assert_eq!(memory.last(who("a", "k"), now), Some(None));
        assert_eq!(memory.last(who("b", "k"), now), None);
        assert_eq!(memory.last(who("a", "l"), now), None);
        assert_eq!(memory.last(who("a", "k"), now + LASTS), None);
        memory.denied(who("a", "k"));
        assert_eq!(memory.last(who("a", "k"), now), None);
    }

    #[test]
    fn beyond_4096_answers_the_oldest_is_forgotten() {
        let (memory, now) = (Memory::default(), Instant::now());
        for number in 0..=ANSWERS_MAX as u64 {
            memory.accepted(who(&number.to_string(), "k"), None, now + Duration::from_millis(number));
        }
        assert_eq!(memory.last(who("0", "k"), now), None);
        assert_eq!(memory.last(who("1", "k"), now), Some(None));
        assert_eq!(memory.answers().len(), ANSWERS_MAX);
    }
}
