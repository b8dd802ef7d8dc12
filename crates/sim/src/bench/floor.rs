//! What all simulated terminals of a run share.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iso8583::{Dialect, Framing, Kind, Message, Mti};

use super::cards::Card;
use super::mix::Mix;
use super::pacer::Pacer;
use super::requests::Requests;
use super::stats::{Live, Stats};
use crate::ledger::LedgerWriter;

/// What all terminals of a run share. One thread owns it.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) dialect: Arc<Dialect>,
    pub(super) framing: Framing,
    pub(super) mix: Mix,
    pub(super) cards: Vec<Card>,
    pub(super) requests: RefCell<Requests>,
    pub(super) journal: RefCell<LedgerWriter>,
    pub(super) stats: RefCell<Stats>,
    pub(super) live: Arc<Live>,
    pub(super) pacer: Pacer,
    /// `MMDDhhmmss`, made anew each second.
    pub(super) clock: Cell<u64>,
    pub(super) batch: u32,
    pub(super) first_stan: u32,
    pub(super) terminals: usize,
    pub(super) connections: usize,
    pub(super) seed: u64,
}

impl Floor {
    /// The response code of an answer (39), as one of the 1987 version; empty if it has none.
    pub(super) fn code(&self, answer: &Message) -> String {
        let code = answer.code().map(|code| self.dialect.to_iso87(code));
        code.map_or_else(String::new, |code| code.to_string())
    }

    /// The message type of the answer to a request of `kind`.
    pub(super) fn response(&self, kind: Kind) -> Option<Mti> {
        self.dialect.row(kind).map(|row| row.mti.response())
    }
}

/// One turn of a connection: the time, what is to be written, and whether the connection is to be closed then.
pub(super) struct Turn<'a> {
    pub(super) floor: &'a Floor,
    pub(super) now: Instant,
    pub(super) out: &'a mut Vec<u8>,
    /// Close once all is written, and come back after so long.
    pub(super) close: Option<Duration>,
}
