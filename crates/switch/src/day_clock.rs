//! The clock of the business day: compared with the server's and with the monotonic clock, so that no wrong clock ends a day.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use store::{DayClock, DayDoubt, DaysKept, Store, StoreError, date_of};
use switch_core::{Day, Wall};

use crate::clock;

/// A clock that is further off than this is wrong: it and the server's, or it and the monotonic clock.
const BOUND: Duration = Duration::from_secs(60);
/// A clock that is set a little now and then is not wrong: after this time the comparison begins anew.
const ANEW: Duration = Duration::from_secs(3600);
/// The same trouble is logged so often.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The time by which business days are judged: the database server's, or this machine's where the database is a file.
///
/// # Errors
/// The database failed.
pub async fn day_time(store: &Store) -> Result<Wall, StoreError> {
    Ok(store.clock().await?.unwrap_or_else(|| clock::now().wall))
}

/// Time since this machine's start, which goes on while it sleeps and which nobody sets.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A clock as it is compared with the monotonic one.
#[derive(Debug, Default)]
struct Steadiness {
    base: Option<(Wall, Duration)>,
}

impl Steadiness {
    /// How far the clock was set since the comparison began, in microseconds: at most [`BOUND`] either way is confirmed.
    fn jump(&mut self, wall: Wall, mono: Duration) -> Option<i64> {
        let (base, begun) = *self.base.get_or_insert((wall, mono));
        let passed = mono.saturating_sub(begun);
        let jump = wall.0.saturating_sub(base.plus(passed).0);
        if is_off(jump) {
            return Some(jump);
        }
        if passed >= ANEW {
            self.base = Some((wall, mono));
        }
        None
    }
}

/// Whether so many microseconds are too many.
fn is_off(micros: i64) -> bool {
    Duration::from_micros(micros.unsigned_abs()) > BOUND
}

/// How far this machine's clock is from the server's, in microseconds, given that the server's was read between `before` and
/// `after`: as little as may be.
fn skew(before: Wall, server: Wall, after: Wall) -> i64 {
    if server < before {
        before.0.saturating_sub(server.0)
    } else if server > after {
        after.0.saturating_sub(server.0)
    } else {
        0
    }
}

/// A time span for people: `13h 5m`, `2m 10s`.
fn span(micros: i64) -> String {
    let seconds = micros.unsigned_abs() / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// `YYYY-MM-DD` of a business day.
#[must_use]
pub fn date(day: Day) -> String {
    date_of(day).to_string()
}

/// The keeper of days' clock, and what was said of it.
#[derive(Debug, Default)]
pub(crate) struct DayWatch {
    steadiness: Steadiness,
    said: Option<(Trouble, Duration)>,
    /// The current day at the last step.
    last: Option<Day>,
}

/// A clock or day that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// This machine's clock and the server's are so far apart.
    Skewed(i64),
    /// The clock was set by so much, and another day would be due by it.
    Jumped { micros: i64, current: Day, due: Day },
    /// The clock's day is more than ten ahead.
    TooFar { current: Day, due: Day },
    /// The current day is ahead of the clock.
    Behind { current: Day, due: Day },
}

impl Trouble {
    /// Whether it is the same as the other, but for figures that grow.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skewed(micros) => {
                let way = if *micros > 0 { "ahead of" } else { "behind" };
                let span = span(*micros);
                write!(f, "this machine's clock is {span} {way} the database's: set it")
            }
            Self::Jumped { micros, current, due } => {
                let way = if *micros > 0 { "forward" } else { "back" };
                let (span, current, due) = (span(*micros), date(*current), date(*due));
                write!(
                    f,
                    "the clock was set {way} by {span} while this node ran, so the business day stays {current} though \
                     {due} is due by it: if the clock is right, restart this node or run `interlock day set {due}`"
                )
            }
            Self::TooFar { current, due } => {
                let (current, due) = (date(*current), date(*due));
                write!(
                    f,
                    "the business day is {current}, and by the clock it is {due}, more than 10 days later: if the clock is \
                     right, run `interlock day set {due} --config FILE --reason TEXT`"
                )
            }
            Self::Behind { current, due } => {
                let (current, due) = (date(*current), date(*due));
                write!(
                    f,
                    "the business day is {current}, and by the clock it is only {due}: if the clock is right, run \
                     `interlock day set {due} --config FILE --reason TEXT`"
                )
            }
        }
    }
}

/// What one step of the keeper of days came to.
pub(crate) struct Kept {
    pub(crate) days: DaysKept,
    /// Why this node is not ready, for people.
    pub(crate) trouble: Option<String>,
    /// Whether the clock's day is more than ten ahead, for which a node does not start.
    pub(crate) too_far: bool,
}

