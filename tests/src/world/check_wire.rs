//! What must hold of every message: I1, I4, I5, I6, I9, I11, I15, I17-I21, M1, M3, M8. Reads ledgers only.

use iso8583::Cause;
use switch_core::{
    AskId, Event, Forward, IssuerAnswer, ObligationStatus, Read, Reply, Row, RowState, TxnId,
};

use super::{
    coverage::Sit,
    edge,
    event::{ReplyMsg, ToIssuer},
    options::{Fault, SEC},
    state::World,
    trade,
};

impl World {
    /// The engine wants a request to be sent.
    pub(super) fn check_forward(&mut self, node: usize, forward: &Forward) {
        let id = forward.durable.id();
        let durable = self.store.row(id).is_some();
        if !durable {
            self.broken("I4", || format!("{} is forwarded and not durable", id.0));
        }
        if self.ledgers.unknown[node].contains_key(&id) {
            self.broken("I21", || format!("{} is forwarded and its commit is unknown", id.0));
        }
        let since = forward.durable.commit().since.0;
        let deadline = self.nodes[node].asks.get(&forward.ask).map_or(u64::MAX, |ask| ask.deadline);
        let latest = (since + 5 * SEC).min(deadline.saturating_sub(self.opts.timeout));
        if forward.not_after.0 > latest {
            self.broken("M3", || format!("{} may be sent too late", id.0));
        }
    }

    /// The first byte of a request goes to the kernel.
    pub(super) fn check_forwarded(&mut self, link: usize, id: TxnId) {
        let now = self.now;
        let Some(row) = self.store.row(id) else {
            return self.broken("I4", || format!("{} is sent and not durable", id.0));
        };
        let created = row.created;
        let (issuer, stan, sale) = (row.issuer.clone(), id.stan(), edge::sale_of(row));
        if self.opts.has(Fault::NumberWrap) {
            let own = self.links[link].node as i32 + 1;
            let clash = self.store.rows.values().find(|other| {
                // of what another node opened since the block was drawn this one cannot know, and what was opened again
                // since the request was admitted comes too late
                let open = if other.state.is_in_flight() {
                    other.node.0 == own
                } else {
                    self.store.obligations.get(&other.id).is_some_and(|o| {
                        o.status == ObligationStatus::Owed && o.owner.0 == own && o.due < created
                    })
                };
                open && other.id != id && other.id.stan() == stan && other.issuer == issuer
            });
            if let Some(other) = clash.map(|other| other.id.0) {
                self.broken("I20", || {
                    format!("{} is sent while {other} is open with its STAN", id.0)
                });
            }
        }
        let wire = self.ledgers.wire.entry(id).or_default();
        if wire.written.replace(now).is_some() || (wire.reversals > 0 && wire.advice) {
            self.broken("I1", || format!("{} is forwarded twice", id.0));
        }
        if let Some(sale) = sale
            && let Some(first) = self.ledgers.forwarded.insert(sale, id)
            && first != id
        {
            self.broken("I1", || format!("sale {sale} is forwarded as {} and {}", first.0, id.0));
        }
    }

    /// The first byte of a reversal goes to the kernel.
    pub(super) fn check_reversal_written(
        &mut self,
        link: usize,
        id: TxnId,
        repeat: bool,
        row: &Row,
    ) {
        let now = self.now;
        self.totals.reversals += 1;
        let status = self.store.obligations.get(&id).map(|obligation| obligation.status);
        // an attempt that waits in the queue of a link is not taken back when the answer to an earlier one confirms
        if !matches!(
            status,
            Some(ObligationStatus::Owed | ObligationStatus::Confirmed | ObligationStatus::Denied)
        ) {
            self.broken("I15", || {
                format!("the reversal of {} is sent, its duty is {status:?}", id.0)
            });
        }
        if self.store.row(id).is_none_or(|stored| {
            stored.amount != row.amount
                || stored.currency != row.currency
                || stored.card != row.card
        }) {
            self.broken("I17", || format!("the reversal of {} is not of its row", id.0));
        }
        let advice = trade::is_advice(row.kind);
        let wire = self.ledgers.wire.entry(id).or_default();
        wire.advice = advice;
        let earlier = wire.reversals + u32::from(advice && wire.written.is_some());
        wire.reversals += 1;
        let flying = wire.flying.replace((now, link));
        let sender = self.links[link].node;
        let fenced = self.store.fence[sender][1].epoch != self.nodes[sender].epoch;
        if earlier > 0 && !repeat && !fenced {
            self.broken("I15", || format!("a repeated reversal of {} is not marked", id.0));
        }
        if let Some((since, other)) = flying {
            // what a stopped node sends when it wakes, and what it sent before it was taken over, nobody can know
            let fenced = [link, other].iter().any(|link| {
                let node = self.links[*link].node;
                self.store.fence[node][1].epoch != self.nodes[node].epoch
            });
            let open = self.links[other].n_open && now < since + self.opts.timeout && !fenced;
            if open {
                self.broken("I15", || {
                    format!("two reversals of {} are in flight, on links {other} and {link}", id.0)
                });
            }
        }
        if earlier > 0 {
            self.totals.repeated_reversals += 1;
        }
    }

