//! What happens to the engine.

use std::time::Duration;

use bytes::Bytes;
use iso8583::{Cause, Class, Code, Kind};

use crate::{
    AskId, Card, ClaimAsk, Day, Digest, Found, Instant, IssuerName, Key, LinkId, Name, RecordId,
    TxnId, Wall,
};

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A terminal asks for a transaction.
    Request(Box<Request>),
    /// A terminal asks for a reversal (0400).
    Reversal(Box<ReversalRequest>),
    /// A terminal tests its line (0820 echo).
    Echo(AskId),
    /// A writer is done with a record.
    Persisted {
        /// Which.
        record: RecordId,
        /// How it ended.
        result: Persisted,
    },
    /// A read is done. Every `Effect::Read` gets exactly one, if the store answers at all; a failed read gives `Failed`.
    RowRead {
        /// What was asked for.
        read: crate::Read,
        /// What stands there: the newest image, or none.
        found: Result<Option<Box<Found>>, ReadFailed>,
    },
    /// The original that a request names was looked for (M11). Every `Effect::FindOriginal` gets exactly one.
    OriginalRead {
        /// The request's identity.
        key: Key,
        /// What was found, or none.
        original: Result<Option<Box<OriginalFound>>, ReadFailed>,
    },
    /// The first byte of a request was given to the kernel.
    Written {
        /// Of which transaction.
        id: TxnId,
        /// Down which connection.
        link: LinkId,
    },
    /// No byte of a request was or ever will be given to the kernel (M5).
    NeverSent {
        /// Of which transaction.
        id: TxnId,
        /// Why.
        why: Unsent,
    },
    /// The first byte of a reversal was given to the kernel.
    ReversalWritten {
        /// Of which transaction.
        id: TxnId,
        /// Down which connection.
        link: LinkId,
    },
    /// No byte of this attempt at a reversal was or ever will be sent: it does not count.
    ReversalNeverSent {
        /// Of which transaction.
        id: TxnId,
        /// Why.
        why: ReversalUnsent,
    },
    /// An issuer's answer that names its transaction by RRN (37) and STAN (11).
    Answer(Box<IssuerAnswer>),
    /// A link to an issuer is signed on.
    LinkUp {
        /// Whose.
        issuer: IssuerName,
        /// Which.
        link: LinkId,
    },
    /// A link to an issuer is gone. Everything queued on it was reported as never sent before.
    LinkDown {
        /// Whose.
        issuer: IssuerName,
        /// Which.
        link: LinkId,
    },
    /// The first byte of the answer went to the kernel. Only `Reply::Approved` is reported.
    ReplyWritten {
        /// Whose answer.
        ask: AskId,
        /// Identity, as in its `Outcome`.
        key: Key,
    },
    /// No byte of the answer was or ever will be written: certain (M10). Only `Reply::Approved` is reported.
    ReplyDropped {
        /// Whose answer.
        ask: AskId,
        /// Identity, as in its `Outcome`.
        key: Key,
    },
    /// The connection of an ask without an answer is closed, or broken, in either direction (M10).
    TerminalGone {
        /// Who no longer waits.
        ask: AskId,
        /// Identity, as in its request.
        key: Key,
    },
    /// The connection broke after the approval's first byte was written and before the terminal asked for anything
    /// else (M10: delivery unknown).
    DeliveryUnknown {
        /// Of which transaction.
        key: Key,
        /// Its number.
        id: TxnId,
        /// Day of its row.
        day: Day,
    },
    /// Numbers were drawn.
    Numbers(NumberBlock),
    /// Numbers could not be drawn; the engine asks again later.
    NumbersFailed,
    /// The store does not answer (M15).
    StoreDown,
    /// The store answers again.
    StoreUp,
    /// A row or an obligation of an earlier life of this node, or of a node that it took over (M14). Ours to conduct.
    Recovered(Box<Found>),
    /// Whether every live node reads the newest stored numbers: before that none of them may be written.
    ReadsNew(bool),
    /// The node is about to stop: nothing of a backlog of reversals is begun any more, since it is durable (M4).
    Stopping,
    /// The engine shall conclude everything in flight as on silence, and take nothing new: the drain's time is over.
    Drain,
}

/// A read failed; the store may be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadFailed;

/// The original that a request names (M11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalFound {
    /// Its newest image.
    pub found: Found,
    /// Whether it is of the request's domain: a merchant's number says who it is only there.
    pub same_domain: bool,
    /// Whether its batch is settled.
    pub settled: bool,
    /// Whether a part of it was refunded: what it is worth then, its total does not say.
    pub refunded: bool,
    /// How many business days ago it was.
    pub days_old: u32,
    /// The authorisation code (38) that it was answered with.
    pub authorisation: Option<[u8; 6]>,
    /// The date of its answer (13): month times 100, plus day.
    pub date: Option<u16>,
    /// Another transaction of the same merchant that the request names too, where its dialect leaves open what its number (37)
    /// is: all that it names must agree.
    pub also_named: Option<TxnId>,
    /// What the request becomes for the issuer of its original.
    pub translated: Translated,
}

/// What a request about an original becomes for the issuer of that original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translated {
    /// What is carried to it, and what names the original there (38, 61, 90), packed by the edge, to be appended to what the
    /// request carries.
    Carried(Bytes),
    /// That host cannot have what the terminal sends (30).
    Inexpressible,
    /// That issuer is not configured any more (91).
    NoIssuer,
}

