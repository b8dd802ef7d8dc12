//! Log lines about a store that fails again and again: one at once, one a minute while it lasts, one when it is over.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::StoreError;

/// Most reasons that are remembered: they come from a closed list of messages, so this is for safety.
const MOST: usize = 64;

/// One user of the store, such as a writer's lane, and how its failures are logged.
#[derive(Debug)]
pub struct Outage {
    user: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    failures: u64,
    /// A line of this outage was logged.
    logged: bool,
    reasons: BTreeMap<String, Logged>,
}

/// A line that comes again and again, and is logged once a minute.
#[derive(Debug)]
pub struct Logged {
    at: Instant,
    held_back: u64,
}

impl Logged {
    /// It is logged no more often.
    pub const EVERY: Duration = Duration::from_secs(60);

    /// A line that was logged now.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { at: now, held_back: 0 }
    }

    /// Whether it was logged so long ago that it may be again.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= Self::EVERY
    }

    /// It comes again. How many times the line to be logged now stands for; none where it is too early for one.
    pub fn again(&mut self, now: Instant) -> Option<u64> {
        let times = self.held_back + 1;
        let due = self.is_due(now);
        *self = if due { Self::new(now) } else { Self { at: self.at, held_back: times } };
        due.then_some(times)
    }
}

impl Outage {
    /// A user without failures so far; its name stands in each line as `store`.
    #[must_use]
    pub fn new(user: &'static str) -> Self {
        Self { user, state: Mutex::default() }
    }

    /// Logs a failure, unless the same was logged within a minute. `what`: what did not happen.
    pub fn failed(&self, what: &'static str, error: &StoreError) {
        self.failed_because(what, &error.to_string());
    }

    pub(crate) fn failed_because(&self, what: &'static str, reason: &str) {
        let since_last = self.with(|state| state.failed(Instant::now(), what, reason));
        let Some(times) = since_last else { return };
        let store = self.user;
        if times > 1 {
            tracing::warn!(store, reason, times, "{what}");
        } else {
            tracing::warn!(store, reason, "{what}");
        }
    }

    /// It works: says so where a failure was logged.
    pub fn over(&self) {
        let Some((failures, lasted)) = self.with(|state| state.over(Instant::now())) else {
            return;
        };
        let seconds = lasted.as_secs();
        tracing::info!(store = self.user, failures, seconds, "the store works again");
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// How many failures the line to be logged now stands for; none where it is too early for one.
    fn failed(&mut self, now: Instant, what: &str, reason: &str) -> Option<u64> {
        self.since.get_or_insert(now);
        self.failures += 1;
        let key = format!("{what}: {reason}");
        if let Some(logged) = self.reasons.get_mut(&key) {
            let times = logged.again(now);
            self.logged |= times.is_some();
            return times;
        }
        if self.reasons.len() >= MOST {
            self.reasons.clear();
        }
        self.reasons.insert(key, Logged::new(now));
        self.logged = true;
        Some(1)
    }

    /// How many failures there were, and for how long; none where no line was logged of them. Reasons are remembered, so
    /// that a store that comes and goes does not fill the log.
    fn over(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let since = self.since.take()?;
        let failures = std::mem::take(&mut self.failures);
        std::mem::take(&mut self.logged).then(|| (failures, now.saturating_duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_once_a_minute_with_a_count() {
        let mut state = State::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(state.over(at(0)), None, "nothing failed");
        assert_eq!(state.failed(at(0), "not written", "read-only"), Some(1));
        for second in 1..60 {
            assert_eq!(state.failed(at(second), "not written", "read-only"), None, "{second}");
        }
        assert_eq!(state.failed(at(60), "not written", "read-only"), Some(60));
        assert_eq!(state.failed(at(61), "not written", "refused"), Some(1), "another reason");
        assert_eq!(state.failed(at(62), "not read", "read-only"), Some(1), "another deed");
        assert_eq!(state.over(at(63)), Some((63, Duration::from_secs(63))));
        assert_eq!(state.over(at(64)), None, "told once");
    }

    #[test]
    fn a_store_that_comes_and_goes_does_not_fill_the_log() {
        let mut state = State::default();
        let start = Instant::now();
        let lines = (0..600).filter(|tenth| {
            let now = start + Duration::from_millis(tenth * 100);
            let failed = state.failed(now, "not written", "cut").is_some();
            let over = state.over(now).is_some();
            failed || over
        });
        assert_eq!(lines.count(), 1);
    }
}
