//! What an issuer knows of each transaction, and by which names it is found.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use iso8583::{Code, Kind};

use super::effect::Effect;
use super::incoming::{Incoming, Key, Named, rrn_key, sender_key};
use crate::random::mix_bytes;
use crate::text::Text;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It came, but as good as never arrived.
    Lost,
    /// Approved, and what it does to accounts is done.
    Posted,
    Declined,
    Reversed,
    /// Its reversal came, and it has not.
    ReversedFirst,
}

/// One transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) kind: Option<Kind>,
    /// What it is worth, minor units: an adjustment of it changes that.
    pub(super) amount: i64,
    pub(super) asked: i64,
    /// Of its amount, what voids, refunds, completions and time have taken.
    pub(super) taken: i64,
    /// Of an adjustment: what it added to its original.
    pub(super) difference: i64,
    pub(super) original: Option<u32>,
    /// Of a hold: when it ends by itself, milliseconds since 1970.
    pub(super) expires: i64,
    pub(super) expired: bool,
    pub(super) code: Code,
    pub(super) approval: u32,
    pub(super) mti: Text<4>,
    pub(super) sent: Text<12>,
    pub(super) rrn: Text<12>,
    pub(super) stan: Text<12>,
    pub(super) batch: Text<6>,
    pub(super) terminal: Text<16>,
    pub(super) merchant: Text<15>,
    pub(super) currency: Text<3>,
    pub(super) card: [u8; 16],
    /// Requests and reversals that came.
    pub(super) copies: u32,
    /// Of the requests those that were not marked as repeats: a marked one may overtake the first.
    pub(super) unmarked: u32,
    pub(super) reversals: u32,
}

impl Entry {
    pub(super) fn new(incoming: &Incoming) -> Self {
        Self {
            kind: incoming.kind,
            asked: incoming.amount,
            mti: Text::new(incoming.mti.first_copy().as_str()),
            sent: incoming.sent,
            rrn: incoming.rrn,
            stan: incoming.original_stan,
            batch: incoming.batch,
            terminal: incoming.terminal,
            merchant: incoming.merchant,
            currency: incoming.currency,
            card: incoming.card,
            ..Self::blank()
        }
    }

    /// One of which nothing came yet.
    pub(super) fn blank() -> Self {
        Self {
            state: State::Lost,
            kind: None,
            amount: 0,
            asked: 0,
            taken: 0,
            difference: 0,
            original: None,
            expires: 0,
            expired: false,
            code: Code::APPROVED,
            approval: 0,
            mti: Text::default(),
            sent: Text::default(),
            rrn: Text::default(),
            stan: Text::default(),
            batch: Text::default(),
            terminal: Text::default(),
            merchant: Text::default(),
            currency: Text::default(),
            card: [0; 16],
            copies: 0,
            unmarked: 0,
            reversals: 0,
        }
    }

    pub(super) fn effect(&self) -> Option<Effect> {
        self.kind.and_then(Effect::of)
    }

    /// What nobody has taken of it yet.
    pub(super) const fn left(&self) -> i64 {
        self.amount - self.taken
    }
}

/// All transactions. A place in them stays what it is.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: Vec<Entry>,
    by_key: HashMap<Key, u32>,
    /// By what requests about them say; what is found is compared.
    by_name: HashMap<u64, u32>,
    /// Of each terminal that speaks to this host directly.
    by_terminal: HashMap<(Text<15>, Text<16>), Vec<u32>>,
}

