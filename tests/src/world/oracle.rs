//! Looks for originals as the edge does, and says from the ledgers T and S what must come of each request about one (C6).

use std::sync::Arc;

use iso8583::{Kind, Takes};
use switch_core::{
    ClaimStatus, Event, Found, Key, Named, ObligationStatus, OriginalFound, ReadFailed, Record,
    RowState, Translated, TxnId,
};

use super::{coverage::Sit, edge, event::Proc, ledger::Sale, options::Fault, state::World, trade};

/// What must come of a request that is about an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is refused with this code.
    Refused(&'static str),
    /// It claims so much of that one.
    Takes(TxnId, i64),
    /// It claims nothing.
    Named,
}

impl World {
    /// The store looks for an original and answers.
    pub(super) fn find_original(
        &mut self,
        node: usize,
        life: u32,
        key: Key,
        named: Named,
        kinds: Arc<[Kind]>,
    ) {
        if self.nodes[node].life != life {
            return;
        }
        let after = self.rng.range(100, 3_000) * 1000;
        if self.now < self.store.stalled_until {
            let at = self.store.stalled_until + after;
            return self.agenda.add(at, super::event::Ev::Find { node, life, key, named, kinds });
        }
        let fails = !self.healing && self.rng.chance(self.opts.rate(Fault::ReadFail));
        if fails || self.now < self.store.down_until {
            self.hit(Sit::OriginalUnread);
            let original = Err(ReadFailed);
            return self.plan(node, after, Proc::Original { key, original, verdict: None });
        }
        let found = self.store.find(key, named, &kinds, self.now);
        let verdict =
            self.asked(node, key).map(|sale| self.verdict(&self.ledgers.sales[sale], &found));
        let original = Ok(found.map(|found| Box::new(self.describe(*found))));
        // what is read may be old when it comes: others were faster
        let after = if self.rng.chance(200) { after * 40 } else { after };
        self.plan(node, after, Proc::Original { key, original, verdict });
    }

    fn describe(&self, found: Found) -> OriginalFound {
        let row = &found.row;
        OriginalFound {
            same_domain: true,
            settled: self.store.settled.contains(&row.id),
            refunded: self.is_refunded(row.id),
            days_old: (self.store.today.0 - row.day.0).unsigned_abs(),
            authorisation: edge::authorisation_of(row),
            date: None,
            also_named: None,
            translated: Translated::Carried(edge::elements(row.id)),
            found,
        }
    }

    /// The one sale for which a node looks under this identity, if it is one.
    fn asked(&self, node: usize, key: Key) -> Option<usize> {
        let sales = &self.ledgers.sales;
        let mut asks = self.nodes[node]
            .asks
            .values()
            .filter(|ask| !ask.msg.reversal && sales[ask.msg.sale].key == key)
            .map(|ask| ask.msg.sale);
        let sale = asks.next()?;
        let own = asks.all(|other| other == sale);
        // where an identity came again, it may be looked for on behalf of one that waits no more
        let alone = sales.iter().filter(|other| other.key == key).count() == 1;
        (own && alone).then_some(sale)
    }

    fn verdict(&self, sale: &Sale, found: &Option<Box<Found>>) -> Verdict {
        let (Some(ask), Some(found)) = (&sale.about, found) else {
            return Verdict::Refused("25");
        };
        let row = &found.row;
        let code = edge::authorisation_of(row);
        if row.merchant != edge::merchant(sale.terminal) {
            return Verdict::Refused("25");
        }
        if !ask.kinds.contains(&row.kind) {
            return Verdict::Refused("12");
        }
        if ask.authorisation.is_some() && code.is_some() && ask.authorisation != code {
            return Verdict::Refused("25");
        }
        if ask.takes == Takes::Nothing {
            return Verdict::Named;
        }
        let marked =
            found.obligation.as_ref().is_some_and(|o| o.status == ObligationStatus::Marked);
        let promised = found.obligation.as_ref().is_some_and(switch_core::Obligation::is_promised);
        match row.state {
            RowState::Approved if marked || promised => return Verdict::Refused("22"),
            RowState::Approved => {}
            RowState::Accepted => return Verdict::Refused("09"),
            RowState::InFlight
            | RowState::InFlightReversalAsked
            | RowState::Declined
            | RowState::NeverSent
            | RowState::Disputed => return Verdict::Refused("12"),
            RowState::TimedOut | RowState::Undone | RowState::ReversedBeforeArrival => {
                return Verdict::Refused("22");
            }
        }
        if row.card.hash != [sale.card; 16] {
            return Verdict::Refused("14");
        }
        if ask.days.is_none_or(|days| days == 0) && self.store.settled.contains(&row.id) {
            return Verdict::Refused("25");
        }
        if let Some(days) = ask.days
            && self.store.today.0 - row.day.0 > i32::from(days)
        {
            return Verdict::Refused(if days == 0 { "25" } else { "22" });
        }
        let (standing, open) = self.claims_on(row.id);
        if open.is_some() || self.store.claim_undone(row.id) {
            return Verdict::Refused("09");
        }
        if matches!(ask.takes, Takes::Total { .. }) && self.is_refunded(row.id) {
            return Verdict::Refused("22");
        }
        let left = row.approved - standing;
        match trade::taken(ask.takes, row.approved, left, sale.amount) {
            Some(taken) => Verdict::Takes(row.id, taken),
            None if left <= 0 => Verdict::Refused("22"),
            None if ask.takes == Takes::Equal => Verdict::Refused("64"),
            None => Verdict::Refused("61"),
        }
    }

