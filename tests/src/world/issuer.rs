//! The issuers: they approve, refuse, are late, silent, wrong or fickle, and keep the ledger I.

use bytes::Bytes;
use iso8583::{Class, Code, Kind};
use switch_core::{Event, IssuerAnswer, IssuerName, Matched, TxnId};

use super::{
    coverage::Sit,
    edge,
    event::{Ev, ToIssuer},
    ledger::Entry,
    options::{Fault, MS, SEC},
    state::World,
    trade,
};

#[derive(Debug, Default)]
pub(super) struct Issuer {
    name: Option<IssuerName>,
    pub(super) down_until: u64,
}

impl Issuer {
    pub(super) fn name(&self, number: usize) -> IssuerName {
        self.name.clone().unwrap_or_else(|| IssuerName::from(format!("issuer{number}")))
    }

    pub(super) fn named(number: usize) -> Self {
        Self { name: Some(IssuerName::from(format!("issuer{number}"))), down_until: 0 }
    }
}

/// What an issuer does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Approve,
    Decline,
    Silent { charged: bool },
    Late,
    Edge,
    Twice,
    ApproveThenDecline,
    DeclineThenApprove,
    WrongStan,
    WrongAmount,
    UnknownCode,
    Partial,
    OpenDecline { charged: bool },
}

impl World {
    /// A frame arrives at an issuer.
    pub(super) fn at_issuer(&mut self, link: usize, n: u32, msg: ToIssuer) {
        if !self.links[link].to.arrives(n) {
            return;
        }
        let issuer = self.links[link].issuer;
        self.ledgers.issuers[issuer].messages += 1;
        self.trace.line(self.now, || format!("issuer {issuer} gets {msg:?}"));
        self.check_at_issuer(issuer, &msg);
        if msg.reversal {
            self.entry(issuer, msg.id).unmarked += u32::from(!msg.repeat);
            self.issuer_reversal(issuer, link, &msg);
        } else {
            let entry = self.entry(issuer, msg.id);
            entry.received += 1;
            entry.firsts += u32::from(!msg.repeat);
            entry.sale = msg.sale;
            entry.kind = Some(msg.kind);
            if entry.original.is_none()
                && let Some(original) = msg.original
            {
                entry.original = Some(original);
                self.entry(issuer, original).claims.push(msg.id);
            }
            self.issuer_request(issuer, link, msg, false);
        }
    }

    pub(super) fn entry(&mut self, issuer: usize, id: TxnId) -> &mut Entry {
        self.ledgers.issuers[issuer].entries.entry(id).or_default()
    }

    fn manner(&mut self, kind: Kind) -> Manner {
        let faults = [
            (Fault::Decline, Manner::Decline),
            (Fault::Silent, Manner::Silent { charged: false }),
            (Fault::SilentCharged, Manner::Silent { charged: true }),
            (Fault::Late, Manner::Late),
            (Fault::Edge, Manner::Edge),
            (Fault::Twice, Manner::Twice),
            (Fault::Contradict, Manner::ApproveThenDecline),
            (Fault::Contradict, Manner::DeclineThenApprove),
            (Fault::WrongStan, Manner::WrongStan),
            (Fault::WrongAmount, Manner::WrongAmount),
            (Fault::UnknownCode, Manner::UnknownCode),
            (Fault::Partial, Manner::Partial),
            (Fault::OpenCode, Manner::OpenDecline { charged: false }),
            (Fault::OpenCode, Manner::OpenDecline { charged: true }),
        ];
        if self.healing {
            return Manner::Approve;
        }
        for (fault, manner) in faults {
            if self.rng.chance(self.opts.rate(fault)) {
                let fits = match manner {
                    Manner::Partial => kind == Kind::Purchase,
                    Manner::WrongAmount => trade::has_amount(kind),
                    Manner::OpenDecline { charged } => !charged || kind == Kind::Purchase,
                    _ => true,
                };
                return if fits { manner } else { Manner::Approve };
            }
        }
        Manner::Approve
    }

