//! A terminal's day: its batch, its settlement, the upload where that does not balance, and what it has fetched.

mod compare;
mod fetches;
mod settlements;
mod stored;
mod terminals;
mod totals;

use bytes::Bytes;
use switch_core::{Day, Name, RowState, TerminalKey, Wall};

pub(crate) use self::{
    compare::{Difference, HeldRow, compare},
    fetches::fetch_queries,
    settlements::{SAID, UNDOING, amount_of, settlement_queries},
    stored::{
        AT_ONCE, MOST_TRIES, StoredBatch, batch_of, held_of, is_whole, kind_of, line_of, oldest,
        range, readable,
    },
    terminals::terminal_queries,
};
pub use self::{
    compare::{Line, Source},
    totals::{Balance, Group, Rules, Sum, TotalSide, Totals},
};
use crate::{
    Store, StoreError,
    store::{either, uncancelled},
};

/// Whether a transaction in this state counts in its batch's totals, unless its reversal is owed or marked: its terminal was
/// told that it went through. The statements have the same states.
pub(crate) const fn is_counted(state: RowState) -> bool {
    state.is_told_approved()
}

/// The number after this one: 999 999 is followed by 1.
#[must_use]
pub(crate) const fn next_number(number: u32) -> u32 {
    if number >= 999_999 { 1 } else { number + 1 }
}

/// Whose batch it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A hash of the three that follow.
    pub terminal: TerminalKey,
    /// The listener's domain.
    pub domain: String,
    /// Merchant (42), without padding. Bytes from outside.
    pub merchant: Bytes,
    /// Terminal (41), without padding. Bytes from outside.
    pub name: Bytes,
    /// Where it was last heard of.
    pub listener: Name,
}

/// Which version of a parameter file a terminal has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file's name.
    pub file: String,
    /// What it has whole.
    pub version: Option<String>,
}

/// A terminal as every node keeps it in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalState {
    /// Which.
    pub terminal: TerminalKey,
    /// Grows with each change, over all terminals.
    pub seq: u64,
    /// Its open batch, if one is known.
    pub batch: Option<u32>,
    /// Its batches that were closed on a day whose identities still hold, with that day.
    pub closed: Vec<(u32, Day)>,
    /// What it has fetched.
    pub fetched: Vec<Fetched>,
}

/// A batch that a terminal brought itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Whose.
    pub place: Place,
    /// Its number.
    pub number: u32,
    /// When its first request came.
    pub at: Wall,
}

/// A terminal's sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Whose.
    pub place: Place,
    /// Its STAN (11).
    pub stan: u32,
    /// The batch that it names (60.2), which is its own where it was not seen before.
    pub brought: u32,
    /// When.
    pub at: Wall,
    /// A copy asked since then gets the same number, in microseconds.
    pub window: i64,
}

/// What a sign-in was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// The batch.
    pub batch: u32,
    /// When it was first given.
    pub at: Wall,
}

/// A terminal's settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Whose.
    pub place: Place,
    /// The batch that it names (60.2).
    pub number: u32,
    /// Its STAN (11).
    pub stan: u32,
    /// What the terminal counts.
    pub asked: Totals,
    /// When.
    pub at: Wall,
}

/// What a settlement came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// All its batches are closed. `field` is field 48 as it is answered.
    Closed {
        /// Field 48 of the answer.
        field: String,
        /// Whether both groups balance.
        balanced: bool,
        /// When it was closed.
        at: Wall,
        /// On which business day.
        day: Day,
        /// Whether that was answered before.
        repeated: bool,
    },
    /// A transaction is in flight: nothing was compared and nothing closed.
    InFlight,
    /// Its batch is not the terminal's.
    Differs,
}

/// What became of uploaded lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// They are kept; those that were kept before are one with them.
    Taken,
    /// The batch was not settled, or its upload is over.
    NotSettled,
    /// More than a batch may have.
    TooMany,
}

/// The end of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadEnd {
    /// Whose.
    pub place: Place,
    /// The settled batch.
    pub batch: u32,
    /// How many lines the terminal has sent.
    pub count: u64,
    /// When.
    pub at: Wall,
}

/// What the end of an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All lines are there, and were compared where the batch did not balance. So many cases were opened, now or when it
    /// first ended.
    Compared {
        /// Cases.
        cases: u32,
        /// Whether that was answered before.
        repeated: bool,
    },
    /// Others lines than those that came: all were dropped, and must come again.
    CountDiffers,
    /// The batch was not settled.
    NotSettled,
}

/// A batch as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFile {
    /// Merchant (42).
    pub merchant: Vec<u8>,
    /// Terminal (41).
    pub terminal: Vec<u8>,
    /// Its number.
    pub number: u32,
    /// The first business day that it may have transactions of.
    pub day: Day,
    /// When it was opened.
    pub opened: Wall,
    /// When it was closed.
    pub closed: Option<Wall>,
    /// Whether it balanced.
    pub balanced: Option<bool>,
    /// The terminal's totals and the switch's (48).
    pub totals: Option<[Totals; 2]>,
    /// When its upload was complete.
    pub ended: Option<Wall>,
    /// Differences that its upload showed.
    pub cases: u32,
}

