//! What people ask of the embedded back end.

use sqlx::{Sqlite, sqlite::SqliteRow};
use switch_core::Found;

use super::SqliteStore;
use crate::{Filter, StoreError, find::finders};

finders!(SqliteStore, readers, Sqlite, SqliteRow, "instr(t.answer, ", ") > 0");

impl SqliteStore {
    /// Rows lie in the order of their numbers: the newest are read first, and reading ends when there are enough.
    pub(crate) async fn find(&self, filter: &Filter, limit: u32) -> Result<Vec<Found>, StoreError> {
        self.find_above(filter, None, limit).await
    }
}
