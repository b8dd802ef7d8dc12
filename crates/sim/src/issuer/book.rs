//! An issuer's books: what was posted, once for each transaction, and what is answered.

use std::path::Path;

use iso8583::{Code, OnSilence};
use jiff::Timestamp;

use super::accounts::Accounts;
use super::action::Outcome;
use super::effect::Effect;
use super::entry::{Entries, Entry, State};
use super::incoming::{Incoming, Named};
use super::posting::{self, Holds};
use super::telling::{Verdict, code, line, outcome_of};
use crate::ledger::{LedgerError, LedgerReader, LedgerWriter, Line};
use crate::text::Text;

/// Postings since the start, by what they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postings {
    /// Debits: sales, and completions.
    pub charged: u64,
    /// Credits: voids and refunds.
    pub credited: u64,
    /// Authorisations that hold an amount.
    pub held: u64,
    /// Holds that were released, or ended by themselves.
    pub released: u64,
    /// Changes of an amount.
    pub adjusted: u64,
    /// Postings of any kind taken back.
    pub reversed: u64,
    /// Refusals.
    pub declined: u64,
    /// Copies of a request that came with its RRN and no mark: second forwards.
    pub duplicates: u64,
    /// Copies of a request without RRN, or marked: repeats.
    pub repeated: u64,
    /// Reversals of what was unknown.
    pub unmatched: u64,
    /// Reversals of what was already reversed.
    pub reversed_again: u64,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) entries: Entries,
    pub(super) accounts: Accounts,
    pub(super) holds: Holds,
    pub(super) approvals: u32,
    pub(super) numbers: u64,
    pub(super) postings: Postings,
    pub(super) ledger: LedgerWriter,
}

impl Book {
    /// Opens the books; what an existing ledger says has happened.
    pub(super) fn open(
        ledger: Option<&Path>,
        balance: i64,
        holds: Holds,
    ) -> Result<Self, LedgerError> {
        let mut book = Self {
            entries: Entries::default(),
            accounts: Accounts::new(balance),
            holds,
            approvals: 0,
            numbers: 0,
            postings: Postings::default(),
            ledger: LedgerWriter::open(None)?,
        };
        if let Some(path) = ledger.filter(|path| path.exists()) {
            LedgerReader::open(path)?.for_each(
                |line| book.recall(&line),
                |fault| tracing::warn!(%fault, "a line of the ledger is passed over"),
            );
        }
        book.ledger = LedgerWriter::open(ledger)?;
        Ok(book)
    }

    /// Hands what was written to the kernel: before an answer goes out.
    pub(super) fn flush(&mut self) -> Result<(), LedgerError> {
        self.ledger.flush()
    }

    /// How many messages came for the same transaction before: requests, or reversals.
    pub(super) fn copies(&self, incoming: &Incoming) -> u32 {
        self.entries.place(&incoming.key).map_or(0, |place| {
            let entry = self.entries.at(place);
            if incoming.is_reversal() { entry.reversals } else { entry.copies }
        })
    }

    /// Takes note of a message that is as good as lost, or that is dealt with later.
    pub(super) fn receive(&mut self, incoming: &Incoming) {
        let reversal = incoming.is_reversal();
        let event = if reversal { "reversal_received" } else { "received" };
        self.write(incoming, line(incoming, event, incoming.amount), None);
        let place = self.place(incoming);
        let entry = self.entries.at_mut(place);
        if reversal {
            entry.reversals += 1;
        } else {
            entry.copies += 1;
            entry.unmarked += u32::from(!incoming.mti.is_repeat());
        }
    }

    /// Takes note that a behaviour of the script was shown.
    pub(super) fn misbehave(&mut self, incoming: &Incoming, name: &str) {
        if self.ledger.is_kept() {
            self.ledger
                .append(&Line { code: name.into(), ..line(incoming, "fault", incoming.amount) });
        }
    }

    /// Answers as if it had posted.
    pub(super) fn pretend(&mut self, incoming: &Incoming, outcome: Outcome) -> Verdict {
        let (code, amount) = outcome_of(outcome, incoming.amount);
        self.approvals = self.approvals % 999_999 + 1;
        let approval = (amount > 0).then_some(self.approvals);
        let rrn = self.number(incoming);
        let amount = amount.max(incoming.amount);
        Verdict { code, approval, rrn, amount, balance: None, field: None }
    }

    /// Releases the holds whose time is over.
    pub(super) fn expire(&mut self, now: i64) {
        while let Some(place) = self.accounts.ended(now) {
            if posting::expire(&mut self.entries, &mut self.accounts, place) {
                self.postings.released += 1;
                self.write_of(place, "expired");
            }
        }
    }