    /// A message arrives at an issuer.
    pub(super) fn check_at_issuer(&mut self, issuer: usize, msg: &ToIssuer) {
        let id = msg.id.0;
        let Some(sale) = self.ledgers.sales.get(msg.sale) else {
            return self.broken("I19", || format!("{id} reaches the issuer and is of no sale"));
        };
        if sale.amount != msg.amount || [sale.card; 16] != msg.card || &msg.currency != b"156" {
            self.broken("I17", || format!("{id} reaches the issuer altered"));
            return;
        }
        let has = self.issuer_name(issuer);
        let meant = match msg.original {
            Some(original) => self.store.row(original).is_some_and(|row| row.issuer == Some(has)),
            None => sale.issuer == issuer && sale.about.is_none(),
        };
        if sale.sent == 0 || !meant {
            self.broken("I19", || format!("{id} reaches issuer {issuer} and nobody asked for it"));
        }
        if self.store.row(msg.id).is_none() {
            self.broken("I4", || format!("{id} reaches the issuer and is not durable"));
        }
        let received = self.entry_by_id(msg.id).map_or(0, |entry| entry.received);
        let unmarked = self.entry_by_id(msg.id).map_or(0, |entry| entry.unmarked);
        if msg.reversal && !msg.repeat && unmarked > 0 {
            self.broken("I15", || format!("two reversals of {id} are not marked as repeats"));
        }
        let advice = trade::is_advice(msg.kind);
        // the first copy of an advice may be overtaken by a repeat
        let copies = self.entry_by_id(msg.id).map_or(0, |entry| entry.firsts);
        if !msg.reversal && received > 0 && !(advice && (msg.repeat || copies == 0)) {
            self.broken("I1", || format!("{id} reaches the issuer twice"));
        }
        if advice && received > 0 && !self.repeats_advices(issuer) {
            self.broken("C5", || format!("{id} reaches again an issuer that takes it for another"));
        }
        if msg.reversal && advice {
            self.broken("C5", || format!("the advice {id} is reversed"));
        }
    }

    /// The engine answers a terminal.
    pub(super) fn check_reply(&mut self, node: usize, reply: &Reply) {
        let Reply::Approved { durable, outcome } = reply else { return };
        let id = durable.id();
        if !self.store.approved.contains(&id) {
            self.broken("I5", || format!("{} is approved and that is not durable", id.0));
        }
        if self.ledgers.unknown[node].contains_key(&id) {
            self.broken("I21", || format!("{} is approved and its commit is unknown", id.0));
        }
        if outcome.id != Some(id) {
            self.broken("I6", || format!("the approval of {} names {:?}", id.0, outcome.id));
        }
    }

    /// M2: no refusal of the edge contradicts a row that stood before its request was read.
    pub(super) fn check_refusal(&mut self, node: usize, ask: AskId, reply: &Reply) {
        let Reply::Refused(outcome) = reply else { return };
        let Some(ask) = self.nodes[node].asks.get(&ask).filter(|ask| !ask.msg.reversal) else {
            return;
        };
        let (msg, stood) = (ask.msg, ask.stands);
        let of_edge = matches!(
            outcome.cause,
            Cause::Format
                | Cause::UnknownMerchant
                | Cause::UnknownTerminal
                | Cause::NoRoute
                | Cause::BatchDiffers
        );
        let key = self.ledgers.sales[msg.sale].key;
        // its horizon may have passed since
        let stands = stood.is_some() && self.store.read_key(key, self.now).is_some();
        if of_edge && stands && stood != Some(outcome.cause) {
            let cause = outcome.cause.name();
            self.broken("M2", || format!("sale {} is refused ({cause}) and stands", msg.sale));
        }
        if msg.refused.is_some() && stands && !of_edge {
            self.hit(Sit::RefusalYields);
        }
    }

    /// The first byte of an approval goes to the kernel.
    pub(super) fn check_approval_written(&mut self, _node: usize, id: TxnId) {
        let state = self.store.row(id).map(|row| row.state);
        if state == Some(RowState::Undone) {
            self.hit(Sit::ApprovalCrossesReversal);
        }
        self.ledgers.wire.entry(id).or_default().replies += 1;
    }

    /// A terminal reads an answer.
    pub(super) fn check_delivered(&mut self, conn: usize, terminal: usize, reply: &ReplyMsg) {
        let sale = &self.ledgers.sales[reply.sale];
        let sale_vain = sale.vain;
        let asked = if reply.reversal { sale.asked_reversal || sale_vain } else { sale.sent > 0 };
        if sale.terminal != terminal || !asked {
            return self.broken("I18", || format!("terminal {terminal} never asked for {reply:?}"));
        }
        let (key, reused, other) = (sale.key, sale.reuse, sale.names_other);
        let horizon = self.store.within_horizon(sale.day, self.now);
        let row = reply.rrn.and_then(|rrn| self.store.row(rrn));
        if row.is_some_and(|row| row.key != key) {
            self.broken("I18", || format!("conn {conn}: {reply:?} names another's transaction"));
        }
        if reply.reversal {
            let number = reply.sale;
            // the identity stood for another sale, whose horizon is past
            let claimed =
                (self.store.by_key(key)).is_some_and(|id| self.store.claims_of.contains_key(&id));
            let vain = sale_vain;
            if reply.code.as_str() == "25" && horizon && !reused && !other && !claimed && !vain {
                self.broken("M8", || format!("the reversal of sale {number} is answered 25"));
            }
            return;
        }
        if reply.approved {
            self.check_approval_delivered(reply);
        }
        self.check_same_answer(reply);
    }