impl Entries {
    pub(super) fn place(&self, key: &Key) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn at(&self, place: u32) -> &Entry {
        self.all.get(index(place)).expect("a place that was handed out")
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut Entry {
        self.all.get_mut(index(place)).expect("a place that was handed out")
    }

    /// The place of a key; a new entry is made where there is none.
    pub(super) fn place_of(&mut self, key: Key, new: impl FnOnce() -> Entry) -> u32 {
        match self.by_key.entry(key) {
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(slot) => {
                let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
                self.all.push(new());
                *slot.insert(place)
            }
        }
    }

    /// Another key for an entry that has one.
    pub(super) fn also(&mut self, key: Key, place: u32) {
        self.by_key.insert(key, place);
    }

    /// Makes it known by all that a later request may call it. The last one of a name has it.
    pub(super) fn publish(&mut self, place: u32, numbered: bool) {
        let entry = *self.at(place);
        if !entry.sent.is_empty() {
            let name = elements_name(entry.stan, entry.sent, terminal(numbered, &entry.terminal));
            self.by_name.insert(name, place);
        }
        if !entry.batch.is_empty() {
            let name = trace_name(entry.batch, entry.stan, terminal(numbered, &entry.terminal));
            self.by_name.insert(name, place);
        }
        if entry.approval > 0 {
            let approval = Text::new(&format!("{:06}", entry.approval));
            self.by_name.insert(approval_name(approval, &entry.card), place);
        }
        if !numbered {
            self.also(rrn_key(entry.rrn.as_str()), place);
            let of_terminal = (entry.merchant, entry.terminal);
            self.by_terminal.entry(of_terminal).or_default().push(place);
        }
    }

    /// The transaction that a request is about, as it names it.
    pub(super) fn original(&self, incoming: &Incoming) -> Option<u32> {
        let own = terminal(incoming.numbered, &incoming.terminal);
        let place = match incoming.named {
            Named::Nothing => None,
            Named::Elements { stan, sent, .. } => {
                self.by_name.get(&elements_name(stan, sent, own)).copied()
            }
            Named::Trace { batch, stan } => {
                self.by_name.get(&trace_name(batch, stan, own)).copied()
            }
            Named::Number(rrn) => self.place(&rrn_key(rrn.as_str())),
            Named::Authorisation(approval) => {
                self.by_name.get(&approval_name(approval, &incoming.card)).copied()
            }
        }?;
        let found = self.at(place);
        let code = format!("{:06}", found.approval);
        let same = match incoming.named {
            Named::Nothing => false,
            Named::Elements { mti, stan, sent } => {
                let mti_agrees = found.mti.is_empty() || found.mti == mti;
                mti_agrees && found.stan == stan && found.sent == sent
            }
            Named::Trace { batch, stan } => found.batch == batch && found.stan == stan,
            Named::Number(rrn) => found.rrn == rrn,
            Named::Authorisation(_) => found.card == incoming.card,
        };
        let approval_agrees =
            incoming.approval.is_empty() || incoming.approval.as_str() == code.as_str();
        (same && approval_agrees).then_some(place)
    }

    /// What a terminal has done in a batch.
    pub(super) fn of_batch<'a>(
        &'a self,
        (merchant, terminal): (&Text<15>, &Text<16>),
        batch: &'a str,
    ) -> impl Iterator<Item = &'a Entry> {
        let places = self.by_terminal.get(&(*merchant, *terminal));
        let entries = places.into_iter().flatten().map(|place| self.at(*place));
        entries.filter(move |entry| entry.batch.as_str() == batch)
    }
}

/// The sender's key of an entry.
pub(super) fn key_of_sender(entry: &Entry) -> Key {
    let (merchant, terminal) = (entry.merchant.as_str(), entry.terminal.as_str());
    Text::new(&sender_key(merchant, terminal, entry.batch.as_str(), entry.stan.as_str()))
}

/// The switch's trace numbers are its own; terminals count each for itself.
fn terminal(numbered: bool, terminal: &Text<16>) -> Text<16> {
    if numbered { Text::default() } else { *terminal }
}

fn elements_name(stan: Text<12>, sent: Text<12>, terminal: Text<16>) -> u64 {
    name(1, [stan.as_str(), sent.as_str(), terminal.as_str()])
}

fn trace_name(batch: Text<6>, stan: Text<12>, terminal: Text<16>) -> u64 {
    name(2, [batch.as_str(), stan.as_str(), terminal.as_str()])
}

fn approval_name(approval: Text<6>, card: &[u8; 16]) -> u64 {
    mix_bytes(name(3, [approval.as_str(), "", ""]), card)
}

fn name(way: u64, parts: [&str; 3]) -> u64 {
    parts.iter().fold(way, |sum, part| mix_bytes(sum, part.as_bytes()))
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
