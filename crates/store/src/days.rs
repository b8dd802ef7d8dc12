//! The life of a business day, the same on both back ends: agreed on, made ahead, cut over to, closed, dropped.

use std::time::Duration;

use switch_core::{Day, Wall};

use crate::{Calendar, DayConfig, Horizon, StoreError};

/// Leaves are made so many days ahead.
pub(crate) const AHEAD: i32 = 2;

/// A day further ahead of the current one than this waits for a person: a shop may have been closed for some days, but a
/// clock may be wrong.
pub(crate) const FURTHEST: i32 = 10;

/// A cut-over waits for the end of the former day's overlap, so that no identity is lost, but no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(12 * 3600);

/// The clock that judges the business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayClock {
    /// The time: the server's on Postgres, this machine's on SQLite.
    pub now: Wall,
    /// Whether the process's monotonic clock confirms it. If not, no day ends by it and no identity expires.
    pub confirmed: bool,
}

impl From<Wall> for DayClock {
    fn from(now: Wall) -> Self {
        Self { now, confirmed: true }
    }
}

/// Why the clock's day is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayDoubt {
    /// It lies more than ten days ahead: a person must set it.
    TooFar,
    /// It is due, but the process's monotonic clock does not confirm the time.
    Unconfirmed,
    /// The current day lies more than one day ahead of it: this clock or the day is wrong.
    Behind,
}

/// Whether the day of the clock, `due`, may follow the current one.
pub(crate) fn doubt(current: Day, due: Day, confirmed: bool) -> Option<DayDoubt> {
    if due.0.saturating_sub(current.0) > FURTHEST {
        Some(DayDoubt::TooFar)
    } else if due > current && !confirmed {
        Some(DayDoubt::Unconfirmed)
    } else if current.0.saturating_sub(due.0) > 1 {
        Some(DayDoubt::Behind)
    } else {
        None
    }
}

/// Whether times may be compared with this clock's, so that something expires by it.
const fn is_trusted(doubt: Option<DayDoubt>, confirmed: bool) -> bool {
    confirmed && !matches!(doubt, Some(DayDoubt::TooFar | DayDoubt::Unconfirmed))
}

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

    /// The horizon by a clock that may be doubtful: then nothing expires.
    pub(crate) fn judged(self, config: &DayConfig, clock: DayClock) -> Result<Horizon, StoreError> {
        let day = Day(self.day.ok_or(StoreError::NoDay)?);
        let doubt = doubt(day, Calendar::new(config)?.day_at(clock.now), clock.confirmed);
        if is_trusted(doubt, clock.confirmed) {
            self.horizon(config.overlap, clock.now)
        } else {
            Ok(Horizon { day, former: self.former.map(Day) })
        }
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
    /// Why the clock's day is not taken.
    pub(crate) doubt: Option<DayDoubt>,
}

/// Plans a step of the keeper of days. A day never ends before its time, and none comes back but by a person's word. By a
/// doubtful clock nothing ends, closes or is dropped.
pub(crate) fn plan(
    config: &DayConfig,
    (current, due): (Day, Day),
    days: &[Kalends],
    clock: DayClock,
) -> Plan {
    let now = clock.now;
    let doubt = doubt(current, due, clock.confirmed);
    let trusted = is_trusted(doubt, clock.confirmed);
    let of = |day: Day| days.iter().find(|row| row.day == day.0);
    let overlaps = |row: &Kalends| {
        let until = row.opened.map(|opened| Wall(opened).plus(config.overlap.min(LONGEST_WAIT)));
        row.former.is_some() && until.is_some_and(|until| now < until)
    };
    let may_end = due > current && trusted && !of(current).is_some_and(overlaps);
    let target = if may_end { due } else { current };
    let ahead = |day: Day| day.0..=day.0.saturating_add(AHEAD);
    let mut make: Vec<Day> = ahead(current)
        .chain(ahead(target))
        .filter(|wanted| of(Day(*wanted)).is_none())
        .map(Day)
        .collect();
    make.sort_unstable();
    make.dedup();
    let mut plan = Plan { make, cut_over: may_end.then_some(due), doubt, ..Plan::default() };
    if !trusted {
        return plan;
    }
    let ended = |row: &&Kalends| row.day != current.0 && row.closed.is_none();
    plan.close = days
        .iter()
        .filter(ended)
        .filter_map(|row| Some((row.day, next_of(days, row)?)))
        .filter(|(_, next)| {
            next.opened.is_some_and(|opened| now >= Wall(opened).plus(config.overlap))
        })
        .map(|(day, next)| (Day(day), Day(next.day)))
        .collect();
    let oldest = target.0.saturating_sub(i32::try_from(config.keep_days).unwrap_or(i32::MAX));
    plan.drop = days
        .iter()
        .filter(|row| row.day < oldest && row.day < current.0)
        .filter(|row| row.opened.is_none() || row.closed.is_some())
        .map(|row| Day(row.day))
        .collect();
    plan
}