impl DayWatch {
    /// One step: reads the clock that judges, keeps the days by it, and says what is wrong.
    ///
    /// # Errors
    /// The store failed; the next step tries again.
    pub(crate) async fn step(&mut self, store: &Store) -> Result<Kept, StoreError> {
        let before = clock::now().wall;
        let server = store.clock().await?;
        let after = clock::now().wall;
        let mono = since_boot();
        let skewed = server.map(|server| skew(before, server, after)).filter(|skew| is_off(*skew));
        let now = server.unwrap_or(after);
        let jump = self.steadiness.jump(now, mono);
        let clock = DayClock { now, confirmed: skewed.is_none() && jump.is_none() };
        let days = store.keep_days(clock).await?;
        let trouble = trouble(&days, skewed, jump);
        let day = days.days.map(|(current, _)| current);
        if let (Some(last), Some(day)) = (self.last, day)
            && last != day
            && days.cut_over_to.is_none()
        {
            // Another node cut over, or a person set it.
            tracing::info!(day = date(day), former = date(last), "the business day is another");
        }
        self.last = day.or(self.last);
        let too_far = days.doubt == Some(DayDoubt::TooFar);
        self.say(trouble.as_ref(), mono);
        Ok(Kept { days, trouble: trouble.map(|trouble| trouble.to_string()), too_far })
    }

    /// Logs a trouble when it begins, each minute while it lasts, and its end.
    fn say(&mut self, trouble: Option<&Trouble>, mono: Duration) {
        match (trouble, &self.said) {
            (Some(trouble), Some((said, at)))
                if trouble.is_like(said) && mono.saturating_sub(*at) < SAY_EVERY => {}
            (Some(trouble), _) => {
                tracing::error!("{trouble}");
                self.said = Some((trouble.clone(), mono));
            }
            (None, Some(_)) => {
                tracing::info!("the clock and the business day agree again");
                self.said = None;
            }
            (None, None) => {}
        }
    }
}

/// What is wrong. A clock that was set without another day being due by it is not: it only ends no day.
fn trouble(days: &DaysKept, skewed: Option<i64>, jump: Option<i64>) -> Option<Trouble> {
    if let Some(micros) = skewed {
        return Some(Trouble::Skewed(micros));
    }
    let (current, due) = days.days?;
    match (days.doubt?, jump) {
        (DayDoubt::TooFar, None) => Some(Trouble::TooFar { current, due }),
        (DayDoubt::TooFar | DayDoubt::Unconfirmed | DayDoubt::Behind, Some(micros)) => {
            Some(Trouble::Jumped { micros, current, due })
        }
        (DayDoubt::Behind, None) => Some(Trouble::Behind { current, due }),
        (DayDoubt::Unconfirmed, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_clock_that_jumps_is_not_confirmed_until_it_is_right_again() {
        let mut clock = Steadiness::default();
        let mut at = |wall: i64, mono| clock.jump(Wall(wall * SECOND), seconds(mono));
        assert_eq!(at(1_000_000, 50), None);
        assert_eq!(at(1_000_100, 150), None);
        assert_eq!(at(1_000_160, 151), None, "59 s");
        assert_eq!(at(1_000_163, 152), Some(61 * SECOND));
        assert_eq!(at(1_000_000 + 400 * 86_400, 153), Some((400 * 86_400 - 103) * SECOND));
        assert_eq!(at(1_000_104, 154), None, "it was set right");
        assert_eq!(at(990_000, 155), Some(-10_105 * SECOND), "and back");
    }

    #[test]
    fn a_clock_that_is_set_a_little_each_hour_is_good() {
        let mut clock = Steadiness::default();
        for hour in 0..100 {
            let mono = u64::try_from(hour).expect("small") * 3600;
            assert_eq!(
                clock.jump(Wall(hour * (3600 + 50) * SECOND), seconds(mono)),
                None,
                "{hour}"
            );
        }
    }

    #[test]
    fn the_skew_is_as_little_as_the_reading_allows() {
        let at = |seconds: i64| Wall(seconds * SECOND);
        assert_eq!(skew(at(100), at(101), at(102)), 0);
        assert_eq!(skew(at(100), at(40), at(102)), 60 * SECOND);
        assert_eq!(skew(at(100), at(202), at(102)), -100 * SECOND);
        assert!(!is_off(60 * SECOND) && is_off(-61 * SECOND));
    }

    #[test]
    fn a_trouble_says_what_to_do() {
        let days = |current, due, doubt| DaysKept {
            days: Some((Day(current), Day(due))),
            doubt,
            ..DaysKept::default()
        };
        let said = |days: &DaysKept, skewed, jump| {
            trouble(days, skewed, jump).map(|trouble| trouble.to_string()).unwrap_or_default()
        };
        let good = days(20_780, 20_780, None);
        assert_eq!(said(&good, None, Some(7_200 * SECOND)), "", "no day is due by it");
        let skewed = said(&good, Some(-130 * SECOND), None);
        assert_eq!(skewed, "this machine's clock is 2m 10s behind the database's: set it");
        let far = said(&days(20_780, 20_791, Some(DayDoubt::TooFar)), None, None);
        assert!(
            far.contains("2026-11-23") && far.contains("interlock day set 2026-12-04"),
            "{far}"
        );
        let jumped =
            said(&days(20_780, 20_781, Some(DayDoubt::Unconfirmed)), None, Some(SECOND * 9_000));
        assert!(jumped.contains("forward by 2h 30m") && jumped.contains("2026-11-24"), "{jumped}");
        let behind = said(&days(21_180, 20_780, Some(DayDoubt::Behind)), None, None);
        assert!(behind.contains("interlock day set 2026-11-23"), "{behind}");
    }

    #[test]
    fn the_time_since_boot_passes() {
        let first = since_boot();
        assert!(first > Duration::ZERO && since_boot() >= first);
    }
}
