//! The task around one session: does what the session asks for and tells it what happens.

use crate::board::Board;
use crate::cell::{Cell, CellEvent, CellMaker};
use crate::clock;
use crate::session::{Effect, Exit, Input, Session};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};
use uuid::Uuid;

/// Carries a stream until its end. The orders' sender may go away: the stream goes on.
pub(crate) async fn carry(
    stream_id: Uuid,
    mut session: Session,
    mut orders: mpsc::Receiver<Input>,
    cells: Arc<CellMaker>,
    board: Arc<Board>,
) {
    let mut cell: Option<Cell> = None;
    let mut has_orders = true;
    loop {
        while let Some(effect) = session.poll_effect() {
            match effect {
                Effect::Spawn(spec) => {
                    info!(incarnation = spec.incarnation, "starting a worker");
                    match cells.start(&spec).await {
                        Ok(started) => cell = Some(started),
                        Err(error) => {
                            error!(%error, "cannot start a worker");
                            session.handle(clock::now(), Input::Gone(Exit::NotStarted(error.to_string())));
                        }
                    }
                }
                Effect::Order(order) => {
                    if let Some(cell) = &mut cell {
                        cell.order(&order).await;
                    }
                }
                Effect::Terminate => cell.iter().for_each(Cell::terminate),
                Effect::Kill => {
                    info!("killing the worker and all that it started");
                    cell.iter().for_each(Cell::kill);
                }
                Effect::Report(report) => {
                    if let (Some(detail), "waiting") = (&report.detail, report.state.as_str()) {
                        info!(incarnation = report.incarnation, detail, "the worker ended");
                    }
                    board.report(report);
                }
                Effect::Ended { reason, detail } => {
                    info!(reason, detail, "the stream ended here");
                    board.ended(stream_id, reason, detail);
                    return;
                }
            }
        }
        let due = session.poll_timeout().map(Instant::from_std);
        tokio::select! {
            order = orders.recv(), if has_orders => match order {
                Some(order) => session.handle(clock::now(), order),
                None => has_orders = false,
            },
            event = next_event(&mut cell) => match event {
                CellEvent::Started { pid } => session.handle(clock::now(), Input::Started { pid }),
                CellEvent::Report(report) => session.handle(clock::now(), Input::Report(report)),
                CellEvent::Overlong => session.handle(clock::now(), Input::Overlong),
                CellEvent::Gone(exit) => {
                    cell = None;
                    session.handle(clock::now(), Input::Gone(exit));
                }
            },
            () = until(due) => session.handle_timeout(clock::now()),
        }
    }
}

async fn next_event(cell: &mut Option<Cell>) -> CellEvent {
    match cell {
        Some(cell) => cell.next().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
