//! For how long a connection is not read whose requests were shed (M16).
//!
//! A refusal costs nearly as much as a sale. Were those who are refused read again at once, an overload would be spent on
//! refusing; so each refusal makes the pause before the connection is read again twice as long, and each other answer makes
//! it shorter by a sixteenth; five seconds without a refusal end it, so that a short overload leaves nothing behind. Meanwhile
//! the terminal's next request waits. The pauses of all connections so come near to what the switch can carry.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// An answer so long after the last refusal ends the pauses: well longer than the longest of them, or an overload that
/// lasts would end them too.
const QUIET: Duration = Duration::from_secs(5);
/// Shorter than this it is no pause.
const LEAST: Duration = Duration::from_millis(25);

/// A connection's place in this.
#[derive(Debug, Default)]
pub(crate) struct HoldBack {
    last: Duration,
    until: Option<Instant>,
    refused: Option<Instant>,
}

impl HoldBack {
    /// An answer is given now: a refusal that protects the rest, or another.
    pub(crate) fn note(&mut self, shed: bool, now: impl FnOnce() -> Instant) {
        if !shed && self.last.is_zero() {
            return;
        }
        let now = now();
        if shed && self.until.is_some_and(|until| now < until) {
            // Of the same burst: it was read before the pause began.
            return;
        }
        if shed {
            self.refused = Some(now);
        } else if self.refused.is_none_or(|refused| now.duration_since(refused) >= QUIET) {
            *self = Self::default();
            return;
        }
        self.last =
            if shed { (self.last * 2).clamp(FIRST, LONGEST) } else { self.last - self.last / 16 };
        if self.last < LEAST {
            *self = Self::default();
        } else {
            // A pause that runs is made no longer by answers to what was read before it.
            let running = self.until.filter(|until| now < *until);
            let until = now + self.last;
            self.until = Some(running.map_or(until, |running| running.min(until)));
        }
    }

    /// Until when nothing shall be read, if so.
    pub(crate) fn until(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        self.until = self.until.filter(|until| *until > now());
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_doubles_the_pause_and_other_answers_end_it_bit_by_bit() {
        let mut hold = HoldBack::default();
        let mut now = Instant::now();
        assert_eq!(hold.until(|| now), None);
        for milliseconds in [50, 100, 200, 400, 800, 1_000, 1_000] {
            hold.note(true, || now);
            let until = now + Duration::from_millis(milliseconds);
            assert_eq!(hold.until(|| now), Some(until));
            hold.note(true, || now);
            assert_eq!(hold.until(|| now), Some(until), "a burst counts once");
            now = until;
            assert_eq!(hold.until(|| now), None);
        }
        now -= Duration::from_millis(500);
        let (mut answers, mut former) = (0, LONGEST);
        loop {
            hold.note(false, || now);
            let Some(until) = hold.until(|| now) else { break };
            assert!(until - now < former, "shorter each time");
            (answers, former) = (answers + 1, until - now);
        }
        assert_eq!(answers, 57);
        hold.note(true, || now);
        assert_eq!(hold.until(|| now), Some(now + FIRST));
    }

    #[test]
    fn five_seconds_without_a_refusal_end_it_and_the_longest_pause_does_not() {
        let mut hold = HoldBack::default();
        let mut now = Instant::now();
        for _ in 0..6 {
            hold.note(true, || now);
            now = hold.until(|| now).expect("a pause");
        }
        let refused = now - LONGEST;
        hold.note(false, || now);
        assert_eq!(hold.until(|| now), Some(now + LONGEST * 15 / 16));
        hold.note(false, || refused + QUIET);
        assert_eq!(hold.until(|| refused + QUIET), None);
    }

    #[test]
    fn answers_during_a_pause_make_it_no_longer() {
        let mut hold = HoldBack::default();
        let mut now = Instant::now();
        for _ in 0..6 {
            hold.note(true, || now);
            now = hold.until(|| now).expect("a pause");
        }
        hold.note(true, || now);
        let end = hold.until(|| now).expect("a pause");
        for _ in 0..20 {
            now += Duration::from_millis(45);
            hold.note(false, || now);
            assert!(hold.until(|| now).is_none_or(|until| until <= end));
        }
    }

    #[test]
    fn who_was_never_refused_is_never_held_back() {
        let mut hold = HoldBack::default();
        let now = Instant::now();
        for _ in 0..10 {
            hold.note(false, || now);
            assert_eq!(hold.until(|| now), None);
        }
    }
}
