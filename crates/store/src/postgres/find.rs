//! What people ask of the server.

use sqlx::{Postgres, postgres::PgRow};
use switch_core::Found;

use super::PostgresStore;
use crate::{Filter, StoreError, find::finders, image::long};

/// The newest are looked for among so many numbers first.
const WINDOW: i64 = 20_000;
/// Each further window is so many times wider.
const WIDER: i64 = 32;

finders!(PostgresStore, pool, Postgres, PgRow, "position(", " IN t.answer) > 0");

impl PostgresStore {
    /// No index gives rows in the order of their numbers: the newest are looked for in windows that grow until there are
    /// enough, each bounded by the BRIN index.
    pub(crate) async fn find(&self, filter: &Filter, limit: u32) -> Result<Vec<Found>, StoreError> {
        if filter.after.is_some() {
            return self.find_above(filter, None, limit).await;
        }
        let top = match filter.before {
            Some(before) => long(before.0),
            None => sqlx::query_scalar("SELECT next FROM number").fetch_one(&self.pool).await?,
        };
        let mut window = WINDOW;
        loop {
            let floor = top.saturating_sub(window);
            let rows = self.find_above(filter, Some(floor), limit).await?;
            if floor <= 0 || rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(rows);
            }
            window = window.saturating_mul(WIDER);
        }
    }
}
