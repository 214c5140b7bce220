//! Claims in this relay's own file: nobody else can have them.

use super::{ClaimStore, Wish, Word};
use crate::store::{self, Answer, ClaimWrite, Store};
use claims::fleet::Told;
use claims::{Change, ClaimKey, FencingToken, SaveId};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tracing::warn;

/// The embedded store, as the desk sees it.
pub struct Embedded {
    store: Store,
    /// Writes on their way; at most as many as the store's queue has places.
    writing: FuturesUnordered<BoxFuture<'static, (Written, bool)>>,
    words: VecDeque<Word>,
}

/// A write that the store was given.
enum Written {
    Save(SaveId, FencingToken),
    Change(ClaimKey),
}

impl Embedded {
    /// Keeps claims in this file.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, writing: FuturesUnordered::new(), words: VecDeque::new() }
    }

    fn write(&mut self, written: Written, change: Change) {
        let answer: Answer<()> = match self.store.submit_claims(vec![ClaimWrite::Change(change)]) {
            Ok(answer) => answer,
            Err(error) => {
                warn!(%error, "a claim could not be stored");
                self.words.push_back(word(written, false));
                return;
            }
        };
        self.writing.push(Box::pin(async move {
            let answered = tokio::time::timeout(store::ANSWER_WITHIN, answer).await;
            (written, matches!(answered, Ok(Ok(Ok(())))))
        }));
    }
}

impl ClaimStore for Embedded {
    fn submit(&mut self, _now: Instant, wish: Wish) {
        match wish {
            Wish::Save { save, record, .. } => {
                self.write(Written::Save(save, record.token), Change::Put(record));
            }
            Wish::Persist(change) => self.write(Written::Change(key_of(&change).clone()), change),
            // There are no other relays.
            Wish::Show(..) | Wish::Ask(_) | Wish::Vouch(_) | Wish::Evict(..) => {}
        }
    }

    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Word> {
        if let Some(word) = self.words.pop_front() {
            return Poll::Ready(word);
        }
        while let Poll::Ready(Some((written, is_done))) = self.writing.poll_next_unpin(cx) {
            if !is_done || matches!(written, Written::Save(..)) {
                return Poll::Ready(word(written, is_done));
            }
        }
        Poll::Pending
    }

    fn lease_left(&self, _now: Instant) -> Option<Duration> {
        None
    }
}

fn word(written: Written, is_done: bool) -> Word {
    match (written, is_done) {
        (Written::Save(save, token), true) => Word::Told(Told::Stored { save, token, guard: Duration::ZERO }),
        (Written::Save(save, _), false) => {
            warn!("a claim could not be stored; its publisher is refused");
            Word::Told(Told::NotStored { save })
        }
        (Written::Change(key), _) => Word::Unwritten(key),
    }
}

const fn key_of(change: &Change) -> &ClaimKey {
    match change {
        Change::Put(record) => &record.key,
        Change::Remove(key) | Change::Blocks(key, _) => key,
    }
}
