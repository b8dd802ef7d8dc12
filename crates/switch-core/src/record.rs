//! What the engine hands to the two writers: intents, and changes of what is durable.

use iso8583::Code;

use crate::{ClaimStatus, Day, Key, ObligationCause, ObligationStatus, Row, TxnId, Wall};

/// One record for a writer. `Intent` and `Claim` go down the intents lane, the others down the outcomes lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Insert a row under its key, unless one of this horizon stands there.
    Intent(Box<Row>),
    /// The same, and in the same statement the claim on its original: neither without the other (M11).
    Claim(Box<ClaimIntent>),
    /// Change a row, and in the same statement what follows from it.
    Change(Box<Change>),
    /// Count attempts of an obligation, or adopt it.
    Progress(Progress),
    /// Open a case that changes no row.
    Case(Box<Case>),
    /// Note an unusual event that changes no row.
    Note(Box<Note>),
}

impl Record {
    /// The row that it inserts, if it does.
    #[must_use]
    pub fn intent(&self) -> Option<&Row> {
        match self {
            Self::Intent(row) => Some(row),
            Self::Claim(claim) => Some(&claim.row),
            Self::Change(_) | Self::Progress(_) | Self::Case(_) | Self::Note(_) => None,
        }
    }

    /// The row with a claim that it inserts, if it does (M11).
    #[must_use]
    pub fn claim(&self) -> Option<&ClaimIntent> {
        match self {
            Self::Claim(claim) => Some(claim),
            Self::Intent(_)
            | Self::Change(_)
            | Self::Progress(_)
            | Self::Case(_)
            | Self::Note(_) => None,
        }
    }
}

/// A conditional update of one row: applied only if the stored version is `row.version - 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The row as it shall be. Only the columns from `version` on are written; `key`, `id` and `day` say where.
    pub row: Row,
    /// The obligation as it shall be after it, if this changes it. Attempts start at 0 where it is new, and stay where it is
    /// re-opened.
    pub obligation: Option<ObligationWrite>,
    /// What to note beside it.
    pub note: Option<Note>,
    /// The case to open beside it.
    pub case: Option<Case>,
    /// What becomes of its claim on its original (M11).
    pub claim: Option<ClaimEnd>,
}

/// An intent that claims its original: applied only if the original is approved, stands at the version that was judged, and
/// no other claim on it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimIntent {
    /// The row to insert.
    pub row: Row,
    /// The original.
    pub original: TxnId,
    /// Its identity.
    pub key: Key,
    /// Day of its row.
    pub day: Day,
    /// The version of its row that was judged.
    pub version: u32,
    /// How much is taken of it, minor units; negative where it is added to.
    pub amount: i64,
}

/// The end of a claim, or of one that stood: the original's row changes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimEnd {
    /// The original.
    pub original: TxnId,
    /// Its identity.
    pub key: Key,
    /// Day of its row.
    pub day: Day,
    /// What was true of the claim.
    pub from: ClaimStatus,
    /// What is true from now on.
    pub to: ClaimStatus,
    /// By how much the original's `claimed` changes, minor units.
    pub taken: i64,
    /// When.
    pub at: Wall,
}

/// How a change leaves the obligation of its transaction; the owner becomes the writing node. Everything else that the
/// obligation's row holds (the message's data) is copied from the transaction's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObligationWrite {
    /// The new status.
    pub status: ObligationStatus,
    /// The cause: of the latest opening.
    pub cause: ObligationCause,
    /// When: becomes `opened` where the obligation is new.
    pub at: Wall,
    /// When a marked one becomes owed.
    pub due: Wall,
    /// What its attempts came to; none leaves what is stored.
    pub said: Option<Said>,
}

/// What the attempts at an obligation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Attempts written so far.
    pub attempts: u32,
    /// The code of the last answer to one, in the form of the 1987 version; none leaves what is stored.
    pub answered: Option<Code>,
}

/// The state of sending an owed reversal; applied only while it is owed. The owner becomes the writing node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Of which transaction.
    pub id: TxnId,
    /// Its identity.
    pub key: Key,
    /// Attempts written and failed so far.
    pub attempts: u32,
    /// Whether its case is open.
    pub parked: bool,
    /// The code of the last answer to an attempt; none leaves what is stored.
    pub answered: Option<Code>,
    /// When.
    pub at: Wall,
}

