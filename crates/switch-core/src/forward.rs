//! The request on its way to its issuer: handed to a link, written, or never sent (M1, M3, M5).

use iso8583::Cause;

use crate::{
    Durable, Effect, Engine, Forward, Key, LinkId, Notice, Now, RowState, TxnId,
    admit::never_after,
    core::{Core, Timer},
    event::Unsent,
    txn::{Conclusion, Exchange, Txn},
};

impl Txn {
    /// The intent is durable: send it, if someone still waits and there is time (M1, M3).
    pub(crate) fn forward(&mut self, now: Now, durable: Durable, core: &mut Core) {
        let commit = durable.commit();
        let Some(issuer) = self.row.issuer.as_ref().and_then(|name| core.issuers.get(name)) else {
            return self.decide(Conclusion::NeverSent(Cause::IssuerDown), core);
        };
        let (timeout, is_up) = (issuer.policy.timeout, !issuer.links.is_empty());
        let waits = self.askers.first().map(|asker| (asker.asked.ask, asker.asked.deadline));
        let Some((ask, deadline)) =
            waits.filter(|_| is_up && !core.draining && self.reversers.is_empty())
        else {
            return self.decide(Conclusion::NeverSent(Cause::IssuerDown), core);
        };
        let latest = crate::Instant(
            deadline.0.saturating_sub(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)),
        );
        let not_after = latest.min(never_after(commit.since));
        if now.mono > not_after {
            return self.decide(Conclusion::NeverSent(Cause::IssuerDown), core);
        }
        let Some(issuer) = self.row.issuer.clone() else { return };
        self.exchange = Exchange::Handed;
        core.notice(Notice::Forwarded { id: self.row.id, commit });
        core.push(Effect::Forward(Forward {
            durable,
            ask,
            issuer,
            not_after,
            carried: self.row.carried.clone(),
        }));
    }

    /// As if a copy were a new request: a bug that is planted.
    pub(crate) fn forward_again(&self, now: Now, ask: crate::AskId, core: &mut Core) {
        let Some(issuer) = self.row.issuer.clone() else { return };
        let commit = crate::Commit { day: self.row.day, since: now.mono };
        let durable = Durable::of_commit(self.row.id, commit);
        core.push(Effect::Forward(Forward {
            durable,
            ask,
            issuer,
            not_after: now.mono,
            carried: self.row.carried.clone(),
        }));
    }

    /// It no longer counts as in flight at its issuer.
    pub(crate) fn leave_issuer(&mut self, core: &mut Core) {
        if let Exchange::Written { deadline, .. } = self.exchange {
            core.disarm(Some(deadline), Timer::Answer(self.row.key));
        }
        if std::mem::take(&mut self.counted)
            && let Some(issuer) = core.issuer(self.row.issuer.as_ref())
        {
            issuer.in_flight = issuer.in_flight.saturating_sub(1);
        }
    }

    /// Gives back what it held of the engine's tables.
    pub(crate) fn release(&mut self, core: &mut Core) {
        let key = self.row.key;
        self.leave_issuer(core);
        self.uncount_open(core);
        core.by_id.remove(&self.row.id);
        core.in_flight.remove(&self.row.id);
        core.followed.remove(&key);
        if let Some(at) = self.askers_timer.take() {
            core.disarm(Some(at), Timer::Askers(key));
            core.awaited = core.awaited.saturating_sub(1);
        }
        core.disarm(self.grace_timer.take(), Timer::Grace(key));
        core.disarm(self.retry_at.take(), Timer::Retry(key));
        self.set_sending(crate::txn::Sending::Idle, core);
        if self.stan_held {
            self.stan_held = false;
            let stan = self.row.id.stan();
            if let Some(issuer) = core.issuer(self.row.issuer.as_ref()) {
                issuer.stans.remove(&stan);
            }
        }
    }
}

impl Engine {
    pub(crate) fn key_of(&self, id: TxnId) -> Option<Key> {
        self.core.by_id.get(&id).copied()
    }

    /// The first byte went to the kernel: from here on the result is unknown until it is answered (M5).
    pub(crate) fn on_written(&mut self, now: Now, id: TxnId, link: LinkId) {
        let Some(key) = self.key_of(id) else { return };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let timeout = self.core.issuer(txn.row.issuer.as_ref()).map(|issuer| issuer.policy.timeout);
        let (Exchange::Handed, Some(timeout)) = (txn.exchange, timeout) else { return };
        let deadline = now.mono.plus(timeout);
        txn.exchange = Exchange::Written { at: now.mono, link, deadline };
        if txn.conclusion.is_none() && txn.row.state.is_in_flight() {
            self.core.arm(deadline, Timer::Answer(key));
        }
    }

    /// M5: never sent is not unknown. Nothing is reversed; the terminal may retry with a new STAN.
    pub(crate) fn on_never_sent(&mut self, now: Now, id: TxnId, why: Unsent) {
        let Some(key) = self.key_of(id) else { return };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        match why {
            Unsent::NoLink | Unsent::QueueFull | Unsent::TooLate => {}
        }
        if txn.exchange == Exchange::Handed && txn.row.state.is_in_flight() {
            txn.exchange = Exchange::Unsent;
            txn.decide(Conclusion::NeverSent(Cause::IssuerDown), &mut self.core);
        }
        self.step(now, key);
    }

    /// M3: no answer in time.
    pub(crate) fn on_answer_due(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let Exchange::Written { deadline, .. } = txn.exchange else { return };
        let waits = txn.ours && txn.durable && txn.row.state.is_in_flight();
        if deadline <= now.mono && waits {
            txn.decide(Conclusion::Silent(None), &mut self.core);
            self.step(now, key);
        }
    }

    /// The drain's time is over: what is in flight is timed out (M3); what was not yet handed to a link is never sent.
    pub(crate) fn on_drain(&mut self, now: Now) {
        self.core.stopping = true;
        self.core.draining = true;
        let open: Vec<Key> = self.core.in_flight.iter().filter_map(|id| self.key_of(*id)).collect();
        for key in open {
            if let Some(txn) = self.txns.get_mut(&key)
                && txn.durable
                && matches!(txn.row.state, RowState::InFlight | RowState::InFlightReversalAsked)
            {
                txn.decide(Conclusion::Silent(None), &mut self.core);
            }
            self.step(now, key);
        }
    }
}
