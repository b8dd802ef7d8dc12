//! What an issuer knows of originals and of advices: it never gives more than it took, and takes an advice once.

use bytes::Bytes;
use iso8583::{Code, Kind};
use switch_core::{IssuerAnswer, TxnId};

use super::{coverage::Sit, event::ToIssuer, state::World, trade};

impl World {
    /// What of its original is left at the issuer: of the money that it took, or of what it held.
    fn issuer_left(&self, issuer: usize, original: TxnId, but: TxnId) -> i64 {
        let ledger = &self.ledgers.issuers[issuer];
        let Some(entry) = ledger.entries.get(&original) else { return 0 };
        let holds = entry.kind == Some(Kind::PreAuthorisation);
        let of = |effect: trade::Effect| if holds { effect.hold } else { effect.debit };
        let claims = entry.claims.iter().filter(|claim| **claim != but);
        let taken =
            claims.filter_map(|claim| ledger.entries.get(claim)).map(|claim| of(claim.net()));
        of(entry.net()) + taken.sum::<i64>()
    }

    /// What a request takes of its original at the issuer; none if that may not be.
    pub(super) fn issuer_takes(&self, issuer: usize, msg: &ToIssuer) -> Option<i64> {
        let (Some(original), Some(rule)) = (msg.original, trade::rule(msg.kind)) else {
            return Some(0);
        };
        let left = self.issuer_left(issuer, original, msg.id);
        trade::taken(rule.takes, i64::MAX / 200, left, msg.amount)
    }

    /// An issuer never gives more than it took, whatever it is asked: C1 says that it never is, but after an issuer that
    /// approved what it had refused.
    pub(super) fn issuer_refuses(&mut self, issuer: usize, msg: &ToIssuer) -> Option<&'static str> {
        if self.issuer_takes(issuer, msg).is_some() {
            return None;
        }
        if !self.has_fickle_kin(msg.id) {
            self.broken("C1", || {
                format!(
                    "{} asks its issuer for more than is left of its original: {msg:?}",
                    msg.id.0
                )
            });
        }
        Some("12")
    }

    /// An advice that it took before.
    pub(super) fn knows_advice(&mut self, issuer: usize, msg: &ToIssuer) -> bool {
        trade::is_advice(msg.kind)
            && self.repeats_advices(issuer)
            && self.entry(issuer, msg.id).posted.is_some()
    }

    pub(super) fn again(&mut self, issuer: usize, msg: &ToIssuer) -> IssuerAnswer {
        self.hit(Sit::AdviceAgain);
        let auth = self.entry(issuer, msg.id).auth;
        let mut answer = self.answer(issuer, msg, Code::APPROVED);
        answer.answer = Bytes::copy_from_slice(&auth.to_be_bytes());
        self.entry(issuer, msg.id).approvals += 1;
        answer
    }
}
