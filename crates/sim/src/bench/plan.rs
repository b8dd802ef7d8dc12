//! How a simulated terminal will treat one sale.

use super::mix::{Amounts, Faults};
use crate::random::{Random, happens};

/// How a terminal treats one sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    Plain,
    Repeat,
    Double,
    Impatient,
    GiveUp,
    Reverse,
    Vanish,
    VanishRepeat,
    Lost,
    ReverseFirst,
}

impl Plan {
    /// Draws one, with one number.
    pub(super) fn draw(faults: &Faults, random: &mut Random) -> Self {
        const IN_ORDER: [Plan; 9] = [
            Plan::Repeat,
            Plan::Double,
            Plan::Impatient,
            Plan::GiveUp,
            Plan::Reverse,
            Plan::Vanish,
            Plan::VanishRepeat,
            Plan::Lost,
            Plan::ReverseFirst,
        ];
        let number = random.next();
        let mut sum = 0.0;
        for (plan, probability) in IN_ORDER.into_iter().zip(faults.all()) {
            sum += probability;
            if happens(number, sum) {
                return plan;
            }
        }
        Self::Plain
    }

    /// The name in counts; none for a plain sale.
    pub(super) const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Plain => return None,
            Self::Repeat => "repeat",
            Self::Double => "double",
            Self::Impatient => "impatient",
            Self::GiveUp => "give_up",
            Self::Reverse => "reverse",
            Self::Vanish => "vanish",
            Self::VanishRepeat => "vanish_repeat",
            Self::Lost => "lost",
            Self::ReverseFirst => "reverse_first",
        })
    }
}

impl Amounts {
    /// Draws an amount, with two numbers.
    pub(super) fn draw(&self, random: &mut Random) -> u64 {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let step = unsigned(self.step).max(1);
        let steps = unsigned(self.most - self.least) / step + 1;
        let amount = unsigned(self.least) + random.below(steps) * step;
        let number = random.next();
        let mut sum = 0.0;
        for (ending, probability) in &self.endings {
            sum += probability;
            if happens(number, sum) {
                return amount / 100 * 100 + u64::from(*ending);
            }
        }
        amount
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn plans_and_amounts_come_in_their_parts() {
        let faults = Faults { repeat: 0.1, lost: 0.2, ..Faults::default() };
        let mut random = Random::stream(5, 0);
        let mut plans = BTreeMap::new();
        for _ in 0..10_000 {
            *plans.entry(Plan::draw(&faults, &mut random).name()).or_insert(0) += 1;
        }
        assert_eq!(plans.keys().copied().collect::<Vec<_>>(), [None, Some("lost"), Some("repeat")]);
        assert!((900..1100).contains(&plans[&Some("repeat")]), "{plans:?}");
        assert!((1800..2200).contains(&plans[&Some("lost")]), "{plans:?}");
        let amounts =
            Amounts { least: 200, most: 900, step: 100, endings: vec![(90, 0.25), (51, 0.25)] };
        let mut endings = BTreeMap::new();
        for _ in 0..10_000 {
            let amount = amounts.draw(&mut random);
            assert!((200..1000).contains(&amount));
            *endings.entry(amount % 100).or_insert(0) += 1;
        }
        assert_eq!(endings.keys().copied().collect::<Vec<_>>(), [0, 51, 90]);
        assert!((2200..2800).contains(&endings[&90]), "{endings:?}");
    }
}
