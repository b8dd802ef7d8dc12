//! What must hold of claims and advices: C1 to C5. Reads ledgers only.

use iso8583::Takes;
use switch_core::{CaseKind, Claim, ClaimStatus, ObligationStatus, Row, RowState, TxnId};

use super::{
    coverage::Sit,
    edge,
    event::ToIssuer,
    ledger::Entry,
    state::World,
    store::Applied,
    trade::{self, Effect},
};

impl World {
    /// After a record was applied that may have touched a claim.
    pub(super) fn check_claims(&mut self, row: &Row, applied: &Applied) {
        if let Some(original) = applied.original {
            self.check_original(original);
        }
        let Some(claim) = self.store.claims.get(&row.id).copied() else { return };
        if applied.before.is_none() && applied.row {
            self.check_new_claim(row, &claim);
        }
        self.check_release(row, &claim);
        self.cover_claim(row, applied, &claim);
    }

    /// C1 and C2: never more than the original, one open at a time, and the row says what the ledger of claims says.
    fn check_original(&mut self, original: TxnId) {
        let Some(row) = self.store.row(original) else { return };
        let (claimed, claiming, approved) = (row.claimed, row.claiming, row.approved);
        let (standing, _) = self.claims_on(original);
        let of = self.store.claims_of.get(&original).into_iter().flatten();
        let claims: Vec<(TxnId, Claim)> =
            of.filter_map(|id| Some((*id, *self.store.claims.get(id)?))).collect();
        let open: Vec<TxnId> = claims
            .iter()
            .filter(|(_, claim)| claim.status == ClaimStatus::Open)
            .map(|(id, _)| *id)
            .collect();
        if open.len() > 1 {
            self.broken("C1", || format!("{open:?} are open on {}", original.0));
        }
        if claimed != standing || claiming != open.first().copied() {
            self.broken("C2", || {
                format!("{} says {claimed} and {claiming:?} of {claims:?}", original.0)
            });
        }
        let asked: i64 =
            claims.iter().filter(|(id, _)| open.contains(id)).map(|(_, claim)| claim.amount).sum();
        // a total that was raised leaves more than was approved, by its percentage
        let most = approved * 120 / 100;
        if standing + asked > approved || approved - standing - asked > most {
            self.broken("C1", || {
                format!("{standing} and {asked} of {} are claimed: {claims:?}", original.0)
            });
        }
    }

    /// C1: what is asked for fits what was left.
    fn check_new_claim(&mut self, row: &Row, claim: &Claim) {
        let Some(original) = self.store.row(claim.original).cloned() else { return };
        let (standing, _) = self.claims_on(original.id);
        let left = original.approved - standing;
        let takes = edge::sale_of(row)
            .and_then(|sale| self.ledgers.sales.get(sale))
            .and_then(|sale| sale.about.as_ref())
            .map(|about| about.takes);
        let fits = takes.is_some_and(|takes| {
            takes != Takes::Nothing
                && trade::taken(takes, original.approved, left, row.amount) == Some(claim.amount)
        });
        let alike = original.card.hash == row.card.hash
            && original.currency == row.currency
            && original.merchant == row.merchant
            && original.issuer == row.issuer;
        if !fits || !alike || original.state != RowState::Approved {
            self.broken("C1", || {
                format!("{} for {} claims {claim:?}, {left} was left", row.id.0, row.amount)
            });
        }
    }

    /// C3: a claim is released exactly when its transaction is declined, never sent, or reversed for certain.
    fn check_release(&mut self, row: &Row, claim: &Claim) {
        use ClaimStatus as C;
        let status = self.store.obligations.get(&row.id).map(|obligation| obligation.status);
        let closed =
            matches!(status, Some(ObligationStatus::Confirmed | ObligationStatus::Withdrawn));
        let was = self.ledgers.released.contains(&row.id);
        let fits = match (row.state, claim.status) {
            (
                RowState::InFlight
                | RowState::InFlightReversalAsked
                | RowState::Accepted
                | RowState::Disputed,
                status,
            ) => status == C::Open,
            (RowState::Approved, status) => status == C::Stands,
            (RowState::Declined | RowState::NeverSent, status) => status == C::Released,
            (RowState::TimedOut | RowState::Undone, C::Released) => closed || was,
            (RowState::TimedOut | RowState::Undone, C::Open | C::Stands) => !closed && !was,
            (RowState::ReversedBeforeArrival, _) => false,
        };
        if !fits {
            self.broken("C3", || {
                format!("{} is {} and {status:?}, its claim {claim:?}", row.id.0, row.state.name())
            });
        }
        if claim.status == C::Released {
            self.ledgers.released.insert(row.id);
        }
    }

