//! The one place where the process's clocks are read.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant as StdInstant},
};

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};
use switch_core::{Instant, Now, Wall};

/// The monotonic zero of this process: one second before the clock was first read, so that no deadline lies before it.
static ZERO: LazyLock<StdInstant> = LazyLock::new(|| {
    let now = StdInstant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
});

/// Both clocks.
#[must_use]
pub fn now() -> Now {
    Now { mono: mono(), wall: Wall(Timestamp::now().as_microsecond()) }
}

/// The monotonic clock.
#[must_use]
pub fn mono() -> Instant {
    of(StdInstant::now())
}

/// The operating system's instant on the monotonic clock.
#[must_use]
pub fn of(instant: StdInstant) -> Instant {
    Instant(0).plus(instant.saturating_duration_since(*ZERO))
}

/// The operating system's instant of `instant`.
#[must_use]
pub fn std(instant: Instant) -> StdInstant {
    let since = Duration::from_nanos(instant.0);
    // Beyond what the operating system can count: a day is as good as never.
    ZERO.checked_add(since).unwrap_or_else(|| *ZERO + Duration::from_secs(86_400))
}

/// The date and time of `wall` in `zone`.
pub(crate) fn zoned(wall: Wall, zone: &TimeZone) -> Zoned {
    Timestamp::from_microsecond(wall.0).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone())
}

/// The moment of a transmission time (7, `MMDDhhmmss` in universal time), in the year that brings it nearest to `now`.
pub(crate) fn transmitted(text: &str, now: Wall) -> Option<Wall> {
    let digits = text.trim();
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2)?.parse::<i8>().ok();
    let [month, day, hour, minute, second] = [part(0)?, part(2)?, part(4)?, part(6)?, part(8)?];
    let year = zoned(now, &TimeZone::UTC).year();
    let in_year = |year: i16| {
        let at = civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(Wall(TimeZone::UTC.to_timestamp(at).ok()?.as_microsecond()))
    };
    [year - 1, year, year + 1].into_iter().filter_map(in_year).min_by_key(|at| at.0.abs_diff(now.0))
}

/// `MMDDhhmmss` (7), `hhmmss` (12), `MMDD` (13) and its year: 7 in universal time, the others in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireTime {
    transmission: [u8; 10],
    time: [u8; 6],
    date: [u8; 4],
    year: [u8; 2],
}

impl WireTime {
    /// As fields have it.
    pub(crate) fn of(wall: Wall, zone: &TimeZone) -> Self {
        let utc = stamp(&zoned(wall, &TimeZone::UTC));
        let at = zoned(wall, zone);
        let (local, year) = (stamp(&at), decimal(at.year().unsigned_abs().into()));
        let ([date @ .., _, _, _, _, _, _], [_, _, _, _, time @ ..]) = (local, local);
        Self { transmission: utc, time, date, year }
    }

    pub(crate) fn transmission(&self) -> &str {
        std::str::from_utf8(&self.transmission).unwrap_or_default()
    }

    pub(crate) fn time(&self) -> &str {
        std::str::from_utf8(&self.time).unwrap_or_default()
    }

    pub(crate) fn date(&self) -> &str {
        std::str::from_utf8(&self.date).unwrap_or_default()
    }

    /// The last two digits of the year of the date.
    pub(crate) fn year(&self) -> &str {
        std::str::from_utf8(&self.year).unwrap_or_default()
    }
}

/// `MMDDhhmmss`.
fn stamp(at: &Zoned) -> [u8; 10] {
    let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second()];
    decimal(parts.into_iter().fold(0, |sum, part| sum * 100 + u64::from(part.unsigned_abs())))
}

/// The last `N` decimal digits of a number, with leading zeros.
pub(crate) fn decimal<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

/// The times of messages: a second's is worked out once.
#[derive(Debug)]
pub(crate) struct WireClock {
    zone: TimeZone,
    last: Mutex<Option<(i64, WireTime)>>,
}

impl WireClock {
    pub(crate) const fn new(zone: TimeZone) -> Self {
        Self { zone, last: Mutex::new(None) }
    }

    pub(crate) const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// As fields have it at `wall`.
    pub(crate) fn at(&self, wall: Wall) -> WireTime {
        let second = wall.0.div_euclid(1_000_000);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((of, time)) if of == second => time,
            Some(_) | None => {
                let time = WireTime::of(wall, &self.zone);
                *last = Some((second, time));
                time
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_universal_and_local_time() {
        let zone = TimeZone::get("Asia/Shanghai").expect("bundled");
        let clock = WireClock::new(zone);
        for (second, expected) in [
            (1_767_199_999, ("1231165319", "005319", "0101")),
            (1_767_199_999, ("1231165319", "005319", "0101")),
            (1_767_200_000, ("1231165320", "005320", "0101")),
        ] {
            let at = clock.at(Wall(second * 1_000_000 + 7));
            assert_eq!((at.transmission(), at.time(), at.date()), expected);
        }
        assert_eq!(decimal::<6>(1_234_567), *b"234567");
    }

    #[test]
    fn a_transmission_time_is_of_the_nearest_year() {
        let at = |text: &str| {
            let at: Timestamp = text.parse().expect("a time");
            Wall(at.as_microsecond())
        };
        for (text, now, expected) in [
            ("1231235959", "2027-01-01T00:00:01Z", Some("2026-12-31T23:59:59Z")),
            ("0101000000", "2026-12-31T23:59:59Z", Some("2027-01-01T00:00:00Z")),
            ("0615120000", "2026-06-15T12:00:01Z", Some("2026-06-15T12:00:00Z")),
            ("0229000000", "2028-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("1301000000", "2026-06-15T12:00:01Z", None),
            ("06151200", "2026-06-15T12:00:01Z", None),
            ("x615120000", "2026-06-15T12:00:01Z", None),
        ] {
            assert_eq!(transmitted(text, at(now)), expected.map(at), "{text}");
        }
    }

    #[test]
    fn the_monotonic_clock_leads_back_to_its_instant() {
        let zero = mono();
        let now = StdInstant::now();
        assert!(of(now) > zero);
        assert_eq!(std(of(now)), now);
        assert!(std(Instant(u64::MAX)) > now);
    }
}
