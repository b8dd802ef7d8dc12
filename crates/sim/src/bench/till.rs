//! What a terminal has sold: its journal, from which voids and refunds take their originals, and which it settles.

use std::collections::VecDeque;

use iso8583::{Dialect, Kind, OnSilence, OriginalRule, Takes};

use super::requests::Blanks;
use crate::random::Random;
use crate::text::Text;

/// Lines that are kept of what is settled, or where nothing is ever settled.
const KEPT: usize = 64;

/// One approved transaction, as its terminal knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) kind: Kind,
    pub(super) card: usize,
    pub(super) blanks: Blanks,
    /// What was approved, minor units.
    pub(super) amount: u64,
    /// What it is worth now: a tip changes that.
    worth: u64,
    /// Of it, what voids, refunds and completions have taken.
    taken: u64,
    /// Of a tip or an adjustment: what it added.
    pub(super) difference: i64,
    pub(super) rrn: Text<12>,
    pub(super) approval: Text<6>,
    /// `MMDD` of the answer (13), else of the request.
    pub(super) date: u64,
    /// What it was about.
    pub(super) original: Option<Origin>,
}

impl Done {
    pub(super) const fn new(kind: Kind, card: usize, blanks: Blanks, amount: u64) -> Self {
        Self {
            kind,
            card,
            blanks,
            amount,
            worth: amount,
            taken: 0,
            difference: 0,
            rrn: Text::EMPTY,
            approval: Text::EMPTY,
            date: blanks.date,
            original: None,
        }
    }

    const fn left(&self) -> u64 {
        self.worth.saturating_sub(self.taken)
    }
}

/// The transaction that another is about, as far as that must name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) kind: Kind,
    pub(super) card: usize,
    pub(super) blanks: Blanks,
    pub(super) rrn: Text<12>,
    pub(super) approval: Text<6>,
    pub(super) date: u64,
    /// What is taken of it once the other is approved.
    takes: u64,
    /// What it is worth more then.
    pub(super) difference: i64,
}

/// A terminal's journal.
#[derive(Debug, Default)]
pub(super) struct Till {
    lines: VecDeque<Done>,
}

impl Till {
    /// Draws an original for a kind that follows another, and the amount of the new one; nothing where there is none.
    pub(super) fn pick(
        &self,
        dialect: &Dialect,
        kind: Kind,
        batch: u64,
        random: &mut [Random; 2],
    ) -> Option<(Origin, u64)> {
        let rule = dialect.row(kind)?.original.as_ref()?;
        let [which, how_much] = random;
        let fits = |line: &&Done| fits(rule, line, batch);
        let count = u64::try_from(self.lines.iter().filter(fits).count()).unwrap_or(0);
        let at = usize::try_from(which.below(count)).unwrap_or(0);
        let line = self.lines.iter().filter(fits).nth(at)?;
        let (amount, takes, difference) = share(rule.takes, line, how_much)?;
        let Done { kind, card, blanks, rrn, approval, date, .. } = *line;
        let origin = Origin { kind, card, blanks, rrn, approval, date, takes, difference };
        Some((origin, amount))
    }

    /// Takes an approved transaction in, and what it does to its original. Lines of batches before `batch` are kept only
    /// so many.
    pub(super) fn add(&mut self, done: Done, batch: u64, settles: bool) {
        if let Some(origin) = done.original {
            self.change(&origin, false);
        }
        self.lines.push_back(done);
        let old = |line: &Done| !settles || line.blanks.batch != batch;
        while self.lines.len() > KEPT && self.lines.front().is_some_and(old) {
            self.lines.pop_front();
        }
    }

    /// A transaction is taken back: it and what it did are as if they had never been.
    pub(super) fn take_back(&mut self, stan: u64, batch: u64) {
        let of = |line: &Done| line.blanks.stan == stan && line.blanks.batch == batch;
        if let Some(at) = self.lines.iter().rposition(of)
            && let Some(done) = self.lines.remove(at)
            && let Some(origin) = done.original
        {
            self.change(&origin, true);
        }
    }

    fn change(&mut self, origin: &Origin, back: bool) {
        let named = |line: &&mut Done| {
            line.blanks.stan == origin.blanks.stan && line.blanks.batch == origin.blanks.batch
        };
        let Some(line) = self.lines.iter_mut().rev().find(named) else { return };
        if back {
            line.taken = line.taken.saturating_sub(origin.takes);
            line.worth = line.worth.saturating_add_signed(-origin.difference);
        } else {
            line.taken += origin.takes;
            line.worth = line.worth.saturating_add_signed(origin.difference);
        }
    }