    pub(super) fn issuer_request(
        &mut self,
        issuer: usize,
        link: usize,
        msg: ToIssuer,
        later: bool,
    ) {
        if !later && !self.healing && self.rng.chance(self.opts.rate(Fault::Slow)) {
            let most = if self.opts.has(Fault::Forgetful) {
                (msg.written + 2 * self.opts.timeout).saturating_sub(self.now + SEC)
            } else {
                3 * self.opts.timeout
            };
            let after = self.rng.below(most.max(1));
            self.agenda.add(self.now + after, Ev::Process { issuer, link, msg });
            return;
        }
        let forgetful = self.opts.has(Fault::Forgetful);
        if self.entry(issuer, msg.id).reversal_first && !forgetful {
            self.hit(Sit::OriginalAfterReversal);
            let refusal = self.answer(issuer, &msg, edge::code("12"));
            return self.answer_after(link, refusal, 0);
        }
        if self.entry(issuer, msg.id).reversal_first {
            self.hit(Sit::ForgottenReversal);
        }
        if self.knows_advice(issuer, &msg) {
            // it was taken already: the same answer, late or never too
            let yes = self.again(issuer, &msg);
            let silent = !self.healing && self.rng.chance(self.opts.rate(Fault::ReversalSilent));
            if !silent {
                self.answer_after(link, yes, 3 * MS);
            }
            return;
        }
        if let Some(code) = self.issuer_refuses(issuer, &msg) {
            let refusal = self.answer(issuer, &msg, edge::code(code));
            return self.answer_after(link, refusal, MS);
        }
        let manner = self.manner(msg.kind);
        self.trace.line(self.now, || format!("issuer {issuer}: {} {manner:?}", msg.id.0));
        self.act(issuer, link, &msg, manner);
    }

    fn act(&mut self, issuer: usize, link: usize, msg: &ToIssuer, manner: Manner) {
        let quick = self.rng.range(1, 400) * 1000 * self.rng.pick(&[1, 10, 100]);
        let timeout = self.opts.timeout;
        match manner {
            Manner::Approve => {
                let yes = self.approve(issuer, msg, msg.amount);
                self.answer_after(link, yes, quick);
            }
            Manner::Decline => {
                let code = self.other_code("51", &["05", "14", "61", "25"]);
                let no = self.answer(issuer, msg, code);
                self.answer_after(link, no, quick);
            }
            Manner::Silent { charged } => {
                if charged {
                    self.post(issuer, msg, msg.amount);
                }
                self.totals.silences += 1;
            }
            Manner::Late | Manner::Edge => self.act_late(issuer, link, msg, manner),
            Manner::Twice => {
                let yes = self.approve(issuer, msg, msg.amount);
                self.answer_after(link, yes.clone(), quick);
                let scale = self.rng.pick(&[10 * MS, SEC, timeout * 3]);
                let after = quick + self.rng.below(scale);
                self.answer_after(link, yes, after);
            }
            Manner::ApproveThenDecline => {
                let yes = self.approve(issuer, msg, msg.amount);
                let no = self.answer(issuer, msg, edge::code("94"));
                self.answer_on(link, yes, 0);
                let scale = self.rng.pick(&[1, MS, SEC]);
                let after = self.rng.below(scale);
                self.answer_on(link, no, after);
            }
            Manner::DeclineThenApprove => {
                let no = self.answer(issuer, msg, edge::code("05"));
                let yes = self.approve(issuer, msg, msg.amount);
                self.entry(issuer, msg.id).fickle = true;
                self.answer_on(link, no, 0);
                self.answer_on(link, yes, 0);
            }
            Manner::WrongStan => {
                // the edge drops it: it fits nothing that was asked
                self.post(issuer, msg, msg.amount);
                self.hit(Sit::WrongStanDropped);
            }
            Manner::WrongAmount => self.wrong_answer(issuer, link, msg, quick),
            Manner::OpenDecline { .. } | Manner::UnknownCode | Manner::Partial => {
                self.act_coded(issuer, link, msg, manner, quick);
            }
        }
    }

    /// Answers with a code that is neither a plain approval nor a plain refusal.
    fn act_coded(
        &mut self,
        issuer: usize,
        link: usize,
        msg: &ToIssuer,
        manner: Manner,
        quick: u64,
    ) {
        match manner {
            Manner::OpenDecline { charged } => {
                if charged {
                    self.post(issuer, msg, msg.amount);
                    self.entry(issuer, msg.id).shrugged = true;
                }
                self.hit(Sit::OpenDecline);
                let code = self.rng.pick(&["06", "91", "94", "96", "77", "A0"]);
                let no = self.answer(issuer, msg, edge::code(code));
                self.answer_after(link, no, quick);
            }
            Manner::UnknownCode => {
                if self.rng.chance(500) {
                    self.post(issuer, msg, msg.amount);
                }
                let usual = self.rng.pick(&["68", "98"]);
                let code = self.other_code(usual, &["09", "B7", "46", "ZZ"]);
                let unsure = self.answer(issuer, msg, code);
                self.answer_after(link, unsure, quick);
            }
            Manner::Partial => {
                let part = msg.amount / 2;
                let mut yes = self.approve(issuer, msg, part);
                yes.code = edge::code("10");
                yes.class = Class::Partial;
                yes.amount = Some(part);
                if !self.ledgers.sales.get(msg.sale).is_some_and(|sale| sale.takes_partial) {
                    self.entry(issuer, msg.id).contradictions += 1;
                }
                self.answer_after(link, yes, quick);
            }
            Manner::Approve
            | Manner::Decline
            | Manner::Silent { .. }
            | Manner::Late
            | Manner::Edge
            | Manner::Twice
            | Manner::ApproveThenDecline
            | Manner::DeclineThenApprove
            | Manner::WrongStan
            | Manner::WrongAmount => {}
        }
    }

