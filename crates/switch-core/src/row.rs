//! What the store keeps of a transaction: its row, and the obligation to reverse it.

use std::{ops::Deref, sync::Arc};

use bytes::Bytes;
use iso8583::{Cause, Code, Kind};

use crate::{Day, Digest, Epoch, IssuerName, Key, Name, NodeNo, TxnId, Wall};

iso8583::numbered! {
    /// What is durably true of a transaction. The number is stored: it never changes.
    pub enum RowState {
        /// The intent is durable; no outcome yet.
        InFlight = 1, "in flight";
        /// As `InFlight`, and its terminal has asked for its reversal (M8).
        InFlightReversalAsked = 2, "in flight, reversal asked";
        /// The issuer approved.
        Approved = 3, "approved";
        /// The issuer refused.
        Declined = 4, "declined";
        /// No byte of it reached the issuer (M5), or it was shed (M16).
        NeverSent = 5, "never sent";
        /// No answer in time (M3), or none that counts. Its reversal is owed, where its kind is reversed.
        TimedOut = 6, "timed out";
        /// Approved, or contradicted (M13), and to be undone: a reversal is owed. Its terminal is told 98.
        Undone = 7, "undone";
        /// The reversal came first (M8): the original will be refused.
        ReversedBeforeArrival = 8, "reversed before arrival";
        /// An advice or refund whose terminal was told that it is done, and which must still reach its issuer (M12).
        Accepted = 9, "accepted";
        /// As `Accepted`, but its issuer refused it: a case, and its claim stays until that is resolved (M12).
        Disputed = 10, "disputed";
    }
}

impl RowState {
    /// Whether an outcome is still to come.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::InFlight | Self::InFlightReversalAsked)
    }

    /// Whether its terminal is told that it went through.
    #[must_use]
    pub const fn is_told_approved(self) -> bool {
        matches!(self, Self::Approved | Self::Accepted | Self::Disputed)
    }
}

/// What is kept of the card: never the number itself, only its keyed hash, what people may see, and what a reversal
/// needs, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// Keyed hash of the card number.
    pub hash: [u8; 16],
    /// First six digits.
    pub first6: [u8; 6],
    /// Last four digits.
    pub last4: [u8; 4],
    /// Card number and expiry, encrypted (AES-256-GCM). Opaque to the engine and the store.
    pub sealed: Bytes,
}

/// What the intent fixed of a transaction, once and for all. Images of its row share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Identity K.
    pub key: Key,
    /// Number, and RRN (37).
    pub id: TxnId,
    /// What it is.
    pub kind: Kind,
    /// Whose it is: the node that conducts it.
    pub node: NodeNo,
    /// In which life of that node.
    pub epoch: Epoch,
    /// When its first copy was read.
    pub created: Wall,
    /// The listener's name.
    pub listener: Name,
    /// Merchant (42) as received, without padding. Bytes from outside.
    pub merchant: Bytes,
    /// Terminal (41) as received, without padding. Bytes from outside.
    pub terminal: Bytes,
    /// The terminal's own STAN (11).
    pub stan: u32,
    /// Amount (4) in minor units; 0 where the kind has none.
    pub amount: i64,
    /// Currency (49), three characters.
    pub currency: [u8; 3],
    /// Digest of the content (M7).
    pub digest: Digest,
    /// The issuer that it was routed to; none where it was never to be forwarded.
    pub issuer: Option<IssuerName>,
    /// The card.
    pub card: Card,
    /// What forwarding fixed and a reversal repeats (3, 7, 12, 13, 22, 25, 41, 42, ...), packed by the edge.
    pub carried: Bytes,
}

/// A transaction as the store has it. The fields up to `carried` are set by the intent and never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What never changes; its fields read as the row's own.
    pub fixed: Arc<Fixed>,
    /// Business day whose leaf holds it. Set by the store when the intent is applied.
    pub day: Day,
    /// Counts the changes: 0 when inserted.
    pub version: u32,
    /// Which change made this image: tells after an unknown commit whether it was ours (I21).
    pub change: u64,
    /// What is true of it.
    pub state: RowState,
    /// Why its answer has its code.
    pub cause: Cause,
    /// The issuer's response code (39), where it answered.
    pub code: Option<Code>,
    /// The approved amount, minor units: less than `amount` in a partial approval (10), else equal; 0 if not approved.
    pub approved: i64,
    /// What of the issuer's answer goes to the terminal (15, 32, 38, 44, 54, 55, 63), packed by the edge.
    pub answer: Bytes,
    /// How many times the stored approval was given again (M6).
    pub copies: u32,
    /// How many late or unasked approvals came (M9).
    pub late: u32,
    /// When the outcome was decided.
    pub concluded: Option<Wall>,
    /// What claims that stand have taken of it (M11), minor units; negative where an adjustment or a tip added to it.
    pub claimed: i64,
    /// The transaction whose claim on it is open (M11): one at a time.
    pub claiming: Option<TxnId>,
}

impl Deref for Row {
    type Target = Fixed;

    fn deref(&self) -> &Fixed {
        &self.fixed
    }
}

