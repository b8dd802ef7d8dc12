//! The cards of a load: test numbers, made from their index.

use iso8583::{Pan, ValueError};

use super::mix::Mix;
use crate::ledger::pan_hash;
use crate::random::{Random, mix};

/// How a card is read (22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Chip,
    Contactless,
    Magnetic,
    Manual,
}

impl Entry {
    /// Point-of-service entry mode (22).
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::Chip => "051",
            Self::Contactless => "072",
            Self::Magnetic => "021",
            Self::Manual => "012",
        }
    }

    /// Point of service data code (22), which the 1993 version has in its place.
    pub(super) const fn data_code(self) -> &'static str {
        match self {
            Self::Chip => "510101513001",
            Self::Contactless => "500101500000",
            Self::Magnetic => "210101213001",
            Self::Manual => "600101600000",
        }
    }

    pub(super) const fn has_chip(self) -> bool {
        matches!(self, Self::Chip | Self::Contactless)
    }

    pub(super) const fn has_pin(self) -> bool {
        matches!(self, Self::Chip | Self::Magnetic)
    }

    pub(super) const fn has_track(self) -> bool {
        !matches!(self, Self::Manual)
    }
}

/// One card.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) pan: Pan,
    pub(super) hash: String,
    pub(super) entry: Entry,
    /// Stands for an encrypted PIN.
    pub(super) pin_block: [u8; 8],
}

/// Valid through December of this year (14).
pub(super) const EXPIRY: &str = "3512";

impl Card {
    /// The card `index` of a mix.
    pub(super) fn new(of: &Mix, index: usize, seed: u64) -> Result<Self, ValueError> {
        let prefix = of.card_prefixes.get(index % of.card_prefixes.len().max(1));
        let prefix = prefix.map_or("62", String::as_str);
        let room = 15_usize.saturating_sub(prefix.len());
        let mut digits = format!("{prefix}{index:0>room$}");
        digits.push(check_digit(&digits));
        let number = u64::try_from(index).unwrap_or(0);
        let weights = of.entry;
        let all = [weights.chip, weights.contactless, weights.magnetic, weights.manual];
        let sum = all.iter().map(|weight| u64::from(*weight)).sum();
        let mut left = Random::stream(seed, number).below(sum);
        let entries = [Entry::Chip, Entry::Contactless, Entry::Magnetic, Entry::Manual];
        let entry = entries.into_iter().zip(all).find(|(_, weight)| {
            let weight = u64::from(*weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        Ok(Self {
            hash: pan_hash(&digits),
            pan: Pan::new(&digits)?,
            entry: entry.map_or(Entry::Chip, |(entry, _)| entry),
            pin_block: mix(&[seed, number]).to_be_bytes(),
        })
    }

    /// Track 2 (35).
    pub(super) fn track2(&self) -> String {
        format!("{}={EXPIRY}2010000000000", self.pan.expose())
    }
}

/// The numbers of all cards of a mix: what must be readable nowhere.
///
/// # Errors
/// The mix's prefixes make no card numbers.
pub fn card_numbers(of: &Mix) -> Result<Vec<Pan>, ValueError> {
    (0..of.cards).map(|index| Card::new(of, index, 0).map(|card| card.pan)).collect()
}

/// Whether card numbers can begin with it: 1 to 11 digits.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    (1..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digit that completes a card number.
fn check_digit(digits: &str) -> char {
    let sum: u32 = digits
        .chars()
        .rev()
        .zip([2, 1].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = digit.to_digit(10).unwrap_or(0) * weight;
            product / 10 + product % 10
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_differ_and_are_sound() {
        let mix = Mix::default();
        let card = |index| Card::new(&mix, index, 1).expect("digits");
        assert_eq!(card(0).pan.expose(), "6200000000000005");
        assert_eq!(card(1).pan.first6(), "810000");
        assert_eq!(check_digit("411111111111111"), '1');
        let cards: std::collections::BTreeSet<_> = (0..1000).map(|i| card(i).hash).collect();
        assert_eq!(cards.len(), 1000);
        let chips = (0..1000).filter(|index| card(*index).entry == Entry::Chip).count();
        assert!((500..700).contains(&chips), "{chips}");
    }
}
