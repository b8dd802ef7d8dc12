//! A person's word on a case, in the embedded database.

use sqlx::SqliteConnection;
use switch_core::{Found, TxnId, Wall};

use super::SqliteStore;
use crate::{Resolution, ResolveError, StoreError, resolve::resolver};

resolver!(SqliteConnection);

impl SqliteStore {
    pub(crate) async fn resolve(
        &self,
        id: TxnId,
        found: Option<&Found>,
        how: (Resolution, &str),
        now: Wall,
    ) -> Result<(), ResolveError> {
        let mut turn = self.writer.begin().await.map_err(StoreError::from)?;
        let mut refused = None;
        let done = match resolve(turn.connection(), id, found, how, now, |_| "txn".to_owned()).await
        {
            Ok(()) => Ok(()),
            Err(error) => {
                refused = Some(error);
                // Whatever it was, what was done so far is taken back.
                Err(sqlx::Error::RowNotFound)
            }
        };
        match (turn.settle(done).await, refused) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(fault), None) => Err(StoreError::from(fault).into()),
        }
    }
}