impl Row {
    /// What was fixed, to be changed after all: before it is written, or for a test.
    pub fn fixed_mut(&mut self) -> &mut Fixed {
        Arc::make_mut(&mut self.fixed)
    }

    /// Whether it stands for a reversal of something beyond its horizon (M8): answered 25, and so are its copies.
    pub(crate) fn is_beyond_horizon(&self) -> bool {
        self.state == RowState::ReversedBeforeArrival && self.cause == Cause::OriginalNotFound
    }

    /// What is left of it to be claimed (M11), minor units.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.approved.saturating_sub(self.claimed)
    }
}

iso8583::numbered! {
    /// What is true of the duty to reverse a transaction. The number is stored: it never changes.
    pub enum ObligationStatus {
        /// An undelivered approval (M10): owed once `due` has passed and no repeat has come.
        Marked = 1;
        /// A repeat came in time and cleared the mark.
        Cleared = 2;
        /// To be sent until a final answer comes (M4).
        Owed = 3;
        /// The issuer gave a final answer.
        Confirmed = 4;
        /// A late refusal came before any was written (M9).
        Withdrawn = 5;
        /// The issuer approved the original, and answered its reversal with 25 (M4): a person must ask. It counts as open.
        Denied = 6;
        /// A person said that the issuer took it back (M4).
        EndedByHand = 7;
    }
}

iso8583::numbered! {
    /// Why a reversal is owed. The number is stored: it never changes.
    pub enum ObligationCause {
        /// No answer in time (M3).
        Silence = 1;
        /// The terminal asked for it (M8).
        Asked = 2;
        /// An approval came that is not the committed outcome (M9).
        LateApproval = 3;
        /// The approval certainly did not reach the terminal (M10).
        Undelivered = 4;
        /// The answer contradicts the request (M13).
        Contradicted = 5;
        /// The node ended before the outcome (M14).
        Recovery = 6;
        /// Not a reversal but the advice itself, which must reach its issuer (M12).
        Delivery = 7;
    }
}

/// The duty to reverse one transaction, or to deliver it (M12), as the store has it: one a transaction, for ever. Its table
/// holds all that the message needs, so that it outlives the leaf of its day (M4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// Of which transaction.
    pub id: TxnId,
    /// What is true of it.
    pub status: ObligationStatus,
    /// Why.
    pub cause: ObligationCause,
    /// The node that must send it.
    pub owner: NodeNo,
    /// Attempts written so far, but for one that is still to be answered.
    pub attempts: u32,
    /// The code of the last answer to one, in the form of the 1987 version.
    pub answered: Option<Code>,
    /// When it was first owed or marked.
    pub opened: Wall,
    /// When a marked one becomes owed.
    pub due: Wall,
    /// Whether a case was opened because `attempts` were used up.
    pub parked: bool,
}

iso8583::numbered! {
    /// What is true of a claim (M11). The number is stored: it never changes.
    pub enum ClaimStatus {
        /// Its transaction's outcome is unknown.
        Open = 1, "open";
        /// Its transaction went through.
        Stands = 2, "stands";
        /// Its transaction failed, was declined or was reversed.
        Released = 3, "released";
    }
}

/// What a transaction takes of its original (M11), as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Of which transaction.
    pub original: TxnId,
    /// The original's identity.
    pub key: Key,
    /// Day of the original's row.
    pub day: Day,
    /// How much, minor units; negative where it adds to it.
    pub amount: i64,
    /// What is true of it.
    pub status: ClaimStatus,
}

impl Obligation {
    /// It was owed once, so that an attempt may have been written.
    #[must_use]
    pub const fn may_have_been_written(&self) -> bool {
        match self.status {
            ObligationStatus::Owed
            | ObligationStatus::Confirmed
            | ObligationStatus::Denied
            | ObligationStatus::EndedByHand => true,
            ObligationStatus::Marked | ObligationStatus::Cleared | ObligationStatus::Withdrawn => {
                false
            }
        }
    }

    /// It waits for an answer, or for a person: nothing of its transaction is over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.status {
            ObligationStatus::Marked | ObligationStatus::Owed | ObligationStatus::Denied => true,
            ObligationStatus::Cleared
            | ObligationStatus::Confirmed
            | ObligationStatus::Withdrawn
            | ObligationStatus::EndedByHand => false,
        }
    }

    /// Its terminal was told that it is reversed, as nothing was owed: a claim that stands had taken all of it. It is owed
    /// should that claim be released (M8, M11).
    #[must_use]
    pub const fn is_promised(&self) -> bool {
        matches!((self.status, self.cause), (ObligationStatus::Cleared, ObligationCause::Asked))
    }
}

/// A row with its obligation and its claim, as read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The transaction.
    pub row: Row,
    /// Its obligation, if it ever had one.
    pub obligation: Option<Obligation>,
    /// What it claims of another, if anything.
    pub claim: Option<Claim>,
    /// Whether another's claim on it, which stands, is to be released: that one's own reversal is owed, or may be (M11).
    pub claim_undone: bool,
    /// Whether an identity of that row's day still holds: false only from a read of any day.
    pub within_horizon: bool,
}
