//! What is posted for a transaction, and taken back: each effect stands here once, with its opposite.

use super::accounts::Accounts;
use super::effect::Effect;
use super::entry::{Entries, Entry, State};
use super::incoming::Incoming;

/// How an issuer treats authorisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holds {
    /// How long one holds, milliseconds.
    pub(crate) expire: i64,
    /// The most that a completion may take, hundredths of what is held.
    pub(crate) percent: i64,
}

/// Does what the entry at a place does, or takes exactly that back.
pub(super) fn post(entries: &mut Entries, accounts: &mut Accounts, place: u32, back: bool) {
    let entry = *entries.at(place);
    let sign = if back { -1 } else { 1 };
    let Some(effect) = entry.effect() else { return };
    let original = entry.original.map(|place| (place, *entries.at(place)));
    let card = original.map_or(entry.card, |(_, original)| original.card);
    match effect {
        Effect::Charge => accounts.add(card, -sign * entry.amount, 0),
        Effect::Hold => {
            accounts.add(card, 0, sign * entry.left());
            if !back {
                accounts.ends_at(entry.expires, place);
            }
        }
        Effect::Credit => accounts.add(card, sign * entry.amount, 0),
        Effect::Undo | Effect::Part => {
            accounts.add(card, sign * entry.amount, 0);
            take(entries, original, sign * entry.amount);
        }
        Effect::Release | Effect::Complete => {
            let held = original.map_or(0, |(_, hold)| hold.amount);
            let taken = if effect == Effect::Complete { sign * entry.amount } else { 0 };
            accounts.add(card, -taken, -sign * held);
            take(entries, original, sign * held);
            if let Some((place, hold)) = original.filter(|_| back) {
                accounts.ends_at(hold.expires, place);
            }
        }
        Effect::Total => {
            accounts.add(card, -sign * entry.difference, 0);
            if let Some((place, _)) = original {
                entries.at_mut(place).amount += sign * entry.difference;
            }
        }
        Effect::Enquire | Effect::Note => {}
    }
}

fn take(entries: &mut Entries, original: Option<(u32, Entry)>, amount: i64) {
    if let Some((place, _)) = original {
        entries.at_mut(place).taken += amount;
    }
}

/// A hold has ended by itself: it is released. False if nothing was held any more.
pub(super) fn expire(entries: &mut Entries, accounts: &mut Accounts, place: u32) -> bool {
    let hold = entries.at_mut(place);
    if hold.state != State::Posted || hold.left() <= 0 {
        return false;
    }
    let left = hold.left();
    (hold.taken, hold.expired) = (hold.amount, true);
    accounts.add(hold.card, 0, -left);
    true
}

/// The original that a request asks for, or the code of its refusal.
pub(super) fn original(
    entries: &Entries,
    incoming: &Incoming,
    (effect, holds): (Effect, Holds),
) -> Result<u32, &'static str> {
    let place = entries.original(incoming).ok_or("25")?;
    let original = entries.at(place);
    let fits = incoming.kind.zip(original.kind);
    if !fits.is_some_and(|(kind, of)| super::effect::may_be_about(kind, of))
        || original.merchant != incoming.merchant
    {
        return Err("25");
    }
    if incoming.card != [0; 16] && incoming.card != original.card {
        return Err("14");
    }
    match original.state {
        State::Posted => {}
        State::Reversed if effect == Effect::Note => {}
        State::Lost | State::Declined | State::Reversed | State::ReversedFirst => return Err("25"),
    }
    let amount = incoming.amount;
    let undone = original.taken > 0;
    match effect {
        Effect::Undo | Effect::Release | Effect::Complete if undone => Err("22"),
        Effect::Undo | Effect::Release if amount != original.amount => Err("64"),
        Effect::Complete
            if amount.saturating_mul(100) > original.amount.saturating_mul(holds.percent) =>
        {
            Err("61")
        }
        Effect::Part | Effect::Total if original.left() <= 0 => Err("22"),
        Effect::Part if amount > original.left() => Err("61"),
        Effect::Total if amount < original.taken => Err("61"),
        _ => Ok(place),
    }
}
