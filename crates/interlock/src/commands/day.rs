//! `interlock day set`: a person's word on the business day, written into the database.

use std::process::ExitCode;

use store::{DayDoubt, DaySetting, Store, StoreError};

use super::migrate::store_config;
use crate::{cli::DaySet, config::Config, output::say};

/// Makes the day the current one, and says so. Running nodes follow within seconds.
pub(crate) async fn set(options: &DaySet) -> anyhow::Result<ExitCode> {
    let config = Config::load_for_store(&options.file.config)?;
    let store = Store::open(&store_config(&config)).await?;
    store.check_version().await?;
    let now = switch::day_time(&store).await?;
    let by = options.by.clone().unwrap_or_else(user);
    let setting = DaySetting { day: options.day, reason: options.reason.clone(), by };
    let by = setting.by.clone();
    let former = store.set_day(setting, now).await?;
    let (day, former) = (switch::date(options.day), switch::date(former));
    say(format_args!("the business day is {day}, and was {former} (said by {by})"))?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the day of a toy's database follow the clock, however long it lay there.
pub(crate) async fn follow_clock(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&store_config(config)).await?;
    store.migrate().await?;
    let now = switch::day_time(&store).await?;
    let kept = match store.keep_days(now).await {
        Ok(kept) => kept,
        Err(StoreError::NoDay) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if let (Some((_, day)), Some(DayDoubt::TooFar | DayDoubt::Behind)) = (kept.days, kept.doubt) {
        let reason = "interlock dev follows the clock".to_owned();
        let former = store.set_day(DaySetting { day, reason, by: user() }, now).await?;
        tracing::info!(former = former.0, day = day.0, "the business day follows the clock");
    }
    Ok(())
}

/// The user of this process, as the environment names it.
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| {
        std::env::var(name).ok().filter(|user| !user.is_empty() && user.len() <= 200)
    });
    named.unwrap_or_else(|| "unknown".to_owned())
}