/// The day that followed this one. A day that a person set again has another former day since: then it is the first that
/// was opened later.
fn next_of<'a>(days: &'a [Kalends], row: &Kalends) -> Option<&'a Kalends> {
    let opened = row.opened?;
    let follows = days.iter().filter(|next| next.former == Some(row.day));
    let later = || days.iter().filter(|next| next.opened.is_some_and(|at| at > opened));
    follows.max_by_key(|next| next.opened).or_else(|| later().min_by_key(|next| next.opened))
}

/// What a step of the keeper of days did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaysKept {
    /// The current day, and the clock's.
    pub days: Option<(Day, Day)>,
    /// Why the clock's day is not taken.
    pub doubt: Option<DayDoubt>,
    /// The day that it cut over to.
    pub cut_over_to: Option<Day>,
    /// Cases opened for approvals of an ended day whose delivery stayed unknown (M10).
    pub delivery_unknown: u64,
    /// Days that were dropped as older than `keep_days`.
    pub dropped: Vec<Day>,
    /// Days that are older but have something open.
    pub held: Vec<Day>,
}

impl DaysKept {
    /// What is to be said of these days.
    pub(crate) fn at(current: Day, due: Day, clock: DayClock) -> Self {
        let doubt = doubt(current, due, clock.confirmed);
        Self { days: Some((current, due)), doubt, ..Self::default() }
    }
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

    fn step(config: &DayConfig, current: i32, due: i32, days: &[Kalends], at: i64) -> Plan {
        plan(config, (Day(current), Day(due)), days, Wall(at).into())
    }

    #[test]
    fn leaves_are_made_two_days_ahead_of_both_days() {
        let config = DayConfig::default();
        let days = [opened(10, None, 0), ahead(11), ahead(12)];
        let still = step(&config, 10, 10, &days, HOUR);
        assert_eq!(still, Plan::default());
        let back = step(&config, 10, 9, &days, HOUR);
        assert_eq!(back, Plan::default(), "a clock that went back ends nothing");
        let next = step(&config, 10, 11, &days, HOUR);
        assert_eq!((next.make, next.cut_over), (vec![Day(13)], Some(Day(11))));
        let later = step(&config, 10, 15, &days, HOUR);
        assert_eq!(later.make, [Day(15), Day(16), Day(17)]);
        assert_eq!(later.cut_over, Some(Day(15)));
    }

    #[test]
    fn a_day_is_closed_after_the_overlap_and_dropped_when_old() {
        let config = DayConfig { keep_days: 5, ..DayConfig::default() };
        let mut days = [opened(10, None, 0), opened(11, Some(10), HOUR), ahead(12), ahead(13)];
        let early = step(&config, 11, 11, &days, 3 * HOUR - 1);
        assert_eq!(early.close, []);
        let due = step(&config, 11, 11, &days, 3 * HOUR);
        assert_eq!(due.close, [(Day(10), Day(11))]);
        let old = step(&config, 11, 16, &days, 9 * HOUR);
        assert_eq!(old.drop, [], "not closed yet");
        days[0].closed = Some(1);
        let old = step(&config, 11, 16, &days, 9 * HOUR);
        assert_eq!(old.drop, [Day(10)]);
    }

