//! What must hold of S after each record that was applied: I7, I8, I14, I17, I19, I20. Reads ledgers only.

use switch_core::{CaseKind, ObligationCause, ObligationStatus, Row, RowState, TxnId};

use super::{
    coverage::Sit,
    edge,
    ledger::{Carried, Entry},
    state::World,
    store::Applied,
    trade,
};

/// The published state machine of a row (I7).
const fn may_become(from: RowState, to: RowState) -> bool {
    use RowState as S;
    match from {
        S::InFlight => !matches!(to, S::ReversedBeforeArrival | S::InFlight),
        S::InFlightReversalAsked => {
            matches!(to, S::Undone | S::TimedOut | S::Declined | S::NeverSent)
        }
        S::Approved => matches!(to, S::Approved | S::Undone),
        S::Declined => matches!(to, S::Declined),
        S::NeverSent => matches!(to, S::NeverSent),
        S::TimedOut => matches!(to, S::TimedOut),
        S::Undone => matches!(to, S::Undone),
        S::ReversedBeforeArrival => matches!(to, S::ReversedBeforeArrival),
        S::Accepted => matches!(to, S::Accepted | S::Approved | S::Disputed),
        S::Disputed => matches!(to, S::Disputed),
    }
}

const fn may_begin(state: RowState) -> bool {
    matches!(state, RowState::InFlight | RowState::NeverSent | RowState::ReversedBeforeArrival)
}

fn same_fixed_part(a: &Row, b: &Row) -> bool {
    a.key == b.key
        && a.id == b.id
        && a.day == b.day
        && a.kind == b.kind
        && a.node == b.node
        && a.epoch == b.epoch
        && a.created == b.created
        && a.stan == b.stan
        && a.amount == b.amount
        && a.currency == b.currency
        && a.digest == b.digest
        && a.issuer == b.issuer
        && a.card == b.card
        && a.carried == b.carried
}

impl World {
    pub(super) fn check_applied(&mut self, node: usize, applied: &Applied) {
        let Some(row) = self.store.row(applied.id).cloned() else { return };
        if self.store.number_twice {
            self.broken("I20", || format!("the number {} was used for two rows", applied.id.0));
        }
        if applied.row {
            match &applied.before {
                None => self.check_new_row(&row),
                Some(before) => self.check_changed_row(before, &row),
            }
            if row.state.is_told_approved() {
                self.store.approved.insert(row.id);
            }
        }
        self.check_obligation(node, &row, applied);
        self.check_claims(&row, applied);
        self.cover_applied(&row, applied);
    }

    fn check_new_row(&mut self, row: &Row) {
        self.totals.transactions += 1;
        let sale = edge::sale_of(row).and_then(|sale| self.ledgers.sales.get(sale));
        let fits = sale.is_some_and(|sale| {
            sale.key == row.key
                && sale.amount == row.amount
                && sale.sent + u32::from(sale.asked_reversal) > 0
        });
        if !fits {
            self.broken("I19", || format!("row {} is of no sale: {row:?}", row.id.0));
        }
        if !may_begin(row.state) || row.version != 0 {
            self.broken("I7", || format!("row {} begins as {}", row.id.0, row.state.name()));
        }
    }

    fn check_changed_row(&mut self, before: &Row, row: &Row) {
        let id = row.id.0;
        let (from, to) = (before.state, row.state);
        if !may_become(from, to) {
            self.broken("I7", || format!("row {id} goes from {} to {}", from.name(), to.name()));
        }
        if !same_fixed_part(before, row) {
            self.broken("I17", || {
                format!("row {id} changed what never changes: {before:?} {row:?}")
            });
        }
        // what an advice was answered late is no part of what its terminal was told
        let concluded = !from.is_in_flight();
        if concluded
            && (before.code != row.code
                || before.approved != row.approved
                || before.answer != row.answer)
        {
            self.broken("I6", || format!("row {id}: its outcome changed"));
        }
        if row.copies < before.copies || row.late < before.late {
            self.broken("I7", || format!("row {id}: its counts went back"));
        }
    }

