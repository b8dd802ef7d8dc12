//! One transaction in memory: the image of its row, who waits for it, what was decided, what is under way.

use std::{sync::Arc, time::Duration};

use iso8583::{Cause, Code, OnSilence};

use crate::{
    Claim, Digest, Fixed, Found, Instant, LinkId, Now, Obligation, ObligationStatus, Outcome,
    OwedProof, Record, RecordId, ReversalRequest, Row, RowState, Wall,
    advice::AdviceAnswer,
    core::{Core, Timer},
    event::{Asked, IssuerAnswer, Request},
};

/// What is true of a transaction in memory. Computed from its parts; docs/transitions.md shows what each event does in
/// each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// A row is being looked for that is not in memory: a reversal's or another request's original.
    Looking,
    /// The first row is being written; nothing is durable.
    Recording,
    /// The intent is durable and was handed to a link: whether a byte went out is not known.
    Forwarding,
    /// The request was written: its answer is awaited.
    AwaitingIssuer,
    /// An outcome was decided and is being written.
    Concluding,
    /// In flight, and the terminal has asked for the reversal (durable).
    ReversalAsked,
    /// In flight at another node, or in an earlier life: its row is read from time to time.
    Following,
    /// Approved, durable.
    Approved,
    /// Approved, and certainly not delivered (durable mark).
    Undelivered,
    /// Refused by the issuer.
    Declined,
    /// Never sent.
    NeverSent,
    /// No answer in time.
    TimedOut,
    /// Approved or contradicted, and to be undone.
    Undone,
    /// The reversal came before the original.
    ReversedBeforeArrival,
    /// The terminal is told that its advice is done; its issuer has not taken it yet (M12).
    Accepted,
    /// The issuer refused an advice that the terminal was told is done (M12).
    Disputed,
}

/// The fate of the request at its issuer, as far as this life knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// Not handed to a link.
    Unsent,
    /// Handed to a link, which has not yet told.
    Handed,
    /// Written.
    Written { at: Instant, link: LinkId, deadline: Instant },
}

/// What was decided. It stays decided while it is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conclusion {
    Approved(Box<IssuerAnswer>),
    Declined(Box<IssuerAnswer>),
    /// M13.
    Contradicted(Box<IssuerAnswer>),
    /// M3: no answer, or one whose code says that nobody knows (M12).
    Silent(Option<Code>),
    /// M14.
    Recovered,
    /// M5.
    NeverSent(Cause),
}

/// The one record under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) record: RecordId,
    pub(crate) what: Record,
    pub(crate) since: Instant,
    /// Its commit is unknown: the row is being read over a fenced connection (I21).
    pub(crate) unknown: bool,
    /// Late approvals that it records.
    pub(crate) late: u32,
}

/// A message that waits for the transaction's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) asked: Asked,
    pub(crate) digest: Digest,
    /// Whether it is another copy than the first.
    pub(crate) copy: bool,
    /// Whether its batch is no longer its terminal's.
    pub(crate) other_batch: bool,
    /// Cause of its refusal, should nothing stand under its identity (M2).
    pub(crate) refusal: Option<Cause>,
}

impl Asker {
    pub(crate) fn of(request: &Request, copy: bool) -> Self {
        Self {
            asked: request.asked.clone(),
            digest: request.digest,
            copy,
            other_batch: request.refusal == Some(Cause::BatchDiffers),
            refusal: request.refusal,
        }
    }
}

/// A terminal's reversal that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reverser {
    pub(crate) asked: Asked,
    pub(crate) amount: Option<i64>,
    /// Whether the original's batch is settled.
    pub(crate) settled: bool,
    /// Whether the row was read since: what claims it, this life may not know.
    pub(crate) read: bool,
}

/// What is known of the approval's delivery (M10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delivery {
    /// Answers handed to connections that have not told yet.
    pub(crate) offered: u32,
    /// A connection took it: its first byte went to the kernel.
    pub(crate) taken: bool,
    /// A connection that asked for it certainly did not take it.
    pub(crate) missed: bool,
    /// This life knows of every connection that ever asked for it.
    pub(crate) all_known: bool,
}

