//! The host to which terminals speak directly: it signs them in, and settles their batches.

use std::collections::HashMap;

use iso8583::{Code, Kind};

use super::book::Book;
use super::effect::Effect;
use super::entry::{Entry, State};
use super::incoming::Incoming;
use super::telling::{Verdict, line};
use crate::ledger::{Line, card_name};
use crate::text::Text;
use crate::totals::{Side, Totals, side};

type Sender = (Text<15>, Text<16>);

/// A terminal's batches.
#[derive(Debug, Default)]
struct Till {
    /// The batch that is open, or was settled last.
    batch: u32,
    /// The answer (48) to its settlement, if it was settled.
    settled: Option<Text<64>>,
}

/// Terminals and their batches.
#[derive(Debug)]
pub(super) struct Host {
    foreign: Vec<String>,
    /// Foreign cards that came, by their name in ledgers.
    foreign_cards: std::collections::HashSet<[u8; 16]>,
    tills: HashMap<Sender, Till>,
}

impl Host {
    pub(super) fn new(foreign: Vec<String>) -> Self {
        Self { foreign, foreign_cards: std::collections::HashSet::new(), tills: HashMap::new() }
    }

    /// The code of a refusal, if a terminal's batch is not the open one.
    pub(super) fn admit(&mut self, incoming: &Incoming) -> Option<&'static str> {
        if let Some(pan) = &incoming.pan
            && self.foreign.iter().any(|prefix| pan.expose().starts_with(prefix.as_str()))
        {
            self.foreign_cards.insert(card_name(pan.expose()));
        }
        let batch = number(incoming)?;
        let till = self.till(incoming, batch);
        if batch == till.batch + 1 && till.settled.is_some() {
            *till = Till { batch, settled: None };
        }
        (batch != till.batch || till.settled.is_some()).then_some("77")
    }

    /// Answers what is about a terminal's day.
    pub(super) fn manage(
        &mut self,
        incoming: &Incoming,
        book: &mut Book,
        verdict: Verdict,
    ) -> Verdict {
        let Some(batch) = number(incoming) else { return verdict };
        match incoming.kind {
            Some(Kind::SignOn) => self.sign_in(incoming, batch, verdict),
            Some(Kind::Settlement) => self.settle(incoming, batch, book, verdict),
            Some(Kind::BatchUpload | Kind::BatchDetail | Kind::BatchChip | Kind::BatchEnd) => {
                let event = match incoming.kind {
                    Some(Kind::BatchEnd) => "batch_ended",
                    _ => "uploaded",
                };
                let told = Line {
                    totals: incoming.private.as_str().to_owned().into(),
                    ..line(incoming, event, incoming.amount)
                };
                book.write(incoming, told, Some(&verdict));
                verdict
            }
            _ => verdict,
        }
    }

    /// Gives the batch: the open one, or the next after one that was settled.
    fn sign_in(&mut self, incoming: &Incoming, batch: u32, verdict: Verdict) -> Verdict {
        let till = self.till(incoming, batch.max(1));
        if till.settled.is_some() {
            *till = Till { batch: till.batch % 999_999 + 1, settled: None };
        }
        let text = incoming.private_60.as_str();
        let (kind, rest) = (text.get(..2).unwrap_or("00"), text.get(8..).unwrap_or(""));
        let text = format!("{kind}{:06}{rest}", till.batch);
        Verdict { field: Some((60, Text::new(&text))), ..verdict }
    }

    /// Compares the totals with what was posted; a repeat is answered as the first.
    fn settle(
        &mut self,
        incoming: &Incoming,
        batch: u32,
        book: &mut Book,
        verdict: Verdict,
    ) -> Verdict {
        let sender = (incoming.merchant, incoming.terminal);
        let till = self.till(incoming, batch);
        if let (true, Some(answer)) = (till.batch == batch, till.settled) {
            return Verdict { field: Some((48, answer)), ..verdict };
        }
        if till.batch != batch {
            return Verdict { code: Code::new("77").unwrap_or(verdict.code), ..verdict };
        }
        let mut ours = Totals::default();
        for entry in book.entries.of_batch((&sender.0, &sender.1), incoming.batch.as_str()) {
            if let Some((side, amount)) = counted(entry) {
                ours.add(self.foreign_cards.contains(&entry.card), side, amount);
            }
        }
        let result = ours.judge(incoming.private.as_str());
        let answer = Text::new(&ours.text(result));
        if let Some(till) = self.tills.get_mut(&sender) {
            till.settled = Some(answer);
        }
        let mut told = line(incoming, "settled", 0);
        told.totals = answer.as_str().to_owned().into();
        book.write(incoming, told, Some(&verdict));
        Verdict { field: Some((48, answer)), ..verdict }
    }

    /// The till of a terminal: one that was never seen brings its own batch number.
    fn till(&mut self, incoming: &Incoming, batch: u32) -> &mut Till {
        let sender = (incoming.merchant, incoming.terminal);
        self.tills.entry(sender).or_insert(Till { batch, settled: None })
    }
}

fn number(incoming: &Incoming) -> Option<u32> {
    incoming.batch.as_str().parse().ok()
}

/// What a transaction adds to its batch's totals.
fn counted(entry: &Entry) -> Option<(Side, i64)> {
    let side = side(entry.kind?).filter(|_| entry.state == State::Posted)?;
    // What an adjustment added to it is counted with the adjustment.
    let amount = match entry.effect()? {
        Effect::Total => entry.difference,
        _ if entry.code.as_str() == "10" => entry.amount,
        _ => entry.asked,
    };
    Some((side, amount))
}
