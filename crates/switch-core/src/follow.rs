//! A transaction that another node, or recovery, conducts: its row is read until its outcome stands there (M6).

use crate::{
    Effect, Engine, Found, Instant, Key, Now, ObligationStatus, Read, ReadFailed,
    core::{Core, Timer},
    duty::Turn,
    txn::{Conclusion, Sending, Txn, is_newer},
};

impl Core {
    /// Reads the row from now on from time to time.
    pub(crate) fn follow(&mut self, now: Now, key: Key) {
        let idle = self.followed.is_empty();
        self.followed.insert(key);
        if idle {
            self.arm(now.mono.plus(self.config.follow_every), Timer::Follow);
        }
    }
}

impl Engine {
    pub(crate) fn on_follow(&mut self, now: Now) {
        let followed: Vec<Key> = self.core.followed.iter().copied().collect();
        for key in followed {
            let follows = self
                .txns
                .get(&key)
                .is_some_and(|txn| txn.durable && (txn.is_elsewhere() || txn.waits_for_claim()));
            if follows {
                self.core.push(Effect::Read(Read::Key(key)));
            } else {
                self.core.followed.remove(&key);
            }
        }
        if !self.core.followed.is_empty() {
            let next: Instant = now.mono.plus(self.core.config.follow_every);
            self.core.arm(next, Timer::Follow);
        }
    }

    pub(crate) fn on_followed(
        &mut self,
        now: Now,
        key: Key,
        found: Result<Option<Found>, ReadFailed>,
    ) {
        self.on_shed_looked(now, key, &found);
        if self.txns.get(&key).is_some_and(|txn| txn.looks_for_own()) {
            return self.on_own_read(now, key, found);
        }
        let Ok(Some(found)) = found else { return };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let same = found.row.id == txn.row.id;
        if !same || txn.pending.is_some() || !txn.durable || txn.looking {
            return;
        }
        if is_newer(&found.row, &txn.row) {
            txn.adopt_image(found, &mut self.core);
        } else if txn.waits_for_claim() {
            txn.claim_undone = found.claim_undone;
            txn.reversers_read();
        } else {
            return;
        }
        self.step(now, key);
    }
}

impl Txn {
    /// Another node, or recovery, conducts it.
    const fn is_elsewhere(&self) -> bool {
        !self.ours && self.row.state.is_in_flight()
    }

    /// A reversal of it waits for the end of a claim on it, or to know whether that still stands (M11).
    pub(crate) fn waits_for_claim(&self) -> bool {
        (self.row.claiming.is_some() || self.row.claimed != 0) && !self.reversers.is_empty()
    }

    /// The row was read for those who ask for its reversal.
    fn reversers_read(&mut self) {
        for waits in &mut self.reversers {
            waits.read = true;
        }
    }

    /// Takes a newer image from the store for what is true.
    pub(crate) fn adopt_image(&mut self, found: Found, core: &mut Core) {
        // what another node did with it, this life does not know
        self.delivery.all_known &= found.row.id == self.row.id && !is_newer(&found.row, &self.row);
        let more_late = found.row.late > self.row.late && found.row.id == self.row.id;
        // what is settled, or another node's by now, is not adopted (M14)
        self.adopt &= found.obligation.as_ref().is_some_and(|known| {
            known.owner == core.config.node
                && matches!(known.status, ObligationStatus::Owed | ObligationStatus::Marked)
        });
        self.row = found.row;
        self.obligation = found.obligation;
        self.claim = found.claim;
        self.claim_undone = found.claim_undone;
        self.reversers_read();
        if !self.row.state.is_in_flight() {
            if !self.waits_for_claim() {
                core.followed.remove(&self.row.key);
            }
            core.in_flight.remove(&self.row.id);
            // concluded elsewhere: an approval of ours is now a late one (M9)
            if matches!(
                self.conclusion.take(),
                Some(Conclusion::Approved(_) | Conclusion::Contradicted(_))
            ) {
                self.late += 1;
            }
        }
        if self.owes(core) {
            if more_late && self.duty.confirmed.take().is_some() {
                self.queue(Turn::First, core);
            }
        } else {
            if !matches!(self.duty.sending, Sending::Handed) {
                self.set_sending(Sending::Idle, core);
            }
            self.duty.confirmed = None;
        }
        self.count_owed(core);
    }
}
