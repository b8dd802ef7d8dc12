//! What must hold when all is quiet: I2, I3, I9, I12, I13, I16, I22. Compares the three ledgers.

use std::collections::BTreeMap;

use switch_core::{CaseKind, ObligationStatus, Row, RowState, TxnId};

use super::{
    claims::is_contested,
    edge,
    event::ReplyMsg,
    ledger::{Belief, Entry, Sale},
    state::World,
    store::is_open,
    trade::{self, Effect},
};

/// Net effect of one transaction at its issuer, told apart from none: money taken or given, or held.
fn net(entry: &Entry) -> i64 {
    let Effect { debit, hold } = entry.net();
    if debit == 0 { hold } else { debit }
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
        self.check_memory();
        let open = self.store.obligations.values().filter(|o| is_open(o) && !self.is_parked(o.id));
        let open: Vec<u64> = open.map(|o| o.id.0).collect();
        if !open.is_empty() {
            self.broken("I13", || format!("still open: {open:?}"));
        }
        self.cover_end();
    }

    /// Whether its terminal reversed it while another message took of it, and that one stands, or it did not hear: what is left
    /// is nobody's. Else it must be reversed.
    fn is_taken(&self, sale: &Sale, entries: &[(TxnId, Entry)]) -> bool {
        let stands = |(id, _): &(TxnId, Entry)| self.claims_on(*id) != (0, None);
        let told = matches!(sale.belief, Belief::Reversed);
        is_contested(sale) && (!told || entries.iter().any(stands))
    }

    fn check_sale(&mut self, number: usize, sale: &Sale, entries: &[(TxnId, Entry)]) {
        if !trade::has_amount(sale.kind) || self.is_taken(sale, entries) {
            return;
        }
        if trade::is_advice(sale.kind) {
            return self.check_told(number, sale, entries);
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
            if Some(*id) == reply.rrn && entry.auth == reply.auth && self.fits(entry, *id, reply.amount));
        if !fits {
            self.broken("I2", || format!("sale {number} is approved as {reply:?}: {entries:?}"));
        }
    }

    /// What the card was charged, or given back, is what the terminal was told.
    fn fits(&self, entry: &Entry, id: TxnId, amount: i64) -> bool {
        let taken = self.store.claims.get(&id).map_or(0, |claim| claim.amount);
        self.has_fickle_kin(id)
            || entry.kind.is_some_and(|kind| entry.net() == trade::effect(kind, amount, taken))
    }

    /// An advice, by its terminal: what was told 00 is told to the issuer as S says (C5); what was refused is not.
    fn check_told(&mut self, number: usize, sale: &Sale, entries: &[(TxnId, Entry)]) {
        let rows: Vec<Row> =
            entries.iter().filter_map(|(id, _)| self.store.row(*id).cloned()).collect();
        let told = match sale.belief {
            Belief::Approved(reply) => reply.rrn.and_then(|rrn| self.store.row(rrn)).cloned(),
            Belief::Unknown if !sale.vanished => {
                return self
                    .broken("I13", || format!("advice {number}: its terminal does not know"));
            }
            Belief::Declined | Belief::Reversed => {
                let accepted = rows.iter().find(|row| row.state.is_told_approved());
                if let Some(row) = accepted.filter(|_| !sale.reuse).map(|row| row.id.0) {
                    self.broken("I3", || format!("advice {number} was refused, {row} stands"));
                }
                return;
            }
            Belief::Unknown => return,
        };
        if !told.is_some_and(|row| row.state.is_told_approved()) {
            self.broken("I2", || format!("advice {number} is told done and {rows:?}"));
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
        if entries.iter().all(|(id, entry)| net(entry) == 0 || self.is_denied(*id, entry)) {
            return true;
        }
        // it charged what it declined, and its terminal did not take that back
        let shrugged = entries.iter().any(|(_, entry)| entry.shrugged);
        if shrugged && !sale.asked_reversal {
            return true;
        }
        // the terminal asked beyond the horizon of its day
        let beyond = !self.store.within_horizon(sale.day, self.now);
        fickle
            || (beyond
                && entries.iter().all(|(id, entry)| {
                    net(entry) == 0 || entry.shrugged || self.delivery_unknown(*id)
                }))
    }

    /// Its issuer answered the reversal with 25 (M4): that is a case, unless the approval never came to anybody who lives.
    fn is_denied(&self, id: TxnId, entry: &Entry) -> bool {
        let denied = self.store.obligations.get(&id).map(|known| known.status)
            == Some(ObligationStatus::Denied)
            && self.store.cases.contains(&(id, CaseKind::ReversalDenied));
        let by = self.wire_of(id).and_then(|wire| wire.approval_by);
        let lost = by.is_none_or(|(node, life)| self.nodes[node].life != life);
        entry.denies && (denied || lost)
    }

    /// I16: S and I agree on each transaction, and so on their sums.
    fn check_rows(&mut self) {
        let rows: Vec<Row> = self.store.rows.values().cloned().collect();
        for row in rows {
            let (id, state) = (row.id, row.state);
            let entry = self.entry_by_id(id).cloned().unwrap_or_default();
            if trade::is_advice(row.kind) {
                self.check_advice(&row, &entry);
            } else if entry.net() != self.stands_for(&row) && !self.has_fickle_kin(id) {
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

    /// I23: nothing stays in memory but what waits for a person.
    fn check_memory(&mut self) {
        for node in 0..self.nodes.len() {
            let own = node as i32 + 1;
            let parked: Vec<TxnId> = (self.store.obligations.values())
                .filter(|o| is_open(o) && o.owner.0 == own)
                .map(|o| o.id)
                .collect();
            let held = self.nodes[node].engine.as_ref().map_or(0, |e| e.gauges().transactions);
            if held <= parked.len() {
                continue;
            }
            let keys: Vec<String> = (self.ledgers.sales.iter().enumerate())
                .filter_map(|(number, sale)| {
                    let state = self.nodes[node].engine.as_ref()?.state(sale.key)?;
                    Some(format!("sale {number}: {state:?}"))
                })
                .collect();
            // one that was marked here and cleared elsewhere is forgotten when its grace time is over; a read may be under
            // way; and a node whose duties were taken over learns it with its next record
            let waits = |key: &&String| key.ends_with("Undelivered") || key.ends_with("Looking");
            let marked = keys.iter().filter(waits).count();
            let fenced = self.store.fence[node][0].epoch != self.nodes[node].epoch;
            if held > parked.len() + marked && !fenced {
                self.broken("I23", || {
                    format!("node {node} holds {held}, {parked:?} is open: {keys:?}")
                });
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
