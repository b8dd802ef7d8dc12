//! The answer to a message, right or wrong.

use bytes::{BufMut, BytesMut};
use iso8583::{Code, Dialect, Framing, Message};
use jiff::Timestamp;

use super::action::{Altered, Reply};
use super::book::Verdict;
use super::incoming::Incoming;
use super::rule::On;

/// Data elements that an answer repeats where the request has them.
const REPEATED: [u8; 20] =
    [2, 3, 4, 7, 11, 12, 13, 14, 18, 23, 25, 32, 33, 37, 41, 42, 49, 60, 70, 90];

/// How answers are written.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) dialect: std::sync::Arc<Dialect>,
    pub(super) framing: Framing,
}

impl Writer {
    /// Appends the framed answer to `request`.
    pub(super) fn write(
        &self,
        request: &Message,
        incoming: &Incoming,
        (verdict, reply): (&Verdict, Reply),
        to: &mut BytesMut,
    ) {
        let mut answer = self.answer(request, incoming, verdict);
        if let Reply::Altered(altered) = reply {
            alter(&mut answer, incoming, altered);
        }
        let mut body = BytesMut::with_capacity(256);
        if let Err(error) = answer.encode(&self.dialect, &mut body) {
            tracing::error!(%error, "an answer cannot be written in this dialect");
            return;
        }
        if reply == Reply::Malformed {
            body.truncate(body.len() * 2 / 3);
        }
        if self.framing.write(body.len(), to).is_ok() {
            to.put_slice(&body);
        }
    }

    fn answer(&self, request: &Message, incoming: &Incoming, verdict: &Verdict) -> Message {
        let mut answer = Message::new(request.mti().response());
        if let Some(header) = request.header() {
            answer.set_header(header.answer());
        }
        let has = |number: u8| self.dialect.field(number).is_some();
        for number in REPEATED.into_iter().filter(|number| request.has(*number)) {
            answer.copy(number, request);
        }
        let mti = request.mti();
        let code = match mti.class() {
            4 | 8 if verdict.code == Code::APPROVED => self.dialect.done_code(mti),
            _ => self.dialect.from_iso87(verdict.code),
        };
        answer.set_text(39, code.as_str());
        if incoming.on == On::Network {
            return answer;
        }
        answer.set_text(37, verdict.rrn.as_str());
        if verdict.amount != incoming.amount {
            answer.set_text(4, &format!("{:012}", verdict.amount));
        }
        if let Some(approval) = verdict.approval {
            answer.set_text(38, &format!("{approval:06}"));
        }
        if !request.has(12) || verdict.approval.is_some() {
            let now = Timestamp::now();
            if !request.has(12) && has(12) && has(13) && self.dialect.version() == 0 {
                answer.set_text(12, &now.strftime("%H%M%S").to_string());
                answer.set_text(13, &now.strftime("%m%d").to_string());
            }
            if has(15) {
                // With its year in the 1993 version.
                let form = if self.dialect.version() == 1 { "%y%m%d" } else { "%m%d" };
                answer.set_text(15, &now.strftime(form).to_string());
            }
        }
        if let Some(balance) = verdict.balance.filter(|_| has(54)) {
            let sign = if balance < 0 { 'D' } else { 'C' };
            let digits = balance.unsigned_abs().min(999_999_999_999);
            answer.set_text(54, &format!("1002{}{sign}{digits:012}", incoming.currency));
        }
        if verdict.approval.is_some() && request.has(55) {
            // Issuer authentication data (91): an answer to the chip.
            answer.set_text(55, "910AA1A2A3A4A5A6A7A83030");
        }
        answer
    }
}

fn alter(answer: &mut Message, incoming: &Incoming, altered: Altered) {
    let turn_last = |text: &str| {
        let mut turned = text.to_owned();
        let last = turned.pop().and_then(|last| last.to_digit(10)).unwrap_or(0);
        turned.push(char::from_digit((last + 1) % 10, 10).unwrap_or('0'));
        turned
    };
    match altered {
        Altered::Stan => answer.set_text(11, &turn_last(incoming.stan.as_str())),
        Altered::Rrn => {
            let rrn = answer.text(37).unwrap_or_default().into_owned();
            let rest: String = rrn.chars().skip(1).collect();
            let first = if rrn.starts_with('9') { '8' } else { '9' };
            answer.set_text(37, &format!("{first}{rest}"));
        }
        Altered::Amount => answer.set_text(4, &format!("{:012}", incoming.amount + 100)),
        Altered::Currency => {
            answer.set_text(49, if incoming.currency.as_str() == "840" { "156" } else { "840" });
        }
        Altered::Card => {
            if let Some(pan) = &incoming.pan {
                answer.set_text(2, &turn_last(pan.expose()));
            }
        }
        Altered::Terminal => answer.set_text(41, &turn_last(incoming.terminal.as_str())),
    }
}
