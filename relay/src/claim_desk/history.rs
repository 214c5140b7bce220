//! What happened, as the store remembers it.

use super::ClaimDesk;
use crate::store::{AuditOf, AuditQuery, AuditRow, StoreError};
use api::claim_events::{ClaimEventView, ClaimEvents, ClaimEventsQuery, PAGE, PAGE_MAX};
use claims::ClaimId;

impl ClaimDesk {
    /// One page of what happened to a key, or to all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(&self, query: ClaimEventsQuery) -> Result<ClaimEvents, StoreError> {
        let of = query.key.clone().map_or(AuditOf::All, AuditOf::Key);
        self.page(of, &query).await
    }

    /// One page of what happened to a claim, which may have ended, and to its key meanwhile; `None` if nobody
    /// remembers it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history_of(
        &self,
        claim: ClaimId,
        query: &ClaimEventsQuery,
    ) -> Result<Option<ClaimEvents>, StoreError> {
        let page = self.page(AuditOf::Claim(claim), query).await?;
        if !page.events.is_empty() {
            return Ok(Some(page));
        }
        // The page of a known claim may be empty, as may the whole history of one that lives longer than it is kept;
        // and a block has its row's id, under which nothing is written.
        let any = ClaimEventsQuery { limit: Some(1), ..ClaimEventsQuery::default() };
        if !self.page(AuditOf::Claim(claim), &any).await?.events.is_empty() {
            return Ok(Some(page));
        }
        match self.find(claim).await {
            Some(row) => Ok(Some(self.page(AuditOf::Key(row.key), query).await?)),
            None => Ok(None),
        }
    }

    async fn page(&self, of: AuditOf, query: &ClaimEventsQuery) -> Result<ClaimEvents, StoreError> {
        let length = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let before = query.before.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        // One more than asked tells whether there is another page.
        let wanted = AuditQuery { of, since: query.since, before, limit: length + 1 };
        let mut rows = self.store.claim_events(wanted).await?;
        let has_more = rows.len() > length as usize;
        rows.truncate(length as usize);
        let events: Vec<_> = rows.into_iter().map(view).collect();
        let next = events.last().filter(|_| has_more).map(|event| event.number);
        Ok(ClaimEvents { events, next })
    }
}

fn view(row: AuditRow) -> ClaimEventView {
    ClaimEventView {
        number: row.number.cast_unsigned(),
        at: row.at,
        what: row.what,
        key: row.key,
        claim_id: row.claim_id,
        token: row.token,
        who: row.who,
        why: row.why,
    }
}
