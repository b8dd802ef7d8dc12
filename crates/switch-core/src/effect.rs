//! What the caller must do next.

use std::sync::Arc;

use bytes::Bytes;
use iso8583::{Cause, Code, Kind};

use crate::{
    AskId, CaseKind, Commit, Day, Durable, Instant, IssuerName, Key, LinkId, Name, OwedProof,
    Record, RecordId, Row, TxnId,
};

/// What the caller must do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand the record to its writer; `Event::Persisted` tells how it ended.
    Persist {
        /// Its number.
        record: RecordId,
        /// What to write.
        what: Record,
    },
    /// Read a row; `Event::RowRead` gives it.
    Read(Read),
    /// Look for the transaction that a request names (M11); `Event::OriginalRead` gives it.
    FindOriginal {
        /// The request's identity.
        key: Key,
        /// Which.
        named: crate::Named,
        /// The kinds that it may be.
        kinds: Arc<[Kind]>,
        /// Who asks, if anybody still waits.
        ask: Option<AskId>,
        /// The request's merchant (42).
        merchant: Bytes,
    },
    /// Send the request to its issuer; `Event::Written` or `Event::NeverSent` must follow, exactly once.
    Forward(Forward),
    /// Send a reversal, or the advice itself where its kind is delivered (M12); `Event::ReversalWritten` or `Event::ReversalNeverSent` must follow, exactly once.
    Reverse(ReversalOut),
    /// Answer a terminal.
    Reply {
        /// Whom.
        ask: AskId,
        /// What.
        reply: Reply,
    },
    /// No answer will be given: forget the ask. The connection stays.
    Silent(AskId),
    /// No answer will be given: close the connection.
    Close(AskId),
    /// Draw a block of numbers; `Event::Numbers` or `Event::NumbersFailed` must follow.
    DrawNumbers,
    /// Count it in metrics, log it at its level.
    Notice(Notice),
}

/// A row to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    /// The row under this key in the horizon.
    Key(Key),
    /// The same, over the fenced connection of the lane whose commit is unknown (I21): after every statement that was under way
    /// has ended.
    Confirm {
        /// Which row.
        key: Key,
        /// Whether the intents lane's commit is unknown, else the outcomes lane's.
        intents: bool,
    },
    /// The row under this key of any day, the newest.
    AnyDay(Key),
    /// The row with this number.
    Id(TxnId),
}

/// A request for an issuer.
#[derive(Debug, PartialEq, Eq)]
pub struct Forward {
    /// Proof that its intent is durable (M1), with its number.
    pub durable: Durable,
    /// The terminal's message: the caller still holds it under this ask.
    pub ask: AskId,
    /// To whom.
    pub issuer: IssuerName,
    /// If no byte was written by then, never send it (M1, M3).
    pub not_after: Instant,
    /// What the intent fixed (3, 7, 12, 13, ...), and what names its original (M11).
    pub carried: Bytes,
}

/// A reversal for an issuer: everything the message needs.
#[derive(Debug, PartialEq, Eq)]
pub struct ReversalOut {
    /// Proof that it is owed durably (M4), with its number.
    pub owed: OwedProof,
    /// To whom.
    pub issuer: IssuerName,
    /// The connection that carried the original, if it is up: use it, or reset it first if it is stalled.
    pub link: Option<LinkId>,
    /// Whether it must be marked as a repeat (0401).
    pub repeat: bool,
    /// The transaction: amount, currency, kind, card and what was carried.
    pub row: Box<Row>,
}

/// An answer to a terminal. The caller adds what is echoed from the terminal's own message.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The issuer approved, and that is durable (M2).
    Approved {
        /// Proof.
        durable: Durable,
        /// What the answer carries.
        outcome: Outcome,
    },
    /// Refused, by the issuer or by us.
    Refused(Outcome),
    /// Refused because a bound is reached (M16): who asks again at once gets it again, so the caller should not read its
    /// connection for a while.
    Shed(Outcome),
    /// Done: the answer to a reversal or an echo.
    Done(Option<TxnId>),
}

/// What an answer carries beside the echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Identity, to report a delivery that stays unknown.
    pub key: Key,
    /// RRN (37), where a number was drawn.
    pub id: Option<TxnId>,
    /// Day of its row.
    pub day: Day,
    /// Why: `Cause::Issuer` means that `code` stands.
    pub cause: Cause,
    /// The issuer's code.
    pub code: Option<Code>,
    /// Amount approved, minor units, if it is less than what was asked for.
    pub partial: Option<i64>,
    /// What was carried (12, 13).
    pub carried: Bytes,
    /// The issuer's fields for the terminal.
    pub answer: Bytes,
}

/// Something to count or log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An outcome was decided and committed, or refused without a commit.
    Concluded {
        /// At which listener.
        listener: Name,
        /// What it was.
        kind: Kind,
        /// How.
        outcome: TxnOutcome,
    },
    /// A copy was given the stored answer, joined, or was refused.
    Duplicate(DuplicateResult),
    /// An issuer's answer came after our deadline or unasked.
    LateAnswer(IssuerName),
    /// A reversal is owed, for the first time or again.
    ReversalOwed(IssuerName),
    /// An attempt at a reversal ended.
    Reversal {
        /// At which issuer.
        issuer: IssuerName,
        /// How.
        result: ReversalResult,
    },
    /// An attempt to deliver an advice or refund ended (M12).
    Advice {
        /// At which issuer.
        issuer: IssuerName,
        /// How.
        result: ReversalResult,
    },
    /// An approval was certainly not delivered (M10).
    Undelivered,
    /// Whether an approval was delivered is unknown (M10).
    DeliveryUnknown,
    /// New work was refused to protect the rest (M15, M16).
    Shed(ShedReason),
    /// A case was opened.
    CaseOpened {
        /// Of which transaction.
        id: TxnId,
        /// What happened.
        kind: CaseKind,
    },
    /// An issuer's answer contradicts its request (M13).
    Contradicted(IssuerName),
    /// An intent was committed after `Commit` and handed on: for the span of a transaction.
    Forwarded {
        /// Its number.
        id: TxnId,
        /// The commit.
        commit: Commit,
    },
}

/// How a transaction ended, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TxnOutcome {
    /// Class A.
    Approved,
    /// The issuer refused.
    Declined,
    /// M3.
    TimedOut,
    /// M5.
    NeverSent,
    /// We refused without an intent.
    Refused,
}

/// What became of a copy, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DuplicateResult {
    /// It waits with the first.
    Joined,
    /// It got the stored answer.
    Replayed,
    /// It was refused (94).
    Refused,
}

/// How an attempt at a reversal ended, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversalResult {
    /// A final answer.
    Confirmed,
    /// Another answer.
    Refused,
    /// None in time.
    Unanswered,
    /// Withdrawn by a late refusal before any was written.
    Withdrawn,
    /// Answered with 25 by an issuer that approved the original (M4).
    Denied,
}

/// Why new work was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShedReason {
    /// Too many in flight at the issuer.
    IssuerInFlight,
    /// The store is down.
    StoreDown,
    /// Too many records wait for the store.
    StoreLag,
    /// No numbers.
    Numbers,
    /// Draining.
    Draining,
    /// The memory of refusals is full: closed without an answer.
    Memory,
}