iso8583::numbered! {
    /// What kind of case it is. The number is stored: it never changes.
    pub enum CaseKind {
        /// A reversal was tried `attempts` times without a final answer (M4).
        ReversalUnanswered = 1, "reversal unanswered";
        /// A request was refused as shed, and an approval stands under its identity (M16).
        ShedButApproved = 2, "shed but approved";
        /// The issuer of an owed reversal is no longer configured (M4).
        IssuerGone = 3, "issuer gone";
        /// Whether an approval was delivered stayed unknown to the end of the day (M10).
        DeliveryUnknown = 4, "delivery unknown";
        /// A settlement's upload names a transaction that the switch does not have. It has a number of its own.
        TerminalOnly = 5, "terminal has it, switch does not";
        /// A settlement's upload lacks a transaction that the switch has.
        SwitchOnly = 6, "switch has it, terminal does not";
        /// The amount in a settlement's upload is not the switch's.
        AmountsDiffer = 7, "amounts differ";
        /// A settlement's upload keeps a transaction that was reversed here.
        ReversedHere = 8, "reversed here, kept there";
        /// An issuer that approved a transaction answered its reversal with 25 (M4).
        ReversalDenied = 9, "reversal denied";
        /// The message of a reversal or advice that is owed cannot be made: its card number does not open, or the issuer's
        /// dialect cannot express it (M4).
        CannotBeSent = 10, "cannot be sent";
        /// An advice or refund was not answered: after so many attempts, or after its one copy (M12).
        AdviceUnanswered = 20, "advice unanswered";
        /// The issuer refused an advice or refund that the terminal was told is done (M12).
        AdviceRefused = 21, "advice refused";
        /// The issuer approved an advice or refund after it, or we, had refused it (M9): nothing reverses it.
        AdviceApprovedLate = 22, "advice approved late";
        /// An issuer approved a transaction of which no byte was sent to it (M9).
        AnswerWithoutRequest = 51, "answer without request";
    }
}

/// What a person must look at. One a transaction and kind: opening it again opens one that was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Of which transaction.
    pub id: TxnId,
    /// What happened.
    pub kind: CaseKind,
    /// When.
    pub at: Wall,
}

iso8583::numbered! {
    /// An unusual event of a transaction. The number is stored: it never changes.
    pub enum NoteKind {
        /// A copy got the stored approval again (M6).
        Copy = 1, "answer given again";
        /// The identity came with other content (M7).
        OtherContent = 2, "identity came with other content";
        /// The terminal asked for the reversal (M8).
        ReversalAsked = 3, "reversal asked by the terminal";
        /// An approval came late or unasked (M9).
        LateApproval = 4, "approval came late";
        /// A refusal came late (M9).
        LateRefusal = 5, "refusal came late";
        /// The approval was certainly not delivered (M10).
        Undelivered = 6, "approval not delivered";
        /// The terminal's connection broke after the answer was written (M10).
        DeliveryUnknown = 7, "delivery unknown";
        /// The issuer's answer contradicts the request (M13).
        Contradiction = 8, "answer contradicts the request";
        /// Conducted to its end by recovery (M14).
        Recovered = 9, "concluded by recovery";
        /// The reversal got a final answer (M4).
        ReversalConfirmed = 10, "reversal confirmed";
        /// Refused for what its original is (M11), in words.
        OriginalRefused = 20, "refused for its original";
        /// The issuer took the advice (M12).
        AdviceDelivered = 21, "advice delivered";
        /// The issuer refused the advice (M12).
        AdviceRefused = 22, "advice refused by the issuer";
        /// A person resolved its cases.
        Resolved = 23, "cases resolved";
    }
}

/// One row of a transaction's timeline, for the unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Of which transaction.
    pub id: TxnId,
    /// Day of its row.
    pub day: Day,
    /// What.
    pub kind: NoteKind,
    /// When.
    pub at: Wall,
    /// A response code or a number, for people.
    pub detail: String,
}
