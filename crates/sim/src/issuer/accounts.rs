//! Cards' accounts, and the holds that end by themselves.

use std::collections::{BTreeSet, HashMap};

/// One account, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) balance: i64,
    /// Of it, what authorisations hold.
    pub(super) held: i64,
}

impl Account {
    pub(super) const fn available(self) -> i64 {
        self.balance - self.held
    }
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    all: HashMap<[u8; 16], Account>,
    /// What each has at first.
    first: i64,
    /// When holds end, milliseconds since 1970, and their places.
    ends: BTreeSet<(i64, u32)>,
}

impl Accounts {
    pub(super) fn new(first: i64) -> Self {
        Self { all: HashMap::new(), first, ends: BTreeSet::new() }
    }

    pub(super) fn of(&self, card: &[u8; 16]) -> Account {
        self.all.get(card).copied().unwrap_or(Account { balance: self.first, held: 0 })
    }

    /// Adds to balance and holds.
    pub(super) fn add(&mut self, card: [u8; 16], balance: i64, held: i64) {
        let first = Account { balance: self.first, held: 0 };
        let account = self.all.entry(card).or_insert(first);
        account.balance = account.balance.saturating_add(balance);
        account.held = account.held.saturating_add(held);
    }

    /// A hold ends by itself then, unless it is asked for before.
    pub(super) fn ends_at(&mut self, at: i64, place: u32) {
        self.ends.insert((at, place));
    }

    /// A hold that ends by itself now, if there is one.
    pub(super) fn ended(&mut self, now: i64) -> Option<u32> {
        let (at, place) = self.ends.first().copied()?;
        if at > now {
            return None;
        }
        self.ends.pop_first();
        Some(place)
    }
}