    /// The lines of a batch.
    pub(super) fn of_batch(&self, batch: u64) -> impl Iterator<Item = &Done> {
        self.lines.iter().filter(move |line| line.blanks.batch == batch)
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }
}

/// Whether a line may be the original of something that asks for this.
fn fits(rule: &OriginalRule, line: &Done, batch: u64) -> bool {
    let open = rule.days.is_some_and(|days| days > 0) || line.blanks.batch == batch;
    let left = match rule.takes {
        Takes::Equal | Takes::Whole { .. } => line.taken == 0,
        Takes::Part => line.left() > 0,
        Takes::Total { .. } => line.taken == 0 && line.worth > 1,
        Takes::Nothing => true,
    };
    open && left && rule.kinds.contains(&line.kind)
}

/// The amount of what follows a line, what it takes of that, and what the line is worth more afterwards.
fn share(takes: Takes, line: &Done, random: &mut Random) -> Option<(u64, u64, i64)> {
    let left = line.left();
    let part = |random: &mut Random, from: u64, to: u64| {
        left * (from + random.below(to.saturating_sub(from) + 1)) / 100
    };
    Some(match takes {
        Takes::Equal => (left, left, 0),
        Takes::Part => {
            let amount = part(random, 20, 120).clamp(1, left);
            (amount, amount, 0)
        }
        Takes::Whole { percent } => (part(random, 50, u64::from(percent)).max(1), left, 0),
        Takes::Total { percent } => {
            let percent = u64::from(percent);
            let amount =
                if percent > 100 { part(random, 101, percent) } else { part(random, 50, 99) };
            let amount = amount.max(1);
            let signed = |amount: u64| i64::try_from(amount).ok();
            (amount, 0, signed(amount)? - signed(line.worth)?)
        }
        Takes::Nothing => (0, 0, 0),
    })
}

/// Whether a kind is told to the host rather than asked, so that its details are uploaded one by one.
pub(super) const fn is_notice(kind: Kind) -> bool {
    matches!(kind.on_silence(), OnSilence::Deliver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(kind: Kind, stan: u64, amount: u64) -> Done {
        Done::new(kind, 0, Blanks { stan, batch: 7, amount, ..Blanks::default() }, amount)
    }

    #[test]
    fn what_follows_takes_what_is_left_and_gives_it_back() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        let mut till = Till::default();
        let mut random = [Random::stream(1, 1), Random::stream(1, 2)];
        let mut pick = |till: &Till, kind, batch| till.pick(&dialect, kind, batch, &mut random);
        assert!(pick(&till, Kind::Void, 7).is_none());
        till.add(done(Kind::Purchase, 1, 1000), 7, true);
        till.add(done(Kind::PreAuthorisation, 2, 1000), 7, true);
        assert!(pick(&till, Kind::Void, 8).is_none(), "its batch is settled");
        let (of, amount) = pick(&till, Kind::Tip, 7).expect("a sale");
        assert!((1010..=1200).contains(&amount) && of.difference > 0);
        let tip =
            Done { original: Some(of), difference: of.difference, ..done(Kind::Tip, 3, amount) };
        till.add(tip, 7, true);
        let (of, voided) = pick(&till, Kind::Void, 7).expect("a sale");
        assert_eq!((of.blanks.stan, voided), (1, amount));
        till.add(Done { original: Some(of), ..done(Kind::Void, 4, voided) }, 7, true);
        assert!(pick(&till, Kind::Void, 7).is_none() && pick(&till, Kind::Refund, 8).is_none());
        till.take_back(4, 7);
        let (of, refunded) = pick(&till, Kind::Refund, 8).expect("a sale");
        assert!((1..=amount).contains(&refunded));
        till.add(Done { original: Some(of), ..done(Kind::Refund, 5, refunded) }, 7, true);
        assert!(pick(&till, Kind::Void, 7).is_none());
        let (of, completed) = pick(&till, Kind::Completion, 7).expect("a hold");
        assert!((500..=1150).contains(&completed) && of.blanks.stan == 2);
        till.add(Done { original: Some(of), ..done(Kind::Completion, 6, completed) }, 7, true);
        assert!(pick(&till, Kind::PreAuthorisationVoid, 7).is_none());
        assert_eq!(till.of_batch(7).count(), 5);
        for stan in 10..200 {
            till.add(done(Kind::Purchase, stan, 100), 7, false);
        }
        assert_eq!(till.of_batch(7).count(), KEPT);
    }
}
