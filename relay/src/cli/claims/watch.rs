//! `sluice claims watch`: a table that redraws on a terminal, lines elsewhere.

use super::super::screen::{Screen, Size};
use super::super::table::{age, bit_rate, moment, printable, span_ms, table};
use super::super::{Connection, Failure};
use super::state;
use crate::clock;
use api::claim_events::ClaimEventsQuery;
use api::claims::{ClaimKind, ClaimView};
use api::client::{Client, ClientError, Events};
use api::events::Event;
use api::streams::BroadcastView;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often the table is drawn at most, and at least, since ages count on.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// How long until a lost relay is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How many events may wait to be drawn; beyond it they wait at the relay, which sends a snapshot instead.
const HEARD_MAX: usize = 64;
/// How many events are remembered for the lower half; beyond it the oldest go.
const EVENTS_MAX: usize = 100;

pub(super) async fn run(connection: &Connection) -> Result<(), Failure> {
    match Screen::of_terminal() {
        Some(_) if connection.json => lines(connection).await,
        Some(screen) => live(connection, screen).await,
        None => lines(connection).await,
    }
}

async fn lines(connection: &Connection) -> Result<(), Failure> {
    let mut events = connection.client()?.events().await?;
    while let Some(event) = events.next().await? {
        match event {
            Event::Snapshot { claims, .. } if connection.json => {
                connection.show_change(&claims, |_| String::new())?;
            }
            Event::Snapshot { claims, .. } => {
                for claim in &claims {
                    connection.show_change(claim, |claim| {
                        line(clock::wall(), &state(claim), &claim.key, &format!("{} has it", claim.holder))
                    })?;
                }
            }
            Event::Claim { ref what, ref key, ref detail, at, .. } => {
                let line = line(at, what, key, detail);
                connection.show_change(&event, |_| line)?;
            }
            Event::Stream { .. }
            | Event::Broadcasts { .. }
            | Event::Claims { .. }
            | Event::Recorder { .. }
            | Event::Targets { .. } => {}
        }
    }
    Err(Failure::unavailable("the relay ended the events"))
}

fn line(at: jiff::Timestamp, what: &str, key: &str, detail: &str) -> String {
    format!("{}  {what:<10}  {}  {}", moment(at), printable(key), printable(detail))
}

/// Shows the table until interrupted. A relay that goes away is tried again; one that refuses us ends it.
async fn live(connection: &Connection, mut screen: Screen) -> Result<(), Failure> {
    let client = connection.client()?;
    let events = client.events().await?;
    let mut board = Board::default();
    board.remember(&client).await;
    let (tell, mut heard) = mpsc::channel(HEARD_MAX);
    let following = tokio::spawn(follow(client, events, tell));
    screen.enter()?;
    let mut draw = tokio::time::interval(DRAW_EVERY);
    draw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = loop {
        tokio::select! {
            Some(news) = heard.recv() => match news {
                Ok(event) => board.apply(event),
                Err(error) if error.is_retryable() => board.trouble = Some(error.to_string()),
                Err(error) => break Err(error.into()),
            },
            _ = draw.tick() => screen.draw(&board.drawn(screen.size()))?,
            done = tokio::signal::ctrl_c() => break done.map_err(Failure::from),
        }
    };
    following.abort();
    ended
}

