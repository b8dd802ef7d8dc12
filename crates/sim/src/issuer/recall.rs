//! What an issuer's ledger says of its earlier lives: accounts, holds and claims are as they were.

use iso8583::{Code, Kind, OnSilence};
use jiff::Timestamp;

use super::book::{Book, is_for_now};
use super::effect::{Effect, kind_of};
use super::entry::{Entry, State, key_of_sender};
use super::incoming::rrn_key;
use super::posting;
use crate::ledger::{Line, Role, from_hex};
use crate::text::Text;

impl Book {
    /// Takes a line of an earlier life in.
    pub(super) fn recall(&mut self, line: &Line<'_>) {
        if line.role != Role::Issuer {
            return;
        }
        self.approvals = self.approvals.max(line.approval.parse().unwrap_or(0));
        self.numbers = self.numbers.max(line.rrn.parse().unwrap_or(0));
        match &*line.event {
            "reversed" => self.recall_reversal(line),
            "reversal_unmatched" => {
                let place = self.recall_place(line);
                let entry = self.entries.at_mut(place);
                if entry.state == State::Lost {
                    entry.state = State::ReversedFirst;
                }
            }
            "expired" => {
                if let Some(place) = self.entries.place(&rrn_key(&line.rrn)) {
                    posting::expire(&mut self.entries, &mut self.accounts, place);
                }
            }
            "declined" => self.recall_refusal(line),
            event => {
                if let Some(kind) = kind_of(&line.kind, event)
                    && Effect::of(kind).is_some_and(|effect| effect.event() == event)
                {
                    self.recall_posting(line, kind);
                }
            }
        }
    }

    fn recall_posting(&mut self, line: &Line<'_>, kind: Kind) {
        let original = (!line.original.is_empty())
            .then(|| self.entries.place(&rrn_key(&line.original)))
            .flatten();
        let at = line
            .at
            .parse::<Timestamp>()
            .map_or_else(|_| super::book::now(), Timestamp::as_millisecond);
        let place = self.recall_place(line);
        let entry = self.entries.at_mut(place);
        if entry.state == State::Posted {
            return;
        }
        *entry = Entry {
            state: State::Posted,
            kind: Some(kind),
            amount: line.amount,
            asked: line.amount,
            difference: line.difference,
            original,
            expires: at.saturating_add(self.holds.expire),
            code: Code::new(&line.code).unwrap_or(Code::APPROVED),
            approval: line.approval.parse().unwrap_or(0),
            copies: 1,
            ..*entry
        };
        posting::post(&mut self.entries, &mut self.accounts, place, false);
        self.entries.publish(place, true);
        self.entries.publish(place, false);
    }

    fn recall_refusal(&mut self, line: &Line<'_>) {
        let place = self.recall_place(line);
        let kind = kind_of(&line.kind, "");
        let code = Code::new(&line.code).unwrap_or(Code::APPROVED);
        let advice = kind.is_some_and(|kind| kind.on_silence() == OnSilence::Deliver);
        let entry = self.entries.at_mut(place);
        if entry.state == State::Lost {
            let state = if advice && is_for_now(code) { State::Lost } else { State::Declined };
            *entry = Entry { state, kind, asked: line.amount, code, copies: 1, ..*entry };
        }
    }

    fn recall_reversal(&mut self, line: &Line<'_>) {
        let place = self.recall_place(line);
        if self.entries.at(place).state == State::Posted {
            posting::post(&mut self.entries, &mut self.accounts, place, true);
        }
        self.entries.at_mut(place).state = State::Reversed;
    }

    /// The place of the transaction that a line is about; one that came without RRN is known by its sender too.
    fn recall_place(&mut self, line: &Line<'_>) -> u32 {
        let new = entry(line);
        let by_rrn = rrn_key(&line.rrn);
        let by_sender = key_of_sender(&new);
        // One that came before its request had another number, if terminals speak to this host directly.
        let waits = |place: &u32| {
            matches!(self.entries.at(*place).state, State::Lost | State::ReversedFirst)
        };
        let known =
            self.entries.place(&by_rrn).or_else(|| self.entries.place(&by_sender).filter(waits));
        let place = known.unwrap_or_else(|| self.entries.place_of(by_rrn, || new));
        self.entries.also(by_rrn, place);
        self.entries.also(by_sender, place);
        place
    }
}

fn entry(line: &Line<'_>) -> Entry {
    Entry {
        asked: line.amount,
        sent: Text::new(&line.transmitted),
        rrn: Text::new(&line.rrn),
        stan: Text::new(&line.stan),
        batch: Text::new(&line.batch),
        terminal: Text::new(&line.terminal),
        merchant: Text::new(&line.merchant),
        currency: Text::new(&line.currency),
        card: from_hex(&line.pan_hash),
        ..Entry::blank()
    }
}
