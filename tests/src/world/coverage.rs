//! Sometimes-coverage: rare situations by name, counted, so that it shows when one is no longer reached.

use switch_core::{ClaimStatus, Event, IssuerAnswer, ObligationStatus, Persisted, Row, RowState};

use super::{edge, event::TermMsg, ledger::Belief, state::World, store::Applied};

macro_rules! situations {
    ($($variant:ident = $name:literal;)*) => {
        /// A rare situation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Sit { $($variant,)* }
        pub(super) const SITUATIONS: &[&str] = &[$($name,)*];
    };
}

situations! {
    CopyBeforeCommit = "duplicate while the intent is uncommitted";
    CopyInFlight = "duplicate while in flight";
    CopyElsewhere = "duplicate at another node while in flight";
    CopyOfApproval = "duplicate of an approval";
    CopyOfRefusal = "duplicate of a refusal";
    CopyOfSilence = "duplicate of a silence";
    CopyAcrossCutOver = "duplicate across the cut-over";
    ReuseWithinHorizon = "identity with other content";
    ReuseAfterHorizon = "identity again beyond its horizon";
    ReversalFirst = "terminal's reversal before its original";
    ReversalInFlight = "terminal's reversal while in flight";
    ReversalElsewhere = "terminal's reversal at another node while in flight";
    ReversalOfApproval = "terminal's reversal of an approval";
    ReversalOfSilence = "terminal's reversal of a silence";
    ReversalOfRefusal = "terminal's reversal of a refusal";
    ReversedAfterApproval = "terminal reverses an approval that it has read";
    LateWhileOwed = "late approval before its reversal is written";
    LateWhileFlying = "late approval while its reversal is in flight";
    LateAfterConfirmed = "late approval after its reversal is confirmed";
    LateAfterRefusal = "approval after a refusal";
    OwedAgain = "reversal owed again";
    Withdrawn = "reversal withdrawn by a late refusal";
    Marked = "approval marked as undelivered";
    MarkedWithOutcome = "mark in the same statement as the outcome";
    Denied = "issuer denies what it approved";
    MarkCleared = "mark cleared by a repeat";
    MarkOwed = "mark becomes owed";
    AskedBecameOwed = "reversal asked in flight becomes owed";
    CrashUncommitted = "crash while the intent is uncommitted";
    CrashUnsent = "crash between intent and write";
    CrashInFlight = "crash while the answer is awaited";
    CrashBeforeReply = "crash between approval and its answer";
    CrashWhileMarked = "crash while a mark runs";
    CrashReversalFlying = "crash between reversal sent and confirmed";
    CrashInRecovery = "crash in recovery";
    OrphanApplied = "statement of a dead process is applied";
    UnknownIntent = "unknown commit of an intent";
    UnknownOutcome = "unknown commit of an outcome";
    LostRace = "a change loses its race";
    IntentLost = "an intent finds another row";
    FencedNodeEnds = "a stopped node wakes, is fenced, and ends";
    BatchMeetsNewDay = "a batch meets the new day";
    ReversalOvertakes = "the reversal overtakes its original";
    OriginalAfterReversal = "the issuer refuses an original after its reversal";
    ForgottenReversal = "a forgetful issuer posts after a reversal";
    StalledLinkCut = "a stalled link is reset for a reversal";
    GoneRound = "a reversal goes round a mute link, which ends first";
    SignedOffUnsent = "what waits for a link whose issuer signs off is never sent";
    AnswerOnAnotherLink = "an answer comes on another link";
    AnswerAtAnotherNode = "an answer comes at another node";
    WrongStanDropped = "an answer with a wrong STAN";
    ContradictedAnswer = "an answer of another amount, currency, card or terminal";
    ApprovalCrossesReversal = "an approval is written after its reversal was asked elsewhere";
    WrittenNeverRead = "an approval is written and never read";
    SameAnswerAgain = "the same answer again";
    Shed = "a request is shed";
    ShedButApproved = "shed while an approval stood";
    Parked = "a reversal's attempts are used up";
    PowerCycle = "a terminal loses power";
    VanishedForGood = "a terminal vanishes for good";
    WallClockJumped = "the wall clock jumps";
    Reloaded = "the configuration is read again";
    StrangerNames = "a reversal names another terminal's transaction";
    BadRecordAlone = "a record is refused and the rest of its batch applied";
    DrainedInPeace = "a drain ends in peace";
    DrainConcludes = "a drain concludes what is in flight";
    RefusedOpen = "refused: another claim is open (09)";
    RefusedNotApproved = "refused: its original was not approved, or is of another kind (12)";
    RefusedCard = "refused: another card (14)";
    RefusedUndone = "refused: its original is undone, used up or too old (22)";
    RefusedNotFound = "refused: no such original, or settled (25)";
    RefusedOver = "refused: more than is left (61)";
    RefusedAmount = "refused: another amount (64)";
    OriginalUnread = "an original cannot be read";
    OriginalMoved = "an original moves between judgement and claim";
    ClaimUnknown = "unknown commit of a claim";
    CrashClaimOpen = "crash between a claim and its outcome";
    ClaimTimedOut = "a claim is not answered";
    ClaimUndone = "a claim that stood is reversed";
    ClaimedAgain = "claimed again after the same was reversed";
    RefundedInParts = "several refunds of one sale";
    ReversalOfClaiming = "terminal's reversal of a sale with an open claim";
    ReversalOfClaimed = "terminal's reversal of a sale with a claim that stands";
    AdviceAgain = "an issuer gets again an advice that it took";
    AdviceDelivered = "an accepted advice is delivered";
    AdviceDeliveredByHeir = "an advice is delivered by a later life, or another node";
    AdviceUnsent = "an advice that was never sent is accepted";
    AdviceRefusedLate = "an advice is refused after it was accepted";
    AdviceOneCopy = "an issuer that takes no repeats leaves an advice open";
    AdviceReversed = "a terminal reverses an advice";
    AdviceTakenOver = "an accepted advice is taken over";
    OtherBatchAnswered = "a copy from a closed batch gets its answer";
    RefusalYields = "a copy that the edge refuses gets what stands";
    LateOfReleased = "an approval of a claim that was released";
    OpenDecline = "declined by a code that is not final";
    OpenDeclineOwed = "a terminal reverses what was declined by a code that is not final";
    OtherReversal = "a reversal is answered for another amount";
    OtherIssuer = "an issuer approves what another was sent";
    OtherKey = "a reversal whose card does not open";
}

