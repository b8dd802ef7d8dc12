//! Which days an identity is looked for in: the current one and, during the overlap, the one before.

use std::sync::{Arc, PoisonError, RwLock};

use switch_core::Day;

/// The days of the horizon, as this process last saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The current business day.
    pub day: Day,
    /// The day before it, while its identities still hold.
    pub former: Option<Day>,
}

impl Horizon {
    /// Whether identities of this day still hold.
    #[must_use]
    pub fn holds(&self, day: Day) -> bool {
        day == self.day || Some(day) == self.former
    }
}

/// The horizon that readers, writers and the keeper of days share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedHorizon(Arc<RwLock<Option<Horizon>>>);

impl SharedHorizon {
    pub(crate) fn get(&self) -> Option<Horizon> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the database says. A day that was read a moment ago may be the former one by now: who writes or reads by it
    /// finds that out and comes back with [`Self::moved_to`].
    pub(crate) fn set(&self, horizon: Horizon) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(horizon);
    }

    /// Another process cut over, or a person set the day, forward or back: what was current is the former day until the
    /// keeper says that its overlap is over.
    pub(crate) fn moved_to(&self, day: Day) -> Horizon {
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let horizon = match *shared {
            Some(now) if now.day == day => now,
            Some(now) => Horizon { day, former: Some(now.day) },
            None => Horizon { day, former: None },
        };
        *shared = Some(horizon);
        horizon
    }
}
