//! What the switch's database says of each transaction of a day, to compare it with what others say.

use switch_core::{Day, Found, Key};

use crate::{
    Store, StoreError,
    image::{BESIDE, FOUND},
};

/// A transaction as the switch has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its row, and its obligation if there was one.
    pub found: Found,
    /// Whether it was noted that the delivery of its answer is unknown (M10).
    pub delivery_unknown: bool,
}

/// What a page is read from: [`FOUND`] and whether a note says that the delivery is unknown (kind 7).
pub(crate) fn page(source: &str, condition: &str) -> String {
    format!(
        "SELECT {FOUND}, EXISTS (SELECT 1 FROM note n WHERE n.id = t.id AND n.kind = 7) \
         FROM {source} t {BESIDE} WHERE {condition} t.key > $1 ORDER BY t.key LIMIT $2"
    )
}

impl Store {
    /// The business days that were opened and are kept, in order. Works without a lease.
    ///
    /// # Errors
    /// The database failed.
    pub async fn days(&self) -> Result<Vec<Day>, StoreError> {
        match self {
            Self::Postgres(own) => own.days().await,
            Self::Sqlite(own) => own.days().await,
        }
    }

    /// The transactions of a day with identities above `after`, in the order of identities, at most `limit`; fewer mean
    /// that there are no more. Works without a lease.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ledger(
        &self,
        day: Day,
        after: Option<Key>,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        match self {
            Self::Postgres(own) => own.ledger(day, after, limit).await,
            Self::Sqlite(own) => own.ledger(day, after, limit).await,
        }
    }
}

/// Where a listing begins: above it stands every identity.
pub(crate) fn above(after: Option<Key>) -> Vec<u8> {
    after.map_or_else(Vec::new, |key| key.0.to_vec())
}
