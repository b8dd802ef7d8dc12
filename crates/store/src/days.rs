//! The life of a business day, the same on both back ends: agreed on, made ahead, cut over to, closed, dropped.

use std::time::Duration;

use switch_core::{Day, Wall};

use crate::{DayConfig, Horizon, StoreError};

/// Leaves are made so many days ahead.
pub(crate) const AHEAD: i32 = 2;

/// What the database keeps of the business day.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Kept {
    pub(crate) zone: Option<String>,
    pub(crate) cutover: Option<String>,
    pub(crate) day: Option<i32>,
}

/// Refuses a node that counts its days otherwise than the others.
pub(crate) fn agree(config: &DayConfig, kept: &Kept) -> Result<(), StoreError> {
    let pairs = [("zone", &config.zone, &kept.zone), ("cutover", &config.cutover, &kept.cutover)];
    for (key, configured, kept) in pairs {
        if let Some(kept) = kept.as_ref().filter(|kept| *kept != configured) {
            return Err(StoreError::OtherDay {
                key,
                configured: configured.clone(),
                kept: kept.clone(),
            });
        }
    }
    Ok(())
}

/// The current day as the database has it.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Current {
    pub(crate) day: Option<i32>,
    pub(crate) former: Option<i32>,
    pub(crate) opened: Option<i64>,
}

impl Current {
    /// The horizon at `now`: the former day belongs to it for `overlap` after the cut-over.
    pub(crate) fn horizon(self, overlap: Duration, now: Wall) -> Result<Horizon, StoreError> {
        let day = Day(self.day.ok_or(StoreError::NoDay)?);
        let overlaps = self.opened.is_some_and(|opened| now < Wall(opened).plus(overlap));
        Ok(Horizon { day, former: self.former.map(Day).filter(|_| overlaps) })
    }
}

/// A day as the database has it.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Kalends {
    pub(crate) day: i32,
    pub(crate) former: Option<i32>,
    pub(crate) opened: Option<i64>,
    pub(crate) closed: Option<i64>,
}

/// What is to be done about the days now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Days whose leaves are missing.
    pub(crate) make: Vec<Day>,
    /// The day to cut over to.
    pub(crate) cut_over: Option<Day>,
    /// Ended days, each with its next one, whose deliveries of unknown result become cases.
    pub(crate) close: Vec<(Day, Day)>,
    /// Days that are too old.
    pub(crate) drop: Vec<Day>,
}

/// Plans a step of the keeper of days. A day never ends before its time, and none comes back.
pub(crate) fn plan(
    config: &DayConfig,
    (current, due): (Day, Day),
    days: &[Kalends],
    now: Wall,
) -> Plan {
    let target = due.max(current);
    let ahead = |day: Day| day.0..=day.0.saturating_add(AHEAD);
    let mut make: Vec<Day> = ahead(current)
        .chain(ahead(target))
        .filter(|wanted| days.iter().all(|row| row.day != *wanted))
        .map(Day)
        .collect();
    make.sort_unstable();
    make.dedup();
    let next_of = |day: i32| days.iter().find(|row| row.former == Some(day));
    let close = days
        .iter()
        .filter(|row| row.closed.is_none())
        .filter_map(|row| Some((row.day, next_of(row.day)?)))
        .filter(|(_, next)| {
            next.opened.is_some_and(|opened| now >= Wall(opened).plus(config.overlap))
        })
        .map(|(day, next)| (Day(day), Day(next.day)))
        .collect();
    let oldest = target.0.saturating_sub(i32::try_from(config.keep_days).unwrap_or(i32::MAX));
    let drop = days
        .iter()
        .filter(|row| row.day < oldest && row.day < current.0)
        .filter(|row| row.opened.is_none() || row.closed.is_some())
        .map(|row| Day(row.day))
        .collect();
    Plan { make, cut_over: (target > current).then_some(target), close, drop }
}

/// What a step of the keeper of days did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaysKept {
    /// The day that it cut over to.
    pub cut_over_to: Option<Day>,
    /// Cases opened for approvals of an ended day whose delivery stayed unknown (M10).
    pub delivery_unknown: u64,
    /// Days that were dropped as older than `keep_days`.
    pub dropped: Vec<Day>,
    /// Days that are older but have something open.
    pub held: Vec<Day>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn opened(day: i32, former: Option<i32>, at: i64) -> Kalends {
        Kalends { day, former, opened: Some(at), closed: None }
    }

    fn ahead(day: i32) -> Kalends {
        Kalends { day, former: None, opened: None, closed: None }
    }

    #[test]
    fn leaves_are_made_two_days_ahead_of_both_days() {
        let config = DayConfig::default();
        let days = [opened(10, None, 0), ahead(11), ahead(12)];
        let still = plan(&config, (Day(10), Day(10)), &days, Wall(HOUR));
        assert_eq!(still, Plan::default());
        let back = plan(&config, (Day(10), Day(9)), &days, Wall(HOUR));
        assert_eq!(back, Plan::default(), "a clock that went back ends nothing");
        let next = plan(&config, (Day(10), Day(11)), &days, Wall(HOUR));
        assert_eq!((next.make, next.cut_over), (vec![Day(13)], Some(Day(11))));
        let later = plan(&config, (Day(10), Day(15)), &days, Wall(HOUR));
        assert_eq!(later.make, [Day(15), Day(16), Day(17)]);
        assert_eq!(later.cut_over, Some(Day(15)));
    }

    #[test]
    fn a_day_is_closed_after_the_overlap_and_dropped_when_old() {
        let config = DayConfig { keep_days: 5, ..DayConfig::default() };
        let mut days = [opened(10, None, 0), opened(11, Some(10), HOUR), ahead(12), ahead(13)];
        let early = plan(&config, (Day(11), Day(11)), &days, Wall(3 * HOUR - 1));
        assert_eq!(early.close, []);
        let due = plan(&config, (Day(11), Day(11)), &days, Wall(3 * HOUR));
        assert_eq!(due.close, [(Day(10), Day(11))]);
        let old = plan(&config, (Day(11), Day(16)), &days, Wall(9 * HOUR));
        assert_eq!(old.drop, [], "not closed yet");
        days[0].closed = Some(1);
        let old = plan(&config, (Day(11), Day(16)), &days, Wall(9 * HOUR));
        assert_eq!(old.drop, [Day(10)]);
    }
}