    /// I8 and I14: obligations and their causes.
    fn check_obligation(&mut self, node: usize, row: &Row, applied: &Applied) {
        let id = row.id;
        let Some(obligation) = self.store.obligations.get(&id).cloned() else {
            let owes = matches!(row.state, RowState::TimedOut | RowState::Undone);
            if owes && trade::is_reversed(row.kind) {
                self.broken("I8", || {
                    format!("{} is {} and nothing is owed", id.0, row.state.name())
                });
            }
            return;
        };
        let status = obligation.status;
        let advice = trade::is_advice(row.kind);
        let delivery = obligation.cause == ObligationCause::Delivery;
        let told = row.state.is_told_approved();
        if delivery != advice || (advice && !told) || !(advice || trade::is_reversed(row.kind)) {
            self.broken("I8", || {
                format!("{} is {} and owes {:?}", id.0, row.state.name(), obligation.cause)
            });
        }
        let idle = matches!(status, ObligationStatus::Marked | ObligationStatus::Cleared);
        if matches!(row.state, RowState::TimedOut | RowState::Undone) && idle {
            self.broken("I8", || format!("{} is {} with {status:?}", id.0, row.state.name()));
        }
        if applied.status_before == Some(status) {
            return;
        }
        match status {
            ObligationStatus::Owed | ObligationStatus::Marked => {
                if let Some(why) = self.unfounded(node, row, obligation.cause) {
                    self.broken("I8", || {
                        format!("{} owed for {:?}: {why}", id.0, obligation.cause)
                    });
                }
                if status == ObligationStatus::Owed {
                    if (row.state, obligation.cause) == (RowState::Declined, ObligationCause::Asked)
                    {
                        self.hit(Sit::OpenDeclineOwed);
                    }
                    self.totals.owed += 1;
                }
            }
            ObligationStatus::Confirmed if advice => {
                let entry = self.entry_of(row).cloned().unwrap_or_default();
                let said =
                    if row.state == RowState::Approved { entry.approvals } else { entry.refusals };
                if said == 0 {
                    self.broken("I14", || format!("the advice {} was never answered so", id.0));
                }
            }
            ObligationStatus::Confirmed => {
                self.totals.confirmed += 1;
                if self.entry_of(row).is_none_or(|entry| entry.finals == 0) {
                    self.broken("I14", || format!("{} confirmed without a final answer", id.0));
                }
            }
            ObligationStatus::Withdrawn => {
                self.hit(Sit::Withdrawn);
                let advice = trade::is_advice(row.kind);
                let refused = self.entry_of(row).is_some_and(|entry| entry.refusals > 0);
                let written = self.wire_of(id).is_some_and(|wire| wire.reversals > 0);
                if !refused || written || advice {
                    self.broken("M9", || {
                        format!("{} withdrawn: refused {refused}, written {written}", id.0)
                    });
                }
            }
            ObligationStatus::Denied => self.check_denied(row),
            ObligationStatus::EndedByHand => {}
            ObligationStatus::Cleared => self.hit(Sit::MarkCleared),
        }
    }

    /// M4: its issuer approved it, and answered its reversal with 25; and that is a case.
    fn check_denied(&mut self, row: &Row) {
        let entry = self.entry_of(row).cloned().unwrap_or_default();
        let case = self.store.cases.contains(&(row.id, CaseKind::ReversalDenied));
        if entry.approvals == 0 || entry.not_found == 0 || !case {
            self.broken("I14", || {
                format!("{} is denied, by an issuer with {entry:?}, case {case}", row.id.0)
            });
        }
        self.hit(Sit::Denied);
    }

    pub(super) fn entry_of(&self, row: &Row) -> Option<&Entry> {
        self.entry_by_id(row.id)
    }

    pub(super) fn entry_by_id(&self, id: TxnId) -> Option<&Entry> {
        self.ledgers.issuers.iter().find_map(|issuer| issuer.entries.get(&id))
    }

    pub(super) fn wire_of(&self, id: TxnId) -> Option<&Carried> {
        self.ledgers.wire.get(&id)
    }

    /// Why the ledgers do not bear out the cause of an obligation, if they do not.
    fn unfounded(&self, node: usize, row: &Row, cause: ObligationCause) -> Option<String> {
        let wire = self.wire_of(row.id);
        let entry = self.entry_of(row);
        match cause {
            ObligationCause::Silence => {
                (row.state != RowState::TimedOut).then(|| row.state.name().to_owned())
            }
            ObligationCause::Asked => {
                let asked = edge::sale_of(row)
                    .and_then(|sale| self.ledgers.sales.get(sale))
                    .is_some_and(|sale| sale.asked_reversal);
                (!asked).then(|| "no terminal asked for it".to_owned())
            }
            ObligationCause::LateApproval => entry
                .is_none_or(|entry| entry.approvals == 0)
                .then(|| "the issuer approved nothing".to_owned()),
            ObligationCause::Undelivered => {
                let taken = wire.map_or(0, |wire| wire.replies);
                (taken > 0).then(|| format!("{taken} connections took the approval"))
            }
            ObligationCause::Contradicted => entry
                .is_none_or(|entry| entry.contradictions == 0)
                .then(|| "the issuer contradicted nothing".to_owned()),
            ObligationCause::Delivery => {
                (row.state != RowState::Accepted).then(|| row.state.name().to_owned())
            }
            ObligationCause::Recovery => {
                let own = row.node.0 == node as i32 + 1 && row.epoch.0 == self.nodes[node].epoch;
                own.then(|| "its node lives".to_owned())
            }
        }
    }
}