    /// Posts a request; a copy of one that was answered is answered alike.
    pub(super) fn request(
        &mut self,
        incoming: &Incoming,
        outcome: Outcome,
        noted: bool,
    ) -> Verdict {
        let now = now();
        self.expire(now);
        if let Some(verdict) = self.copy(incoming, noted) {
            return verdict;
        }
        let known = self.entries.place(&incoming.key).map(|place| self.entries.at(place).rrn);
        let known = known.filter(|rrn| !rrn.is_empty());
        let rrn = known.unwrap_or_else(|| self.number(incoming));
        let wanted = self.wanted(incoming, outcome);
        let approved = wanted.is_ok();
        let (code_given, amount, original) =
            wanted.unwrap_or_else(|code_given| (code_given, 0, None));
        let approval = if approved {
            self.approvals = self.approvals % 999_999 + 1;
            self.approvals
        } else {
            0
        };
        let total = incoming.kind.and_then(Effect::of) == Some(Effect::Total);
        let before = original.filter(|_| total).map(|place| self.entries.at(place).amount);
        let place = self.place(incoming);
        let entry = self.entries.at_mut(place);
        *entry = Entry {
            state: if approved { State::Posted } else { State::Declined },
            kind: incoming.kind,
            amount,
            asked: incoming.amount,
            difference: before.map_or(0, |before| amount - before),
            original,
            expires: now.saturating_add(self.holds.expire),
            code: code_given,
            approval,
            rrn,
            mti: Text::new(incoming.mti.first_copy().as_str()),
            sent: incoming.sent,
            currency: incoming.currency,
            card: incoming.card,
            copies: entry.copies + u32::from(!noted),
            unmarked: entry.unmarked + u32::from(!noted && !incoming.mti.is_repeat()),
            ..*entry
        };
        if approved {
            posting::post(&mut self.entries, &mut self.accounts, place, false);
            self.entries.publish(place, incoming.numbered);
        } else if is_advice(incoming) && is_for_now(code_given) {
            // It will come again, and then counts.
            self.entries.at_mut(place).state = State::Lost;
        }
        self.tell(incoming, place, approved)
    }

    /// What is to be posted: code, amount, and the place of the original; or the code of a refusal.
    fn wanted(
        &self,
        incoming: &Incoming,
        outcome: Outcome,
    ) -> Result<(Code, i64, Option<u32>), Code> {
        let (code_given, amount) = outcome_of(outcome, incoming.amount);
        if matches!(outcome, Outcome::Decline(_)) {
            return Err(code_given);
        }
        let effect = incoming.kind.and_then(Effect::of).ok_or_else(|| code("12"))?;
        if effect.moves_money() && incoming.amount < 1 {
            return Err(code("13"));
        }
        let original = match (effect, incoming.named) {
            (Effect::Note, Named::Nothing) => None,
            _ if effect.has_original() => {
                let found = posting::original(&self.entries, incoming, (effect, self.holds));
                Some(found.map_err(code)?)
            }
            _ => None,
        };
        let of_original = original.map_or(0, |place| self.entries.at(place).amount);
        let needed = match effect {
            Effect::Charge | Effect::Hold => amount,
            Effect::Complete | Effect::Total => amount - of_original,
            Effect::Credit
            | Effect::Undo
            | Effect::Part
            | Effect::Release
            | Effect::Enquire
            | Effect::Note => 0,
        };
        if needed > 0 && self.accounts.of(&incoming.card).available() < needed {
            return Err(code("51"));
        }
        Ok((code_given, if effect.moves_money() { amount } else { 0 }, original))
    }

    /// Counts and writes what was done with a request, and gives its answer.
    fn tell(&mut self, incoming: &Incoming, place: u32, approved: bool) -> Verdict {
        let verdict = self.verdict_of(place);
        let effect = incoming.kind.and_then(Effect::of);
        let Some(effect) = effect.filter(|_| approved) else {
            self.postings.declined += 1;
            self.write(incoming, line(incoming, "declined", incoming.amount), Some(&verdict));
            return verdict;
        };
        match effect {
            Effect::Charge | Effect::Complete => self.postings.charged += 1,
            Effect::Credit | Effect::Undo | Effect::Part => self.postings.credited += 1,
            Effect::Hold => self.postings.held += 1,
            Effect::Release => self.postings.released += 1,
            Effect::Total => self.postings.adjusted += 1,
            Effect::Enquire | Effect::Note => {}
        }
        if self.ledger.is_kept() {
            let entry = *self.entries.at(place);
            let original = entry.original.map(|place| self.entries.at(place).rrn);
            let mut told = line(incoming, effect.event(), entry.amount);
            told.original = original.unwrap_or_default().to_string().into();
            if effect == Effect::Total {
                told.difference = entry.difference;
            }
            self.write(incoming, told, Some(&verdict));
        }
        verdict
    }

