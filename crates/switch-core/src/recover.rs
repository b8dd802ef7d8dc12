//! Recovery is reversal: what an earlier life left behind is timed out, and what it owed is sent again (M14).

use crate::{
    Engine, Found, Now, ObligationStatus,
    bug::Bug,
    txn::{Conclusion, Txn, is_newer},
};

impl Engine {
    /// A row in flight, an owed reversal or a mark of an earlier life of this node, or of one that it took over. Telling it
    /// twice changes nothing more.
    pub(crate) fn on_recovered(&mut self, now: Now, found: Found) {
        let key = found.row.key;
        let id = found.row.id;
        if let Some(txn) = self.txns.get(&key) {
            let conducted = txn.ours || txn.adopt || txn.duty.proof.is_some();
            // what another node concluded since, which owes it now, this life knows only as it was
            let concluded = is_newer(&found.row, &txn.row) && !found.row.state.is_in_flight();
            if txn.durable && txn.row.id == id && conducted && !concluded {
                return; // under way already in this life
            }
            // another day's transaction has the identity: both cannot be in memory
            if txn.looking || txn.pending.is_some() || (txn.durable && txn.row.id != id) {
                if self.again.is_empty() {
                    self.core
                        .arm(now.mono.plus(crate::persisted::RETRY), crate::core::Timer::Again);
                }
                return self.again.push(found);
            }
        }
        if !self.txns.contains_key(&key) {
            self.finished.remove(key);
            self.insert_txn(Txn::found(found));
        } else if let Some(txn) = self.txns.get_mut(&key)
            && is_newer(&found.row, &txn.row)
        {
            txn.adopt_image(found, &mut self.core);
        }
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if txn.row.state.is_in_flight() {
            txn.ours = true;
            self.core.in_flight.insert(id);
            self.core.followed.remove(&key);
            txn.decide(Conclusion::Recovered, &mut self.core);
        } else if self.core.has(Bug::RecoveryForgetsDuties) {
            return;
        } else if txn.obligation_is(ObligationStatus::Owed) || txn.is_marked() {
            txn.adopt = true;
            txn.delivery.all_known = true;
        }
        self.step(now, key);
    }

    /// What was busy when it was told is told again.
    pub(crate) fn on_again(&mut self, now: Now) {
        for found in std::mem::take(&mut self.again) {
            self.on_recovered(now, found);
        }
    }
}
