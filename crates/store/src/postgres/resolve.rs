//! A person's word on a case, on the server.

use sqlx::PgConnection;
use switch_core::{Found, TxnId, Wall};

use super::{PostgresStore, leaf};
use crate::{Resolution, ResolveError, resolve::resolver};

resolver!(PgConnection);

impl PostgresStore {
    pub(crate) async fn resolve(
        &self,
        id: TxnId,
        found: Option<&Found>,
        how: (Resolution, &str),
        now: Wall,
    ) -> Result<(), ResolveError> {
        let mut transaction = self.pool.begin().await?;
        // An error rolls it back where it is dropped.
        resolve(&mut transaction, id, found, how, now, leaf::name).await?;
        Ok(transaction.commit().await?)
    }
}
