//! How fast a backlog of reversals goes out beside sales (M4): at a twentieth of their rate, so that it takes little from
//! them, and at full speed while there are none. What becomes owed in this life is no backlog and goes at once.

use std::time::Duration;

use crate::Instant;

/// A reversal for so many sales.
const SALES: u64 = 20;
/// And one more each so many nanoseconds, however few the sales are: 250 a second.
const EVERY: u64 = 4_000_000;
/// Reversals that may go at once after a pause: those of a normal day never wait.
const BURST: u64 = 32;
/// So long after the last sale there are none.
const QUIET: Duration = Duration::from_millis(100);
/// When to ask again, in vain asked.
pub(crate) const AGAIN: Duration = Duration::from_millis(5);

/// An issuer's allowance.
#[derive(Debug)]
pub(crate) struct Pace {
    /// In parts of a reversal, of which a sale brings one.
    saved: u64,
    /// Until when time has been counted.
    counted: Instant,
    last_sale: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { saved: BURST * SALES, counted: Instant(0), last_sale: None }
    }
}

impl Pace {
    /// A sale goes to the issuer.
    pub(crate) fn sale(&mut self, now: Instant) {
        self.last_sale = Some(now);
        self.save(1);
    }

    fn save(&mut self, parts: u64) {
        self.saved = self.saved.saturating_add(parts).min(BURST * SALES);
    }

    /// Whether a reversal may go now; it is counted if so.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        const PART: u64 = EVERY / SALES;
        if self.last_sale.is_none_or(|last| now.since(last) > QUIET) {
            return true;
        }
        let parts = now.0.saturating_sub(self.counted.0) / PART;
        self.counted = Instant(self.counted.0 + parts * PART);
        self.save(parts);
        let may = self.saved >= SALES;
        if may {
            self.saved -= SALES;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many go in a second beside so many sales, asked for each millisecond.
    fn in_a_second(sales_a_millisecond: u64) -> usize {
        let mut pace = Pace::default();
        let mut gone = 0;
        for millisecond in 0..1_000 {
            let now = Instant(1_000_000_000 + millisecond * 1_000_000);
            (0..sales_a_millisecond).for_each(|_| pace.sale(now));
            while gone < 1_000_000 && pace.take(now) {
                gone += 1;
            }
        }
        gone
    }

    #[test]
    fn beside_sales_a_twentieth_of_their_rate_and_250_a_second() {
        // Of the first millisecond only the allowance of a pause counts.
        assert_eq!(in_a_second(20), 32 + (999 * 20 + 999 * 5) / 20);
        assert_eq!(in_a_second(1), 32 + (999 + 999 * 5) / 20);
        assert_eq!(in_a_second(0), 1_000_000, "without sales as fast as they are asked for");
    }

    /// After a sale at `now` whose allowance is used up.
    fn used_up(now: Instant) -> Pace {
        let mut pace = Pace::default();
        pace.sale(now);
        while pace.take(now) {}
        assert!(!pace.take(now), "the allowance is used up");
        pace
    }

    #[test]
    fn a_tenth_of_a_second_after_the_last_sale_nothing_is_held_back() {
        let last = Instant(5_000_000_000);
        let mut pace = used_up(last);
        assert!((0..1_000).all(|_| pace.take(last.plus(QUIET + Duration::from_nanos(1)))));
    }
}