/// How often each situation was reached.
#[derive(Debug, Clone)]
pub(super) struct Coverage(pub(super) Vec<u64>);

impl Default for Coverage {
    fn default() -> Self {
        Self(vec![0; SITUATIONS.len()])
    }
}

impl Coverage {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }

    /// Situations that were never reached.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        SITUATIONS.iter().zip(&self.0).filter(|(_, n)| **n == 0).map(|(name, _)| *name).collect()
    }
}

impl World {
    pub(super) fn hit(&mut self, situation: Sit) {
        if let Some(count) = self.cover.0.get_mut(situation as usize) {
            *count += 1;
        }
    }

    /// A terminal's message meets what stands under its identity.
    pub(super) fn cover_frame(&mut self, node: usize, msg: TermMsg) {
        let sale = &self.ledgers.sales[msg.sale];
        let (key, sent, day, reuse) = (sale.key, sale.sent, sale.day, sale.reuse);
        let own = node as i32 + 1;
        let Some(row) = self.store.read_key(key, self.now).map(|found| found.row) else {
            if msg.reversal {
                self.hit(Sit::ReversalFirst);
            } else if sent > 1
                && self.store.statements.values().any(|s| s.node == node && s.lane == 0)
            {
                self.hit(Sit::CopyBeforeCommit);
            } else if reuse && self.store.read_any_day(key, self.now).is_some() {
                self.hit(Sit::ReuseAfterHorizon);
            }
            return;
        };
        if msg.reversal && row.claiming.is_some() {
            self.hit(Sit::ReversalOfClaiming);
        } else if msg.reversal && row.claimed != 0 {
            self.hit(Sit::ReversalOfClaimed);
        }
        if msg.other_batch {
            self.hit(Sit::OtherBatchAnswered);
        }
        if edge::sale_of(&row) != Some(msg.sale) {
            return self.hit(Sit::ReuseWithinHorizon);
        }
        if row.day != self.store.today && day == row.day && !msg.reversal {
            self.hit(Sit::CopyAcrossCutOver);
        }
        let elsewhere = row.node.0 != own && row.state.is_in_flight();
        self.hit(match (msg.reversal, row.state) {
            (true, _) if elsewhere => Sit::ReversalElsewhere,
            (false, _) if elsewhere => Sit::CopyElsewhere,
            (true, RowState::InFlight | RowState::InFlightReversalAsked) => Sit::ReversalInFlight,
            (true, RowState::Approved) => Sit::ReversalOfApproval,
            (true, RowState::Declined | RowState::NeverSent) => Sit::ReversalOfRefusal,
            (true, _) => Sit::ReversalOfSilence,
            (false, RowState::InFlight | RowState::InFlightReversalAsked) => Sit::CopyInFlight,
            (false, RowState::Approved) => Sit::CopyOfApproval,
            (false, RowState::Declined | RowState::NeverSent) => Sit::CopyOfRefusal,
            (false, _) => Sit::CopyOfSilence,
        });
    }

