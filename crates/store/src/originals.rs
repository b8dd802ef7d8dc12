//! The transactions that others are about (M11): how they are looked for.

use switch_core::{Day, Found, Key, Kind};

use crate::{Store, StoreError};

/// Most transactions of a card that are looked at.
pub(crate) const MOST: i64 = 500;

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
    /// The newest row under any of these keys, of any day that is kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_newest_of(&self, keys: &[Key]) -> Result<Option<Found>, StoreError> {
        let mut newest: Option<Found> = None;
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
        match self {
            Self::Postgres(own) => own.read_of_card(card_hash, kinds, from).await,
            Self::Sqlite(own) => own.read_of_card(card_hash, kinds, from).await,
        }
    }

    /// The current business day, as far as this process knows.
    #[must_use]
    pub fn today(&self) -> Option<Day> {
        self.horizon().get().map(|horizon| horizon.day)
    }
}
