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
