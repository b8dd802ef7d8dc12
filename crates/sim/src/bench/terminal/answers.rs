//! What a simulated terminal does with the answers that it gets.

use iso8583::Message;

use super::{Answer, NOTICE_TRIES, PAUSE, Sale, State, Terminal};
use crate::bench::floor::{Floor, Turn};
use crate::bench::plan::Plan;
use crate::bench::stats::Live;
use crate::bench::till::is_notice;
use crate::text::Text;

impl Terminal {
    /// An answer to this terminal came.
    pub(in crate::bench) fn answer(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let ours = message.number(11) == Some(u64::from(self.stan));
        let class = message.mti().class();
        let of_sale = ours && class == self.sale.mti.class();
        match (self.state, class) {
            (State::Waiting, _) if of_sale => self.first_answer(message, turn),
            (State::Repeating, _) if of_sale => self.second_answer(message, turn),
            (State::Reversing { tries }, 4) if ours => self.reversal_answer(message, tries, turn),
            (State::Managing, _) if self.is_managed(message) => self.managed_answer(message, turn),
            (_, 1..=6 | 8) => {
                let known = message.number(11).is_some_and(|stan| stan <= u64::from(self.stan));
                let what = if known { "late answer" } else { "answer to nothing" };
                turn.floor.stats.borrow_mut().error(what);
            }
            _ => turn.floor.stats.borrow_mut().error("unexpected message"),
        }
    }

    fn first_answer(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        let answer = match self.read(message, floor) {
            Ok(answer) => answer,
            Err(fault) => {
                self.wrong(fault, turn);
                return;
            }
        };
        let first_copy = self.sale.copies == 1 || self.sale.plan == Plan::Double;
        self.deadline = None;
        let (latency, service) = (turn.now - self.sale.due, turn.now - self.sale.sent);
        floor.stats.borrow_mut().answered(latency, service, answer.code.as_str());
        let approved = is_approval(answer.code.as_str());
        let doubtful = match answer.code.as_str() {
            "98" | "68" => true,
            // A refusal of a copy that says nothing of the first.
            "91" | "94" | "96" => !first_copy,
            _ => false,
        };
        if doubtful && is_notice(self.sale.kind) {
            // No answer of the request's: its number says nothing either.
            self.unanswered(floor);
            self.sale.refused += 1;
            if self.sale.refused < NOTICE_TRIES {
                self.reverse_or_free(turn);
            } else {
                // It stays in the terminal's log, and is told again with the batch.
                floor.stats.borrow_mut().error("notice given up");
                self.state = State::Free;
            }
            return;
        }
        self.sale.first = Some(answer);
        self.sale.rrn = answer.rrn;
        self.believe(floor, approved, &answer);
        if doubtful {
            self.sale.reason = "98";
            self.reverse_or_free(turn);
            return;
        }
        if approved && floor.keeps() {
            self.keep(&answer, message.number(13));
        }
        self.sign_in |= matches!(answer.code.as_str(), "77" | "A0") && floor.has_days();
        match self.sale.plan {
            Plan::Double => {
                self.state = State::Repeating;
                self.deadline = Some(turn.now + floor.mix.timeout);
            }
            Plan::Repeat => {
                self.sale.copies += 1;
                self.journal(floor, "sent", "");
                Live::add(&floor.live.repeated);
                turn.out.extend_from_slice(&self.frame);
                self.state = State::Repeating;
                self.deadline = Some(turn.now + floor.mix.timeout);
            }
            Plan::Reverse if approved => {
                self.sale.reason = "96";
                self.reverse(turn);
            }
            _ => self.state = State::Free,
        }
    }

    /// The answer to a copy must be as the first; only 98 may come in place of an approval.
    fn second_answer(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let answer = match self.read(message, turn.floor) {
            Ok(answer) => answer,
            Err(fault) => {
                self.wrong(fault, turn);
                return;
            }
        };
        self.deadline = None;
        self.state = State::Free;
        if self.sale.first == Some(answer) {
            turn.floor.stats.borrow_mut().fault("answered alike");
            return;
        }
        match answer.code.as_str() {
            "98" if !is_notice(self.sale.kind) => {
                self.journal(turn.floor, "declined", "98");
                self.sale.reason = "98";
                self.reverse(turn);
            }
            "91" | "96" | "98" => turn.floor.stats.borrow_mut().error("copy refused"),
            _ => {
                turn.floor.stats.borrow_mut().error("answers differ");
                self.journal(turn.floor, "answers_differ", answer.code.as_str());
            }
        }
    }

    fn reversal_answer(&mut self, message: &Message, tries: u32, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        let code = floor.code(message);
        match &*code {
            "00" | "25" | "12" => {
                self.journal(floor, "reversed", &code);
                Live::add(&floor.live.reversed);
                floor.stats.borrow_mut().fault("reversed");
                self.deadline = None;
                self.state = State::Free;
                if self.sale.plan == Plan::ReverseFirst && self.sale.copies == 0 {
                    self.send(turn);
                } else if let Some(due) = self.wanted.take() {
                    self.next(due, turn);
                }
            }
            _ => {
                floor.stats.borrow_mut().error("reversal refused");
                self.journal(floor, "reversal_refused", &code);
                self.state = State::Reversing { tries };
                self.deadline = Some(turn.now + PAUSE);
            }
        }
    }

    /// An answer that contradicts the request: the terminal reverses.
    fn wrong(&mut self, fault: &'static str, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        Live::add(&floor.live.wrong);
        floor.stats.borrow_mut().error(fault);
        self.journal(floor, "wrong_answer", fault);
        self.sale.reason = "06";
        self.reverse_or_free(turn);
    }

    fn read(&self, message: &Message, floor: &Floor) -> Result<Answer, &'static str> {
        let Sale { blanks, kind, mti, .. } = &self.sale;
        let text = |number: u8| message.text(number).unwrap_or_default();
        let answer = Answer {
            code: Text::new(&floor.code(message)),
            approval: Text::new(&text(38)),
            rrn: Text::new(&text(37)),
            amount: message.number(4).unwrap_or(blanks.amount),
        };
        let partial = answer.code.as_str() == "10";
        let same_amount = answer.amount == blanks.amount
            || !kind.moves_money()
            || (partial && floor.mix.partial && (1..blanks.amount).contains(&answer.amount));
        let checks = [
            (message.mti() == mti.response(), "wrong message type"),
            (text(42).trim_end() == floor.mix.merchant, "wrong merchant"),
            (same_amount, "wrong amount"),
            (!message.has(49) || text(49) == floor.mix.currency.as_str(), "wrong currency"),
            (answer.code.as_str().len() == 2, "no response code"),
            (answer.rrn.as_str().len() == 12, "no RRN"),
            (!partial || floor.mix.partial, "partial approval not asked for"),
        ];
        checks.into_iter().find(|(good, _)| !good).map_or(Ok(answer), |(_, fault)| Err(fault))
    }
}

/// Whether a code means that the transaction went through.
fn is_approval(code: &str) -> bool {
    matches!(code, "00" | "10" | "11" | "A2" | "A4" | "A5" | "A6")
}
