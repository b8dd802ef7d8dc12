//! What must hold when all is quiet: I2, I3, I9, I12, I13, I16, I22. Compares the three ledgers.

use std::collections::BTreeMap;

use iso8583::Kind;
use switch_core::{RowState, TxnId};

use super::{
    edge,
    event::ReplyMsg,
    ledger::{Belief, Entry, Sale},
    state::World,
    store::is_open,
};

/// Net effect of one transaction at its issuer.
fn net(entry: &Entry) -> i64 {
    if entry.reversed { 0 } else { entry.posted.unwrap_or(0) }
}

impl World {
    pub(super) fn check_quiet(&mut self) {
        let mut by_sale: BTreeMap<usize, Vec<(TxnId, Entry)>> = BTreeMap::new();
        for issuer in &self.ledgers.issuers {
            for (id, entry) in &issuer.entries {
                if entry.received > 0 {
                    by_sale.entry(entry.sale).or_default().push((*id, entry.clone()));
                }
            }
        }
        let none = Vec::new();
        for number in 0..self.ledgers.sales.len() {
            let sale = self.ledgers.sales[number].clone();
            let entries = by_sale.get(&number).unwrap_or(&none);
            self.check_sale(number, &sale, entries);
        }
        self.check_rows();
        let open: Vec<u64> =
            self.store.obligations.values().filter(|o| is_open(o)).map(|o| o.id.0).collect();
        if !open.is_empty() {
            self.broken("I13", || format!("still open: {open:?}"));
        }
        self.cover_end();
    }

    fn check_sale(&mut self, number: usize, sale: &Sale, entries: &[(TxnId, Entry)]) {
        if sale.kind != Kind::Purchase {
            return;
        }
        let sum: i64 = entries.iter().map(|(_, entry)| net(entry)).sum();
        let debits = entries.iter().filter(|(_, entry)| net(entry) != 0).count();
        if debits > 1 {
            self.broken("I1", || format!("sale {number} is debited {debits} times: {entries:?}"));
        }
        match sale.belief {
            Belief::Approved(reply) => self.check_approved(number, &reply, entries),
            Belief::Declined | Belief::Reversed if sum != 0 => {
                if !self.is_exempt(sale, entries) {
                    self.broken("I3", || {
                        format!("sale {number} is {:?} and debited {sum}: {entries:?}", sale.belief)
                    });
                }
            }
            Belief::Unknown if !sale.vanished => {
                self.broken("I13", || format!("sale {number}: its terminal still does not know"));
            }
            Belief::Unknown if sum != 0 => {
                let unsure =
                    entries.iter().all(|(id, entry)| net(entry) == 0 || self.delivery_unknown(*id));
                if unsure || self.is_exempt(sale, entries) {
                    self.totals.exempt += 1;
                } else {
                    self.broken("I12", || {
                        format!("sale {number} was certainly not delivered and stays: {entries:?}")
                    });
                }
            }
            Belief::Declined | Belief::Reversed | Belief::Unknown => {}
        }
    }

    fn check_approved(&mut self, number: usize, reply: &ReplyMsg, entries: &[(TxnId, Entry)]) {
        let held: Vec<&(TxnId, Entry)> =
            entries.iter().filter(|(_, entry)| net(entry) != 0).collect();
        let fits = matches!(held.as_slice(), [(id, entry)]
            if Some(*id) == reply.rrn && net(entry) == reply.amount && entry.auth == reply.auth);
        if !fits {
            self.broken("I2", || format!("sale {number} is approved as {reply:?}: {entries:?}"));
        }
    }

    /// Whether nobody can know if the approval was delivered: written, or its node was lost (M10).
    fn delivery_unknown(&self, id: TxnId) -> bool {
        let wire = self.wire_of(id).cloned().unwrap_or_default();
        let approved = self.store.row(id).is_some_and(|row| row.state == RowState::Approved);
        approved && (wire.replies > 0 || self.node_of_row_lost(id))
    }

    /// The node that conducted it did not live through to the end.
    fn node_of_row_lost(&self, id: TxnId) -> bool {
        self.store.row(id).is_some_and(|row| {
            let node = (row.node.0 - 1) as usize;
            self.nodes.get(node).is_none_or(|node| node.epoch != row.epoch.0)
        })
    }

    /// What no switch can put right: listed, not hidden.
    fn is_exempt(&self, sale: &Sale, entries: &[(TxnId, Entry)]) -> bool {
        // a refusal first, and the approval that followed was lost with its connection or its node
        let fickle = entries.iter().any(|(id, entry)| {
            let by = self.wire_of(*id).and_then(|wire| wire.approval_by);
            entry.fickle && by.is_none_or(|(node, life)| self.nodes[node].life != life)
        });
        // the terminal asked beyond the horizon of its day
        let beyond = !self.store.within_horizon(sale.day, self.now);
        fickle
            || (beyond
                && entries.iter().all(|(id, entry)| net(entry) == 0 || self.delivery_unknown(*id)))
    }

    /// I16: S and I agree on each transaction, and so on their sums.
    fn check_rows(&mut self) {
        let rows: Vec<(TxnId, RowState, i64, Kind)> = self
            .store
            .rows
            .values()
            .map(|row| (row.id, row.state, row.approved, row.kind))
            .collect();
        for (id, state, approved, kind) in rows {
            let entry = self.entry_by_id(id).cloned().unwrap_or_default();
            let expected =
                if state == RowState::Approved && kind == Kind::Purchase { approved } else { 0 };
            if net(&entry) != expected {
                let sale = self.store.row(id).and_then(edge::sale_of);
                let sale = sale.and_then(|sale| self.ledgers.sales.get(sale)).cloned();
                let exempt = sale.is_some_and(|sale| self.is_exempt(&sale, &[(id, entry.clone())]));
                if !exempt {
                    self.broken("I16", || {
                        format!("{} is {} in S and {entry:?} at its issuer", id.0, state.name())
                    });
                }
            }
            if state.is_in_flight() {
                self.broken("I13", || format!("{} is still in flight", id.0));
            }
        }
    }

    /// All that S says, for the comparison before and after a recovery (I22).
    pub(super) fn image(&self) -> Vec<(TxnId, RowState, u32, u8, u32)> {
        self.store
            .rows
            .values()
            .map(|row| {
                let obligation = self.store.obligations.get(&row.id);
                let status = obligation.map_or(0, |o| o.status.number());
                (row.id, row.state, row.version, status, obligation.map_or(0, |o| o.attempts))
            })
            .collect()
    }
}