    /// An approval comes late, or twice.
    pub(super) fn cover_answer(&mut self, answer: &IssuerAnswer) {
        if answer.to_reversal || !answer.approves() {
            return;
        }
        let id = edge::named_by(answer);
        let state = self.store.row(id).map(|row| row.state);
        let status = self.store.obligations.get(&id).map(|obligation| obligation.status);
        let claim = self.store.claims.get(&id).map(|claim| claim.status);
        if claim == Some(ClaimStatus::Released) {
            self.hit(Sit::LateOfReleased);
        }
        let flying = self.wire_of(id).is_some_and(|wire| wire.flying.is_some());
        match status {
            Some(ObligationStatus::Owed) if flying => self.hit(Sit::LateWhileFlying),
            Some(ObligationStatus::Owed) => self.hit(Sit::LateWhileOwed),
            Some(ObligationStatus::Confirmed) => self.hit(Sit::LateAfterConfirmed),
            _ if state == Some(RowState::Declined) => self.hit(Sit::LateAfterRefusal),
            _ => {}
        }
    }

    pub(super) fn cover_applied(&mut self, row: &Row, applied: &Applied) {
        let status = self.store.obligations.get(&row.id).map(|o| (o.status, o.parked));
        let before = applied.before.as_ref().map(|before| before.state);
        match (applied.status_before, status) {
            (
                Some(ObligationStatus::Confirmed | ObligationStatus::Withdrawn),
                Some((ObligationStatus::Owed, _)),
            ) => {
                self.hit(Sit::OwedAgain);
            }
            (Some(ObligationStatus::Marked), Some((ObligationStatus::Owed, _))) => {
                self.hit(Sit::MarkOwed);
            }
            (None | Some(ObligationStatus::Cleared), Some((ObligationStatus::Marked, _))) => {
                self.hit(Sit::Marked);
                if before.is_some_and(RowState::is_in_flight) {
                    self.hit(Sit::MarkedWithOutcome);
                }
            }
            (Some(ObligationStatus::Owed), Some((ObligationStatus::Owed, true)))
                if !applied.row =>
            {
                self.hit(Sit::Parked);
            }
            _ => {}
        }
        let sent = self.wire_of(row.id).is_some_and(|wire| wire.written.is_some());
        if before == Some(RowState::InFlight) && row.state == RowState::Accepted && !sent {
            self.hit(Sit::AdviceUnsent);
        }
        if before == Some(RowState::InFlightReversalAsked) && row.state == RowState::Undone {
            self.hit(Sit::AskedBecameOwed);
        }
    }

    /// What a process leaves open when it dies.
    pub(super) fn cover_crash(&mut self, node: usize) {
        let own = node as i32 + 1;
        let mut hits = Vec::new();
        if self.nodes[node].is_recovering() {
            hits.push(Sit::CrashInRecovery);
        }
        let intents = |s: &super::store::Statement| s.node == node && s.lane == 0;
        if self.store.statements.values().any(intents) {
            hits.push(Sit::CrashUncommitted);
        }
        for row in self.store.rows.values().filter(|row| row.node.0 == own) {
            let wire = self.wire_of(row.id);
            let sent = wire.is_some_and(|wire| wire.written.is_some());
            let replies = wire.map_or(0, |wire| wire.replies);
            let open = self.store.claims.get(&row.id);
            if open.is_some_and(|claim| claim.status == ClaimStatus::Open) {
                hits.push(Sit::CrashClaimOpen);
            }
            match row.state {
                RowState::InFlight if sent => hits.push(Sit::CrashInFlight),
                RowState::InFlight => hits.push(Sit::CrashUnsent),
                RowState::Approved if replies == 0 => hits.push(Sit::CrashBeforeReply),
                _ => {}
            }
        }
        for obligation in self.store.obligations.values().filter(|o| o.owner.0 == own) {
            let flying = self.wire_of(obligation.id).is_some_and(|wire| wire.flying.is_some());
            match obligation.status {
                ObligationStatus::Owed if flying => hits.push(Sit::CrashReversalFlying),
                ObligationStatus::Marked => hits.push(Sit::CrashWhileMarked),
                _ => {}
            }
        }
        for situation in hits {
            self.hit(situation);
        }
    }

    pub(super) fn cover_event(&mut self, event: &Event) {
        if let Event::Persisted { record: _, result } = event {
            match result {
                Persisted::Lost(Some(found)) if found.row.version == 0 => self.hit(Sit::IntentLost),
                Persisted::Lost(_) => self.hit(Sit::LostRace),
                Persisted::Applied(_) | Persisted::Failed | Persisted::Unknown => {}
            }
        }
    }

    pub(super) fn cover_cut(&mut self, _link: usize) {
        self.hit(Sit::StalledLinkCut);
    }

    /// Counts, at the end of a run, what only the whole journal shows.
    pub(super) fn cover_end(&mut self) {
        let shed = self
            .store
            .cases
            .iter()
            .any(|(_, kind)| *kind == switch_core::CaseKind::ShedButApproved);
        if shed {
            self.hit(Sit::ShedButApproved);
        }
        let refused = self
            .ledgers
            .sales
            .iter()
            .any(|sale| sale.belief == Belief::Declined && sale.answer.is_none());
        if refused {
            self.hit(Sit::Shed);
        }
        let parked: Vec<_> = self.store.obligations.keys().copied().collect();
        if parked.into_iter().any(|id| self.is_parked(id)) {
            self.hit(Sit::AdviceOneCopy);
        }
    }
}
