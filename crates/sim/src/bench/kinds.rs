//! Which kinds of transaction a load is made of.

use std::collections::BTreeMap;

use iso8583::Kind;
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Weights of the kinds, by their names. Without any, all are purchases, but for the balance enquiries of the mix.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Kinds(pub BTreeMap<String, u32>);

impl Kinds {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all names are of transactions, and one at least has a weight.
    pub(super) fn is_sound(&self) -> bool {
        let known = |name: &String| Kind::from_name(name).is_some_and(Kind::is_transaction);
        self.0.keys().all(known) && (self.0.is_empty() || self.0.values().any(|weight| *weight > 0))
    }

    /// The kinds that occur.
    pub(super) fn all(&self) -> impl Iterator<Item = Kind> {
        self.0
            .iter()
            .filter(|(_, weight)| **weight > 0)
            .filter_map(|(name, _)| Kind::from_name(name))
    }

    /// Draws one, with one number; a purchase where there are none.
    pub(super) fn draw(&self, random: &mut Random) -> Kind {
        let sum = self.0.values().map(|weight| u64::from(*weight)).sum();
        let mut left = random.below(sum);
        for (name, weight) in &self.0 {
            let weight = u64::from(*weight);
            if left < weight {
                return Kind::from_name(name).unwrap_or(Kind::Purchase);
            }
            left -= weight;
        }
        Kind::Purchase
    }
}

/// How a terminal lives a day: it signs in, sells, settles, and signs off.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Day {
    /// Sales of each terminal a day.
    pub sales: u32,
    /// Days that each lives.
    pub days: u32,
    /// Whether terminals sign in, and take the batch number of the answer. Those that do not count batches themselves.
    pub sign_in: bool,
    /// The probability that a terminal's journal is wrong in one line when it settles.
    pub planted: f64,
}

impl Default for Day {
    fn default() -> Self {
        Self { sales: 20, days: 1, sign_in: true, planted: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_in_their_parts() {
        let of = |weights: &[(&str, u32)]| {
            Kinds(weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect())
        };
        let kinds = of(&[("purchase", 3), ("void", 1), ("tip", 0)]);
        let mut random = Random::stream(1, 1);
        let voids = (0..10_000).filter(|_| kinds.draw(&mut random) == Kind::Void).count();
        assert!((2300..2700).contains(&voids), "{voids}");
        assert_eq!(kinds.all().collect::<Vec<_>>(), [Kind::Purchase, Kind::Void]);
        assert_eq!(of(&[]).draw(&mut random), Kind::Purchase);
        for (weights, sound) in [
            (&[][..], true),
            (&[("refund", 1)][..], true),
            (&[("refund", 0)][..], false),
            (&[("settlement", 1)][..], false),
            (&[("sale", 1)][..], false),
        ] {
            assert_eq!(of(weights).is_sound(), sound, "{weights:?}");
        }
    }
}
