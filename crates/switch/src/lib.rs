//! The tokio runtime around the engine: listeners, issuers, driver.

pub mod config;
