//! The transactions that others are about (M11): how they are looked for.

use switch_core::{Claim, ClaimStatus, Day, Found, Key, Kind, Row, TxnId};

use crate::{
    Store, StoreError,
    image::{array, count, known},
    store::either,
};

/// Most transactions of a card that are looked at.
pub(crate) const MOST: i64 = 500;

/// A claim on an original: taker, the original's identity and day, amount, status.
pub(crate) type ClaimRow = (i64, Vec<u8>, i32, i64, i16);

/// The claims on the original $1.
pub(crate) const CLAIMS_OF: &str =
    "SELECT id, key, day, amount, status FROM claim WHERE original = $1 ORDER BY id LIMIT 1000";

/// Whether a refund stands, or is open, on the original $1 of day $2.
pub(crate) fn refunded() -> String {
    let [refund, offline] = [Kind::Refund, Kind::OfflineRefund].map(Kind::number);
    format!(
        "SELECT EXISTS (SELECT 1 FROM claim c JOIN txn t ON t.id = c.id WHERE c.original = $1 AND c.status IN (1, 2) \
         AND t.day >= $2 AND t.kind IN ({refund}, {offline}))"
    )
}

/// The condition that a transaction is of one of these kinds, with their numbers in the text, so that the index on
/// pre-authorisations serves.
pub(crate) fn is_of(kinds: &[Kind]) -> String {
    let numbers: Vec<String> = kinds.iter().map(|kind| kind.number().to_string()).collect();
    match numbers.as_slice() {
        [] => "false".to_owned(),
        [one] => format!("t.kind = {one}"),
        more => format!("t.kind IN ({})", more.join(", ")),
    }
}

impl Store {
    /// The newest row under any of these keys, of any day that is kept: of the days of the horizon in one look, and of the
    /// others only where it has none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_newest_of(&self, keys: &[Key]) -> Result<Option<Found>, StoreError> {
        let recent = self.read_keys(keys).await?;
        let mut newest = recent.into_iter().max_by_key(|found| (found.row.day, found.row.id));
        if newest.is_some() {
            return Ok(newest);
        }
        for key in keys {
            let found = self.read_any_day(*key).await?;
            let newer = |found: &Found| {
                newest.as_ref().is_none_or(|known| {
                    (known.row.day, known.row.id) < (found.row.day, found.row.id)
                })
            };
            if found.as_ref().is_some_and(newer) {
                newest = found;
            }
        }
        Ok(newest)
    }

    /// The transactions of these kinds with this card, from this day on, the newest first, some hundreds at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_of_card(
        &self,
        card_hash: [u8; 16],
        kinds: &[Kind],
        from: Day,
    ) -> Result<Vec<Found>, StoreError> {
        either!(self, own => own.read_of_card(card_hash, kinds, from))
    }

    /// What others have claimed of a transaction (M11), each with the number of its taker, in their order; 1,000 at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claims_of(&self, original: TxnId) -> Result<Vec<(TxnId, Claim)>, StoreError> {
        let rows = either!(self, own => own.claims_of(original))?;
        let claim = |(id, key, day, amount, status): ClaimRow| {
            let claim = Claim {
                original,
                key: Key(array(&key, "identity")?),
                day: Day(day),
                amount,
                status: known("claim's status", status, ClaimStatus::from_number)?,
            };
            Ok((TxnId(count(id)), claim))
        };
        rows.into_iter().map(claim).collect()
    }

    /// Whether a part of a transaction was refunded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_refunded(&self, row: &Row) -> Result<bool, StoreError> {
        either!(self, own => own.is_refunded(row))
    }

    /// The current business day, as far as this process knows.
    #[must_use]
    pub fn today(&self) -> Option<Day> {
        self.horizon().get().map(|horizon| horizon.day)
    }
}