    /// The answer to a copy of what was answered, to a number used twice, or to a request after its reversal.
    fn copy(&mut self, incoming: &Incoming, noted: bool) -> Option<Verdict> {
        let place = self.entries.place(&incoming.key)?;
        let entry = self.entries.at_mut(place);
        let reversed_first = entry.state == State::ReversedFirst;
        let first =
            (entry.copies == 0 || (noted && entry.copies == 1)) && entry.state != State::Declined;
        entry.copies += u32::from(!noted);
        // The first copy of an advice may come behind its repeats.
        let is_second = !is_advice(incoming) || entry.unmarked > u32::from(noted);
        entry.unmarked += u32::from(!noted && !incoming.mti.is_repeat());
        let entry = *entry;
        let other = entry.terminal != incoming.terminal
            || (!reversed_first && entry.state != State::Lost && entry.asked != incoming.amount);
        if other {
            let verdict = self.refusal(incoming, "94");
            let line = line(incoming, "rrn_reused", incoming.amount);
            self.write(incoming, line, Some(&verdict));
            return Some(verdict);
        }
        if !(first && matches!(entry.state, State::Lost | State::ReversedFirst)) {
            let marked = incoming.mti.is_repeat() && is_advice(incoming);
            let event = if incoming.numbered && !marked && is_second {
                self.postings.duplicates += 1;
                "duplicate"
            } else {
                self.postings.repeated += 1;
                "repeated"
            };
            self.write(incoming, line(incoming, event, incoming.amount), None);
        }
        match entry.state {
            State::Lost => None,
            State::ReversedFirst | State::Reversed => {
                let verdict = self.refusal(incoming, "12");
                self.postings.declined += 1;
                let line = line(incoming, "declined", incoming.amount);
                self.write(incoming, line, Some(&verdict));
                Some(verdict)
            }
            State::Posted | State::Declined => Some(self.verdict_of(place)),
        }
    }

    /// Reverses; a repeat changes nothing more, and is answered `again`.
    pub(super) fn reversal(&mut self, incoming: &Incoming, again: Code, noted: bool) -> Verdict {
        self.expire(now());
        let known = self.entries.place(&incoming.key).is_some();
        let place = self.place(incoming);
        let entry = self.entries.at_mut(place);
        entry.reversals += u32::from(!noted);
        let of_other =
            known && (entry.terminal != incoming.terminal || entry.stan != incoming.original_stan);
        let before = *entry;
        let (event, code) = match before.state {
            _ if of_other => ("reversal_mismatch", code("25")),
            State::Posted if before.asked != incoming.amount => ("reversal_mismatch", code("64")),
            State::Posted if before.expired => ("reversal_of_undone", Code::APPROVED),
            // Something else has undone it, or a part of it.
            State::Posted if before.taken > 0 => ("reversal_of_undone", code("25")),
            State::Posted => ("reversed", Code::APPROVED),
            State::Reversed => ("reversal_repeated", again),
            State::Declined => ("reversal_of_declined", Code::APPROVED),
            State::Lost | State::ReversedFirst => {
                entry.state = State::ReversedFirst;
                ("reversal_unmatched", code("25"))
            }
        };
        match event {
            "reversed" => {
                self.postings.reversed += 1;
                posting::post(&mut self.entries, &mut self.accounts, place, true);
                self.entries.at_mut(place).state = State::Reversed;
            }
            "reversal_unmatched" => self.postings.unmatched += 1,
            "reversal_repeated" => self.postings.reversed_again += 1,
            _ => {}
        }
        let rrn = if before.rrn.is_empty() { self.number(incoming) } else { before.rrn };
        let amount = incoming.amount;
        let verdict = Verdict { code, approval: None, rrn, amount, balance: None, field: None };
        let done = event == "reversed";
        let mut told = line(incoming, event, if done { before.amount } else { amount });
        if done && before.effect() == Some(Effect::Total) {
            told.difference = before.difference;
        }
        self.write(incoming, told, Some(&verdict));
        verdict
    }

    fn place(&mut self, incoming: &Incoming) -> u32 {
        self.entries.place_of(incoming.key, || Entry::new(incoming))
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

pub(super) fn is_advice(incoming: &Incoming) -> bool {
    incoming.kind.is_some_and(|kind| kind.on_silence() == OnSilence::Deliver)
}

/// Whether a code says that the same request may go through later.
pub(super) fn is_for_now(code: Code) -> bool {
    matches!(code.as_str(), "09" | "68" | "91" | "96" | "98")
}