/// Hands on every event, and every loss of the relay until it is back; ends when nobody listens.
async fn follow(client: Client, mut events: Events, tell: mpsc::Sender<Result<Event, ClientError>>) {
    loop {
        let error = loop {
            match events.next().await {
                Ok(Some(event)) => {
                    if tell.send(Ok(event)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break ClientError::Broken("the relay ended the events".into()),
                Err(error) => break error,
            }
        };
        let mut lost = Some(error);
        while let Some(error) = lost {
            if tell.send(Err(error)).await.is_err() {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
            lost = match client.events().await {
                Ok(again) => {
                    events = again;
                    None
                }
                Err(error) => Some(error),
            };
        }
    }
}

/// What is shown.
#[derive(Default)]
struct Board {
    claims: Vec<ClaimView>,
    broadcasts: Vec<BroadcastView>,
    /// Newest last.
    events: VecDeque<String>,
    trouble: Option<String>,
}

impl Board {
    /// What happened before we came. Without it the lower half only begins empty.
    async fn remember(&mut self, client: &Client) {
        let query = ClaimEventsQuery { limit: Some(EVENTS_MAX as u32), ..ClaimEventsQuery::default() };
        let Ok(page) = client.claim_events(&query).await else { return };
        for event in page.events.iter().rev() {
            let detail = format!("{}: {}", event.who, event.why);
            self.events.push_back(line(event.at, &event.what, &event.key, &detail));
        }
    }

    fn apply(&mut self, event: Event) {
        self.trouble = None;
        match event {
            Event::Snapshot { claims, broadcasts, .. } => {
                self.claims = claims;
                self.broadcasts = broadcasts;
            }
            Event::Broadcasts { broadcasts } => self.broadcasts = broadcasts,
            Event::Claims { claims } => self.claims = claims,
            Event::Claim { what, claim, key, detail, at } => {
                if self.events.len() >= EVENTS_MAX {
                    self.events.pop_front();
                }
                self.events.push_back(line(at, &what, &key, &detail));
                let id = claim.as_ref().map(|claim| claim.id);
                // Two targets may be shown alike; the next list tells which of them is gone.
                self.claims
                    .retain(|row| Some(row.id) != id && (row.key != key || row.kind == ClaimKind::Target));
                self.claims.extend(claim.map(|claim| *claim));
                self.claims.sort_by(|one, other| one.key.cmp(&other.key));
            }
            Event::Stream { .. } | Event::Recorder { .. } | Event::Targets { .. } => {}
        }
    }

    /// The lines of a whole screen.
    fn drawn(&self, size: Size) -> Vec<String> {
        let waiting: usize = self.claims.iter().map(|claim| claim.contenders.len()).sum();
        let blocked = self.claims.iter().filter(|claim| claim.block.is_some()).count();
        let head = format!(
            "{}  {} rows, {waiting} waiting, {blocked} blocked    (Ctrl-C ends)",
            moment(clock::wall()),
            self.claims.len()
        );
        let mut lines =
            vec![self.trouble.as_ref().map_or(head, |why| format!("{why}; trying again")), String::new()];
        // A third of the screen, at least, tells what happened.
        let room = size.rows.saturating_sub(lines.len() + 2).max(2);
        let claims_max = room - (room / 3).min(self.events.len());
        let shown = table_of(&self.claims, &self.broadcasts);
        let hidden = shown.len().saturating_sub(claims_max);
        let cut = if hidden > 0 { claims_max.saturating_sub(1) } else { shown.len() };
        lines.extend(shown.into_iter().take(cut));
        if hidden > 0 {
            lines.push(format!("… and {} more; `sluice claims list` has all", hidden + 1));
        }
        lines.push(String::new());
        let room = size.rows.saturating_sub(lines.len());
        lines.extend(self.events.iter().skip(self.events.len().saturating_sub(room)).cloned());
        lines.truncate(size.rows);
        lines.into_iter().map(|line| line.chars().take(size.columns).collect()).collect()
    }
}

fn table_of(claims: &[ClaimView], broadcasts: &[BroadcastView]) -> Vec<String> {
    let rows = claims.iter().map(|claim| {
        let media = broadcasts.iter().find(|it| it.live && it.name == claim.key).map(|it| &it.media);
        let none = || "-".to_owned();
        [
            claim.key.clone(),
            state(claim),
            claim.holder.clone(),
            age(claim.since),
            claim.token.to_string(),
            media.map(|media| media.silent_ms).or(claim.silent_ms).map_or_else(none, span_ms),
            media.map_or_else(none, |media| bit_rate(media.bits_per_second)),
            media.map_or_else(none, |media| format!("{:.0}", media.frames_per_second)),
            claim.contenders.len().to_string(),
            claim.refused_last_hour.to_string(),
        ]
    });
    let head =
        ["KEY", "STATE", "HOLDER", "SINCE", "TOKEN", "SILENT", "BIT RATE", "FPS", "WAITING", "REFUSED/H"];
    table(head, rows, "nothing is claimed").lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(key: &str, id: u128) -> ClaimView {
        let row = serde_json::json!({
            "id": uuid::Uuid::from_u128(id), "kind": "ingest", "key": key, "state": "live", "token": 7,
            "holder": "rec-1", "since": "2026-02-01T12:00:03Z", "refused_last_hour": 0
        });
        serde_json::from_value(row).unwrap()
    }

    fn happened(key: &str, claim: Option<ClaimView>) -> Event {
        let (what, detail) = ("granted".into(), "rec-1: admitted".into());
        let at = "2026-02-01T12:00:03Z".parse().unwrap();
        Event::Claim { what, claim: claim.map(Box::new), key: key.into(), detail, at }
    }

    #[test]
    fn whatever_the_size_of_the_terminal_the_drawing_fits() {
        let mut board = Board::default();
        for number in 0..200 {
            let key = format!("live/room-{number:03}");
            board.apply(happened(&key, Some(claim(&key, number))));
        }
        for (columns, rows) in [(80, 24), (20, 5), (200, 300), (1, 1)] {
            let drawn = board.drawn(Size { columns, rows });
            assert!(drawn.len() <= rows, "{} lines on {rows}", drawn.len());
            assert!(drawn.iter().all(|line| line.chars().count() <= columns));
        }
        let drawn = board.drawn(Size { columns: 120, rows: 24 }).join("\n");
        assert!(drawn.contains("live/room-000") && drawn.contains("more; `sluice claims list`"), "{drawn}");
        assert!(drawn.lines().last().unwrap().contains("live/room-199"), "the newest event is last");
        assert_eq!(board.events.len(), EVENTS_MAX);
    }

    #[test]
    fn a_row_goes_with_its_claim_and_gives_way_to_the_next() {
        let mut board = Board::default();
        board.apply(happened("live/a", Some(claim("live/a", 1))));
        board.apply(happened("live/a", Some(claim("live/a", 2))));
        assert_eq!(board.claims.len(), 1);
        board.apply(happened("live/a", None));
        assert!(board.claims.is_empty());
    }
}