    /// Answers around the deadline, or long after it.
    fn act_late(&mut self, issuer: usize, link: usize, msg: &ToIssuer, manner: Manner) {
        let deadline = msg.written + self.opts.timeout;
        if manner == Manner::Edge {
            let yes = self.approve(issuer, msg, msg.amount);
            let at = deadline - MS + self.rng.below(3) * MS;
            return self.answer_after(link, yes, at.saturating_sub(self.now + 2 * MS));
        }
        let late = if self.rng.chance(700) {
            self.approve(issuer, msg, msg.amount)
        } else {
            self.answer(issuer, msg, edge::code("05"))
        };
        let scale = self.rng.pick(&[5 * MS, SEC, 30 * SEC]);
        let after = deadline.saturating_sub(self.now) + self.rng.below(scale);
        self.answer_after(link, late, after);
    }

    /// M13: an approval of something else.
    fn wrong_answer(&mut self, issuer: usize, link: usize, msg: &ToIssuer, quick: u64) {
        let mut yes = self.approve(issuer, msg, msg.amount);
        match self.rng.below(4) {
            0 => {
                yes.amount = Some(msg.amount + 100);
                if msg.kind == Kind::Purchase {
                    self.post(issuer, msg, msg.amount + 100);
                }
            }
            1 => yes.currency = Some(*b"840"),
            2 => yes.card_hash = Some([255; 16]),
            _ => yes.terminal = Some(Bytes::from_static(b"NOTTHIS1")),
        }
        self.entry(issuer, msg.id).contradictions += 1;
        self.hit(Sit::ContradictedAnswer);
        self.answer_after(link, yes, quick);
    }

    fn post(&mut self, issuer: usize, msg: &ToIssuer, amount: i64) -> u32 {
        let auth = 100_000 + self.rng.below(800_000) as u32;
        let taken = self.issuer_takes(issuer, msg).unwrap_or(0);
        let twice = !self.repeats_advices(issuer);
        let entry = self.entry(issuer, msg.id);
        let mut effect = trade::effect(msg.kind, amount, taken);
        if let Some(before) = entry.posted.filter(|_| twice && trade::is_advice(msg.kind)) {
            // it takes a repeated advice for another
            effect.debit += before.debit;
            effect.hold += before.hold;
        }
        entry.posted = Some(effect);
        entry.auth = auth;
        auth
    }