    /// A reversal undoes an original at its issuer: nothing may have been taken of it, but by an issuer that approved what
    /// it had refused (C1). What a tip added and a refund took, in sum nothing, is as good as nothing.
    pub(super) fn check_undone(&mut self, issuer: usize, msg: &ToIssuer) {
        let entries = &self.ledgers.issuers[issuer].entries;
        let Some(entry) = entries.get(&msg.id) else { return };
        let standing: Vec<(TxnId, Effect)> = (entry.claims.iter())
            .filter_map(|id| entries.get(id).filter(|claim| !claim.fickle).map(|c| (*id, c.net())))
            .filter(|(_, net)| *net != Effect::default())
            .collect();
        let debit: i64 = standing.iter().map(|(_, net)| net.debit).sum();
        let hold: i64 = standing.iter().map(|(_, net)| net.hold).sum();
        if (debit, hold) != (0, 0) && !entry.fickle {
            self.broken("C1", || format!("{} is reversed under {standing:?}", msg.id.0));
        }
    }

    /// Whether its issuer approved what it had refused, of its original, or of another claim on that: it then takes and
    /// gives what S does not know of.
    pub(super) fn has_fickle_kin(&self, id: TxnId) -> bool {
        let Some(original) = self.entry_by_id(id).and_then(|entry| entry.original) else {
            return false;
        };
        let claims = self.entry_by_id(original).map_or(&[][..], |entry| &entry.claims);
        let kin = claims.iter().copied().chain([original]).filter(|kin| *kin != id);
        kin.filter_map(|id| self.entry_by_id(id)).any(|entry| entry.fickle)
    }

    /// What a transaction in this state does to a card, by S.
    pub(super) fn stands_for(&self, row: &Row) -> Effect {
        if row.state != RowState::Approved {
            return Effect::default();
        }
        let taken = self.store.claims.get(&row.id).map_or(0, |claim| claim.amount);
        trade::effect(row.kind, row.approved, taken)
    }

    /// C5: an advice that was told 00 is delivered once, or a case says that nobody knows.
    pub(super) fn check_advice(&mut self, row: &Row, entry: &Entry) {
        let has = |kind: CaseKind| self.store.cases.contains(&(row.id, kind));
        let taken = self.store.claims.get(&row.id).map_or(0, |claim| claim.amount);
        let once = trade::effect(row.kind, row.amount, taken);
        let none = Effect::default();
        let net = entry.net();
        let fits = match row.state {
            RowState::Approved => net == once,
            RowState::Accepted => {
                (net == none || net == once)
                    && (has(CaseKind::AdviceUnanswered) || has(CaseKind::IssuerGone))
            }
            RowState::Disputed => (net == none || net == once) && has(CaseKind::AdviceRefused),
            RowState::Declined => {
                net == none || (net == once && (has(CaseKind::AdviceApprovedLate) || entry.fickle))
            }
            RowState::NeverSent => net == none,
            RowState::InFlight
            | RowState::InFlightReversalAsked
            | RowState::TimedOut
            | RowState::Undone
            | RowState::ReversedBeforeArrival => false,
        };
        if (!fits && !self.has_fickle_kin(row.id)) || entry.reversals > 0 {
            self.broken("C5", || {
                format!("the advice {} is {} and {entry:?}", row.id.0, row.state.name())
            });
        }
    }

    /// Whether it waits for a person: an advice whose one copy was not answered (M12).
    pub(super) fn is_parked(&self, id: TxnId) -> bool {
        let parked = self.store.obligations.get(&id).is_some_and(|o| o.parked);
        let row = self.store.row(id);
        let advice = row.is_some_and(|row| row.state == RowState::Accepted);
        let one_copy = row.and_then(|row| row.issuer.clone()).is_some_and(|name| {
            (0..self.issuers.len())
                .any(|issuer| self.issuer_name(issuer) == name && !self.repeats_advices(issuer))
        });
        parked && advice && one_copy && self.store.cases.contains(&(id, CaseKind::AdviceUnanswered))
    }

    fn cover_claim(&mut self, row: &Row, applied: &Applied, claim: &Claim) {
        let Some(before) = &applied.before else {
            let earlier = self.store.claims_of.get(&claim.original).into_iter().flatten();
            let undone = |id: &&TxnId| {
                self.store.row(**id).is_some_and(|other| {
                    matches!(other.state, RowState::TimedOut | RowState::Undone)
                        && other.kind == row.kind
                })
            };
            if earlier.filter(|id| **id != row.id).any(|id| undone(&id)) {
                self.hit(Sit::ClaimedAgain);
            }
            let claims = self.store.claims_of.get(&claim.original).map_or(0, Vec::len);
            if row.kind == iso8583::Kind::Refund && claims > 1 {
                self.hit(Sit::RefundedInParts);
            }
            return;
        };
        match (before.state, row.state) {
            (RowState::Accepted, RowState::Disputed) => self.hit(Sit::AdviceRefusedLate),
            (RowState::Accepted, RowState::Approved) => {
                self.hit(Sit::AdviceDelivered);
                if before.node.0 as usize != 0
                    && self.nodes[(row.node.0 - 1) as usize].epoch != row.epoch.0
                {
                    self.hit(Sit::AdviceDeliveredByHeir);
                }
            }
            (RowState::InFlight, RowState::TimedOut) => self.hit(Sit::ClaimTimedOut),
            (RowState::Approved, RowState::Undone) => self.hit(Sit::ClaimUndone),
            _ => {}
        }
    }
}
