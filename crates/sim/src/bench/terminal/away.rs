//! A terminal whose connection has ended, and what it does once there is one again.

use iso8583::OnSilence;

use super::day::Today;
use super::{State, Terminal, Then, choice};
use crate::bench::floor::{Floor, Turn};
use crate::bench::plan::Plan;
use crate::random::Random;

impl Terminal {
    /// The connection ended.
    pub(in crate::bench) fn gone(&mut self, turn: &Turn<'_>) {
        self.deadline = None;
        self.listed = false;
        let then = match (self.state, self.sale.plan) {
            (State::Waiting, Plan::Lost) => {
                self.unanswered(turn.floor);
                self.replace(turn.floor);
                return;
            }
            (State::Waiting, plan) => {
                self.unanswered(turn.floor);
                let repeats = matches!(
                    plan,
                    Plan::VanishRepeat | Plan::Impatient | Plan::Repeat | Plan::Double
                );
                match (self.sale.kind.on_silence(), repeats) {
                    (OnSilence::Nothing, _) => Then::Sell,
                    (OnSilence::Deliver, _) | (OnSilence::Reverse, true) => Then::Repeat,
                    (OnSilence::Reverse, false) => Then::Reverse,
                }
            }
            (State::Reversing { .. } | State::Pending, _) => Then::Reverse,
            (State::Away(then), _) => then,
            (State::Managing, _) => Then::Manage,
            (State::Over, _) => Then::Nothing,
            (State::Free | State::Thinking | State::Repeating, _) => Then::Sell,
        };
        self.state = State::Away(then);
    }

    /// Another terminal takes the place of one that never comes back.
    fn replace(&mut self, floor: &Floor) {
        let step = u32::try_from(floor.terminals).unwrap_or(1);
        self.number = self.number.saturating_add(step) % 100_000_000;
        self.random = Random::stream(floor.seed, u64::from(self.number));
        self.choice = choice(floor, self.number);
        self.stan = floor.first_stan;
        self.till.clear();
        self.batch = u64::from(floor.batch);
        self.sign_in = false;
        self.today = floor.mix.day.as_ref().map(Today::new);
        self.state = State::Away(Then::Sell);
        self.wanted = None;
    }

    /// A connection is there again.
    pub(in crate::bench) fn back(&mut self, turn: &mut Turn<'_>) {
        let State::Away(then) = self.state else { return };
        match then {
            Then::Sell => self.state = State::Free,
            Then::Repeat => self.send(turn),
            Then::Reverse => self.reverse(turn),
            Then::Manage => self.send_managed(turn),
            Then::Nothing => self.state = State::Over,
        }
    }
}
