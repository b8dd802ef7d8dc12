//! How to reach the store, and what all nodes on it must agree on.

use crate::DayConfig;

/// `[store]` and `[day]` of the configuration.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite://FILE` or `postgres://USER@HOST/DATABASE`.
    pub url: String,
    /// Connections for reads; the writers and the lease have their own.
    pub connections: u32,
    /// Whether a Postgres server may run without `fsync`, `full_page_writes` or `synchronous_commit`. Only for tests.
    pub allow_unsafe_server: bool,
    /// The business day.
    pub day: DayConfig,
}

impl StoreConfig {
    /// The documented defaults with this address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 4,
            allow_unsafe_server: false,
            day: DayConfig::default(),
        }
    }
}
