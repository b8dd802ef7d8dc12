//! An issuer's accounts and what was posted to them: one debit with effect for each transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::path::Path;

use iso8583::Code;

use super::action::Outcome;
use super::incoming::{Incoming, Key, rrn_key, sender_key};
use crate::ledger::{LedgerError, LedgerReader, LedgerWriter, Line, Role, from_hex, hex};
use crate::text::Text;

/// What an issuer knows of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It came, but as good as never arrived.
    Lost,
    Charged,
    /// Answered without a posting.
    Answered,
    Declined,
    Reversed,
    /// Its reversal came, and it has not.
    ReversedFirst,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    amount: i64,
    asked: i64,
    code: Code,
    approval: u32,
    rrn: Text<12>,
    stan: Text<12>,
    terminal: Text<16>,
    card: [u8; 16],
    /// Requests and reversals that came.
    copies: u32,
    reversals: u32,
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) code: Code,
    /// Approval code (38), where it is approved.
    pub(super) approval: Option<u32>,
    pub(super) rrn: Text<12>,
    pub(super) amount: i64,
    /// What the account holds, where that was asked.
    pub(super) balance: Option<i64>,
}

/// Postings since the start, by what they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postings {
    /// Debits.
    pub charged: u64,
    /// Debits taken back.
    pub reversed: u64,
    /// Refusals.
    pub declined: u64,
    /// Copies of a request that came with its RRN: second forwards.
    pub duplicates: u64,
    /// Copies of a request without RRN: a terminal's repeats.
    pub repeated: u64,
    /// Reversals of what was unknown.
    pub unmatched: u64,
    /// Reversals of what was already reversed.
    pub reversed_again: u64,
}

#[derive(Debug)]
pub(super) struct Book {
    entries: HashMap<Key, Entry>,
    accounts: HashMap<[u8; 16], i64>,
    balance: i64,
    approvals: u32,
    numbers: u64,
    pub(super) postings: Postings,
    ledger: LedgerWriter,
}

fn code(text: &str) -> Code {
    Code::new(text).unwrap_or(Code::APPROVED)
}