/// A terminal asks for a transaction. Made by the edge, which has parsed, routed and sealed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who waits for the answer.
    pub asked: Asked,
    /// Identity K.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Digest of its content (M7).
    pub digest: Digest,
    /// A reason to refuse it that its identity does not give (03, 15, 30, 77, 97): what stands under that identity goes before it.
    pub refusal: Option<Cause>,
    /// The issuer that owns the card. A request about an original goes to the issuer of that.
    pub issuer: Option<IssuerName>,
    /// What it asks of the transaction that it is about (M11).
    pub original: Option<Box<ClaimAsk>>,
    /// Whether the terminal takes a partial approval (10).
    pub takes_partial: bool,
    /// Merchant (42), without padding.
    pub merchant: Bytes,
    /// Terminal (41), without padding.
    pub terminal: Bytes,
    /// The terminal's STAN (11).
    pub stan: u32,
    /// Amount (4), minor units.
    pub amount: i64,
    /// Currency (49).
    pub currency: [u8; 3],
    /// The card.
    pub card: Card,
    /// What forwarding fixes and a reversal repeats, packed by the edge.
    pub carried: Bytes,
}

/// A message of a terminal that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub ask: AskId,
    /// The listener's name.
    pub listener: Name,
    /// When the answer is no longer wanted: read time + `response_deadline`.
    pub deadline: Instant,
    /// `undelivered_grace` of the listener (M10).
    pub grace: Duration,
}

/// A terminal asks for a reversal: an operation on its original's identity (M8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversalRequest {
    /// Who waits for the answer.
    pub asked: Asked,
    /// Identity of the original.
    pub key: Key,
    /// Kind of the original.
    pub kind: Kind,
    /// The RRN (37) that it names, if it names one: a row of another terminal under it is refused (25).
    pub rrn: Option<TxnId>,
    /// Merchant (42), without padding.
    pub merchant: Bytes,
    /// Terminal (41), without padding.
    pub terminal: Bytes,
    /// STAN (11) of the original.
    pub stan: u32,
    /// Amount (4), minor units, if present.
    pub amount: Option<i64>,
    /// Currency (49).
    pub currency: [u8; 3],
    /// The card, as far as the message names it.
    pub card: Card,
    /// Whether the batch of its original is settled: it comes too late for an approval (M8).
    pub settled: bool,
    /// As in a request: kept with `reversed before arrival`.
    pub carried: Bytes,
}

/// How a record ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persisted {
    /// Committed under this node's fence.
    Applied(Commit),
    /// Not applied: for an intent, another row stands under its key; for a change, the version moved on. The newest image, or
    /// none where no row stands there.
    Lost(Option<Box<Found>>),
    /// Certainly not applied, and will not be: bad data, or the store was down before it was sent.
    Failed,
    /// Nobody knows yet. The engine asks for the row over a fenced connection (`Read::Confirm`) and follows it (I21).
    Unknown,
}

/// A commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The business day of the leaf that holds the row.
    pub day: Day,
    /// When the statement was begun: the commit was not earlier (M1's five seconds count from here).
    pub since: Instant,
}

/// Why a request was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// No link of the issuer is up, or the one it was queued on went away.
    NoLink,
    /// The link's queue is full.
    QueueFull,
    /// Its time ran out in the queue (M1, M3).
    TooLate,
}

/// Why an attempt at a reversal was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReversalUnsent {
    /// No link of the issuer is up, or the one it was queued on went away.
    NoLink,
    /// Its message cannot be made: its card number does not open with this node's key, or the issuer's dialect cannot
    /// express it.
    Unwritable,
}

/// An issuer's answer to a request or a reversal, matched by MTI class, STAN (11) and RRN (37).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerAnswer {
    /// Who answered.
    pub issuer: IssuerName,
    /// Which transaction it names.
    pub matched: Matched,
    /// Whether it answers the reversal (0410) or the request.
    pub to_reversal: bool,
    /// Response code (39), in the form of the 1987 version.
    pub code: Code,
    /// Class of that code in the issuer's dialect (M12).
    pub class: Class,
    /// Amount (4), if present.
    pub amount: Option<i64>,
    /// Currency (49), if present.
    pub currency: Option<[u8; 3]>,
    /// Keyed hash of the card number (2), if present.
    pub card_hash: Option<[u8; 16]>,
    /// Terminal (41) without padding, if present.
    pub terminal: Option<Bytes>,
    /// Whether the terminal says what it answers: with another one it answers nothing of ours.
    pub matches_terminal: bool,
    /// Merchant (42) without padding, if present.
    pub merchant: Option<Bytes>,
    /// What of it goes to the terminal, packed by the edge.
    pub answer: Bytes,
}

impl IssuerAnswer {
    /// Approved, in whole or in part.
    #[must_use]
    pub const fn approves(&self) -> bool {
        self.class.approves()
    }

    /// Approved for a part of the amount.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        matches!(self.class, Class::Partial)
    }
}

/// How an answer names its transaction, by the match set of its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matched {
    /// By retrieval reference number (37).
    Number(TxnId),
    /// By trace number (11) of the exchange with that issuer.
    Trace {
        /// The trace number, as it was sent to the issuer.
        stan: u32,
        /// When the request was sent, as the answer repeats it (7): to the second.
        sent: Option<Wall>,
    },
}

/// A block of transaction numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberBlock {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Numbers in it that must not be used at an issuer: their STAN has an open exchange there.
    pub skip: Vec<(u64, IssuerName)>,
}
