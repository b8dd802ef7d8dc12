//! The business days of the embedded back end.

use switch_core::Wall;

use super::SqliteStore;
use crate::{StoreError, days::Current};

impl SqliteStore {
    /// Reads the current day, and whether the former one's identities still hold.
    pub(crate) async fn refresh_horizon(&self, now: Wall) -> Result<(), StoreError> {
        let current: Current = sqlx::query_as(
            "SELECT m.day, d.former, d.opened FROM meta m LEFT JOIN day d ON d.day = m.day",
        )
        .fetch_one(&self.readers)
        .await?;
        self.horizon.set(current.horizon(self.config.day.overlap, now)?);
        Ok(())
    }
}