/// The sending of an owed reversal (M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sending {
    /// Nothing to send.
    #[default]
    Idle,
    /// The next attempt is due then.
    Due(Instant),
    /// In its issuer's queue.
    Ready,
    /// Handed to a link, which has not yet told.
    Handed,
    /// Written: its answer is awaited until then.
    Written { deadline: Instant },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Duty {
    pub(crate) proof: Option<OwedProof>,
    pub(crate) sending: Sending,
    /// Attempts written and failed.
    pub(crate) attempts: u32,
    /// Whether a copy may have been written before: the next must be marked as a repeat.
    pub(crate) written_once: bool,
    pub(crate) parked: bool,
    /// The final answer that is to be recorded.
    pub(crate) confirmed: Option<Code>,
    /// The final answer denies what the issuer approved (M4).
    pub(crate) denied: bool,
    /// The code of the last answer to an attempt.
    pub(crate) answered: Option<Code>,
    /// Its message cannot be made, and that has its case (M4).
    pub(crate) unwritable: bool,
    /// The final answer refuses the advice (M12).
    pub(crate) refused: bool,
    /// A late refusal came: withdraw it unless it was written (M9).
    pub(crate) withdraw: bool,
    /// The attempts are to be recorded.
    pub(crate) progress: bool,
    /// Its issuer was not configured when it became owed.
    pub(crate) waits_for_issuer: bool,
    /// That was so once, and has its case.
    pub(crate) issuer_gone: bool,
    /// A case is to be opened.
    pub(crate) case: bool,
    /// A 25 to an attempt written before then is not final (M4).
    pub(crate) not_found_counts_from: Option<Instant>,
    /// Attempts written before then that were not answered: each may still bring a 25 that says nothing.
    pub(crate) early: u32,
    /// Whether the attempt that was handed to a link is one of these.
    pub(crate) handed_early: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Txn {
    /// The image last known to be durable; or, while `durable` is false, the one being inserted.
    pub(crate) row: Row,
    pub(crate) durable: bool,
    /// Whether this life conducts it.
    pub(crate) ours: bool,
    pub(crate) looking: bool,
    pub(crate) pending: Option<Pending>,
    pub(crate) exchange: Exchange,
    pub(crate) conclusion: Option<Conclusion>,
    pub(crate) askers: Vec<Asker>,
    pub(crate) reversers: Vec<Reverser>,
    pub(crate) delivery: Delivery,
    pub(crate) obligation: Option<Obligation>,
    pub(crate) duty: Duty,
    /// What it claims of its original (M11), as last known to be durable.
    pub(crate) claim: Option<Claim>,
    /// Whether a claim on it that stands was to be released, when the row was read.
    pub(crate) claim_undone: bool,
    /// The request, while its original is looked for, and until the claim on it is written.
    pub(crate) request: Option<Box<Request>>,
    /// Copies that are not refused, or not without a row, beside one that is where no row stands (M2).
    pub(crate) beside: Vec<Request>,
    /// What its issuer said of it, when its delivery was not yet owed (M12).
    pub(crate) answered: Option<AdviceAnswer>,
    /// Why it is refused for its original, in words: to be noted once the refusal is durable.
    pub(crate) words: Option<String>,
    pub(crate) takes_partial: bool,
    /// Approvals that came late or unasked and are not yet in the row (M9).
    pub(crate) late: u32,
    /// An approval of it came, late or not: a later refusal withdraws nothing (M9).
    pub(crate) approval_seen: bool,
    /// When a failed record is tried again.
    pub(crate) retry_at: Option<Instant>,
    /// The instant for which `Timer::Askers` is armed.
    pub(crate) askers_timer: Option<Instant>,
    /// The instant for which `Timer::Grace` is armed.
    pub(crate) grace_timer: Option<Instant>,
    /// Whether an adopted obligation is to be written down as ours (M14).
    pub(crate) adopt: bool,
    /// The number a reversal names, still to be looked up.
    pub(crate) named: Option<crate::TxnId>,
    /// Whether it counts as in flight at its issuer.
    pub(crate) counted: bool,
    /// Whether it counts as open at its terminal.
    pub(crate) counted_open: bool,
    /// Whether its STAN is held as open at its issuer (I20).
    pub(crate) stan_held: bool,
    /// How long an undelivered approval waits for its terminal (M10).
    pub(crate) grace: Duration,
    /// The latest deadline of those who asked for its answer.
    pub(crate) answer_by: Option<Instant>,
}

impl Txn {
    pub(crate) fn new(row: Row, durable: bool, ours: bool) -> Self {
        Self {
            claim: None,
            claim_undone: false,
            request: None,
            beside: Vec::new(),
            answered: None,
            words: None,
            row,
            durable,
            ours,
            looking: false,
            pending: None,
            exchange: Exchange::Unsent,
            conclusion: None,
            askers: Vec::new(),
            reversers: Vec::new(),
            delivery: Delivery::default(),
            obligation: None,
            duty: Duty::default(),
            takes_partial: false,
            late: 0,
            approval_seen: false,
            retry_at: None,
            askers_timer: None,
            grace_timer: None,
            adopt: false,
            named: None,
            counted: false,
            counted_open: false,
            stan_held: false,
            grace: Duration::ZERO,
            answer_by: None,
        }
    }

    /// A transaction found in the store.
    pub(crate) fn found(found: Found) -> Self {
        let mut txn = Self::new(found.row, true, false);
        txn.obligation = found.obligation;
        txn.claim = found.claim;
        txn.claim_undone = found.claim_undone;
        txn
    }

    /// Whether its kind is reversed when nobody knows what became of it (M12).
    pub(crate) fn is_reversed(&self) -> bool {
        self.row.kind.on_silence() == OnSilence::Reverse
    }

    /// Whether its kind is an advice or refund, which must reach its issuer (M12).
    pub(crate) fn is_delivered(&self) -> bool {
        self.row.kind.on_silence() == OnSilence::Deliver
    }

    pub(crate) fn state(&self) -> State {
        if self.looking {
            return State::Looking;
        }
        if !self.durable {
            return State::Recording;
        }
        match self.row.state {
            RowState::InFlight | RowState::InFlightReversalAsked if !self.ours => State::Following,
            RowState::InFlight | RowState::InFlightReversalAsked if self.conclusion.is_some() => {
                State::Concluding
            }
            RowState::InFlightReversalAsked => State::ReversalAsked,
            RowState::InFlight => match self.exchange {
                Exchange::Unsent | Exchange::Handed => State::Forwarding,
                Exchange::Written { .. } => State::AwaitingIssuer,
            },
            RowState::Approved if self.is_marked() => State::Undelivered,
            RowState::Approved => State::Approved,
            RowState::Declined => State::Declined,
            RowState::NeverSent => State::NeverSent,
            RowState::TimedOut => State::TimedOut,
            RowState::Undone => State::Undone,
            RowState::ReversedBeforeArrival => State::ReversedBeforeArrival,
            RowState::Accepted => State::Accepted,
            RowState::Disputed => State::Disputed,
        }
    }

    /// Whether it has no durable outcome yet and may come to count in its batch.
    pub(crate) fn may_be_approved(&self) -> bool {
        let asks = self.request.is_some() || self.row.state == RowState::InFlight;
        asks && self.reversers.is_empty()
    }

    /// Whether its own row is looked for, before a refusal that is none (M2).
    pub(crate) fn looks_for_own(&self) -> bool {
        self.looking && self.request.as_ref().is_some_and(|request| request.refusal.is_some())
    }

    pub(crate) fn obligation_is(&self, status: ObligationStatus) -> bool {
        self.obligation.as_ref().is_some_and(|obligation| obligation.status == status)
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.obligation_is(ObligationStatus::Marked)
    }

    /// Its reversal was answered, and is owed once nothing claims it.
    pub(crate) fn is_promised(&self) -> bool {
        self.obligation.as_ref().is_some_and(Obligation::is_promised)
    }

    /// The reversal is owed, and by this node.
    pub(crate) fn owes(&self, core: &Core) -> bool {
        self.obligation.as_ref().is_some_and(|obligation| {
            obligation.status == ObligationStatus::Owed && obligation.owner == core.config.node
        })
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::of(&self.row)
    }

    /// Someone waits for its answer; the timer for the earliest is armed.
    pub(crate) fn join(&mut self, asker: Asker, core: &mut Core) {
        self.grace = asker.asked.grace;
        self.answer_by = self.answer_by.max(Some(asker.asked.deadline));
        self.askers.push(asker);
        self.arm_askers(core);
    }

    pub(crate) fn join_reverser(&mut self, request: &ReversalRequest, core: &mut Core) {
        let (asked, amount) = (request.asked.clone(), request.amount);
        self.reversers.push(Reverser { asked, amount, settled: request.settled, read: false });
        self.arm_askers(core);
    }

    pub(crate) fn arm_askers(&mut self, core: &mut Core) {
        let waiting = self.askers.iter().map(|asker| asker.asked.deadline);
        let earliest = waiting.chain(self.reversers.iter().map(|waits| waits.asked.deadline)).min();
        if earliest != self.askers_timer {
            core.disarm(self.askers_timer, Timer::Askers(self.row.key));
            if let Some(at) = earliest {
                core.arm(at, Timer::Askers(self.row.key));
            }
            match (self.askers_timer.is_some(), earliest.is_some()) {
                (false, true) => core.awaited += 1,
                (true, false) => core.awaited = core.awaited.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
            self.askers_timer = earliest;
        }
    }

    pub(crate) fn pend(&mut self, record: RecordId, what: Record, now: Now) {
        self.pending = Some(Pending { record, what, since: now.mono, unknown: false, late: 0 });
    }

    /// Whether this life knows nothing of it that is not durable: no record whose commit is unknown, no late approval that is
    /// still to be recorded, no answer whose delivery is still to be told.
    pub(crate) const fn is_written(&self) -> bool {
        self.pending.is_none()
            && self.late == 0
            && self.retry_at.is_none()
            && self.delivery.offered == 0
    }

    /// Whether nothing keeps it in memory.
    pub(crate) fn is_quiet(&self, core: &Core) -> bool {
        self.pending.is_none()
            && self.retry_at.is_none()
            && !self.looking
            && self.request.is_none()
            && self.askers.is_empty()
            && self.reversers.is_empty()
            && self.late == 0
            && self.conclusion.is_none()
            && self.delivery.offered == 0
            && !self.owes(core)
            && !self.adopt
            && !(self.ours && (self.row.state.is_in_flight() || self.is_marked()))
            && !matches!(self.duty.sending, Sending::Handed | Sending::Written { .. })
    }
}

impl Request {
    /// The row of its intent.
    pub(crate) fn row(
        self,
        id: crate::TxnId,
        state: RowState,
        cause: Cause,
        now: Now,
        core: &mut Core,
    ) -> Row {
        Row {
            fixed: Arc::new(Fixed {
                key: self.key,
                id,
                kind: self.kind,
                node: core.config.node,
                epoch: core.config.epoch,
                created: now.wall,
                listener: self.asked.listener,
                merchant: self.merchant,
                terminal: self.terminal,
                stan: self.stan,
                amount: self.amount,
                currency: self.currency,
                digest: self.digest,
                issuer: self.issuer,
                card: self.card,
                carried: self.carried,
            }),
            day: crate::Day::default(),
            version: 0,
            change: core.change_mark(),
            state,
            cause,
            code: None,
            approved: 0,
            answer: bytes::Bytes::new(),
            copies: 0,
            late: 0,
            concluded: concluded_at(state, now.wall),
            claimed: 0,
            claiming: None,
        }
    }
}

impl ReversalRequest {
    /// The row that stands under its original's identity if the original never came (M8).
    pub(crate) fn row(&self, id: crate::TxnId, now: Now, core: &mut Core) -> Row {
        Row {
            fixed: Arc::new(Fixed {
                key: self.key,
                id,
                kind: self.kind,
                node: core.config.node,
                epoch: core.config.epoch,
                created: now.wall,
                listener: self.asked.listener.clone(),
                merchant: self.merchant.clone(),
                terminal: self.terminal.clone(),
                stan: self.stan,
                amount: self.amount.unwrap_or(0),
                currency: self.currency,
                digest: Digest::default(),
                issuer: None,
                card: self.card.clone(),
                carried: self.carried.clone(),
            }),
            day: crate::Day::default(),
            version: 0,
            change: core.change_mark(),
            state: RowState::ReversedBeforeArrival,
            cause: Cause::AfterReversal,
            code: None,
            approved: 0,
            answer: bytes::Bytes::new(),
            copies: 0,
            late: 0,
            concluded: Some(now.wall),
            claimed: 0,
            claiming: None,
        }
    }
}

const fn concluded_at(state: RowState, now: Wall) -> Option<Wall> {
    if state.is_in_flight() { None } else { Some(now) }
}

/// The key of a reading order: which of two images is newer.
pub(crate) const fn is_newer(seen: &Row, known: &Row) -> bool {
    seen.version > known.version
}
