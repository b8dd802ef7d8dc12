//! The check value of the card data key, in the embedded database.

use super::SqliteStore;
use crate::{
    KeptCardKey, StoreError,
    card_key::{KEEP, KEPT, of_sqlite},
};

impl SqliteStore {
    pub(crate) async fn card_key(&self) -> Result<KeptCardKey, StoreError> {
        of_sqlite(&mut *self.readers.acquire().await?).await
    }

    pub(crate) async fn keep_card_key(&self, check: &str) -> Result<String, StoreError> {
        let mut turn = self.writer.begin().await?;
        let done = sqlx::query(KEEP).bind(check.to_owned()).execute(turn.connection()).await;
        turn.settle(done).await?;
        Ok(sqlx::query_scalar(KEPT).fetch_one(&self.readers).await?)
    }
}