    /// Whether a refund of a part of it stands.
    fn is_refunded(&self, original: TxnId) -> bool {
        let stands = |id: &&TxnId| {
            self.store.claims.get(id).is_some_and(|claim| claim.status == ClaimStatus::Stands)
        };
        let claims = self.store.claims_of.get(&original).into_iter().flatten().filter(stands);
        let refund =
            |row: &switch_core::Row| matches!(row.kind, Kind::Refund | Kind::OfflineRefund);
        claims.filter_map(|id| self.store.row(*id)).any(refund)
    }

    /// What the claims that stand on an original have taken, and the one that is open.
    pub(super) fn claims_on(&self, original: TxnId) -> (i64, Option<TxnId>) {
        let mut sum = 0;
        let mut open = None;
        for id in self.store.claims_of.get(&original).into_iter().flatten() {
            match self.store.claims.get(id).map(|claim| (claim.status, claim.amount)) {
                Some((ClaimStatus::Stands, amount)) => sum += amount,
                Some((ClaimStatus::Open, _)) => open = Some(*id),
                Some((ClaimStatus::Released, _)) | None => {}
            }
        }
        (sum, open)
    }

    /// The original comes to the engine, which then says what becomes of the request.
    pub(super) fn original_read(
        &mut self,
        node: usize,
        key: Key,
        original: Result<Option<Box<OriginalFound>>, ReadFailed>,
        verdict: Option<Verdict>,
    ) {
        self.nodes[node].verdict = verdict.map(|verdict| (key, verdict));
        self.feed(node, Event::OriginalRead { key, original });
        self.nodes[node].verdict = None;
    }

    /// C6: a request about an original gets exactly what the ledgers say.
    pub(super) fn check_verdict(&mut self, node: usize, what: &Record) {
        let Some(row) = what.intent() else { return };
        let Some((_, verdict)) = self.nodes[node].verdict.filter(|(key, _)| *key == row.key) else {
            return;
        };
        let told = match what {
            Record::Claim(claim) => Verdict::Takes(claim.original, claim.amount),
            _ if row.state == RowState::InFlight => Verdict::Named,
            // its reversal came first, or its issuer is down
            _ if row.state == RowState::ReversedBeforeArrival => return,
            _ if edge::code_of(row.cause).as_str() == "91" => {
                let refused = matches!(verdict, Verdict::Refused(_));
                if refused {
                    self.broken("C6", || format!("{} is admitted: {verdict:?}", row.id.0));
                }
                return;
            }
            _ => Verdict::Refused(""),
        };
        let code = edge::code_of(row.cause);
        let fits = match (verdict, told) {
            (Verdict::Refused(wanted), Verdict::Refused(_)) => code.as_str() == wanted,
            _ => verdict == told,
        };
        if !fits {
            self.broken("C6", || {
                format!("{} gets {told:?} ({code}), the ledgers say {verdict:?}", row.id.0)
            });
        }
        self.cover_verdict(verdict);
    }

    fn cover_verdict(&mut self, verdict: Verdict) {
        self.hit(match verdict {
            Verdict::Refused("09") => Sit::RefusedOpen,
            Verdict::Refused("12") => Sit::RefusedNotApproved,
            Verdict::Refused("14") => Sit::RefusedCard,
            Verdict::Refused("22") => Sit::RefusedUndone,
            Verdict::Refused("25") => Sit::RefusedNotFound,
            Verdict::Refused("61") => Sit::RefusedOver,
            Verdict::Refused(_) => Sit::RefusedAmount,
            Verdict::Takes(..) | Verdict::Named => return,
        });
    }
}
