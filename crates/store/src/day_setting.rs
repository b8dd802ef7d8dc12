//! A person's word on the business day, where a clock has spoiled it or the shop was closed for long.

use std::time::Duration;

use switch_core::{Day, Wall};

use crate::{
    Calendar, DayConfig, StoreError,
    calendar::compact_date,
    days::{Current, FURTHEST},
};

/// A person's word on the business day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySetting {
    /// The day that is current from now on.
    pub day: Day,
    /// Why, for people.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// Why a day cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum DaySetError {
    /// It is the current one.
    #[error("{} is the current business day already", compact_date(*day))]
    Current {
        /// The day.
        day: Day,
    },
    /// It lies too far from the clock's.
    #[error(
        "{} lies more than {FURTHEST} days from the clock's day, {}: set the clock first if that is wrong",
        compact_date(*day), compact_date(*due)
    )]
    Far {
        /// The wanted day.
        day: Day,
        /// The clock's.
        due: Day,
    },
    /// Identities of the day before the current one still hold, and would be lost.
    #[error(
        "requests of {} are still to be recognised (day.overlap): set the day to {} first, which goes over to the clock's day by \
         itself, or wait until the overlap is over", compact_date(*former), compact_date(*former)
    )]
    Overlap {
        /// That day.
        former: Day,
    },
    /// The day was changed a moment ago, which not every node may know yet.
    #[error("the business day was changed less than {} seconds ago: wait a little", SETTLING.as_secs())]
    Settling,
    /// A running node's binary cannot follow the day back.
    #[error(
        "node {name} runs an older version, which cannot follow the day back: update or stop it first"
    )]
    OldNode {
        /// Its name.
        name: String,
    },
    /// No node was ever started on this database.
    #[error("the database has no business day yet: the first start sets it by the clock")]
    NoDay,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for DaySetError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Nodes learn of a changed day within this.
const SETTLING: Duration = Duration::from_secs(20);

/// Whether a person may set this day now; gives the current one.
pub(crate) fn may_set(
    config: &DayConfig,
    current: Current,
    wanted: Day,
    now: Wall,
) -> Result<Day, DaySetError> {
    let day = Day(current.day.ok_or(DaySetError::NoDay)?);
    let due = Calendar::new(config)?.day_at(now);
    if day == wanted {
        return Err(DaySetError::Current { day });
    }
    if wanted.0.abs_diff(due.0) > FURTHEST.unsigned_abs() {
        return Err(DaySetError::Far { day: wanted, due });
    }
    let opened = current.opened.map(Wall);
    if opened.is_some_and(|opened| opened <= now && now < opened.plus(SETTLING)) {
        return Err(DaySetError::Settling);
    }
    // A day that was opened by a clock that ran ahead: its true time is not known.
    let may_hold = |former: Day| match opened {
        Some(opened) if opened > now => former.0 >= due.0.saturating_sub(1),
        Some(opened) => now < opened.plus(config.overlap),
        None => false,
    };
    match current.former.map(Day) {
        Some(former) if former != wanted && may_hold(former) => {
            Err(DaySetError::Overlap { former })
        }
        Some(_) | None => Ok(day),
    }
}

/// The fence of a running node cannot be told of a day that goes back if its binary is older than this version.
pub(crate) const FOLLOWS: i64 = 7;

/// Clears what a clock that ran ahead wrote: when days were opened, and from which number on later days hold transactions
/// ($1: now, $2: the day that is set). A day that was left is opened a moment before the one that follows it.
pub(crate) const CLAMP: &str = "UPDATE day SET opened = CASE WHEN opened >= $1 THEN $1 - 1 ELSE opened END, \
     number = CASE WHEN day > $2 THEN NULL ELSE number END \
     WHERE opened >= $1 OR day > $2";
/// Batches that were opened under a later day hold transactions of this day from now on ($1).
pub(crate) const BATCHES: &str = "UPDATE batch SET day = $1 WHERE day > $1 AND closed IS NULL";
/// Opens day $1 after day $2 at $3, whether it was current before or not.
pub(crate) const OPEN: &str = "UPDATE day SET former = $2, opened = $3, closed = NULL, number = (SELECT next FROM number) \
     WHERE day = $1";
/// When, from which day, to which, who, why.
pub(crate) const SAID: &str =
    "INSERT INTO day_change (at, former, day, who, reason) VALUES ($1, $2, $3, $4, $5)";

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn check(current: (i32, Option<i32>, i64), wanted: i32, now: i64, expected: &str) {
        let config = DayConfig {
            zone: "UTC".to_owned(),
            cutover: "00:00".to_owned(),
            ..DayConfig::default()
        };
        let (day, former, opened) = current;
        let current = Current { day: Some(day), former, opened: Some(opened * HOUR) };
        let said = match may_set(&config, current, Day(wanted), Wall(now * HOUR)) {
            Ok(former) => format!("from {}", former.0),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn a_day_is_set_within_ten_days_of_the_clock() {
        let noon = 24 * 10 + 12;
        check((410, Some(10), 24 * 410), 10, noon, "from 410");
        check((1, None, 24), 10, noon, "from 1");
        check((1, None, 24), 20, noon, "from 1");
        check(
            (1, None, 24),
            21,
            noon,
            "19700122 lies more than 10 days from the clock's day, 19700111",
        );
        check((10, None, 240), 10, noon, "19700111 is the current business day already");
        check((9, None, noon), 10, noon, "less than 20 seconds ago");
    }

    #[test]
    fn no_identity_of_the_former_day_is_lost() {
        let noon = 24 * 10 + 12;
        check((9, Some(8), noon - 1), 10, noon, "requests of 19700109 are still to be recognised");
        check((9, Some(8), noon - 1), 8, noon, "from 9");
        check((9, Some(8), noon - 2), 10, noon, "from 9");
        // Opened by a clock that ran ahead.
        check((410, Some(9), 24 * 410), 10, noon, "requests of 19700110 are still");
        check((410, Some(8), 24 * 410), 10, noon, "from 410");
    }
}
