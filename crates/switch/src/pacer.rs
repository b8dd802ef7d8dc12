//! Pacing of what is sent to an issuer over all of its links.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use switch_core::Instant;

/// Gives turns at an even rate, with a burst of a tenth of a second. Shared without a lock.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// When the next turn would be if all came evenly, nanoseconds.
    next: AtomicU64,
}

const SECOND: u64 = 1_000_000_000;
const BURST: u64 = SECOND / 10;

impl Pacer {
    /// Takes a turn at `now`, at most `per_second` of them a second (0: as many as wanted), or says how long to wait.
    pub(crate) fn take(&self, now: Instant, per_second: u32) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let step = SECOND / u64::from(per_second);
        let burst = BURST.max(step);
        let turn = |next: u64| {
            let next = next.max(now.0);
            (next + step <= now.0 + burst).then_some(next + step)
        };
        match self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn) {
            Ok(_) => Ok(()),
            Err(next) => Err(Duration::from_nanos((next + step).saturating_sub(now.0 + burst))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_at_the_rate_that_is_set() {
        for (per_second, first) in [(1, 1), (10, 1), (100, 10), (1_000, 100)] {
            let pacer = Pacer::default();
            let mut now = Instant(SECOND);
            let mut taken = 0_u64;
            while now.0 < 11 * SECOND {
                match pacer.take(now, per_second) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        if now.0 == SECOND {
                            assert_eq!(taken, first, "burst of {per_second} a second");
                        }
                        now = now.plus(wait.max(Duration::from_nanos(1)));
                    }
                }
            }
            let expected = 10 * u64::from(per_second);
            assert!((expected..=expected + first + 1).contains(&taken), "{taken} of {expected}");
        }
        let pacer = Pacer::default();
        assert!((0..100_000).all(|_| pacer.take(Instant(1), 0).is_ok()));
    }
}
