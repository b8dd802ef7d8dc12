//! The business day: which one a moment belongs to.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use switch_core::{Day, Wall};

use crate::StoreError;

/// `[day]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayConfig {
    /// IANA name of the zone.
    pub zone: String,
    /// `HH:MM` of the cut-over. From noon on it begins the next date's day, before noon it ends the former date's.
    pub cutover: String,
    /// How long an identity of the ended day still holds (MONEY: horizon).
    pub overlap: Duration,
    /// Days after which a day without anything open is dropped.
    pub keep_days: u32,
}

impl Default for DayConfig {
    fn default() -> Self {
        Self {
            zone: "Asia/Shanghai".to_owned(),
            cutover: "23:00".to_owned(),
            overlap: Duration::from_secs(2 * 3600),
            keep_days: 400,
        }
    }
}

/// A zone with its cut-over.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    hour: i8,
    minute: i8,
}

impl Calendar {
    /// The calendar of this configuration.
    ///
    /// # Errors
    /// The zone is unknown, or the cut-over is no time.
    pub fn new(config: &DayConfig) -> Result<Self, StoreError> {
        let zone = TimeZone::get(&config.zone).map_err(|_| StoreError::BadDay {
            key: "zone",
            value: config.zone.clone(),
            expected: "the IANA name of a time zone, like Asia/Shanghai",
        })?;
        let (hour, minute) = parse(&config.cutover).ok_or_else(|| StoreError::BadDay {
            key: "cutover",
            value: config.cutover.clone(),
            expected: "HH:MM from 00:00 to 23:59",
        })?;
        Ok(Self { zone, hour, minute })
    }

    /// The business day of a moment.
    #[must_use]
    pub fn day_at(&self, now: Wall) -> Day {
        let at = Timestamp::from_microsecond(now.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = self.zone.to_datetime(at);
        let passed = (local.hour(), local.minute()) >= (self.hour, self.minute);
        let shift = match (self.hour >= 12, passed) {
            (true, true) => 1,
            (false, false) => -1,
            (true, false) | (false, true) => 0,
        };
        Day(day_number(local.date()).saturating_add(shift))
    }
}

/// The date of a business day.
#[must_use]
pub fn date_of(day: Day) -> Date {
    let days = jiff::Span::new().try_days(day.0);
    days.and_then(|days| Date::constant(1970, 1, 1).checked_add(days)).unwrap_or(Date::MAX)
}

/// The business day of a date.
#[must_use]
pub fn day_of(date: Date) -> Day {
    Day(day_number(date))
}

/// `YYYYMMDD` of a business day.
pub(crate) fn compact_date(day: Day) -> String {
    let date = date_of(day);
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

fn day_number(date: Date) -> i32 {
    let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap_or(Timestamp::UNIX_EPOCH);
    i32::try_from(midnight.as_second().div_euclid(86_400)).unwrap_or(0)
}

fn parse(text: &str) -> Option<(i8, i8)> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str, below: i8| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse().ok())
            .flatten()
            .filter(|value| (0..below).contains(value))
    };
    Some((two(hour, 24)?, two(minute, 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, cutover: &str, at: &str, expected: &str) {
        let config = DayConfig {
            zone: zone.to_owned(),
            cutover: cutover.to_owned(),
            ..DayConfig::default()
        };
        let at: Timestamp = at.parse().expect("a time stamp");
        let day = Calendar::new(&config).expect("a calendar").day_at(Wall(at.as_microsecond()));
        assert_eq!(compact_date(day), expected, "{zone} {cutover} {at}");
    }

    #[test]
    fn a_moment_belongs_to_one_business_day() {
        check("Asia/Shanghai", "23:00", "2026-11-23T14:59:59Z", "20261123");
        check("Asia/Shanghai", "23:00", "2026-11-23T15:00:00Z", "20261124");
        check("Asia/Shanghai", "23:00", "2026-11-23T16:00:00Z", "20261124");
        check("Asia/Shanghai", "00:00", "2026-11-23T15:59:59Z", "20261123");
        check("Asia/Shanghai", "00:00", "2026-11-23T16:00:00Z", "20261124");
        check("Europe/Berlin", "04:30", "2026-11-23T03:29:00Z", "20261122");
        check("Europe/Berlin", "04:30", "2026-11-23T03:30:00Z", "20261123");
        check("UTC", "12:00", "2026-12-31T12:00:00Z", "20270101");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for (zone, cutover) in
            [("Mars/Olympus", "23:00"), ("UTC", "24:00"), ("UTC", "9:00"), ("UTC", "09:60")]
        {
            let config = DayConfig {
                zone: zone.to_owned(),
                cutover: cutover.to_owned(),
                ..DayConfig::default()
            };
            assert!(Calendar::new(&config).is_err(), "{zone} {cutover}");
        }
    }
}
