//! `interlock migrate`: brings the database to this version.

use std::process::ExitCode;

use store::{Store, StoreConfig};

use crate::{cli::ConfigFile, config::Config, output::say};

/// Migrates, and says so. Idempotent.
pub(crate) async fn run(options: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = Config::load_for_store(&options.config)?;
    let store = Store::open(&store_config(&config)).await?;
    store.migrate().await?;
    store.check_version().await?;
    say("the database is at this version")?;
    Ok(ExitCode::SUCCESS)
}

/// How the store of `config` is reached.
pub(crate) fn store_config(config: &Config) -> StoreConfig {
    let mut store = StoreConfig::new(config.store_url());
    let day = &config.settings.day.0;
    store.connections = config.settings.store.0.connections.0;
    store.day.zone.clone_from(&day.zone.0);
    store.day.cutover = day.cutover.0.strftime("%H:%M").to_string();
    store.day.overlap = day.overlap.0;
    store
}
