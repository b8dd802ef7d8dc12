//! The check value of the card data key, on the server.

use super::PostgresStore;
use crate::{
    KeptCardKey, StoreError,
    card_key::{KEEP, KEPT, of_postgres},
};

impl PostgresStore {
    pub(crate) async fn card_key(&self) -> Result<KeptCardKey, StoreError> {
        of_postgres(&mut *self.pool.acquire().await?).await
    }

    pub(crate) async fn keep_card_key(&self, check: &str) -> Result<String, StoreError> {
        sqlx::query(KEEP).bind(check).execute(&self.pool).await?;
        Ok(sqlx::query_scalar(KEPT).fetch_one(&self.pool).await?)
    }
}