/// Most lines of one batch's upload.
pub(crate) const MOST_LINES: i64 = 10_000;

impl Store {
    /// At most `limit` terminals with keys above `after`, in the order of keys.
    ///
    /// # Errors
    /// The database failed, or the node has no lease.
    pub async fn terminals(
        &self,
        after: Option<TerminalKey>,
        limit: u32,
    ) -> Result<Vec<TerminalState>, StoreError> {
        either!(self, own => own.terminals(after, limit))
    }

    /// The terminals that changed after `seq`.
    ///
    /// # Errors
    /// The database failed, or the node has no lease.
    pub async fn terminals_changed(&self, seq: u64) -> Result<Vec<TerminalState>, StoreError> {
        either!(self, own => own.terminals_changed(seq))
    }

    /// One terminal, if it is known.
    ///
    /// # Errors
    /// The database failed, or the node has no lease.
    pub async fn terminal(
        &self,
        terminal: TerminalKey,
    ) -> Result<Option<TerminalState>, StoreError> {
        either!(self, own => own.terminal(terminal))
    }

    /// Opens the batches that terminals brought, one a terminal. Where another is open, or this one is closed on a day
    /// whose identities still hold, nothing changes. Idempotent.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_batches(&self, openings: &[Opening]) -> Result<(), StoreError> {
        let openings = openings.to_vec();
        uncancelled!(self, own => own.open_batches(&openings))
    }

    /// Gives a terminal its batch: the open one where no transaction of the horizon used it, or where this is a copy of
    /// the sign-in that it was given to; else the next one that was not used within the horizon.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_in(&self, sign_in: &SignIn) -> Result<SignedIn, StoreError> {
        let sign_in = sign_in.clone();
        uncancelled!(self, own => own.sign_in(&sign_in))
    }

    /// Counts all batches of a terminal that are not closed, compares with what it counts, and closes them, in one
    /// transaction. A copy gets what the first one got.
    ///
    /// # Errors
    /// The database failed. It may have been closed all the same: the terminal's copy tells.
    pub async fn settle(
        &self,
        settlement: &Settlement,
        rules: &Rules,
    ) -> Result<Settled, StoreError> {
        let (settlement, rules) = (settlement.clone(), rules.clone());
        uncancelled!(self, own => own.settle(&settlement, &rules))
    }

    /// Keeps lines of a settled batch. Idempotent: the same line twice is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn upload(
        &self,
        terminal: TerminalKey,
        batch: u32,
        lines: &[Line],
    ) -> Result<Uploaded, StoreError> {
        let lines = lines.to_vec();
        uncancelled!(self, own => own.upload(terminal, batch, &lines))
    }

    /// Ends the upload of a batch: where it did not balance, each difference becomes a case in the same transaction. A
    /// copy changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_upload(&self, end: &UploadEnd, rules: &Rules) -> Result<Ended, StoreError> {
        let (end, rules) = (end.clone(), rules.clone());
        uncancelled!(self, own => own.end_upload(&end, &rules))
    }

    /// A terminal begins to fetch a file: from the start, or if it has not begun.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin_fetch(
        &self,
        place: &Place,
        file: &str,
        version: &str,
        from_start: bool,
    ) -> Result<(), StoreError> {
        let (place, file, version) = (place.clone(), file.to_owned(), version.to_owned());
        uncancelled!(self, own => own.begin_fetch(&place, &file, &version, from_start))
    }

    /// A terminal has fetched a file to its end: whether it has this version whole. Where it began with another, it must
    /// begin again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_fetch(
        &self,
        terminal: TerminalKey,
        file: &str,
        version: &str,
    ) -> Result<bool, StoreError> {
        let (file, version) = (file.to_owned(), version.to_owned());
        uncancelled!(self, own => own.end_fetch(terminal, &file, &version))
    }

    /// Keeps that a terminal told its status under this network code.
    ///
    /// # Errors
    /// The database failed.
    pub async fn report(&self, place: &Place, code: &str, at: Wall) -> Result<(), StoreError> {
        let (place, code) = (place.clone(), code.to_owned());
        uncancelled!(self, own => own.report(&place, &code, at))
    }

    /// Whether this batch, as it was on that business day, is closed: a number that came again is another batch.
    ///
    /// # Errors
    /// The database failed.
    pub async fn batch_closed(
        &self,
        terminal: TerminalKey,
        batch: u32,
        day: Day,
    ) -> Result<bool, StoreError> {
        either!(self, own => own.batch_closed(terminal, batch, day))
    }

    /// At most `limit` batches, of the terminals with this identifier (41) or of all, the newest first. Works without a
    /// lease.
    ///
    /// # Errors
    /// The database failed.
    pub async fn batches(
        &self,
        terminal: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<BatchFile>, StoreError> {
        let terminal = terminal.map(<[u8]>::to_vec);
        either!(self, own => own.batches(terminal, limit))
    }
}