    /// The usual code, or another one of its class.
    fn other_code(&mut self, usual: &'static str, others: &[&'static str]) -> Code {
        let other = self.rng.chance(self.opts.rate(Fault::OtherCode));
        edge::code(if other { self.rng.pick(others) } else { usual })
    }

    fn approve(&mut self, issuer: usize, msg: &ToIssuer, amount: i64) -> IssuerAnswer {
        let auth = self.post(issuer, msg, amount);
        let code = self.other_code("00", &["08", "11", "16"]);
        let mut answer = self.answer(issuer, msg, code);
        answer.answer = Bytes::copy_from_slice(&auth.to_be_bytes());
        self.entry(issuer, msg.id).approvals += 1;
        answer
    }

    pub(super) fn answer(&mut self, issuer: usize, msg: &ToIssuer, code: Code) -> IssuerAnswer {
        let class = edge::class(code);
        if class == Class::Final && !msg.reversal {
            self.entry(issuer, msg.id).refusals += 1;
        }
        IssuerAnswer {
            issuer: self.issuer_name(issuer),
            matched: Matched::Number(msg.id),
            to_reversal: msg.reversal,
            code,
            class,
            amount: Some(msg.amount),
            currency: Some(msg.currency),
            card_hash: Some(msg.card),
            terminal: None,
            matches_terminal: false,
            merchant: None,
            answer: Bytes::new(),
        }
    }

    fn answer_after(&mut self, link: usize, answer: IssuerAnswer, after: u64) {
        let wander = self.rng.chance(500);
        self.agenda
            .add(self.now + after, Ev::IssuerSend { link, answer: Box::new(answer), wander });
    }

    /// On the same connection or not at all.
    fn answer_on(&mut self, link: usize, answer: IssuerAnswer, after: u64) {
        let answer = Box::new(answer);
        self.agenda.add(self.now + after, Ev::IssuerSend { link, answer, wander: false });
    }

    /// The issuer sends an answer; its connection may be gone, then another may serve.
    pub(super) fn issuer_send(&mut self, link: usize, answer: Box<IssuerAnswer>, wander: bool) {
        let issuer = self.links[link].issuer;
        let open = |l: &super::link::Link| l.i_open && l.issuer == issuer;
        let way = if open(&self.links[link]) {
            Some(link)
        } else if wander {
            (0..self.links.len()).rev().find(|other| open(&self.links[*other]))
        } else {
            None
        };
        let Some(way) = way else { return };
        if way != link {
            self.hit(Sit::AnswerOnAnotherLink);
            if self.links[way].node != self.links[link].node {
                self.hit(Sit::AnswerAtAnotherNode);
            }
        }
        self.link_answer(way, answer);
    }

    fn issuer_reversal(&mut self, issuer: usize, link: usize, msg: &ToIssuer) {
        let faults = !self.healing;
        let silent = faults && self.rng.chance(self.opts.rate(Fault::ReversalSilent));
        let acts = !silent || self.rng.chance(500);
        if !silent && faults && self.rng.chance(self.opts.rate(Fault::ReversalBusy)) {
            let code = self.rng.pick(&["91", "96", "05"]);
            let busy = self.answer(issuer, msg, edge::code(code));
            return self.answer_after(link, busy, 3 * MS);
        }
        if !acts {
            return;
        }
        if faults && !silent && self.issuer_denies(issuer, link, msg) {
            return;
        }
        let odd = self.rng.chance(300);
        let entry = self.entry(issuer, msg.id);
        entry.reversals += 1;
        let waits = entry.received > 0 && entry.posted.is_none() && entry.refusals == 0;
        let undoes = entry.posted.is_some() && !entry.reversed;
        let code = if entry.posted.is_some() && !entry.reversed {
            entry.reversed = true;
            "00"
        } else if entry.reversed {
            if odd { "25" } else { "00" }
        } else if entry.received == 0 || waits {
            entry.reversal_first = true;
            "25"
        } else if odd {
            "25"
        } else {
            "00"
        };
        let early = code == "25" && entry.received == 0;
        if !silent {
            entry.finals += 1;
            entry.not_found += u32::from(code == "25");
        }
        if undoes {
            self.check_undone(issuer, msg);
        }
        if early {
            self.hit(Sit::ReversalOvertakes);
        }
        if silent {
            return;
        }
        let answer = self.answer(issuer, msg, edge::code(code));
        let late = faults && self.rng.chance(self.opts.rate(Fault::ReversalLate));
        let after = if late { self.opts.timeout + self.rng.below(10 * SEC) } else { 2 * MS };
        self.answer_after(link, answer, after);
    }

    /// Another issuer, which was sent no byte of it, approves it too (M9).
    fn other_issuer_answers(&mut self, node: usize, answer: &IssuerAnswer) {
        let faults = !self.healing && self.issuers.len() > 1;
        if faults && self.rng.chance(self.opts.rate(Fault::OtherIssuer)) {
            let known = (0..self.issuers.len()).map(|issuer| self.issuer_name(issuer)).collect();
            let known: Vec<IssuerName> = known;
            let Some(other) = known.into_iter().find(|name| *name != answer.issuer) else { return };
            let class = Class::Approved;
            let stranger = IssuerAnswer { issuer: other, class, ..answer.clone() };
            self.hit(Sit::OtherIssuer);
            self.feed(node, Event::Answer(Box::new(stranger)));
        }
    }

    /// It answers a reversal with 25 though it approved the sale, or for another amount; and undoes nothing.
    fn issuer_denies(&mut self, issuer: usize, link: usize, msg: &ToIssuer) -> bool {
        let entry = self.entry(issuer, msg.id);
        let stands = entry.posted.is_some() && !entry.reversed && entry.approvals > 0;
        if !stands || !entry.claims.is_empty() || msg.kind != Kind::Purchase {
            return false;
        }
        if self.rng.chance(self.opts.rate(Fault::ReversalDenied)) {
            let entry = self.entry(issuer, msg.id);
            entry.denies = true;
            entry.finals += 1;
            entry.not_found += 1;
            let no = self.answer(issuer, msg, Code::NOT_FOUND);
            self.answer_after(link, no, 2 * MS);
            return true;
        }
        let other = self.rng.chance(self.opts.rate(Fault::OtherReversal));
        if other {
            self.hit(Sit::OtherReversal);
            let mut yes = self.answer(issuer, msg, Code::APPROVED);
            yes.amount = Some(msg.amount + 1);
            self.answer_after(link, yes, 2 * MS);
        }
        other
    }

    /// An answer arrives at a node.
    pub(super) fn answer_arrives(
        &mut self,
        node: usize,
        link: usize,
        n: u32,
        answer: Box<IssuerAnswer>,
    ) {
        let l = &mut self.links[link];
        if !l.from.arrives(n) || !l.n_open {
            return;
        }
        self.link_heard(link);
        self.note_answer(node, &answer);
        self.other_issuer_answers(node, &answer);
        self.feed(node, Event::Answer(answer));
    }
}