impl Book {
    /// Opens the books; what an existing ledger says has happened.
    pub(super) fn open(ledger: Option<&Path>, balance: i64) -> Result<Self, LedgerError> {
        let mut book = Self {
            entries: HashMap::new(),
            accounts: HashMap::new(),
            balance,
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
    pub(super) fn copies(&self, incoming: &Incoming, reversals: bool) -> u32 {
        self.entries
            .get(&incoming.key)
            .map_or(0, |entry| if reversals { entry.reversals } else { entry.copies })
    }

    /// Takes note of a message that is as good as lost, or that is dealt with later.
    pub(super) fn receive(&mut self, incoming: &Incoming, reversal: bool) {
        self.write(
            incoming,
            if reversal { "reversal_received" } else { "received" },
            incoming.amount,
            None,
        );
        let entry = self.entry(incoming);
        if reversal {
            entry.reversals += 1;
        } else {
            entry.copies += 1;
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
        Verdict { code, approval, rrn, amount: amount.max(incoming.amount), balance: None }
    }

    /// Posts a request; a copy of one that was answered is answered alike.
    pub(super) fn request(
        &mut self,
        incoming: &Incoming,
        outcome: Outcome,
        noted: bool,
    ) -> Verdict {
        if let Some(verdict) = self.copy(incoming, noted) {
            return verdict;
        }
        let rrn = self.number(incoming);
        let balance = self.account(incoming);
        let (mut code_given, mut amount) = outcome_of(outcome, incoming.amount);
        if incoming.kind == "other" {
            (code_given, amount) = (code("12"), 0);
        }
        let enquiry = incoming.kind == "balance-enquiry";
        if !enquiry && incoming.amount < 1 && code_given == Code::APPROVED {
            (code_given, amount) = (code("13"), 0);
        }
        let approves = matches!(outcome, Outcome::Approve | Outcome::Partial(_));
        if approves && !enquiry && amount > 0 && balance < amount {
            (code_given, amount) = (code("51"), 0);
        }
        let state = match (approves && incoming.kind != "other", enquiry, amount > 0) {
            (true, true, _) => State::Answered,
            (true, false, true) => State::Charged,
            _ => State::Declined,
        };
        let approval = if state == State::Declined {
            0
        } else {
            self.approvals = self.approvals % 999_999 + 1;
            self.approvals
        };
        let entry = self.entry(incoming);
        *entry = Entry {
            state,
            amount,
            asked: incoming.amount,
            code: code_given,
            approval,
            rrn,
            copies: entry.copies + u32::from(!noted),
            ..*entry
        };
        let verdict = verdict_of(entry, enquiry.then_some(balance));
        self.post(incoming, state, &verdict);
        verdict
    }

    fn post(&mut self, incoming: &Incoming, state: State, verdict: &Verdict) {
        match state {
            State::Charged => {
                self.postings.charged += 1;
                *self.accounts.entry(incoming.card).or_insert(self.balance) -= verdict.amount;
                self.write(incoming, "charged", verdict.amount, Some(verdict));
            }
            State::Declined => {
                self.postings.declined += 1;
                self.write(incoming, "declined", incoming.amount, Some(verdict));
            }
            State::Answered => self.write(incoming, "enquired", 0, Some(verdict)),
            State::Lost | State::Reversed | State::ReversedFirst => {}
        }
    }

    /// The answer to a copy of what was answered, to a number used twice, or to a request after its reversal.
    fn copy(&mut self, incoming: &Incoming, noted: bool) -> Option<Verdict> {
        let entry = self.entries.get_mut(&incoming.key)?;
        let reversed_first = entry.state == State::ReversedFirst;
        let first =
            (entry.copies == 0 || (noted && entry.copies == 1)) && entry.state != State::Declined;
        entry.copies += u32::from(!noted);
        let entry = *entry;
        let other = entry.terminal != incoming.terminal
            || (!reversed_first && entry.state != State::Lost && entry.asked != incoming.amount);
        if other {
            let verdict = refusal(incoming, "94");
            self.write(incoming, "rrn_reused", incoming.amount, Some(&verdict));
            return Some(verdict);
        }
        if !(first && matches!(entry.state, State::Lost | State::ReversedFirst)) {
            let event = if incoming.numbered { "duplicate" } else { "repeated" };
            if incoming.numbered {
                self.postings.duplicates += 1;
            } else {
                self.postings.repeated += 1;
            }
            self.write(incoming, event, incoming.amount, None);
        }
        match entry.state {
            State::Lost => None,
            State::ReversedFirst | State::Reversed => {
                let verdict = refusal(incoming, "12");
                self.postings.declined += 1;
                self.write(incoming, "declined", incoming.amount, Some(&verdict));
                Some(verdict)
            }
            State::Answered => {
                let balance = self.account(incoming);
                Some(verdict_of(&entry, Some(balance)))
            }
            State::Charged | State::Declined => Some(verdict_of(&entry, None)),
        }
    }

    /// Reverses; a repeat changes nothing more, and is answered `again`.
    pub(super) fn reversal(&mut self, incoming: &Incoming, again: Code, noted: bool) -> Verdict {
        let known = self.entries.contains_key(&incoming.key);
        let entry = self.entry(incoming);
        entry.reversals += u32::from(!noted);
        let of_other =
            known && (entry.terminal != incoming.terminal || entry.stan != incoming.original_stan);
        let before = *entry;
        let (event, code) = match before.state {
            _ if of_other => ("reversal_mismatch", code("25")),
            State::Charged | State::Answered if before.asked != incoming.amount => {
                ("reversal_mismatch", code("64"))
            }
            State::Charged | State::Answered => {
                entry.state = State::Reversed;
                ("reversed", Code::APPROVED)
            }
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
                *self.accounts.entry(before.card).or_insert(self.balance) += before.amount;
            }
            "reversal_unmatched" => self.postings.unmatched += 1,
            "reversal_repeated" => self.postings.reversed_again += 1,
            _ => {}
        }
        let rrn = if before.rrn.is_empty() { self.number(incoming) } else { before.rrn };
        let amount = incoming.amount;
        let verdict = Verdict { code, approval: None, rrn, amount, balance: None };
        let posted = if event == "reversed" { before.amount } else { amount };
        self.write(incoming, event, posted, Some(&verdict));
        verdict
    }

    fn entry(&mut self, incoming: &Incoming) -> &mut Entry {
        match self.entries.entry(incoming.key) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(Entry {
                state: State::Lost,
                amount: 0,
                asked: incoming.amount,
                code: Code::APPROVED,
                approval: 0,
                rrn: incoming.rrn,
                stan: incoming.original_stan,
                terminal: incoming.terminal,
                card: incoming.card,
                copies: 0,
                reversals: 0,
            }),
        }
    }

    fn account(&self, incoming: &Incoming) -> i64 {
        self.accounts.get(&incoming.card).copied().unwrap_or(self.balance)
    }

    /// The RRN of a request: its own, else one of ours.
    fn number(&mut self, incoming: &Incoming) -> Text<12> {
        if incoming.numbered {
            return incoming.rrn;
        }
        self.numbers += 1;
        Text::new(&format!("{:012}", self.numbers))
    }

    fn write(&mut self, incoming: &Incoming, event: &str, amount: i64, verdict: Option<&Verdict>) {
        if !self.ledger.is_kept() {
            return;
        }
        let mut line = line(incoming, event, amount);
        if let Some(verdict) = verdict {
            line.rrn = verdict.rrn.as_str().into();
            line.code = verdict.code.as_str().into();
            if let Some(approval) = verdict.approval {
                line.approval = format!("{approval:06}").into();
            }
        }
        self.ledger.append(&line);
    }

    /// Takes a line of an earlier life in.
    fn recall(&mut self, line: &Line<'_>) {
        if line.role != Role::Issuer {
            return;
        }
        let state = match &*line.event {
            "charged" => State::Charged,
            "declined" => State::Declined,
            "reversed" => State::Reversed,
            "enquired" => State::Answered,
            "reversal_unmatched" => State::ReversedFirst,
            _ => return,
        };
        let card = from_hex(&line.pan_hash);
        let account = self.accounts.entry(card).or_insert(self.balance);
        match state {
            State::Charged => *account -= line.amount,
            State::Reversed => *account += line.amount,
            State::Lost | State::Answered | State::Declined | State::ReversedFirst => {}
        }
        let approval = line.approval.parse().unwrap_or(0);
        self.approvals = self.approvals.max(approval);
        self.numbers = self.numbers.max(line.rrn.parse().unwrap_or(0));
        let new = Entry {
            state,
            amount: line.amount,
            asked: line.amount,
            code: Code::new(&line.code).unwrap_or(Code::APPROVED),
            approval,
            rrn: Text::new(&line.rrn),
            stan: Text::new(&line.stan),
            terminal: Text::new(&line.terminal),
            card,
            copies: u32::from(state != State::ReversedFirst),
            reversals: 0,
        };
        let sender = sender_key(&line.merchant, &line.terminal, &line.batch, &line.stan);
        for key in [rrn_key(&line.rrn), Text::new(&sender)] {
            self.entries
                .entry(key)
                .and_modify(|entry| {
                    let undoes = matches!(state, State::Reversed | State::ReversedFirst);
                    *entry = if undoes { Entry { state, ..*entry } } else { new };
                })
                .or_insert(new);
        }
    }
}

fn line<'a>(incoming: &'a Incoming, event: &'a str, amount: i64) -> Line<'a> {
    Line {
        rrn: incoming.rrn.as_str().into(),
        stan: incoming.stan.as_str().into(),
        terminal: incoming.terminal.as_str().into(),
        merchant: incoming.merchant.as_str().into(),
        amount,
        currency: incoming.currency.as_str().into(),
        pan_hash: if incoming.card == [0; 16] { "".into() } else { hex(&incoming.card).into() },
        kind: incoming.kind.into(),
        batch: incoming.batch.as_str().into(),
        ..Line::new(Role::Issuer, event)
    }
}

/// Code and amount of an outcome; the amount is 0 where nothing is approved.
fn outcome_of(outcome: Outcome, asked: i64) -> (Code, i64) {
    match outcome {
        Outcome::Approve => (Code::APPROVED, asked),
        Outcome::Decline(code) => (code, 0),
        Outcome::Partial(percent) => {
            (code("10"), (asked.saturating_mul(i64::from(percent)) / 100).max(1))
        }
    }
}

fn refusal(incoming: &Incoming, text: &str) -> Verdict {
    let amount = incoming.amount;
    Verdict { code: code(text), approval: None, rrn: incoming.rrn, amount, balance: None }
}

fn verdict_of(entry: &Entry, balance: Option<i64>) -> Verdict {
    let approval = (entry.approval > 0).then_some(entry.approval);
    let amount = if entry.amount > 0 { entry.amount } else { entry.asked };
    Verdict { code: entry.code, approval, rrn: entry.rrn, amount, balance }
}
