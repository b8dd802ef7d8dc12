//! The ledgers T and I, and the wire log: what each side wrote down for itself. The checks read these and the store.

use std::collections::{BTreeMap, BTreeSet};

use iso8583::Kind;
use switch_core::{ClaimAsk, Day, Key, TxnId};

use super::{event::ReplyMsg, trade::Effect};

/// What a terminal believes of one of its sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    Unknown,
    Approved(ReplyMsg),
    Declined,
    Reversed,
}

/// One sale in a terminal's journal (T).
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) terminal: usize,
    pub(super) issuer: usize,
    pub(super) key: Key,
    pub(super) stan: u32,
    pub(super) kind: Kind,
    pub(super) amount: i64,
    pub(super) card: u8,
    pub(super) takes_partial: bool,
    /// Business day of the terminal when it began.
    pub(super) day: Day,
    pub(super) belief: Belief,
    /// Copies sent of the request.
    pub(super) sent: u32,
    /// Answers to them.
    pub(super) answered: u32,
    /// The first answer that counts as one of K.
    pub(super) answer: Option<ReplyMsg>,
    /// The terminal sent a reversal.
    pub(super) asked_reversal: bool,
    /// What it asks of the sale that it is about.
    pub(super) about: Option<Box<ClaimAsk>>,
    /// The sale that it is about.
    pub(super) original: Option<usize>,
    /// Sales that are about it.
    pub(super) claims: Vec<usize>,
    /// Its terminal reverses it, though it is one that is never reversed.
    pub(super) vain: bool,
    /// Re-uses the identity of another sale.
    pub(super) reuse: bool,
    /// Never made: its reversal names another terminal's transaction.
    pub(super) names_other: bool,
    /// Its terminal will never come back.
    pub(super) vanished: bool,
    /// Counts what makes older timers void.
    pub(super) turn: u32,
    /// Attempts since the terminal gave up waiting.
    pub(super) tries: u32,
}

/// What an issuer knows of one transaction (I).
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) sale: usize,
    pub(super) kind: Option<Kind>,
    /// The transaction that it is about.
    pub(super) original: Option<TxnId>,
    /// Transactions about it.
    pub(super) claims: Vec<TxnId>,
    /// Copies of the request that arrived.
    pub(super) received: u32,
    /// Of these, those that were not marked as repeats.
    pub(super) firsts: u32,
    /// What it did to the card, if it did.
    pub(super) posted: Option<Effect>,
    pub(super) auth: u32,
    pub(super) reversed: bool,
    /// A reversal came before the original.
    pub(super) reversal_first: bool,
    pub(super) reversals: u32,
    /// Reversals that came and were not marked as repeats.
    pub(super) unmarked: u32,
    /// Final answers (00, 25) to reversals that it sent.
    pub(super) finals: u32,
    /// 25 sent to its reversals.
    pub(super) not_found: u32,
    pub(super) approvals: u32,
    pub(super) refusals: u32,
    pub(super) contradictions: u32,
    /// It refused first and approved then.
    pub(super) fickle: bool,
    /// It posted, and declined with a code that does not rule that out.
    pub(super) shrugged: bool,
    /// It posted, and answered a reversal with 25.
    pub(super) denies: bool,
}

impl Entry {
    /// What it does to the card, as it stands.
    pub(super) fn net(&self) -> Effect {
        if self.reversed { Effect::default() } else { self.posted.unwrap_or_default() }
    }
}

/// The ledger of one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerLedger {
    pub(super) entries: BTreeMap<TxnId, Entry>,
    pub(super) messages: u64,
}

/// What the wire to issuers saw of one transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Carried {
    /// When the first byte of the request went to the kernel, and to whom.
    pub(super) written: Option<u64>,
    /// When the engine was told so.
    pub(super) told: Option<u64>,
    /// Reversals written; of an advice, its copies.
    pub(super) reversals: u32,
    pub(super) advice: bool,
    /// The one in flight: when written, and on which link.
    pub(super) flying: Option<(u64, usize)>,
    /// Earliest handling of an approval by a node.
    pub(super) approval_at: Option<u64>,
    /// Any approval that a node handled, late or not: node and its life.
    pub(super) approval_by: Option<(usize, u32)>,
    /// Approving replies of which the kernel of a node took a byte.
    pub(super) replies: u32,
    /// Its node ended, was stopped or drained when it was in flight.
    pub(super) node_lost: bool,
}

/// All that the checks need beside S.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    pub(super) sales: Vec<Sale>,
    pub(super) issuers: Vec<IssuerLedger>,
    pub(super) wire: BTreeMap<TxnId, Carried>,
    /// As which transaction each sale was sent to its issuer.
    pub(super) forwarded: BTreeMap<usize, TxnId>,
    /// Transactions whose claim was released.
    pub(super) released: BTreeSet<TxnId>,
    /// Transactions with a commit of unknown result that was not read again, by node.
    pub(super) unknown: Vec<BTreeMap<TxnId, Key>>,
}