    fn check_approval_delivered(&mut self, reply: &ReplyMsg) {
        let Some(id) = reply.rrn else {
            return self.broken("I5", || format!("an approval without a number: {reply:?}"));
        };
        let sale = &self.ledgers.sales[reply.sale];
        let approved = self.store.row(id).map(|row| row.approved);
        let whole = reply.amount == sale.amount;
        let part = sale.takes_partial && reply.amount > 0 && reply.amount < sale.amount;
        let money = trade::has_amount(sale.kind);
        let advice = trade::is_advice(sale.kind);
        if !self.store.approved.contains(&id) {
            self.broken("I5", || format!("{} delivered as approved and that is not durable", id.0));
        } else if money && (!(whole || part) || approved != Some(reply.amount)) {
            self.broken("I17", || format!("{} approved for {}", id.0, reply.amount));
        }
        let wire = self.wire_of(id).cloned().unwrap_or_default();
        let in_time = wire
            .approval_at
            .zip(wire.told.or(wire.written))
            .is_some_and(|(at, told)| at < told + self.opts.timeout || wire.told.is_none());
        if !in_time && !advice {
            self.broken("I11", || format!("{} approved late: {wire:?}", id.0));
        }
    }

    /// I6: all answers of one identity are the same, but for 98 after an approval that is to be undone.
    fn check_same_answer(&mut self, reply: &ReplyMsg) {
        // given without knowing the identity, or to other content
        if matches!(reply.code.as_str(), "03" | "30" | "77" | "91" | "94" | "96" | "97") {
            return;
        }
        let sale = &mut self.ledgers.sales[reply.sale];
        let asked = sale.asked_reversal;
        let Some(first) = sale.answer else {
            sale.answer = Some(*reply);
            return;
        };
        let same = ReplyMsg { reversal: false, ..first } == ReplyMsg { reversal: false, ..*reply };
        let code = reply.code.as_str();
        let owed = first.rrn.is_some_and(|rrn| self.store.obligations.contains_key(&rrn));
        // where nothing is owed, as of a balance, the row itself says so
        let undone = first.rrn.and_then(|rrn| self.store.row(rrn));
        let undone = owed || undone.is_some_and(|row| row.state == RowState::Undone);
        let undone = first.approved && code == "98" && undone;
        let crossed = asked && (matches!(code, "12" | "98") || first.code.as_str() == "98");
        if same {
            self.hit(Sit::SameAnswerAgain);
        } else if !undone && !crossed {
            self.broken("I6", || format!("first {first:?}, then {reply:?}"));
        }
    }

    /// What the engine is told, as far as a check needs it.
    pub(super) fn note_told(&mut self, node: usize, event: &Event) {
        let now = self.now;
        match event {
            Event::Written { id, .. } => {
                self.ledgers.wire.entry(*id).or_default().told.get_or_insert(now);
            }
            Event::RowRead { read: Read::Confirm { key, .. }, found: Ok(_) } => {
                self.ledgers.unknown[node].retain(|_, other| other != key);
            }
            _ => {}
        }
        self.cover_event(event);
    }

    /// An answer of an issuer is handled by a node.
    pub(super) fn note_answer(&mut self, node: usize, answer: &IssuerAnswer) {
        let (now, life) = (self.now, self.nodes[node].life);
        self.cover_answer(answer);
        let wire = self.ledgers.wire.entry(edge::named_by(answer)).or_default();
        if answer.to_reversal || wire.advice {
            wire.flying = None;
        }
        if !answer.to_reversal && answer.approves() {
            wire.approval_at.get_or_insert(now);
            wire.approval_by = Some((node, life));
        }
        let late = wire.told.is_some_and(|told| now >= told + self.opts.timeout);
        if late && !answer.to_reversal {
            self.totals.late_answers += 1;
        }
    }

    /// I23: what is in flight stays within its bound, and is counted for settlements as it is.
    pub(super) fn check_bounds(&mut self, node: usize) {
        let Some(engine) = self.nodes[node].engine.as_ref() else { return };
        let (gauges, exact) = (engine.gauges(), engine.open_counts_are_exact());
        if !exact {
            self.broken("I23", || format!("open requests of node {node} are counted wrongly"));
        }
        let most = self.opts.max_in_flight * self.issuers.len();
        if gauges.in_flight > most + 64 {
            self.broken("I23", || format!("{} in flight at node {node}", gauges.in_flight));
        }
        if gauges.finished > self.opts.max_finished.max(1) {
            self.broken("I23", || format!("{} finished in memory", gauges.finished));
        }
    }
}