    #[test]
    fn by_a_doubtful_clock_nothing_ends_closes_or_is_dropped() {
        let config = DayConfig { keep_days: 5, ..DayConfig::default() };
        let mut days = [opened(10, None, 0), opened(11, Some(10), HOUR), ahead(12), ahead(13)];
        days[0].closed = Some(1);
        let far = step(&config, 11, 22, &days, 9 * HOUR);
        assert_eq!(far, Plan { doubt: Some(DayDoubt::TooFar), ..Plan::default() });
        assert_eq!(step(&config, 11, 21, &days, 9 * HOUR).cut_over, Some(Day(21)));
        days[0].closed = None;
        let clock = DayClock { now: Wall(9 * HOUR), confirmed: false };
        let jumped = plan(&config, (Day(11), Day(12)), &days, clock);
        assert_eq!(jumped, Plan { doubt: Some(DayDoubt::Unconfirmed), ..Plan::default() });
        let same = plan(&config, (Day(11), Day(11)), &days, clock);
        assert_eq!(same, Plan::default(), "nothing is due");
        let behind = step(&config, 11, 9, &days, HOUR);
        assert_eq!(behind.doubt, Some(DayDoubt::Behind));
    }

    #[test]
    fn a_day_does_not_end_before_the_overlap_of_its_former_one() {
        let config = DayConfig::default();
        let days = [opened(10, None, 0), opened(11, Some(10), 10 * HOUR), ahead(12), ahead(13)];
        assert_eq!(step(&config, 11, 12, &days, 12 * HOUR - 1).cut_over, None);
        assert_eq!(step(&config, 11, 12, &days, 12 * HOUR).cut_over, Some(Day(12)));
        let long = DayConfig { overlap: Duration::from_secs(30 * 86_400), ..config };
        assert_eq!(step(&long, 11, 12, &days, 22 * HOUR).cut_over, Some(Day(12)));
    }

    /// Day 10 was current, day 410 for a moment, then day 10 again.
    #[test]
    fn a_day_that_was_set_again_ends_once_more() {
        let config = DayConfig::default();
        let mut days = vec![
            Kalends { closed: Some(1), ..opened(9, None, 0) },
            opened(10, Some(410), 20 * HOUR),
            ahead(11),
            opened(410, Some(10), 20 * HOUR - 1),
        ];
        let current = step(&config, 10, 10, &days, 22 * HOUR);
        assert_eq!(current.close, [(Day(410), Day(10))], "the current one is not closed");
        days[2] = opened(11, Some(10), 30 * HOUR);
        assert_eq!(step(&config, 11, 11, &days, 32 * HOUR - 1).close, [(Day(410), Day(10))]);
        let both = [(Day(10), Day(11)), (Day(410), Day(10))];
        assert_eq!(step(&config, 11, 11, &days, 32 * HOUR).close, both);
        days[0].closed = None;
        assert_eq!(step(&config, 11, 11, &days, 32 * HOUR).close[0], (Day(9), Day(410)));
    }

    #[test]
    fn an_identity_does_not_expire_by_a_doubtful_clock() {
        let config = DayConfig { zone: "UTC".to_owned(), ..DayConfig::default() };
        let current = Current { day: Some(10), former: Some(9), opened: Some(240 * HOUR) };
        let former = |now: i64, confirmed| {
            let clock = DayClock { now: Wall(now * HOUR), confirmed };
            current.judged(&config, clock).expect("a day").former
        };
        assert_eq!(former(241, true), Some(Day(9)));
        assert_eq!(former(242, true), None);
        assert_eq!(former(242, false), Some(Day(9)), "not confirmed");
        assert_eq!(former(24 * 30, true), Some(Day(9)), "too far ahead");
    }
}
