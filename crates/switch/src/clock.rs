//! The one place where the process's clocks are read.

use std::{
    sync::LazyLock,
    time::{Duration, Instant as StdInstant},
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
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

/// `MMDDhhmmss` (7), `hhmmss` (12) and `MMDD` (13).
pub(crate) struct WireTime {
    pub(crate) transmission: String,
    pub(crate) time: String,
    pub(crate) date: String,
}

impl WireTime {
    /// As fields have it: 7 in universal time, 12 and 13 in `zone`.
    pub(crate) fn of(wall: Wall, zone: &TimeZone) -> Self {
        let utc = zoned(wall, &TimeZone::UTC);
        let local = zoned(wall, zone);
        let date = |at: &Zoned| format!("{:02}{:02}", at.month(), at.day());
        let time = |at: &Zoned| format!("{:02}{:02}{:02}", at.hour(), at.minute(), at.second());
        Self { transmission: date(&utc) + &time(&utc), time: time(&local), date: date(&local) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_universal_and_local_time() {
        let zone = TimeZone::get("Asia/Shanghai").expect("bundled");
        let at = WireTime::of(Wall(1_767_199_999_000_000), &zone);
        assert_eq!(
            (at.transmission.as_str(), at.time.as_str(), at.date.as_str()),
            ("1231165319", "005319", "0101")
        );
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
